package main

import (
	"context"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/agentassert/agentassert/internal/requests"
)

// shippedGuest is defaultGuest, seen from here.
const shippedGuest = "github.com/agentassert/agentassert/wasm/guest"

var requestCount = flag.Int("requests", 60_000, "how many requests TestNothingNeededIsCut makes")

// TestNothingNeededIsCut looks which functions are entered in modules that nothing is cut from, and holds that
// against the module that is shipped: a function that it does not have any more must not be among them. One
// module is the guest itself, at work on the requests of all vectors, the steps of their flows among them, and
// on some that come of them by changing something; the last function that this calls for the first time, some
// part of the collector, is called within the first 30,000. The other panics in all kinds of ways.
func TestNothingNeededIsCut(t *testing.T) {
	l := linkGuest(t, shippedGuest)
	shipped, _, err := l.finish(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := requests.Recorded()
	if err != nil {
		t.Fatal(err)
	}
	source := requests.NewSource(recorded, 1)
	entered := enteredFunctions(t, l, func(instance api.Module) {
		for range max(*requestCount, len(recorded)) {
			exchange(t, instance, source.Next())
		}
	})
	if len(entered) < 900 {
		t.Errorf("only %d functions were entered", len(entered))
	}

	for i, name := range functionNames(t, l) {
		if entered[name] && isTrap(shipped.code[shipped.stubs+i]) {
			t.Errorf("%s is needed, and gone", name)
		}
	}

	// What the other guest enters it may enter for reasons of its own, unless it is listed.
	panics := enteredFunctions(t, linkGuest(t, testGuest), func(instance api.Module) { failInAllWays(t, instance) })
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
func enteredFunctions(t *testing.T, l *linked, work func(api.Module)) map[string]bool {
	t.Helper()
	marked, b, err := (&linked{l.module, new(cuts)}).finish(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	instance := start(t, b)
	work(instance)
	entered := make(map[string]bool)
	for i, name := range functionNames(t, l) {
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
