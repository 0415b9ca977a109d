package main

import (
	"bytes"
	"context"
	"flag"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/requests"
)

// shippedGuest is defaultGuest, seen from here.
const shippedGuest = "../../wasm/guest"

var requestCount = flag.Int("requests", 30_000, "how many requests TestNothingNeededIsCut makes")

// TestNothingNeededIsCut looks which functions are entered in modules that nothing is cut from, and holds that
// against the module that is shipped: a function that it does not have any more must not be among them. One
// module is the guest itself, at work on the requests of all vectors, the steps of their flows among them, and
// on some that come of them by changing something; of 500,000, the last that entered a function for the
// first time, some part of the collector, was the 24,859th. The other panics in all kinds of ways.
func TestNothingNeededIsCut(t *testing.T) {
	l := linkGuest(t, shippedGuest)
	shipped, _, err := l.finish(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	names := functionNames(t, l)
	recorded, err := requests.Recorded()
	if err != nil {
		t.Fatal(err)
	}
	source := requests.NewSource(recorded, 1)
	entered := enteredFunctions(t, l, names, func(instance api.Module) {
		for range max(*requestCount, len(recorded)) {
			exchange(t, instance, source.Next())
		}
		fillMemory(t, instance)
	})
	if len(entered) < 900 {
		t.Errorf("only %d functions were entered", len(entered))
	}

	for i, name := range names {
		if entered[name] && isTrap(shipped.code[shipped.stubs+i]) {
			t.Errorf("%s is needed, and gone", name)
		}
	}

	// What the other guest enters it may enter for reasons of its own, unless it is listed.
	other := linkGuest(t, testGuest)
	panics := enteredFunctions(t, other, functionNames(t, other), func(instance api.Module) { failInAllWays(t, instance) })
	for _, name := range []string{"runtime.gopanic", "runtime.gorecover", "runtime.panicdivide", "runtime.(*_panic).nextFrame"} {
		if !panics[name] {
			t.Errorf("%s was not entered by a guest that panics", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(panics)) {
		if i := slices.IndexFunc(l.cuts.list, func(c cut) bool { return c.matches(name) }); i >= 0 {
			t.Errorf("%s is needed for a panic, and cut by line %d of %s", name, l.cuts.list[i].line, cutFile)
		}
	}
	t.Logf("%d functions were entered, and %d by panics", len(entered), len(panics))
}

// A guest that is cut like the one that is shipped still recovers from all panics.
func TestPanicsWithCuts(t *testing.T) {
	l := linkGuest(t, testGuest)
	names := functionNames(t, l)
	c := new(cuts)
	for _, line := range linkGuest(t, shippedGuest).cuts.list {
		if slices.ContainsFunc(names, line.matches) {
			c.list = append(c.list, line)
		}
	}
	if len(c.list) < 50 {
		t.Errorf("only %d lines of %s mean something in the other guest", len(c.list), cutFile)
	}
	_, b, err := (&linked{l.module, c}).finish(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	failInAllWays(t, start(t, b))
}

// fillMemory has an instance hold much at once, several times, in buffers of all sizes and in messages that
// are large, so that its heap grows, is reused and gets holes.
func fillMemory(t *testing.T, instance api.Module) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		var held []uint64
		for total := 0; total < 4<<20; {
			size := 1 << random.IntN(21)
			size -= random.IntN(size)
			ptr, err := invoke(t.Context(), instance, exportAlloc, uint64(size))
			if err != nil || ptr == 0 {
				t.Fatalf("a buffer of %d bytes: %#x, %v", size, ptr, err)
			}
			held = append(held, ptr)
			total += size
		}
		random.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
		for i, ptr := range held {
			if _, err := invoke(t.Context(), instance, exportFree, ptr); err != nil {
				t.Fatal(err)
			}
			if i%100 == 0 {
				document := []byte(`{"a":[` + strings.Repeat(`{"b":"c"},`, random.IntN(4_000)) + `0]}`)
				params := wire.Encode(&wire.AuthJSONGetParams{Document: document})
				exchange(t, instance, wire.Encode(&wire.Request{Method: wire.MethodAuthJSONGet, Params: params}))
			}
		}
	}
}

// failInAllWays has an instance of testGuest panic.
func failInAllWays(t *testing.T, instance api.Module) {
	t.Helper()
	for range 3 {
		for way := byte('0'); way < '0'+15; way++ {
			if got, err := ask(t, instance, "f"+string(way)); err != nil || got != "recovered" {
				t.Errorf("way %d: %q, %v", way-'0', got, err)
			}
		}
	}
}

// linkGuest builds a guest of this repository.
func linkGuest(t *testing.T, guest string) *linked {
	t.Helper()
	l, err := link(t.Context(), guest, filepath.Join(t.TempDir(), "guest.wasm"), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// functionNames returns the names of a guest's functions.
func functionNames(t *testing.T, l *linked) []string {
	t.Helper()
	s, err := runGuest(t.Context(), mustParse(t, l.module))
	if err != nil {
		t.Fatal(err)
	}
	f := findFunctions(s.memory)
	if f == nil {
		t.Fatal("there is no table of functions in memory")
	}
	names := make([]string, len(f.descriptions))
	for i := range names {
		names[i] = f.name(i)
	}
	return names
}

// start instantiates a module.
func start(t *testing.T, b []byte) api.Module {
	t.Helper()
	r := wazero.NewRuntime(context.Background())
	t.Cleanup(func() { r.Close(context.Background()) })
	instance, err := r.InstantiateWithConfig(t.Context(), b, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	return instance
}

// enteredFunctions returns which functions of a guest that nothing is cut from are entered when work is done.
func enteredFunctions(t *testing.T, l *linked, names []string, work func(api.Module)) map[string]bool {
	t.Helper()
	marked, b, err := (&linked{l.module, new(cuts)}).finish(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	instance := start(t, b)
	work(instance)
	entered := make(map[string]bool)
	for i, name := range names {
		if instance.ExportedGlobal(markName(marked.stubs+i)).Get() != 0 {
			entered[name] = true
		}
	}
	return entered
}

func TestParseCuts(t *testing.T) {
	for list, want := range map[string][]cut{
		"":                      nil,
		"\n# nothing\n   \n":    nil,
		"a/b.f":                 {{"a/b.f", false, false, 1}},
		" a/b.(*T).m # why\r\n": {{"a/b.(*T).m", false, false, 1}},
		"#\na/b*\nvar a/b.v":    {{"a/b", true, false, 2}, {"a/b.v", false, true, 3}},
		"a/b.(*T)*\na/b.(*U)*":  {{"a/b.(*T)", true, false, 1}, {"a/b.(*U)", true, false, 2}},
		"_rt0":                  {{"_rt0", false, false, 1}},
	} {
		if got, err := parseCuts(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", list, got, err, want)
		}
	}
	for list, want := range map[string]string{
		"*":                "line 1: this is everything",
		"\na.f a.g":        "line 2: this is neither",
		"var":              "",
		"var a.v a.w":      "line 1: this is neither",
		"a.f\n\na.f":       "line 3: line 1 says the same",
		"a.*\na.f":         "line 2: line 1 says the same",
		"a.*\na.b*":        "line 2: line 1 says the same",
		"var a.v\nvar a.v": "line 2: line 1 says the same",
	} {
		_, err := parseCuts(list)
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", list, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), cutFile) {
			t.Errorf("%q: %v; want %q", list, err, want)
		}
	}
}

// What a list can be wrong in, and that what is cut is gone.
func TestCuts(t *testing.T) {
	writeModule(t, t.TempDir(), map[string]string{
		"go.mod": "module example.com/guest\n\ngo 1.26\n",
		"main.go": `package main

import ("unsafe"; "example.com/guest/tables")

var kept = make(map[uint32][]byte)

func main() {}

//go:wasmexport agentassert_abi
func abi() uint32 { return 1 }

//go:wasmexport agentassert_alloc
func alloc(n uint32) uint32 { return keep(make([]byte, n)) }

//go:wasmexport agentassert_free
func free(ptr uint32) { delete(kept, ptr) }

//go:wasmexport agentassert_call
func call(ptr, n uint32) uint64 {
	response := []byte{1}
	if n > 1 { response[0] = tables.Look(n) }
	return uint64(keep(response))<<32 | 1
}

func keep(b []byte) uint32 {
	ptr := uint32(uintptr(unsafe.Pointer(&b[0])))
	kept[ptr] = b
	return ptr
}
`,
		"tables/tables.go": `package tables

type pair struct{ a, b uint64 }

var numbers = [...]uint32{0xdeadbeef, 0xfeedface, 0xc0ffee11, 0x12345678}
var pairs = [2]pair{{0x1122334455667788, 0x99aabbccddeeff00}, {7, 1 << 0}}
var text = "text"
var listed = []byte{1, 2, 3}

//go:noinline
func Look(n uint32) byte {
	numbers[1]++
	return byte(numbers[n%4]) + text[n%4] + listed[n%3] + byte(pairs[n%2].a)
}
`,
	})
	numbers := []byte{0xef, 0xbe, 0xad, 0xde, 0xce, 0xfa, 0xed, 0xfe, 0x11, 0xee, 0xff, 0xc0, 0x78, 0x56, 0x34, 0x12}
	l, err := link(t.Context(), ".", filepath.Join(t.TempDir(), "guest.wasm"), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if _, b, err := l.finish(t.Context(), false); err != nil || !bytes.Contains(b, numbers) {
		t.Fatalf("without a list: %v; or the numbers are not there", err)
	}
	for list, want := range map[string]string{
		"example.com/guest/tables.Look\nvar example.com/guest/tables.numbers": "",
		"var example.com/guest/tables.numbers":                                "line 1: example.com/guest/tables.Look still reads example.com/guest/tables.numbers",
		"# nothing\nmain.nothing":                                             "line 2: there is no function main.nothing",
		"example.com/guest/tables.look*":                                      "line 1: there is no function example.com/guest/tables.look",
		"var example.com/guest/tables.none":                                   "line 1: there is no variable",
		"var example.com/guest/tables.Look":                                   "line 1: there is no variable",
		"var example.com/other.none":                                          "line 1: the guest does not use the package example.com/other",
		"var example.com/guest/tables.text":                                   "is not written as an array of integers",
		"var example.com/guest/tables.listed":                                 "is not written as an array of integers",
		"var example.com/guest/tables.pairs":                                  "is not written as an array of integers", // 1 << 0
		"a.f a.g":                                                             "line 1: this is neither",
		"main.call":                                                           "trying the finished module",
	} {
		if err := os.WriteFile(cutFile, []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		packages, err := goList(t.Context(), ".", os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		var b []byte
		c, err := readCuts(packages)
		if err == nil {
			_, b, err = (&linked{l.module, c}).finish(t.Context(), false)
		}
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", list, err)
		case want == "" && bytes.Contains(b, numbers[:4]):
			t.Errorf("%q: the numbers are still there", list)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v; want %q", list, err, want)
		}
	}
}

// Where the tables of functions are not known, nothing is taken out, and a list is an error.
func TestTrimUnknownTables(t *testing.T) {
	m := &module{code: [][]byte{{0, opEnd}}}
	memory := []byte("no tables here, but more than a header's worth of bytes, which is some seventy, and so on")
	if err := m.trim(memory, new(cuts)); err != nil || isTrap(m.code[0]) {
		t.Errorf("%v", err)
	}
	c := &cuts{list: []cut{{name: "main.f", line: 1}}}
	if err := m.trim(memory, c); err == nil || !strings.Contains(err.Error(), "functions.go") {
		t.Errorf("%v", err)
	}
}
