package host_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/wasm"
)

const mebibyte = 1 << 20

// allocated is how many bytes the process allocates for f, on its heap and for
// goroutines' stacks. What f lets go of again counts.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc + max(after.StackSys, before.StackSys) - before.StackSys
}

// table is a table's type, with a maximum unless that is negative.
func table(least, most int) []byte {
	if most < 0 {
		return unsigned([]byte{typeFuncref, 0}, uint64(least))
	}
	return unsigned(unsigned([]byte{typeFuncref, 1}, uint64(least)), uint64(most))
}

// callMore calls one of foreign.more.
func callMore(n int) []byte { return unsigned([]byte{opCall}, uint64(moreFunctions+n)) }

// callTable calls what is at an index of the first table.
func callTable(n int) []byte { return append(i32Const(int64(n)), opCallTable, 4, 0) }

// grows is a call that adds so many entries to the first table, again and again.
func grows(by int64) []byte {
	return slices.Concat(
		[]byte{opLoop, typeVoid, opRefNull, typeFuncref}, i32Const(by), []byte{opMore, opTableGrow, 0},
		i32Const(-1), []byte{opI32Eq, opIf, typeVoid}, returnBuffer(responseAt, 1), []byte{opEnd, opBr, 0, opEnd},
		[]byte{opUnreachable},
	)
}

// with is the content of a function: so many locals, and what it does.
func with(locals int, code ...byte) []byte {
	return slices.Concat(unsigned([]byte{1}, uint64(locals)), []byte{typeI64}, code, []byte{opEnd})
}

// pushes fills the stack with n values around some code.
func pushes(n int, code []byte) []byte {
	return slices.Concat(bytes.Repeat([]byte{opLocalGet, 0}, n), code, bytes.Repeat([]byte{opDrop}, n))
}

// Whatever a caller's module makes of its tables, its calls and its globals, it
// takes about as much memory as it may.
func TestSandboxCountsAllMemory(t *testing.T) {
	call := func(code []byte) []byte { return append(code, returnBuffer(responseAt, 1)...) }
	for _, tt := range []struct {
		name   string
		module foreign
		code   string // of NewSandbox
		call   string // of a call
	}{
		{"nothing much", foreign{}, "", ""},
		{"a filled table", foreign{tables: [][]byte{table(10_000_000, -1)}}, host.CodeInvalidModule, ""},
		{"a table that can grow", foreign{tables: [][]byte{table(0, 40_000_000)}}, host.CodeInvalidModule, ""},
		{"many tables", foreign{tables: slices.Repeat([][]byte{table(10_000, -1)}, 100)}, host.CodeInvalidModule, ""},
		{"small tables", foreign{tables: slices.Repeat([][]byte{table(1000, 1000)}, 10)}, "", ""},
		{"external references", foreign{tables: [][]byte{unsigned([]byte{typeExtern, 0}, 10_000_000)}}, host.CodeInvalidModule, ""},
		{"elements", foreign{
			tables:   [][]byte{table(1, 1)},
			elements: slices.Repeat([][]byte{append([]byte{1, 0}, vector(slices.Repeat([][]byte{{0}}, 10_000)...)...)}, 20),
		}, host.CodeInvalidModule, ""},
		{"globals", foreign{globals: 100_000}, host.CodeInvalidModule, ""},
		{"functions", foreign{more: slices.Repeat([][]byte{with(0)}, 20_000)}, host.CodeInvalidModule, ""},
		// A table without a maximum does not grow; one with a maximum grows to that.
		{"a growing table", foreign{tables: [][]byte{table(1, -1)}, call: grows(1 << 20)}, "", ""},
		{"a growing table with a maximum", foreign{tables: [][]byte{table(1, 1000)}, call: grows(100)}, "", ""},

		{"calls, endless, small", foreign{
			more: [][]byte{with(0, callMore(0)...)}, call: call(callMore(0)),
		}, "", host.CodeSandboxFailed},
		{"calls, endless, with locals", foreign{
			more: [][]byte{with(4000, callMore(0)...)}, call: call(callMore(0)),
		}, "", host.CodeSandboxFailed},
		{"calls, endless, with a full stack", foreign{
			more: [][]byte{with(1, pushes(10_000, callMore(0))...)}, call: call(callMore(0)),
		}, "", host.CodeSandboxFailed},
		{"calls, endless, each of the other", foreign{
			more: [][]byte{with(500, callMore(1)...), with(700, callMore(0)...)}, call: call(callMore(1)),
		}, "", host.CodeSandboxFailed},
		{"calls, endless, through a table", foreign{
			tables:   [][]byte{table(2, -1)},
			elements: [][]byte{{0, opI32Const, 0, opEnd, 2, moreFunctions, moreFunctions + 1}},
			more:     [][]byte{with(900, callTable(1)...), with(100, callTable(0)...)},
			call:     call(callTable(0)),
		}, "", host.CodeSandboxFailed},
		{"calls, endless, when it starts", foreign{
			start: []byte{opCall, moreFunctions}, // the start function is the first of more
		}, host.CodeInvalidModule, ""},
		{"calls, few", foreign{
			more: [][]byte{with(100, callMore(1)...), with(100, callMore(2)...), with(100)}, call: call(callMore(0)),
		}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.module.pages = 1
			module := tt.module.module()
			got := allocated(func() {
				s, err := host.NewSandbox(context.Background(), host.SandboxOptions{
					Module: module, MemoryLimit: mebibyte, CallTimeout: time.Minute, MaxInstances: 1,
				})
				checkCode(t, err, tt.code)
				if err != nil {
					return
				}
				_, err = s.Call(context.Background(), []byte(requestCount))
				checkCode(t, err, tt.call)
				// The next call has an instance of its own.
				_, err = s.Call(context.Background(), []byte(requestCount))
				checkCode(t, err, tt.call)
				if err := s.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
			// What the module is read into, the memory of two instances, a stack that is
			// copied when it grows, and what wazero takes in any case.
			if most := uint64(10*mebibyte + 120*len(module)); got > most {
				t.Errorf("it took %d bytes, want at most %d", got, most)
			}
		})
	}
}

// Memory and stack come out of one budget: what one has taken the other lacks.
func TestSandboxBudgetIsShared(t *testing.T) {
	const opMemoryGrow = 0x40
	// 4 pages of memory, then calls that need more than what is left of 6.
	grown := slices.Concat(i32Const(4), []byte{opMemoryGrow, 0, opDrop})
	nested := make([][]byte, 22)
	for i := range nested {
		nested[i] = with(400, callMore(i+1)...)
	}
	nested = append(nested, with(0))
	for _, tt := range []struct {
		name string
		call []byte
		code string
	}{
		{"the calls alone", callMore(0), ""},
		{"the memory alone", grown, ""},
		{"both", slices.Concat(grown, callMore(0)), host.CodeSandboxFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newForeignSandbox(t, host.SandboxOptions{
				Module:      foreign{pages: 1, more: nested, call: append(tt.call, returnBuffer(responseAt, 1)...)}.module(),
				MemoryLimit: 6 * 64 << 10,
			})
			_, err := s.Call(context.Background(), []byte(requestCount))
			checkCode(t, err, tt.code)
			if err != nil && !strings.Contains(err.Error(), "nested too deep") {
				t.Errorf("the error does not say what it is: %v", err)
			}
		})
	}
}

// An error about what a module declares says how much that is, and what to do.
func TestSandboxLimitErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		module []byte
		text   []string
	}{
		{"a table", foreign{tables: [][]byte{table(10_000_000, -1)}}.module(), []string{"82097", "raise the memory limit", "declare less"}},
		{"a function's locals", foreign{more: [][]byte{with(5000)}}.module(), []string{"5000 locals", "at most 4096"}},
		{"imports", foreign{imports: imported(1, typeFuncref, 0, 0)}.module(), []string{"imports 1 thing"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := host.NewSandbox(context.Background(), host.SandboxOptions{Module: tt.module, MemoryLimit: mebibyte})
			checkCode(t, err, host.CodeInvalidModule)
			for _, text := range tt.text {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("the error lacks %q: %v", text, err)
				}
			}
		})
	}
}

// A module that counts four billion things in a few bytes is refused before the
// engine allocates for them, which would end the process.
func TestSandboxBelievesNoCount(t *testing.T) {
	fourBillion := unsigned(nil, 1<<32-1)
	good := []byte("\x00asm\x01\x00\x00\x00")
	for name, damaged := range map[string][]byte{
		"functions": slices.Concat(good, section(3, fourBillion)),
		"tables":    slices.Concat(good, section(4, fourBillion)),
		"globals":   slices.Concat(good, section(6, fourBillion)),
		"exports":   slices.Concat(good, section(7, fourBillion)),
		"elements":  slices.Concat(good, section(9, append([]byte{1, 1, 0}, fourBillion...))),
		"bodies":    slices.Concat(good, section(10, fourBillion)),
		"data":      slices.Concat(good, section(11, append([]byte{1, 1}, fourBillion...))),
		"locals":    foreign{more: [][]byte{slices.Concat([]byte{1}, fourBillion, []byte{typeI64, opEnd})}}.module(),
		"names":     slices.Concat(foreign{}.module(), section(0, slices.Concat(sized([]byte("name")), []byte{1}, sized(fourBillion)))),
	} {
		t.Run(name, func(t *testing.T) {
			got := allocated(func() {
				s, err := host.NewSandbox(context.Background(), host.SandboxOptions{Module: damaged})
				if name == "names" { // which are not read
					checkCode(t, err, "")
					if err := s.Close(context.Background()); err != nil {
						t.Error(err)
					}
					return
				}
				checkCode(t, err, host.CodeInvalidModule)
			})
			if got > 16*mebibyte {
				t.Errorf("it took %d bytes", got)
			}
		})
	}
}

// A module that takes its time to be read is given up at the deadline, and when the
// caller gives up.
func TestSandboxCompileTimeout(t *testing.T) {
	// A million instructions in thousands of functions.
	code := with(100, bytes.Repeat([]byte{opI32Const, 0, opDrop}, 100)...)
	slow := foreign{more: slices.Repeat([][]byte{code}, 3000)}.module()
	_, err := host.NewSandbox(context.Background(), host.SandboxOptions{Module: slow, CompileTimeout: time.Nanosecond})
	checkCode(t, err, host.CodeInvalidModule)
	if !strings.Contains(err.Error(), "CompileTimeout") {
		t.Errorf("the error does not say what to do: %v", err)
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = host.NewSandbox(canceled, host.SandboxOptions{Module: slow})
	checkCode(t, err, host.CodeCanceled)
	// Given time it is good.
	countCalls(t, newForeignSandbox(t, host.SandboxOptions{Module: slow}))
}

// interpreted is the embedded module as if it were another's.
func interpreted() []byte {
	return append(slices.Clone(wasm.Module), section(0, sized([]byte("mine")))...)
}

// A module as large as the embedded one works with the limits as they are.
func TestSandboxInterpretsTheCore(t *testing.T) {
	s := newSandbox(t, host.SandboxOptions{Module: interpreted(), CallTimeout: time.Minute, MaxInstances: 1})
	native := host.NewNative()
	for name, request := range requests() {
		if len(request) < 10_000 {
			t.Run(name, func(t *testing.T) { checkSame(t, s, native, request) })
		}
	}
}

// checkHolds looks for a secret in memory.
func checkHolds(t *testing.T, memory [][]byte, secret []byte, want bool) {
	t.Helper()
	got := slices.ContainsFunc(memory, func(m []byte) bool { return bytes.Contains(m[:cap(m)], secret) })
	if got != want {
		t.Errorf("the key in %d instances' memory: got %v, want %v", len(memory), got, want)
	}
}

func TestSandboxForgets(t *testing.T) {
	ctx := context.Background()
	seed := decodeKey(t)
	sign := requests()["assertion.build"]
	for name, forget := range map[string]func(s *host.Sandbox) error{
		"Forget": func(s *host.Sandbox) error { return s.Forget(ctx) },
		"Close":  func(s *host.Sandbox) error { return s.Close(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSandbox(t, host.SandboxOptions{CacheDir: cacheDir(), MaxInstances: 1})
			checkHolds(t, s.GuestMemory(), seed, false)
			want, err := s.Call(ctx, sign)
			if err != nil {
				t.Fatal(err)
			}
			memory := s.GuestMemory()
			checkHolds(t, memory, seed, true)
			if err := forget(s); err != nil {
				t.Fatal(err)
			}
			checkHolds(t, memory, seed, false)
			if slices.ContainsFunc(memory[0], func(b byte) bool { return b != 0 }) {
				t.Error("the memory is not all zeroes")
			}
			checkCount(t, "instances that are idle", s.Stats().Idle, 0)
			if name == "Close" {
				return
			}
			got, err := s.Call(ctx, sign)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("the next call: got %x, %v; want %x", got, err, want)
			}
		})
	}
}

// An instance that is busy while the sandbox forgets is thrown away when its call
// ends, and one that fails is overwritten, too.
func TestSandboxForgetsBusyInstances(t *testing.T) {
	ctx := context.Background()
	for _, tt := range []struct {
		name string
		good bool
	}{{"ends", true}, {"fails", false}} {
		t.Run(tt.name, func(t *testing.T) {
			s := newForeignSandbox(t, host.SandboxOptions{MaxInstances: 1})
			checkCount(t, "calls of the instance", countCalls(t, s), 1)
			memory := s.GuestMemory()
			checkHolds(t, memory, []byte(requestCount), true)
			putBack, err := s.Take(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if tt.good {
				if err := s.Forget(ctx); err != nil {
					t.Fatal(err)
				}
				checkHolds(t, memory, []byte(requestCount), true) // it is in use
			}
			putBack(tt.good)
			checkHolds(t, memory, []byte(requestCount), false)
			checkCount(t, "calls of the next instance", countCalls(t, s), 1)
			checkCount(t, "calls of the next instance", countCalls(t, s), 2)
		})
	}
}

// Memory that was outgrown keeps nothing.
func TestSandboxGrowsWithoutACopy(t *testing.T) {
	const opMemoryGrow = 0x40
	for _, kind := range []string{"interpreted", "compiled"} {
		t.Run(kind, func(t *testing.T) {
			module := foreign{pages: 1, call: slices.Concat(i32Const(1), []byte{opMemoryGrow, 0, opDrop}, returnBuffer(requestAt, 4))}.module()
			s, err := host.NewCompiledSandbox(context.Background(), host.SandboxOptions{Module: module})
			if kind == "interpreted" {
				s, err = host.NewSandbox(context.Background(), host.SandboxOptions{Module: module})
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			outgrown := s.GuestMemory()
			response, err := s.Call(context.Background(), []byte("seed"))
			if err != nil || string(response) != "seed" {
				t.Fatalf("got %q, %v; what was written before is gone", response, err)
			}
			checkHolds(t, outgrown, []byte("seed"), false)
			checkHolds(t, s.GuestMemory(), []byte("seed"), true)
		})
	}
}

// An instance that has grown large does not stay so: the next call gets another.
func TestSandboxReplacesAnInstanceThatHasGrown(t *testing.T) {
	const opMemoryGrow = 0x40
	for pages, idle := range map[int64]int{255: 1, 256: 0} {
		module := foreign{pages: 1, call: slices.Concat(i32Const(pages), []byte{opMemoryGrow, 0, opDrop}, returnBuffer(requestAt, 4))}.module()
		s := newSandbox(t, host.SandboxOptions{Module: module, CallTimeout: time.Minute})
		for range 2 {
			if response, err := s.Call(context.Background(), []byte("seed")); err != nil || string(response) != "seed" {
				t.Fatalf("%d pages more: got %q, %v", pages, response, err)
			}
			if got := s.Stats().Idle; got != idle {
				t.Errorf("%d pages more: %d instances are kept, want %d", pages, got, idle)
			}
			if idle > 0 {
				break // it would grow once more
			}
		}
	}
}

func TestSandboxCloseWhileBusy(t *testing.T) {
	ctx := context.Background()
	s := newForeignSandbox(t, host.SandboxOptions{MaxInstances: 1})
	countCalls(t, s)
	memory := s.GuestMemory()
	putBack, err := s.Take(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	checkHolds(t, memory, []byte(requestCount), true) // Close does not take away what is in use
	putBack(true)
	checkHolds(t, memory, []byte(requestCount), false)
	_, err = s.Call(ctx, []byte(requestCount))
	checkCode(t, err, host.CodeClosed)
}

// A call that would not end is interrupted by Close.
func TestSandboxCloseInterrupts(t *testing.T) {
	s := newForeignSandbox(t, host.SandboxOptions{MaxInstances: 1, CallTimeout: time.Hour})
	result := make(chan error)
	go func() {
		_, err := s.Call(context.Background(), []byte(requestLoop))
		result <- err
	}()
	for s.Stats().Busy == 0 {
		runtime.Gosched()
	}
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	checkCode(t, <-result, host.CodeClosed)
}

func TestNativeForgets(t *testing.T) {
	ctx := context.Background()
	n := host.NewNative()
	params := wire.AssertionBuildParams{PrivateKey: privateKey, AgentRuntimeID: "a", TaskID: "t", Now: start.Unix()}
	sign := request(wire.MethodAssertionBuild, &params)
	for name, forget := range map[string]func(context.Context) error{"Forget": n.Forget, "Close": n.Close} {
		if _, err := n.Call(ctx, sign); err != nil {
			t.Fatal(err)
		}
		before := n.Guests()
		if err := forget(ctx); err != nil {
			t.Error(err)
		}
		if n.Guests() == before {
			t.Errorf("after %s the engine has the guests of before", name)
		}
		if _, err := n.Call(ctx, sign); core.Code(err) != "" {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

// decodeKey returns the seed of privateKey, as it is in memory.
func decodeKey(t *testing.T) []byte {
	t.Helper()
	encoded, err := base64.StdEncoding.DecodeString(privateKey)
	if err != nil {
		t.Fatal(err)
	}
	const at = 16 // in PKCS #8, version 2
	return encoded[at : at+32]
}
