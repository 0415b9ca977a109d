package authfile_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core/wire"
)

// What killed processes left is removed once it is old, and nothing else is.
func TestLeftovers(t *testing.T) {
	f := newFile(t, document)
	beside := func(name string) string { return filepath.Join(filepath.Dir(f.Path()), name) }
	old := time.Now().Add(-2 * time.Hour)
	for _, name := range []string{".tmp-auth.json1", ".tmp-auth.json", ".tmp-auth.jsonx2", ".tmp-auth.json.backoff3", ".tmp-other4", "auth.json5"} {
		write(t, beside(name), record)
		if err := os.Chtimes(beside(name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	write(t, beside(".tmp-auth.json6"), record) // may be in use
	if err := os.Mkdir(beside(".tmp-auth.json7"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(beside(".tmp-auth.json7"), old, old); err != nil {
		t.Fatal(err)
	}
	save(t, f, wire.SlotIdentity, record)
	checkContent(t, f.Path(), withRecord)
	checkFolder(t, f.Path(), ".tmp-auth.json", ".tmp-auth.json.backoff3", ".tmp-auth.json6", ".tmp-auth.json7",
		".tmp-auth.jsonx2", ".tmp-other4", "auth.json", "auth.json5")

	save(t, f, wire.SlotBackoff, "{}")
	checkFolder(t, f.Path(), ".tmp-auth.json", ".tmp-auth.json6", ".tmp-auth.json7",
		".tmp-auth.jsonx2", ".tmp-other4", "auth.json", "auth.json.backoff", "auth.json5")
}

// The lock's test of the disk leaves no trace, even where there is no file yet.
func TestLockLeavesNothing(t *testing.T) {
	f := newFile(t, document)
	if err := os.Remove(f.Path()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		unlock, err := f.Lock(ctx, wire.SlotIdentity)
		if err != nil {
			t.Fatal(err)
		}
		unlock()
	}
	checkFolder(t, f.Path(), "auth.json.lock")
}
