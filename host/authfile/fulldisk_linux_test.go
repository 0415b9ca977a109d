package authfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/authfile"
)

// mountDisk mounts a disk of 64 KiB.
func mountDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("needs the right to mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	dir := mountDisk(t)
	f := authfile.New(filepath.Join(dir, "auth.json"))
	write(t, f.Path(), document)
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, []byte(strings.Repeat("x", 64<<10)), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: got %v, want %v", err, syscall.ENOSPC)
	}
	err := f.Save(ctx, wire.SlotIdentity, []byte(record))
	checkCode(t, "Save", err, core.CodeFileWriteFailed)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Save: got %v, want %v in its chain", err, syscall.ENOSPC)
	}
	checkCode(t, "Save backoff", f.Save(ctx, wire.SlotBackoff, []byte(record)), core.CodeFileWriteFailed)
	checkContent(t, f.Path(), document)
	checkFolder(t, f.Path(), "auth.json", "filler")

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	save(t, f, wire.SlotIdentity, record)
	checkContent(t, f.Path(), withRecord)
}

// A file system that is mounted read-only is not a full disk.
func TestReadOnlyFileSystem(t *testing.T) {
	dir := mountDisk(t)
	f := authfile.New(filepath.Join(dir, "auth.json"))
	write(t, f.Path(), document)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("needs the right to remount a file system: %v", err)
	}
	checkLoad(t, f, wire.SlotIdentity, "")
	checkCode(t, "Save", f.Save(ctx, wire.SlotIdentity, []byte(record)), core.CodeStoreReadOnly)
	_, err := f.Lock(ctx, wire.SlotIdentity)
	checkCode(t, "Lock", err, core.CodeStoreReadOnly)
	checkContent(t, f.Path(), document)
}
