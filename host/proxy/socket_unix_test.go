//go:build unix

package proxy

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shortDir returns a folder whose name leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "aa")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// names returns what is in a folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// TestListenUnix: what is at the socket's place already.
func TestListenUnix(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(t *testing.T, path string)
		want string // what is said; nothing: it listens
	}{
		{"nothing", func(*testing.T, string) {}, ""},
		{"the socket of a killed process", func(t *testing.T, path string) {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			l.SetUnlinkOnClose(false)
			l.Close()
		}, ""},
		{"a file", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "something else under this name"},
		{"an empty file", func(t *testing.T, path string) {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "something else under this name"},
		{"a link to nothing", func(t *testing.T, path string) {
			if err := os.Symlink(path+".elsewhere", path); err != nil {
				t.Fatal(err)
			}
		}, "something else under this name"},
		{"a folder", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "something else under this name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := shortDir(t)
			path := filepath.Join(dir, "s")
			tt.make(t, path)
			before, _ := os.Lstat(path)
			l, err := ListenUnix(t.Context(), path)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("%v", err)
				}
				if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) || names(t, dir) != "s" {
					t.Errorf("it changed what is there: %v, %q", err, names(t, dir))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket|0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			if err := l.Close(); err != nil || names(t, dir) != "" {
				t.Errorf("%v; it left %q", err, names(t, dir))
			}
		})
	}
}

// TestListenUnixOfOthers: what somebody else has put at its place stays.
func TestListenUnixOfOthers(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, "s")
	l, err := ListenUnix(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("precious"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil || names(t, dir) != "s" {
		t.Errorf("%v; there is %q", err, names(t, dir))
	}
	// A folder's lock is held while a socket is being placed there.
	_, unlock, err := lockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := ListenUnix(t.Context(), filepath.Join(dir, "t")); err == nil || !strings.Contains(err.Error(), "try again") {
		t.Errorf("two at once: %v", err)
	}
}

// TestListenUnixNames: in Linux a name that begins with @ can be no file's, and
// everybody can connect to it.
func TestListenUnixNames(t *testing.T) {
	dir := shortDir(t)
	t.Chdir(dir)
	l, err := ListenUnix(t.Context(), "@s")
	if err != nil {
		t.Fatal(err)
	}
	if names(t, dir) != "@s" {
		t.Errorf("there is %q", names(t, dir))
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	_, err = ListenUnix(t.Context(), strings.Repeat("x", 200))
	if err == nil || names(t, dir) != "" {
		t.Errorf("a long name: %v; there is %q", err, names(t, dir))
	}
	if _, err := ListenUnix(t.Context(), filepath.Join(dir, "none", "s")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}
