package doctor_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/doctor"
)

// mount mounts something, until the test ends.
func mount(t *testing.T, source, target, kind string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount(source, target, kind, flags, ""); err != nil {
		t.Skipf("needs the right to mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(target, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
}

func remountReadOnly(t *testing.T, target string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("", target, "", syscall.MS_REMOUNT|syscall.MS_RDONLY|flags, ""); err != nil {
		t.Skipf("needs the right to remount a file system: %v", err)
	}
}

func TestMounts(t *testing.T) {
	t.Run("a file by itself", func(t *testing.T) {
		outside, path := newFile(t, document), newFile(t, "")
		mount(t, outside, path, "", syscall.MS_BIND)
		report := examine(t, subjectOf(t, path))
		want{"mount", doctor.Note, []string{"mounted by itself", "written over", "mount the folder"}}.in(t, report)
		want{"sign-in", doctor.OK, []string{"account-1"}}.in(t, report)
	})
	t.Run("a file that was replaced outside", func(t *testing.T) {
		outside, path := newFile(t, document), newFile(t, "")
		mount(t, outside, path, "", syscall.MS_BIND)
		write(t, outside+".new", document)
		if err := os.Rename(outside+".new", outside); err != nil {
			t.Fatal(err)
		}
		want{"mount", doctor.Problem, []string{"replaced or removed outside", "start the container anew"}}.in(t, examine(t, subjectOf(t, path)))
	})
	t.Run("a file, read-only", func(t *testing.T) {
		outside, path := newFile(t, document), newFile(t, "")
		mount(t, outside, path, "", syscall.MS_BIND)
		remountReadOnly(t, path, syscall.MS_BIND)
		report := examine(t, subjectOf(t, path))
		want{"mount", doctor.Note, []string{"mounted read-only"}}.amongProblems(t, report)
		want{"rights", doctor.Problem, []string{"mounted read-only", "no identity"}}.in(t, report)
		for _, f := range report.Findings {
			if f.Check == "calls" {
				t.Errorf("nothing is registered there, and yet %+v", f)
			}
		}
	})
	t.Run("a file system, read-only, with an identity", func(t *testing.T) {
		dir := t.TempDir()
		mount(t, "tmpfs", dir, "tmpfs", 0)
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "auth.json")
		write(t, path, withIdentity(t, ""))
		remountReadOnly(t, dir, 0)
		report := examine(t, subjectOf(t, path))
		want{"mount", doctor.Note, []string{"mounted read-only (tmpfs)"}}.in(t, report)
		want{"rights", doctor.Note, []string{"kept in memory"}}.in(t, report)
		want{"calls", doctor.OK, []string{"agent-1"}}.in(t, report)
	})
}
