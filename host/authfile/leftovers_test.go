package authfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
)

// What killed processes left is removed once it is old, and nothing else is.
func TestLeftovers(t *testing.T) {
	f := newFile(t, document)
	beside := func(name string) string { return filepath.Join(filepath.Dir(f.Path()), name) }
	for _, name := range []string{
		".tmp-auth.json1", ".tmp-auth.json", ".tmp-auth.jsonx2", ".tmp-auth.json.backoff3", ".tmp-auth.json.journal4",
		".tmp-auth.json.other5", ".tmp-other6", "auth.json7", ".auth-abcdef",
	} {
		write(t, beside(name), record)
		age(t, beside(name))
	}
	write(t, beside(".tmp-auth.json8"), record) // may be in use
	if err := os.Mkdir(beside(".tmp-auth.json9"), 0o700); err != nil {
		t.Fatal(err)
	}
	age(t, beside(".tmp-auth.json9"))
	swap(t, f, "", record)
	checkContent(t, f.Path(), withRecord)
	checkFolder(t, f.Path(), ".auth-abcdef", ".tmp-auth.json", ".tmp-auth.json.other5", ".tmp-auth.json8", ".tmp-auth.json9",
		".tmp-auth.jsonx2", ".tmp-other6", "auth.json", "auth.json.lock", "auth.json7", "auth.lock")
}

// However many there are, a few go at a time.
func TestManyLeftovers(t *testing.T) {
	f := newFile(t, document)
	for i := range 40 {
		path := filepath.Join(filepath.Dir(f.Path()), fmt.Sprint(".tmp-auth.json", i))
		write(t, path, record)
		age(t, path)
	}
	for _, left := range []int{24, 8, 0, 0} {
		checkCode(t, "Probe", f.Probe(ctx, wire.SlotIdentity), "")
		names, err := filepath.Glob(filepath.Join(filepath.Dir(f.Path()), ".tmp-*"))
		if err != nil || len(names) != left {
			t.Errorf("there are %d leftovers, %v; want %d", len(names), err, left)
		}
	}
}
