package authfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/agentassert/agentassert/host/authfile"
)

// On a full disk there is no lock, so that nobody registers what cannot be kept.
func TestLockOnFullDisk(t *testing.T) {
	dir := mountDisk(t)
	f := authfile.New(filepath.Join(dir, "auth.json"))
	write(t, f.Path(), document)
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, []byte(strings.Repeat("x", 64<<10)), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: got %v, want %v", err, syscall.ENOSPC)
	}
	for range 2 {
		_, err := f.Lock(ctx, wire.SlotIdentity)
		checkCode(t, "Lock", err, core.CodeFileWriteFailed)
	}
	checkFolder(t, f.Path(), "auth.json", "auth.json.lock", "filler")

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	unlock, err := f.Lock(ctx, wire.SlotIdentity)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
