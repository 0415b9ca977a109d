//go:build linux || darwin

package authfile_test

import (
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/authfile"
)

// swapBeyondLimit is a child that must not write files larger than document.
func init() { children["limited"] = swapBeyondLimit }

func swapBeyondLimit(f *authfile.File) error {
	signal.Ignore(syscall.SIGXFSZ) // so that the write fails instead
	limit := syscall.Rlimit{Cur: uint64(len(document)), Max: uint64(len(document))}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	return f.Swap(ctx, wire.SlotIdentity, nil, []byte(record))
}

// A write that fails half-way, as on a full disk, leaves no trace.
func TestWriteFails(t *testing.T) {
	for _, linked := range []bool{false, true} {
		f := newFile(t, document)
		if linked {
			if err := os.Link(f.Path(), filepath.Join(t.TempDir(), "other")); err != nil {
				t.Fatal(err)
			}
		}
		if code := runToEnd(t, "limited", f.Path()); code != core.CodeFileWriteFailed {
			t.Errorf("got %q, want %q", code, core.CodeFileWriteFailed)
		}
		checkContent(t, f.Path(), document)
		checkFolder(t, f.Path(), clientLocks...)
	}
}
