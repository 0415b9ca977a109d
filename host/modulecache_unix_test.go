//go:build linux || darwin

package host_test

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/agentassert/agentassert/host"
)

const (
	stranger     = 12345 // a user id that is not the test's
	userVariable = "AGENTASSERT_TEST_USER"
)

func TestSandboxCacheThatOthersCanWriteTo(t *testing.T) {
	const shared = "holds code that is run"
	chmod := func(mode os.FileMode) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	chown := func(t *testing.T, path string) {
		if err := os.Lchown(path, stranger, -1); err != nil {
			t.Skipf("needs the right to give files away: %v", err)
		}
	}
	// link puts a link to what was there in its place.
	link := func(t *testing.T, path string) {
		moved := path + ".1.tmp"
		if err := errors.Join(os.Rename(path, moved), os.Symlink(moved, path)); err != nil {
			t.Fatal(err)
		}
	}
	hardLink := func(t *testing.T, path string) {
		if err := os.Link(path, filepath.Join(t.TempDir(), "elsewhere")); err != nil {
			t.Fatal(err)
		}
	}
	fifo := func(t *testing.T, path string) {
		if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	above := func(path string) string { return filepath.Dir(path) }
	itself := func(path string) string { return path }
	sum := func(entry string) string { return entry + ".crc32c" }
	for _, tt := range []struct {
		name    string
		where   func(dir string) string
		change  func(t *testing.T, path string)
		problem string
	}{
		{"the user's alone", itself, chmod(0o700), ""},
		{"others can read it", itself, chmod(0o755), ""},
		{"the group can write", itself, chmod(0o770), shared},
		{"the group can write, and gets what is made there", itself, chmod(0o770 | os.ModeSetgid), shared},
		{"everybody can write", itself, chmod(0o777), shared},
		{"everybody can write, and remove what is theirs", itself, chmod(0o777 | os.ModeSticky), shared},
		{"another user's", itself, chown, shared},
		{"everybody can write above it", above, chmod(0o777), shared},
		{"the group can write above it", above, chmod(0o775), shared},
		{"everybody can write above it, and remove what is theirs", above, chmod(0o777 | os.ModeSticky), ""},
		{"another user's folder above it", above, chown, shared},
		{"everybody can write above that", func(dir string) string { return above(above(dir)) }, chmod(0o777), shared},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "above", "cache")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			tt.change(t, tt.where(dir))
			checkCached(t, dir, tt.problem)
			if tt.problem == shared && identityOf(t, dir).Mode()&os.ModeSticky == 0 {
				// Nothing is made there, either.
				checkCached(t, filepath.Join(dir, "below"), shared)
			}
			if files := cachedFiles(t, dir); tt.problem != "" && len(files) > 0 {
				t.Errorf("the cache holds %q, want nothing", files)
			}
			// A link does not lead around it.
			link := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(dir, link); err != nil {
				t.Fatal(err)
			}
			checkCached(t, link, tt.problem)
		})
	}
	for _, tt := range []struct {
		name    string
		where   func(entry string) string
		change  func(t *testing.T, path string)
		problem string
	}{
		{"wazero's folder, the group's", above, chmod(0o770), shared},
		{"the module's folder, the group's", func(entry string) string { return above(above(entry)) }, chmod(0o770), shared},
		{"the module's folder, another user's", func(entry string) string { return above(above(entry)) }, chown, shared},
		{"wazero's folder, a link", above, link, "is no folder"},
		{"the module's folder, a link", func(entry string) string { return above(above(entry)) }, link, "is no folder"},
		// In a folder that has been everybody's, and now is not.
		{"an entry, the group's", itself, chmod(0o660), "was damaged"},
		{"an entry, another user's", itself, chown, "was damaged"},
		{"a sum, another user's", sum, chown, "was damaged"},
		{"a link as an entry", itself, link, "was damaged"},
		{"a link as a sum", sum, link, "was damaged"},
		{"an entry that is elsewhere, too", itself, hardLink, "was damaged"},
		{"a sum that is elsewhere, too", sum, hardLink, "was damaged"},
		{"a FIFO as an entry", itself, fifo, "was damaged"},
		{"a FIFO as a sum", sum, fifo, "was damaged"},
		{"a folder as a sum", sum, func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "more"), 0o700)); err != nil {
				t.Fatal(err)
			}
		}, "was damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			entry, _ := cachedEntry(t, dir)
			tt.change(t, tt.where(entry))
			checkCached(t, dir, tt.problem)
			if tt.problem == "was damaged" {
				checkCached(t, dir, "")
			}
		})
	}
}

// Links on the way to the folder are followed where nobody else can turn them.
func TestSandboxCacheBehindLinks(t *testing.T) {
	for _, tt := range []struct {
		name    string
		make    func(t *testing.T, dir, target string) (named string, err error)
		problem string
	}{
		{"one", func(_ *testing.T, dir, target string) (string, error) {
			return filepath.Join(dir, "link"), os.Symlink(target, filepath.Join(dir, "link"))
		}, ""},
		{"one of a folder above, and relative", func(_ *testing.T, dir, target string) (string, error) {
			relative, err := filepath.Rel(dir, filepath.Dir(target))
			link := filepath.Join(dir, "link")
			return filepath.Join(link, filepath.Base(target)), errors.Join(err, os.Symlink(relative, link))
		}, ""},
		{"one of a link", func(_ *testing.T, dir, target string) (string, error) {
			first, second := filepath.Join(dir, "1"), filepath.Join(dir, "2")
			return first, errors.Join(os.Symlink(second, first), os.Symlink(target, second))
		}, ""},
		{"one to a folder that is made", func(_ *testing.T, dir, target string) (string, error) {
			return filepath.Join(dir, "link"), errors.Join(os.Remove(target), os.Symlink(target, filepath.Join(dir, "link")))
		}, ""},
		{"one of itself", func(_ *testing.T, dir, _ string) (string, error) {
			return filepath.Join(dir, "link"), os.Symlink("link", filepath.Join(dir, "link"))
		}, "cannot be used"},
		{"one in a folder that the group can write to", func(_ *testing.T, dir, target string) (string, error) {
			link := filepath.Join(dir, "link")
			return link, errors.Join(os.Symlink(target, link), os.Chmod(dir, 0o770))
		}, "holds code that is run"},
		{"one of a link in such a folder", func(t *testing.T, dir, target string) (string, error) {
			first, second := filepath.Join(t.TempDir(), "1"), filepath.Join(dir, "2")
			return first, errors.Join(os.Symlink(second, first), os.Symlink(target, second), os.Chmod(dir, 0o777))
		}, "holds code that is run"},
		{"our own in a folder for everybody", func(_ *testing.T, dir, target string) (string, error) {
			link := filepath.Join(dir, "link")
			return link, errors.Join(os.Symlink(target, link), os.Chmod(dir, 0o777|os.ModeSticky))
		}, ""},
		{"another user's in a folder for everybody", func(t *testing.T, dir, target string) (string, error) {
			link := filepath.Join(dir, "link")
			err := errors.Join(os.Symlink(target, link), os.Chmod(dir, 0o777|os.ModeSticky))
			if err := os.Lchown(link, stranger, -1); err != nil {
				t.Skipf("needs the right to give files away: %v", err)
			}
			return link, err
		}, "holds code that is run"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := filepath.Join(t.TempDir(), "target")
			if err := os.Mkdir(target, 0o700); err != nil {
				t.Fatal(err)
			}
			named, err := tt.make(t, t.TempDir(), target)
			if err != nil {
				t.Fatal(err)
			}
			checkCached(t, named, tt.problem)
			want := 2
			if tt.problem != "" {
				want = 0
			}
			checkCount(t, "files in the cache", len(cachedFiles(t, target)), want)
		})
	}
}

// asStranger reports whether the test is to go on: permissions do not keep root from
// anything, so root runs the test as another process, which becomes another user. The
// folder for temporary files is that user's. The variables are for that process.
func asStranger(t *testing.T, variables ...string) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return true
	}
	if os.Getenv(userVariable) != "" {
		host.CacheBuild() // looks at the test's program, which only root gets to
		if err := errors.Join(syscall.Setgroups([]int{stranger}), syscall.Setgid(stranger), syscall.Setuid(stranger)); err != nil {
			t.Skipf("needs the right to become another user: %v", err)
		}
		return true
	}
	home := strangersFolder(t)
	if err := os.Chown(home, stranger, stranger); err != nil {
		t.Skipf("needs the right to give files away: %v", err)
	}
	child := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	child.Env = append(append(os.Environ(), userVariable+"=stranger", "TMPDIR="+home), variables...)
	if output, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, output)
	}
	return false
}

// strangersFolder makes a folder that other users get to: not t.TempDir, which is in
// one that only root gets into.
func strangersFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "stranger-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	return folder
}

// What root has prepared, in the image of a container for instance, is used.
func TestSandboxCacheOfRoot(t *testing.T) {
	if dir := os.Getenv(pathVariable); dir != "" {
		if !asStranger(t) {
			return
		}
		before := cachedFiles(t, dir)
		checkCached(t, dir, "")
		checkCount(t, "files in the cache", len(cachedFiles(t, dir)), len(before))
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to prepare a cache for another user")
	}
	dir := strangersFolder(t)
	entry, sum := cachedEntry(t, dir)
	for _, folder := range []string{dir, filepath.Dir(filepath.Dir(entry)), filepath.Dir(entry)} {
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{entry, sum} {
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	asStranger(t, pathVariable+"="+dir)
}

// What cannot be read is a miss.
func TestSandboxCacheUnreadable(t *testing.T) {
	if !asStranger(t) {
		return
	}
	above := filepath.Dir
	for _, tt := range []struct {
		name    string
		where   func(entry string) string
		problem string // also the next time, if it is the cache's folders
		heals   bool
	}{
		{"an entry", func(entry string) string { return entry }, "was damaged", true},
		{"a sum", func(entry string) string { return entry + ".crc32c" }, "was damaged", true},
		{"wazero's folder", above, "cannot be used", false},
		{"the module's folder", func(entry string) string { return above(above(entry)) }, "cannot be used", false},
		{"the folder", func(entry string) string { return above(above(above(entry))) }, "cannot be used", false},
		{"a folder above", func(entry string) string { return above(above(above(above(entry)))) }, "cannot be used", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "above", "cache")
			entry, _ := cachedEntry(t, dir)
			path := tt.where(entry)
			if err := os.Chmod(path, 0); err != nil {
				t.Fatal(err)
			}
			checkCached(t, dir, tt.problem)
			if tt.heals {
				checkCached(t, dir, "")
				return
			}
			checkCached(t, dir, tt.problem)
			if err := os.Chmod(path, 0o700); err != nil {
				t.Fatal(err)
			}
			checkCached(t, dir, "")
		})
	}
}

func TestSandboxCacheReadOnly(t *testing.T) {
	if !asStranger(t) {
		return
	}
	for _, tt := range []struct {
		name    string
		filled  bool
		problem string
	}{{"empty", false, "cannot be used"}, {"filled", true, ""}} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			folders := []string{dir}
			if tt.filled {
				entry, _ := cachedEntry(t, dir)
				folders = append(folders, filepath.Dir(entry), filepath.Dir(filepath.Dir(entry)))
			}
			for _, f := range folders {
				if err := os.Chmod(f, 0o500); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := os.Chmod(f, 0o700); err != nil {
						t.Error(err)
					}
				})
			}
			checkCached(t, dir, tt.problem)
		})
	}
}

// A file that cannot grow is what a full disk is to who writes it. The limit is a
// process's, so the test runs itself as another.
func TestSandboxCacheOnAFullDisk(t *testing.T) {
	if dir := os.Getenv(pathVariable); dir != "" {
		signal.Ignore(syscall.SIGXFSZ) // so that the write fails instead
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 64, Max: 64}); err != nil {
			t.Fatal(err)
		}
		checkCached(t, dir, "cannot be used")
		return
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run", "^TestSandboxCacheOnAFullDisk$")
	child.Env = append(os.Environ(), pathVariable+"="+dir)
	if output, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, output)
	}
	if files := cachedFiles(t, dir); len(files) > 0 {
		t.Errorf("the cache holds %q, want nothing", files)
	}
	cachedEntry(t, dir)
}

// A file of the cache that is another's, too, is not believed; one that another process
// replaces while it is read is as good as before.
func TestSandboxCacheNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "entry")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	check := func(when string, want bool) {
		t.Helper()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if got := host.HasOtherNames(info); got != want {
			t.Errorf("%s: got %t, want %t", when, got, want)
		}
	}
	check("one name", false)
	if err := os.Link(path, path+"-2"); err != nil {
		t.Fatal(err)
	}
	check("two names", true)
	for _, name := range []string{path, path + "-2"} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	check("replaced meanwhile", false)
}
