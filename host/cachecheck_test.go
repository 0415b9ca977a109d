package host_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
)

// TestCheckCache: it says what a sandbox would, and leaves everything as it was.
func TestCheckCache(t *testing.T) {
	compiled := filepath.Join(t.TempDir(), "cache")
	s, err := host.NewSandbox(t.Context(), host.SandboxOptions{CacheDir: compiled})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.CacheProblem(), s.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		onUnix   bool
		cache    func(t *testing.T) (dir string)
		compiled bool
		problem  string
	}{
		{name: "not there yet", cache: func(t *testing.T) string { return filepath.Join(t.TempDir(), "a", "b") }},
		{name: "empty", cache: func(t *testing.T) string { return t.TempDir() }},
		{name: "compiled", cache: func(t *testing.T) string { return copyFolder(t, compiled) }, compiled: true},
		{name: "damaged", problem: "damaged", cache: func(t *testing.T) string {
			dir := copyFolder(t, compiled)
			for _, path := range entriesOf(t, dir) {
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				content[len(content)/2] ^= 1
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			return dir
		}},
		{name: "cut short", problem: "damaged", cache: func(t *testing.T) string {
			dir := copyFolder(t, compiled)
			for _, path := range entriesOf(t, dir) {
				if err := os.Truncate(path, 10); err != nil {
					t.Fatal(err)
				}
			}
			return dir
		}},
		{name: "without sums", cache: func(t *testing.T) string {
			dir := copyFolder(t, compiled)
			for _, path := range entriesOf(t, dir) {
				if err := os.Remove(path + ".crc32c"); err != nil {
					t.Fatal(err)
				}
			}
			return dir
		}},
		{name: "a file", problem: "no folder", cache: func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}},
		{name: "below a file", problem: "cannot be used", cache: func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return filepath.Join(path, "cache")
		}},
		{name: "shared", onUnix: true, problem: "others can write", cache: func(t *testing.T) string {
			dir := t.TempDir()
			if err := os.Chmod(dir, 0o770); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
		{name: "not to be written", onUnix: true, problem: "cannot be used", cache: func(t *testing.T) string {
			if os.Geteuid() == 0 {
				t.Skip("root can write everywhere")
			}
			dir := t.TempDir()
			if err := os.Chmod(dir, 0o500); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.onUnix && runtime.GOOS == "windows" {
				t.Skip("modes say nothing here")
			}
			dir := tt.cache(t)
			all := filepath.Dir(t.TempDir()) // of this test
			before := snapshot(t, all)
			folder, isCompiled, err := host.CheckCache(host.SandboxOptions{CacheDir: dir})
			if folder != dir || isCompiled != tt.compiled || (err == nil) != (tt.problem == "") {
				t.Errorf("got %q, %v, %v", folder, isCompiled, err)
			}
			if err != nil && (core.Code(err) != host.CodeCacheFailed || !strings.Contains(err.Error(), tt.problem)) {
				t.Errorf("got %v, code %q; want %q in it", err, core.Code(err), tt.problem)
			}
			if after := snapshot(t, all); after != before {
				t.Errorf("it changed something:\n%s\nwas\n%s", after, before)
			}
		})
	}
	if folder, compiled, err := host.CheckCache(host.SandboxOptions{CacheDir: compiled, NoCache: true}); folder != "" || compiled || err != nil {
		t.Errorf("without a cache: got %q, %v, %v", folder, compiled, err)
	}
}

// copyFolder copies a cache, with its modes.
func copyFolder(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "cache")
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rest, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Mkdir(filepath.Join(to, rest), 0o700)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rest), content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// entriesOf are the files of compiled code in a cache.
func entriesOf(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "module-*", "wazero-*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var entries []string
	for _, path := range paths {
		if !strings.Contains(filepath.Base(path), ".") {
			entries = append(entries, path)
		}
	}
	if len(entries) == 0 {
		t.Fatal("there are no entries")
	}
	return entries
}

// snapshot has a line for each thing below a folder: name, mode, time of change, content.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var content []byte
		if info.Mode().IsRegular() {
			if content, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		fmt.Fprintf(&b, "%s %v %v %x\n", path, info.Mode(), info.ModTime(), sha256.Sum256(content))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
