package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// wasmbuild runs the program, and returns its exit code and what it wrote.
func wasmbuild(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(context.Background(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	for _, flag := range []string{"-h", "-help", "--help"} {
		code, stdout, stderr := wasmbuild(flag)
		if code != exitOK || !strings.HasPrefix(stdout, "Usage: wasmbuild") || strings.Contains(stdout, "%") || stderr != "" {
			t.Errorf("%s: %d, %q, %q", flag, code, stdout, stderr)
		}
	}
	for _, args := range [][]string{
		{"-nonsense"}, {"argument"}, {"-o"}, {"-o", ""}, {"-check", ""}, {"-guest", ""}, {"-o", "a", "-check", "b"},
	} {
		code, stdout, stderr := wasmbuild(args...)
		if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "see wasmbuild -help\n") {
			t.Errorf("%q: %d, %q, %q", args, code, stdout, stderr)
		}
	}
}

func TestBuildAndCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out.wasm")
	code, stdout, stderr := wasmbuild("-guest", testGuest, "-o", file)
	if code != exitOK || stderr != "" {
		t.Fatalf("%d, %q", code, stderr)
	}
	for _, want := range []string{"sha256 ", "imports   0\n", "agentassert_call", runtime.Version()} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the output lacks %q:\n%s", want, stdout)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, finishedGuest(t)) {
		t.Error("two builds differ")
	}

	code, stdout, stderr = wasmbuild("-guest", testGuest, "-check", file)
	if code != exitOK || !strings.Contains(stdout, "is what its sources build") || stderr != "" {
		t.Errorf("the same: %d, %q, %q", code, stdout, stderr)
	}

	// A changed byte, in the code.
	b[len(b)/4]++
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = wasmbuild("-guest", testGuest, "-check", file)
	if code != exitDifferent || !strings.Contains(stdout, fmt.Sprintf("offset %#x", len(b)/4)) ||
		!strings.Contains(stdout, "The version of Go is the same") || strings.Count(stdout, "sha256") != 2 || stderr != "" {
		t.Errorf("another: %d, %q, %q", code, stdout, stderr)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, b) {
		t.Error("-check wrote to the file")
	}
}

// The bytes do not depend on where the sources are, nor on what the environment asks of Go. This guest has
// calls that shall be inlined, too, so that there is a profile.
func TestReproducible(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(testGuest, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := maps.Clone(libModule)
	files["main.go"] = string(source)
	files["lib.go"] = "package main\n\nimport \"example.com/guest/lib\"\n\nfunc init() { lib.F(0) }\n"
	files[inlineFile] = lib + ".F -> " + lib + ".g\n"
	var builds [][]byte
	for i, env := range []map[string]string{
		{},
		{"GOFLAGS": "-race", "GOOS": "js", "GODEBUG": "gctrace=1", "GOGC": "1", "GOWASM": "satconv", "GOEXPERIMENT": "none", "CGO_ENABLED": "1"},
	} {
		dir := filepath.Join(t.TempDir(), strings.Repeat("folder", i+1))
		writeModule(t, dir, files)
		for k, v := range env {
			t.Setenv(k, v)
		}
		var stderr bytes.Buffer
		_, b, err := build(context.Background(), ".", &stderr)
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr.String())
		}
		builds = append(builds, b)
	}
	if at := firstDifference(builds[0], builds[1]); at >= 0 {
		t.Errorf("the builds differ from offset %#x on", at)
	}
}

func TestFailures(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no file to check":   {[]string{"-check", filepath.Join(dir, "none.wasm")}, "make wasm"},
		"no guest":           {[]string{"-guest", "./nowhere", "-o", filepath.Join(dir, "a.wasm")}, "root of the repository"},
		"folder to write to": {[]string{"-guest", testGuest, "-o", filepath.Join(dir, "none", "a.wasm")}, "-o"},
	} {
		code, stdout, stderr := wasmbuild(test.args...)
		lines := strings.Split(strings.TrimSpace(stderr), "\n")
		last := lines[len(lines)-1]
		if code != exitFailed || stdout != "" || !strings.HasPrefix(last, "wasmbuild: ") || !strings.Contains(last, test.want) {
			t.Errorf("%s: %d, %q, %q", name, code, stdout, stderr)
		}
	}
	t.Setenv("PATH", dir)
	if _, err := link(context.Background(), testGuest, filepath.Join(dir, "a.wasm"), io.Discard); err == nil || !strings.Contains(err.Error(), "install Go") {
		t.Errorf("without Go: %v", err)
	}
}

func TestCompareVersions(t *testing.T) {
	old := (&module{customs: []custom{{"producers", []byte("\x01\x08language\x01\x02Go\x06go1.25")}}}).encode()
	for name, test := range map[string]struct {
		committed []byte
		want      string
	}{
		"older Go":   {old, "check with go1.25, or run \"make wasm\" with go1.26"},
		"no version": {mod(), "an unknown version of Go"},
		"no module":  {[]byte("text"), "an unknown version of Go"},
		"prefix":     {mod()[:4], "from offset 0x4 on"},
	} {
		var out bytes.Buffer
		if code := compare("a.wasm", test.committed, small, "go1.26", &out); code != exitDifferent {
			t.Errorf("%s: exit code %d", name, code)
		}
		if !strings.Contains(out.String(), test.want) {
			t.Errorf("%s: %q is missing in:\n%s", name, test.want, out.String())
		}
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a")
	for _, content := range []string{"one", "another"} {
		if err := writeFile(file, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != content {
			t.Errorf("%q, %v", got, err)
		}
	}
	// What cannot be replaced stays, and nothing is left beside it.
	if err := os.MkdirAll(filepath.Join(dir, "b", "c"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(filepath.Join(dir, "b"), nil); err == nil {
		t.Error("a folder was replaced")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}
