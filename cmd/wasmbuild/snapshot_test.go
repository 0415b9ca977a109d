package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// testGuest is a guest that does what it is told; see its source.
const testGuest = "./testdata/guest"

// builtGuest returns testGuest as the Go linker writes it.
func builtGuest(t testing.TB) []byte {
	t.Helper()
	b, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// finish makes a finished module of one that nothing is cut from.
func finish(ctx context.Context, b []byte) (*module, []byte, error) {
	return (&linked{b, new(cuts)}).finish(ctx, false)
}

var buildOnce = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "wasmbuild-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	l, err := link(context.Background(), testGuest, filepath.Join(dir, "guest.wasm"), os.Stderr)
	if err != nil {
		return nil, err
	}
	return l.module, nil
})

// finishedGuest returns testGuest as wasmbuild writes it.
func finishedGuest(t testing.TB) []byte {
	t.Helper()
	b, err := finishOnce()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var finishOnce = sync.OnceValues(func() ([]byte, error) {
	b, err := buildOnce()
	if err != nil {
		return nil, err
	}
	_, b, err = finish(context.Background(), b)
	return b, err
})

// compiledOnce compiles finishedGuest, in a runtime that lasts as long as the tests and offers nothing.
var compiledOnce = sync.OnceValues(func() (func() (api.Module, error), error) {
	b, err := finishOnce()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(16<<20/pageSize))
	m, err := r.CompileModule(ctx, b)
	return func() (api.Module, error) {
		return r.InstantiateModule(ctx, m, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	}, err
})

// instantiate returns an instance of finishedGuest.
func instantiate(t *testing.T) api.Module {
	t.Helper()
	start, err := compiledOnce()
	if err != nil {
		t.Fatal(err)
	}
	instance, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { instance.Close(context.Background()) })
	return instance
}

// ask lets an instance handle a request.
func ask(t *testing.T, instance api.Module, request string) (string, error) {
	t.Helper()
	ctx := context.Background()
	ptr, err := invoke(ctx, instance, exportAlloc, uint64(len(request)))
	if err != nil {
		return "", err
	}
	instance.Memory().WriteString(uint32(ptr), request)
	result, err := invoke(ctx, instance, exportCall, ptr, uint64(len(request)))
	if err != nil {
		return "", err
	}
	b, ok := instance.Memory().Read(uint32(result>>32), uint32(result))
	if !ok {
		t.Fatalf("result %#x", result)
	}
	response := string(b)
	for _, p := range []uint64{result >> 32, ptr} {
		if _, err := invoke(ctx, instance, exportFree, p); err != nil {
			return "", err
		}
	}
	return response, nil
}

// What a guest may do works as before: above all what the runtime needs its tables of functions for, which
// is to scan and move stacks, and to unwind them.
func TestFinishedWorks(t *testing.T) {
	instance := instantiate(t)
	for range 3 { // each on a heap that the one before has left behind
		for request, want := range map[string]string{
			"t\x0c": "144",
			"g":     "64 true",
			"r":     "10000",
			"R":     "runtime error: index out of range [256] with length 256",
			"i":     "runtime error: index out of range [256] with length 256",
			"n":     "runtime error: invalid memory address or nil pointer dereference",
			"m":     "value method main.value.method called using nil *value pointer",
			"w":     "true",
			"p":     "printed",
			"?":     "?",
		} {
			if got, err := ask(t, instance, request); err != nil || got != want {
				t.Errorf("request %q: %q, %v; want %q", request, got, err, want)
			}
		}
	}
}

// What a guest must not do ends in a trap: it does not go on for ever, it gets no random numbers that are
// none, and it tells nobody about it.
func TestFinishedTraps(t *testing.T) {
	for name, request := range map[string]string{
		"spin":              "S",
		"allocate for ever": "A",
		"deadlock":          "D",
		"panic":             "Psecret",
		"random":            "X",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ask(t, instantiate(t), request)
			if err == nil {
				t.Fatalf("the answer is %q; want a trap", got)
			}
			if !strings.Contains(err.Error(), "unreachable") || strings.Contains(err.Error(), "secret") {
				t.Error(err)
			}
		})
	}
}

// An instance that has trapped in a call does not share anything with the next.
func TestInstancesAreAlike(t *testing.T) {
	a, b := instantiate(t), instantiate(t)
	if _, err := ask(t, a, "P"); err == nil {
		t.Fatal("no trap")
	}
	if got, err := ask(t, b, "t\x03"); err != nil || got != "9" {
		t.Errorf("%q, %v", got, err)
	}
}

// The step limit holds for each call, not for all of them together.
func TestStepLimitStartsAnew(t *testing.T) {
	m := mustParse(t, finishedGuest(t))
	for _, e := range m.exports {
		if e.kind != externFunc {
			continue
		}
		want := appendSigned([]byte{0, opI32Const}, stepLimit)
		if body := m.code[e.index]; !bytes.HasPrefix(body, want) {
			t.Errorf("%s begins as % x", e.name, body[:min(len(body), 10)])
		}
	}
}

func TestFinishRefuses(t *testing.T) {
	ctx := context.Background()
	for name, test := range map[string]struct {
		change func(m *module)
		want   string
	}{
		"start function":  {func(m *module) { m.start = new(uint32) }, "start function"},
		"no memory":       {func(m *module) { m.memory, m.data = nil, nil }, "no memory"},
		"foreign import":  {func(m *module) { m.imports[0].module = "env" }, "instantiating the guest"},
		"missing export":  {func(m *module) { m.exports = dropExport(m.exports, exportFree) }, exportFree},
		"no _initialize":  {func(m *module) { m.exports = dropExport(m.exports, exportInitialize) }, exportInitialize},
		"one export more": {func(m *module) { m.exports = append(m.exports, export{"more", externFunc, 30}) }, `exports "more"`},
		"bad code":        {func(m *module) { m.code[0] = []byte{0, 0xff, opEnd} }, "instantiating the guest"},
		"float global": {func(m *module) {
			m.globals = append(m.globals, global{typeF32, true, []byte{opF32Const, 0, 0, 0, 0, opEnd}})
		}, "not supported"},
		"trap at start":    {func(m *module) { m.code[int(find(m, exportInitialize))-len(m.imports)] = []byte{0, 0, opEnd} }, "starting the guest: _initialize: wasm error: unreachable"},
		"trap in the call": {func(m *module) { m.code[int(find(m, exportCall))-len(m.imports)] = []byte{0, 0, opEnd} }, "warming up the guest: agentassert_call: wasm error: unreachable"},
		"alloc fails":      {func(m *module) { m.code[int(find(m, exportAlloc))-len(m.imports)] = []byte{0, opI32Const, 0, opEnd} }, "no buffer"},
		"call fails":       {func(m *module) { m.code[int(find(m, exportCall))-len(m.imports)] = []byte{0, opI64Const, 0, opEnd} }, "no response"},
	} {
		t.Run(name, func(t *testing.T) {
			m := mustParse(t, bytes.Clone(builtGuest(t)))
			test.change(m)
			_, _, err := finish(ctx, m.encode())
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v; it should say %q, in one line", err, test.want)
			}
		})
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := finish(canceled, builtGuest(t)); err == nil {
		t.Error("finished, although the context was canceled")
	}
}

func dropExport(exports []export, name string) []export {
	var rest []export
	for _, e := range exports {
		if e.name != name {
			rest = append(rest, e)
		}
	}
	return rest
}

func find(m *module, name string) uint32 {
	for _, e := range m.exports {
		if e.name == name {
			return e.index
		}
	}
	return 0
}

// check is the last to see a module before it is written.
func TestCheckRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(m *module)
		want   string
	}{
		"import":               {func(m *module) { m.imports = []funcImport{{"a", "b", 0}} }, "imports a.b"},
		"start function":       {func(m *module) { m.start = new(uint32) }, "start function"},
		"no memory":            {func(m *module) { m.memory = nil }, "no memory"},
		"export missing":       {func(m *module) { m.exports = m.exports[1:] }, "does not export"},
		"export twice":         {func(m *module) { m.exports = append(m.exports, m.exports[0]) }, "twice"},
		"exported global":      {func(m *module) { m.exports = append(m.exports, export{"g", externGlobal, 0}) }, `exports "g"`},
		"function as memory":   {func(m *module) { m.exports[index(m, exportMemory)].kind = externFunc }, "not the module's memory"},
		"table as function":    {func(m *module) { m.exports[index(m, exportCall)].kind = externTable }, "not a function of the type"},
		"wrong type":           {func(m *module) { m.exports[index(m, exportCall)].index = find(m, exportABI) }, "not a function of the type"},
		"function that is not": {func(m *module) { m.exports[index(m, exportCall)].index = 1 << 31 }, "not a function of the type"},
		"type that is not":     {func(m *module) { m.functions[find(m, exportCall)] = 1 << 31 }, "not a function of the type"},
	} {
		t.Run(name, func(t *testing.T) {
			m := mustParse(t, finishedGuest(t))
			if err := m.check(); err != nil {
				t.Fatal(err)
			}
			test.change(m)
			if err := m.check(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v; it should say %q", err, test.want)
			}
		})
	}
}

func index(m *module, name string) int {
	for i, e := range m.exports {
		if e.name == name {
			return i
		}
	}
	return -1
}

func TestTryRefuses(t *testing.T) {
	ctx := context.Background()
	b := finishedGuest(t)
	if err := try(ctx, b, []byte("?")); err != nil {
		t.Fatal(err)
	}
	if err := try(ctx, b, []byte("other")); err == nil || !strings.Contains(err.Error(), "answers") {
		t.Errorf("another answer: %v", err)
	}
	if err := try(ctx, b[:len(b)-1], []byte("?")); err == nil {
		t.Error("a truncated module passed")
	}
	if err := try(ctx, builtGuest(t), []byte("?")); err == nil || !strings.Contains(err.Error(), "imports") {
		t.Errorf("a module with imports: %v", err)
	}
}

func TestStubRefuses(t *testing.T) {
	for name, i := range map[string]funcImport{
		"other module":       {"env", "abort", 0},
		"type that is not":   {wasiModule, "fd_close", 9},
		"wrong result":       {wasiModule, "fd_close", 0},
		"wrong parameters":   {wasiModule, "clock_time_get", 1},
		"proc_exit's result": {wasiModule, "proc_exit", 1},
	} {
		m := &module{
			types:   []funcType{{}, {params: []byte{typeI32}, results: []byte{typeI32}}},
			imports: []funcImport{i},
		}
		if _, err := m.replaceImports(0); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSegments(t *testing.T) {
	gap := make([]byte, minGap)
	for name, test := range map[string]struct {
		memory []byte
		want   int
	}{
		"nothing":        {nil, 0},
		"zeroes":         {make([]byte, 1000), 0},
		"one byte":       {[]byte{1}, 1},
		"short gap":      {append(append([]byte{1}, gap[1:]...), 1), 1},
		"gap":            {append(append([]byte{1}, gap...), 1), 2},
		"zeroes at ends": {append(append([]byte{0, 1}, gap...), 1, 0), 2},
		"last byte":      {append(make([]byte, 1000), 1), 1},
		"first byte":     {append([]byte{1}, make([]byte, 1000)...), 1},
	} {
		s := segments(test.memory)
		if len(s) != test.want {
			t.Errorf("%s: %d segments; want %d", name, len(s), test.want)
		}
		got := make([]byte, len(test.memory))
		for _, d := range s {
			copy(got[d.offset:], d.bytes)
			if len(d.bytes) == 0 || d.bytes[0] == 0 || d.bytes[len(d.bytes)-1] == 0 {
				t.Errorf("%s: a segment has zeroes at its ends", name)
			}
		}
		if !bytes.Equal(got, test.memory) {
			t.Errorf("%s: the segments make another memory", name)
		}
	}
}
