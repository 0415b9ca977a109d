package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestKeygenOut: the key is in a new file for its owner alone, and nowhere else.
func TestKeygenOut(t *testing.T) {
	dir := t.TempDir()
	for name, args := range map[string][]string{"text": nil, "json": {"--json"}} {
		path := filepath.Join(dir, name)
		got := tool(t, "", append([]string{"keygen", "--out", path}, args...)...)
		if got.code != 0 || got.stderr != "" {
			t.Fatalf("%s: %+v", name, got)
		}
		text := string(readFile(t, path))
		public, private, _ := strings.Cut(strings.TrimPrefix(text, "# public key: "), "\n")
		private = strings.TrimSpace(private)
		if !strings.HasPrefix(public, "ssh-ed25519 ") || !strings.Contains(got.stdout, public) || strings.Contains(got.stdout, "private") ||
			private == "" || strings.Contains(got.stdout, private) {
			t.Errorf("%s: it printed %q, and wrote %q", name, got.stdout, text)
		}
		if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		used := tool(t, "", "assert", "--key-file", path, "--runtime-id", "a", "--task-id", "b")
		if used.code != 0 || tool(t, used.stdout, "verify", "--public-key", public, "-").code != 0 {
			t.Errorf("%s: the key cannot be used: %+v", name, used)
		}
		again := tool(t, "", "keygen", "--out", path)
		if again.code != exitFailed || again.stdout != "" || string(readFile(t, path)) != text {
			t.Errorf("%s: a second time: %+v", name, again)
		}
	}
	if got := tool(t, "", "keygen", "--out", filepath.Join(dir, "none", "x")); got.code != exitFailed || got.stdout != "" {
		t.Errorf("no folder: %+v", got)
	}
	if runtime.GOOS == "windows" {
		return // to make links needs a right there
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "target"), link); err != nil {
		t.Fatal(err)
	}
	got := tool(t, "", "keygen", "--out", link)
	if _, err := os.Stat(filepath.Join(dir, "target")); got.code != exitFailed || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link to nothing: %+v, %v", got, err)
	}
}

// leak is a command that has a shell write a secret where others can read it, or
// that puts what is in a file on a command line.
var leak = regexp.MustCompile(`agentassert (keygen|key|assert|header)\b[^|\n]*[^-|\n]>|\$\((cat|<)`)

func TestExamplesLeakNothing(t *testing.T) {
	texts := map[string]string{}
	var collect func(*cobra.Command)
	collect = func(c *cobra.Command) {
		texts[c.CommandPath()] = c.Long + "\n" + c.Example
		for _, sub := range c.Commands() {
			collect(sub)
		}
	}
	collect(newRoot())
	root := filepath.Join("..", "..")
	for _, pattern := range []string{"*.md", "docs/*.md", "interop/*.md", "testvectors/*.md", "wasm/*.md", "bindings/js/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range paths {
			texts[path] = string(readFile(t, path))
		}
	}
	for where, text := range texts {
		if found := leak.FindString(text); found != "" {
			t.Errorf("%s: %s", where, found)
		}
	}
}
