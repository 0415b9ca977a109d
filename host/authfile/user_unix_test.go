//go:build unix

package authfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func becomeUser(uid, gid int) error {
	return errors.Join(syscall.Setgroups([]int{gid}), syscall.Setgid(gid), syscall.Setuid(uid))
}

// sharedFolder returns a folder that other users can get into.
func sharedFolder(t *testing.T, uid, gid int, mode os.FileMode) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be one user and another")
	}
	outer, err := os.MkdirTemp("", "authfile-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(outer) })
	folder := filepath.Join(outer, "home")
	if err := errors.Join(os.Chmod(outer, 0o755), os.Mkdir(folder, 0o700), os.Chown(folder, uid, gid), os.Chmod(folder, mode)); err != nil {
		t.Fatal(err)
	}
	return folder
}

// writeAs makes a file with everything that makes it somebody's.
func writeAs(t *testing.T, path, content string, uid, gid int, mode os.FileMode) {
	t.Helper()
	write(t, path, content)
	if err := errors.Join(os.Chown(path, uid, gid), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

// checkOwner checks whose a file is, and what for whom.
func checkOwner(t *testing.T, path string, uid, gid int, mode os.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	is := info.Sys().(*syscall.Stat_t)
	if int(is.Uid) != uid || int(is.Gid) != gid || info.Mode() != mode {
		t.Errorf("%s: got %d:%d %v, want %d:%d %v", filepath.Base(path), is.Uid, is.Gid, info.Mode(), uid, gid, mode)
	}
}
