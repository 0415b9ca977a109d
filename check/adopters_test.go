package check_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	xmodule "golang.org/x/mod/module"
	"golang.org/x/mod/zip"

	"github.com/agentassert/agentassert/internal/postgres/postgrestest"
)

var update = flag.Bool("update", false, "write the lists of testdata/adopters anew")

const released = "v0.0.1"

// TestAdopters releases the working tree into a module proxy of the test's own, and has
// programs in modules that are otherwise empty import from there. Each has to build and
// to run, and has to get those modules, and those versions, that its list has: who adds a
// requirement, or raises one, raises it for all who import the package. That has to be
// seen, and wanted.
func TestAdopters(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("Git is not installed, so nothing can be released for programs to import")
	}
	environment := serve(t, release(t))
	unreachable := "postgres://127.0.0.1:1/none?sslmode=disable&connect_timeout=5"
	dsn := os.Getenv(postgrestest.Variable)
	if dsn == "" {
		dsn = unreachable
		t.Logf("no PostgreSQL server: run make test, or set %s; the programs for it are only built", postgrestest.Variable)
	}
	for name, want := range map[string]string{
		"core":         "task-1\n",
		"agent":        "200 OK {1 1 0}\n",
		"identityjwt":  "invalid_identity_jwt\n",
		"keyringstore": "{} <nil>\n",
		"pgreplays":    "false <nil>\ntrue <nil>\n",
		"pgstore":      "{} <nil>\n",
		"telemetry":    "agent-assertion (background-task) <nil>\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			source := filepath.Join("testdata", "adopters", name)
			text, err := os.ReadFile(filepath.Join(source, "main.go"))
			if err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(dir, "main.go"), text)
			put(t, filepath.Join(dir, "go.mod"), []byte("module example.com/adopter\n\ngo 1.26.0\n"))
			goTool(t, dir, environment, "mod", "tidy")
			program := filepath.Join(dir, "adopter.exe")
			goTool(t, dir, environment, "build", "-o", program, ".")

			list := filepath.Join(source, "modules.txt")
			_, modules, _ := strings.Cut(goTool(t, dir, environment, "list", "-m", "all"), "\n") // the first is the program's
			if *update {
				put(t, list, []byte(modules))
			}
			if known, err := os.ReadFile(list); err != nil || string(known) != modules {
				t.Errorf("who imports what %s does gets\n%s\nand %s has (%v)\n%s\nIf that is meant: go test -run TestAdopters ./check -update",
					source, modules, list, err, known)
			}

			table := strings.ReplaceAll(postgrestest.Unique("adopter"), "-", "_")
			if strings.HasPrefix(name, "pg") {
				if dsn == unreachable {
					want = "unreachable\n"
				} else {
					postgrestest.Remove(t, "DROP TABLE IF EXISTS "+table)
				}
			}
			c := exec.CommandContext(t.Context(), program, dir, dsn, table)
			c.Env = append(os.Environ(), "HOME="+dir, "XDG_CACHE_HOME="+dir, "LOCALAPPDATA="+dir) // the compiled module's cache
			out, err := c.CombinedOutput()
			if err != nil || string(out) != want {
				t.Errorf("it wrote %q (%v), want %q", out, err, want)
			}
		})
	}
	t.Run("the tool", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		goTool(t, dir, append(environment, "GOBIN="+dir), "install", module+"/cmd/agentassert@"+released)
		tool, err := filepath.Glob(filepath.Join(dir, "agentassert*"))
		if err != nil || len(tool) != 1 {
			t.Fatalf("installed are %q, %v", tool, err)
		}
		if out, err := exec.CommandContext(t.Context(), tool[0], "--help").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// release commits the working tree to a repository of its own, and releases it. It
// returns where that is.
func release(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git := func(args ...string) { run(t, dir, nil, "git", args...) }
	for _, name := range strings.Split(strings.TrimRight(run(t, "..", nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join("..", name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed, and not yet committed
		} else if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, name), text)
	}
	git("init", "--quiet")
	git("config", "user.name", "A")
	git("config", "user.email", "a@example.com")
	git("config", "commit.gpgSign", "false")
	git("config", "tag.gpgSign", "false")
	git("config", "core.autocrlf", "false")
	git("config", "gc.auto", "0")
	git("add", "--all")
	git("commit", "--quiet", "--no-verify", "--message=all")
	program := filepath.Join(t.TempDir(), "release.exe")
	run(t, "../cmd", nil, "go", "build", "-o", program, "./release")
	run(t, dir, nil, program, released)
	return dir
}

// serve makes a module proxy of the tags in a repository, and returns the environment in
// which the Go command takes modules from there; others from the module cache, or from
// where it takes them else.
func serve(t *testing.T, repository string) (environment []string) {
	t.Helper()
	proxy := t.TempDir()
	for _, tag := range strings.Fields(run(t, repository, nil, "git", "tag", "--list")) {
		folder := strings.Trim(strings.TrimSuffix(tag, released), "/")
		m := xmodule.Version{Path: path.Join(module, folder), Version: released}
		at := filepath.Join(proxy, filepath.FromSlash(m.Path), "@v")
		put(t, filepath.Join(at, "list"), []byte(released+"\n"))
		put(t, filepath.Join(at, released+".info"), fmt.Appendf(nil, `{"Version":%q,"Time":"2026-01-01T00:00:00Z"}`, released))
		put(t, filepath.Join(at, released+".mod"), []byte(run(t, repository, nil, "git", "show", tag+":"+path.Join(folder, "go.mod"))))
		var archive bytes.Buffer
		if err := zip.CreateFromVCS(&archive, m, repository, tag, folder); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(at, released+".zip"), archive.Bytes())
	}
	known := strings.Split(strings.TrimRight(run(t, ".", nil, "go", "env", "GOMODCACHE", "GOPROXY"), "\r\n"), "\n")
	file := func(dir string) string { return "file:///" + strings.TrimPrefix(filepath.ToSlash(dir), "/") }
	return []string{
		"GOPROXY=" + strings.Join([]string{file(proxy), file(filepath.Join(known[0], "cache", "download")), known[1]}, ","),
		"GOMODCACHE=" + t.TempDir(), // another release of the test's has the same version
		"GOFLAGS=-mod=mod -modcacherw -trimpath -buildvcs=false",
		"GOWORK=off", "GOSUMDB=off", "GONOPROXY=", "GOPRIVATE=",
	}
}

func goTool(t *testing.T, dir string, environment []string, args ...string) string {
	t.Helper()
	return run(t, dir, environment, "go", args...)
}

// run runs a program and returns what it writes to standard output.
func run(t *testing.T, dir string, environment []string, name string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir, c.Env, c.Stderr = dir, append(os.Environ(), environment...), &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

func put(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
