package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// inlineHere makes the flag for the guest in the current folder.
func inlineHere(t *testing.T, dir string, stderr io.Writer) (string, error) {
	t.Helper()
	packages, err := goList(context.Background(), ".", stderr)
	if err != nil {
		return "", err
	}
	return inline(context.Background(), ".", packages, dir, stderr)
}

func TestParseInlinings(t *testing.T) {
	for list, want := range map[string][]inlining{
		"":                     nil,
		"\n# nothing\n   \n":   nil,
		"a/b.f -> a/b.g":       {{"a/b.f", "a/b.g", 1}},
		" a.f\t->  a.g # why ": {{"a.f", "a.g", 1}},
		"#\na.co/b.(*T).m -> math/bits.Add64\r\n\na.co/b.T.m -> a.co/b.(*T).m\n": {
			{"a.co/b.(*T).m", "math/bits.Add64", 2}, {"a.co/b.T.m", "a.co/b.(*T).m", 4},
		},
	} {
		if got, err := parseInlinings(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", list, got, err, want)
		}
	}
	for list, want := range map[string]string{
		"a.f":                                "line 1: this is not",
		"\na.f a.g":                          "line 2: this is not",
		"a.f => a.g":                         "line 1: this is not",
		"a.f -> a.g a.h":                     "line 1: this is not",
		"a.f->a.g":                           "line 1: this is not",
		"f -> a.g":                           `"f" names no function`,
		"a.f -> .g":                          `".g" names no function`,
		"a.f -> a/b":                         `"a/b" names no function`,
		"a.f -> a.":                          `"a." names no function`,
		"a.f -> a.g\na.h -> a.g\na.f -> a.g": "line 3: line 1 says the same",
	} {
		if got, err := parseInlinings(list); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), inlineFile) {
			t.Errorf("%q: %v, %v; want %q", list, got, err, want)
		}
	}
}

// writeModule writes a module to a folder, and changes to it.
func writeModule(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

// lib is a package with calls of all kinds, none of which is inlined unasked.
const lib = "example.com/guest/lib"

// libModule is a module whose main package uses lib.
var libModule = map[string]string{
	"go.mod":  "module example.com/guest\n\ngo 1.26\n",
	"main.go": "package main\n\nimport \"example.com/guest/lib\"\n\nfunc main() { println(lib.F(1)) }\n",
	"lib/lib.go": `package lib

import "example.com/guest/lib/other"

type T struct{ n int }

// F has calls of everything.
func F(n int) int {
	var t T
	n = g(n); n = g(n)
	n = other.G(
		g(n))
	t.m(n)
	return t.n + h(n) + func() int { return g(n) }()
}

func (t *T) m(n int) {
	t.n = other.G(n)
	t.n += g(t.n)
}

func g(n int) int {
	for range n {
		n ^= n<<1 ^ n>>2 ^ n<<3 ^ n>>4 ^ n<<5 ^ n>>6 ^ n<<7 ^ n>>8
		n += n*n + n/3 + n%5 + n*7 + n/11 + n%13 + n*17 + n/19 + n%23
		n ^= n<<1 ^ n>>2 ^ n<<3 ^ n>>4 ^ n<<5 ^ n>>6 ^ n<<7 ^ n>>8
		n += n*n + n/3 + n%5 + n*7 + n/11 + n%13 + n*17 + n/19 + n%23
	}
	return n
}

//go:noinline
func h(n int) int { return n }
`,
	"lib/lib_linux.go": "package lib\n\nfunc onLinux() int { return g(1) }\n",
	"lib/other/other.go": `package other

func G(n int) int {
	for range n {
		n ^= n<<1 ^ n>>2 ^ n<<3 ^ n>>4 ^ n<<5 ^ n>>6 ^ n<<7 ^ n>>8
		n += n*n + n/3 + n%5 + n*7 + n/11 + n%13 + n*17 + n/19 + n%23
		n ^= n<<1 ^ n>>2 ^ n<<3 ^ n>>4 ^ n<<5 ^ n>>6 ^ n<<7 ^ n>>8
		n += n*n + n/3 + n%5 + n*7 + n/11 + n%13 + n*17 + n/19 + n%23
	}
	return n
}
`,
}

// What the compiler reads in the profile is what the list says, and it inlines that.
func TestInline(t *testing.T) {
	for name, test := range map[string]struct{ list, want string }{
		"function": {
			lib + ".F -> " + lib + ".g",
			lib + ".F\n" + lib + ".g\n2 2\n" + // two on a line
				lib + ".F\n" + lib + ".g\n4 1\n",
		},
		"other package": {
			lib + ".F -> " + lib + "/other.G",
			lib + ".F\n" + lib + "/other.G\n3 1\n",
		},
		"methods": {
			lib + ".F -> " + lib + ".(*T).m\n" + lib + ".(*T).m -> " + lib + "/other.G\n" + lib + ".(*T).m -> " + lib + ".g",
			lib + ".(*T).m\n" + lib + ".g\n2 1\n" + lib + ".(*T).m\n" + lib + "/other.G\n1 1\n" + lib + ".F\n" + lib + ".(*T).m\n5 1\n",
		},
	} {
		writeModule(t, t.TempDir(), libModule)
		if err := os.WriteFile(inlineFile, []byte(test.list), 0o600); err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		dir := t.TempDir()
		flag, err := inlineHere(t, dir, &stderr)
		if err != nil || stderr.Len() > 0 {
			t.Errorf("%s: %v, %q", name, err, stderr.String())
			continue
		}
		file, _ := strings.CutPrefix(flag, "-pgo=")
		got, err := exec.Command("go", "tool", "preprofile", "-i", file).Output()
		if want := "GO PREPROFILE V1\n" + test.want; err != nil || string(got) != want {
			t.Errorf("%s: the compiler reads %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestInlineNothing(t *testing.T) {
	writeModule(t, t.TempDir(), libModule)
	check := func(name string) {
		t.Helper()
		if flag, err := inlineHere(t, t.TempDir(), os.Stderr); err != nil || flag != "-pgo=off" {
			t.Errorf("%s: %q, %v", name, flag, err)
		}
	}
	check("no file")
	for _, list := range []string{"", "# nothing\n"} {
		if err := os.WriteFile(inlineFile, []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		check(list)
	}
}

func TestInlineErrors(t *testing.T) {
	writeModule(t, t.TempDir(), libModule)
	for name, test := range map[string]struct{ list, want string }{
		"malformed":          {"a", "inline.txt, line 1: this is not"},
		"unknown package":    {"\nexample.com/none.f -> " + lib + ".g", "inline.txt, line 2: the guest does not use the package example.com/none"},
		"not imported":       {"net/http.Get -> net/http.Head", "does not use the package net/http"},
		"unknown caller":     {lib + ".none -> " + lib + ".g", "there is no function " + lib + ".none"},
		"method of a value":  {lib + ".T.m -> " + lib + ".g", "there is no function " + lib + ".T.m"},
		"other system":       {lib + ".onLinux -> " + lib + ".g", "there is no function " + lib + ".onLinux"},
		"no call":            {lib + ".g -> " + lib + ".h", lib + ".g does not call " + lib + ".h"},
		"unknown callee":     {lib + ".F -> " + lib + ".none", "does not call " + lib + ".none"},
		"other package's":    {lib + ".F -> " + lib + "/other.g", "does not call " + lib + "/other.g"},
		"never inlined":      {lib + ".F -> " + lib + ".h", "the compiler does not inline the call at lib.go:14; "},
		"other type's":       {lib + ".F -> " + lib + ".(*U).m", "the compiler does not inline the call at lib.go:13; "},
		"one of two":         {lib + ".(*T).m -> " + lib + ".g\n" + lib + ".F -> " + lib + ".h", "line 2: the compiler does not inline"},
		"more than possible": {lib + ".F -> " + lib + ".g\n" + lib + ".many -> " + lib + ".h", "lists 101 calls"},
	} {
		if name == "more than possible" {
			code := "package lib\n\nfunc many() {\n" + strings.Repeat("\th(1)\n", maxCallSites-2) + "}\n"
			if err := os.WriteFile(filepath.Join("lib", "many.go"), []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(inlineFile, []byte(test.list), 0o600); err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		flag, err := inlineHere(t, t.TempDir(), &stderr)
		if err == nil || !strings.Contains(err.Error(), test.want) || stderr.Len() > 0 {
			t.Errorf("%s: %q, %v, %q; want %q", name, flag, err, stderr.String(), test.want)
		}
	}

	// An error of the compiler's is shown, and not lost among its remarks.
	if err := os.WriteFile(filepath.Join("lib", "broken.go"), []byte("package lib\n\nvar x int = \"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(inlineFile, []byte(lib+".F -> "+lib+".g"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	if _, err := inlineHere(t, t.TempDir(), &stderr); err == nil || !strings.Contains(stderr.String(), "broken.go:3") {
		t.Errorf("%v, %q", err, stderr.String())
	}
}

// As many calls as maxCallSites are all inlined, the coldest included.
func TestInlineAsManyAsPossible(t *testing.T) {
	writeModule(t, t.TempDir(), libModule)
	code := "package lib\n\nfunc many() {\n" + strings.Repeat("\tg(1)\n", maxCallSites) + "}\n"
	if err := os.WriteFile(filepath.Join("lib", "many.go"), []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(inlineFile, []byte(lib+".many -> "+lib+".g"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := inlineHere(t, t.TempDir(), os.Stderr); err != nil {
		t.Error(err)
	}
}
