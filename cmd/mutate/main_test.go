package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// enterSample goes to a small repository that is like ours: the package is a module of
// its own, and the workspace has what its vectors are in.
func enterSample(t *testing.T) {
	t.Helper()
	t.Chdir(filepath.Join("testdata", "sample"))
	t.Setenv("GOWORK", "") // the one of the sample
}

// sample goes there, and returns the mutants that compile.
func sample(t *testing.T) (*sources, []*mutant) {
	t.Helper()
	enterSample(t)
	s, err := load(t.Context(), defaultPackage)
	if err != nil {
		t.Fatal(err)
	}
	mutants := findMutants(s)
	number(mutants)
	if _, err := compilable(s, findDependents(s), mutants); err != nil {
		t.Fatal(err)
	}
	return s, slices.DeleteFunc(mutants, func(m *mutant) bool { return m.verdict == notCompiled })
}

// TestMutants: what is changed, and what is not because it is for people, or how much
// memory is taken at first.
func TestMutants(t *testing.T) {
	_, mutants := sample(t)
	found := make(map[string]bool)
	for _, m := range mutants {
		found[m.key()] = true
		for _, never := range []string{"larger than", "out of range", "64"} {
			if strings.Contains(m.after, never+"~") || strings.Contains(m.after, "65") || strings.Contains(m.after, "63") {
				t.Errorf("%s: nothing depends on it", m.key())
			}
		}
	}
	for _, want := range []string{
		"core.go:size: size = 3 → size = 4",
		`core.go:code: code = "too_large" → code = "too_large~"`,
		`core.go:order: "a", "b" → exchanged`,
		`core.go:order: "c" → removed`,
		"core.go:Guest.Call: g.sums[2] = n → removed",
		"core.go:Guest.Call: err != nil → err == nil",
		"core.go:Guest.sum: i < len(bytes) → i <= len(bytes)",
		"core.go:Guest.sum: i < len(bytes) → i >= len(bytes)",
		"core.go:Guest.sum: i++ → i--",
		"core.go:Guest.sum: n += int(bytes[i]) → n -= int(bytes[i])",
		`core.go:Guest.sum: return 0, fail(code, "the sum is larger than 100") → return 0, nil`,
		`core.go:Guest.sum: fail(code, "the sum is larger than 100") → fail("~", "the sum is larger than 100")`,
		`core.go:Guest.sum: the body of if n > 100: return 0, fail(code, "the sum is larger than 100") → removed`,
		"core.go:kind: case n == 2, n == 3: return \"few\" → removed",
		"core.go:kind: in case n == 2, n == 3: n == 3 → removed",
		`core.go:kind: first("many", "too many") → first("many~", "too many")`,
		"core.go:untested: n > limit || n < 0 → n > limit && n < 0",
		"core.go:untested: n > limit || n < 0 → !(n > limit || n < 0)",
		"core.go:unused: !on → on",
	} {
		if !found[want] {
			t.Errorf("there is no mutant %s", want)
		}
	}
	if t.Failed() {
		for _, m := range mutants {
			t.Log(m.key())
		}
	}
}

// TestMeasurement: what becomes of the mutants, and that builds of their own come to
// the same.
func TestMeasurement(t *testing.T) {
	s, mutants := sample(t)
	m := &measurement{s: s, folder: t.TempDir(), jobs: 2, mutants: mutants, log: t.Logf}
	if err := m.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(m.leftOut) > 0 {
		t.Errorf("tests that fail without a mutant: %q", m.leftOut)
	}
	for name, want := range map[string]verdict{
		"Guest.sum: i++ → i--":                                         killedByVectors, // a panic
		"Guest.Call: request = request[1:] → removed":                  killedByVectors, // no end
		"Guest.sum: i++ → removed":                                     notCompiled,
		"Guest.sum: n > 100 → n >= 100":                                killedByVectors,
		"kind: n < 2 → n <= 2":                                         killedByVectors,
		"limit: limit = 9 → limit = 10":                                killedByTests,
		"untested: n > limit → n >= limit":                             killedByTests,
		"untested: n < 0 → n < 1":                                      killedByTests,
		"size: size = 3 → size = 4":                                    survived,
		"size: size = 3 → size = 2":                                    notCompiled,
		"unused: !on → on":                                             survived,
		`order: "b", "c" → exchanged`:                                  killedByVectors,
		`first: return all[0] → return all[1]`:                         killedByVectors,
		`kind: first("many", "too many") → first("many", "too many~")`: survived,
	} {
		i := slices.IndexFunc(mutants, func(x *mutant) bool { return x.name() == name })
		if i < 0 {
			if want != notCompiled {
				t.Errorf("there is no mutant %s", name)
			}
			continue
		}
		if got := mutants[i].verdict; got != want {
			t.Errorf("%s: %v, not %v: %s", name, got, want, mutants[i].killer)
		}
	}
	if testing.Short() {
		return
	}
	for i := 3; i < len(mutants); i += len(mutants) / 5 {
		x := mutants[i]
		alone := *x
		alone.verdict, alone.alone = survived, true
		other := &measurement{s: s, folder: t.TempDir(), jobs: 1, mutants: []*mutant{&alone}, log: t.Logf, d: m.d, binary: m.binary, limit: m.limit, tests: m.tests}
		if err := other.runAlone(t.Context()); err != nil {
			t.Fatal(err)
		}
		if alone.verdict != x.verdict {
			t.Errorf("%s: %v in a build of its own, %v with the others", x.name(), alone.verdict, x.verdict)
		}
	}
}

// TestProgram: the exit status depends on the list of what makes no difference.
func TestProgram(t *testing.T) {
	enterSample(t)
	name := filepath.Join(t.TempDir(), "equivalent.txt")
	write := func(text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := func(args ...string) (int, string, string) {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), args, &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	write("# comment\nother.go:unused: !on → on # nobody calls it; the file does not matter\ncore.go:gone: a → b # was there once\n" +
		"core.go:kind: n < 2 → n <= 2 # not true\n")
	code, out, log := program("-equivalent", name)
	if code != exitSurvived {
		t.Errorf("exit status %d: %s", code, log)
	}
	for _, want := range []string{
		"core.go:unused: n == 7 → n != 7 (line ", "yet killed; take them out of the list:\n  core.go:kind", "core.go:gone: a → b\n", "core.go:kind: n < 2 → n <= 2\n", "survived and listed          1\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "unused: !on → on") {
		t.Errorf("what is listed is shown:\n%s", out)
	}
	if code, _, log := program("-equivalent", name, "-min", "10", "-file", "core/core.go"); code != exitOK {
		t.Errorf("exit status %d: %s", code, log)
	}
	if code, out, log := program("-list"); code != exitOK || strings.Count(out, "\n") < 50 || log != "" {
		t.Errorf("exit status %d: %s%s", code, out, log)
	}
	for text, want := range map[string]string{
		"core.go:unused: !on → on\n":    "there is no reason",
		"core.go:unused: !on → on # \n": "there is no reason",
		"unused → on # because\n":       "there is no file",
		"core.go:unused: !on → on # because\na.go:unused: !on → on # because\n\n": "there twice",
	} {
		write(text)
		if code, _, log := program("-equivalent", name); code != exitFailed || !strings.Contains(log, want) {
			t.Errorf("%q: exit status %d: %s", text, code, log)
		}
	}
	if code, _, log := program("-file", "none.go"); code != exitFailed || !strings.Contains(log, `"none.go"`) {
		t.Errorf("exit status %d: %s", code, log)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-nope"}, {"core"}, {"-jobs", "0"}, {"-min", "101"}, {"-min", "NaN"}} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code != exitUsage || stdout.Len() > 0 || !strings.Contains(stderr.String(), "mutate -help") {
			t.Errorf("%q: exit status %d: %s", args, code, stderr.String())
		}
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-help"}, &stdout, &stderr); code != exitOK || !strings.HasPrefix(stdout.String(), "Usage: mutate") || stderr.Len() > 0 {
		t.Errorf("exit status %d: %s%s", code, stdout.String(), stderr.String())
	}
}

// TestList: the list that is there can be read. Which of its lines are out of date the
// program says.
func TestList(t *testing.T) {
	if _, err := readList(filepath.Join("..", "..", defaultList)); err != nil {
		t.Error(err)
	}
}
