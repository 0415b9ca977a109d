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
	above := func(path string) string { return filepath.Dir(path) }
	itself := func(path string) string { return path }
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
		{"everybody can write above it, and remove what is theirs", above, chmod(0o777 | os.ModeSticky), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "above", "cache")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			tt.change(t, tt.where(dir))
			checkCached(t, dir, tt.problem)
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
		// In a folder that has been everybody's, and now is not.
		{"an entry, the group's", itself, chmod(0o660), "was damaged"},
		{"an entry, another user's", itself, chown, "was damaged"},
		{"a sum, another user's", func(entry string) string { return entry + ".crc32c" }, chown, "was damaged"},
		{"a link as an entry", itself, func(t *testing.T, path string) {
			if err := errors.Join(os.Rename(path, path+".1.tmp"), os.Symlink(path+".1.tmp", path)); err != nil {
				t.Fatal(err)
			}
		}, "was damaged"},
		{"a FIFO as an entry", itself, func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
				t.Fatal(err)
			}
		}, "was damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			entry, _ := cachedEntry(t, dir)
			tt.change(t, tt.where(entry))
			checkCached(t, dir, tt.problem)
			if tt.problem != shared {
				checkCached(t, dir, "")
			}
		})
	}
}

// Permissions do not keep root from writing, so root runs the test as another process,
// which becomes another user.
func TestSandboxCacheReadOnly(t *testing.T) {
	if os.Geteuid() == 0 {
		if os.Getenv(userVariable) == "" {
			// Not t.TempDir, which is in a folder that only root gets into.
			home, err := os.MkdirTemp("", "stranger-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := os.RemoveAll(home); err != nil {
					t.Error(err)
				}
			})
			if err := os.Chown(home, stranger, stranger); err != nil {
				t.Skipf("needs the right to give files away: %v", err)
			}
			child := exec.Command(os.Args[0], "-test.run", "^TestSandboxCacheReadOnly$")
			child.Env = append(os.Environ(), userVariable+"=stranger", "TMPDIR="+home)
			if output, err := child.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, output)
			}
			return
		}
		if err := errors.Join(syscall.Setgroups([]int{stranger}), syscall.Setgid(stranger), syscall.Setuid(stranger)); err != nil {
			t.Skipf("needs the right to become another user: %v", err)
		}
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
