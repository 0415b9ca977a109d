package authfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/authfile"
)

// A file that has not changed is not read again; one that has, in whatever way, is.
func TestReadAgainAfterAChange(t *testing.T) {
	// Far enough from now for files that were just written to have been so for long.
	later := time.Now().Add(time.Hour)
	authfile.SetNow(t, func() time.Time { return later })
	path := filepath.Join(t.TempDir(), "auth.json")
	another := newFile(t, strings.Replace(withRecord, "secret-token", "secret-of-another", 1))
	link := filepath.Join(t.TempDir(), "auth.json")
	symlink(t, path, link)
	effects := 0
	authfile.AfterEffect(t, func(wire.FileEffect) { effects++ })

	f := authfile.New(link)
	check := func(what, token, identity string, read bool) {
		t.Helper()
		effects = 0
		for range 3 {
			c, err := f.Credentials(ctx)
			if err != nil || c.AccessToken != token {
				t.Errorf("%s: got %v, %v; want the token %q", what, c.AccessToken, err, token)
			}
			checkLoad(t, f, wire.SlotIdentity, identity)
		}
		if got := effects > 0; got != read {
			t.Errorf("%s: the file was read with %d effects, want it read: %t", what, effects, read)
		}
	}
	check("missing", "", "", true)
	write(t, path, document)
	check("written", "secret-token", "", true)
	check("unchanged", "secret-token", "", false)
	swap(t, f, "", record)
	check("swapped", "secret-token", record, true)
	check("unchanged after the swap", "secret-token", record, false)

	was, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Replace(withRecord, "secret-token", "secret-longer-token", 1))
	if err := os.Chtimes(path, was.ModTime(), was.ModTime()); err != nil {
		t.Fatal(err)
	}
	check("changed, and its time set back", "secret-longer-token", record, true)

	// What is in a journal may be newer. This one says nothing, and is removed.
	write(t, path+".journal", "{}")
	check("a journal beside it", "secret-longer-token", record, true)
	check("no journal any more", "secret-longer-token", record, false)

	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	symlink(t, another.Path(), link)
	check("another file", "secret-of-another", record, true)
	if err := os.Remove(another.Path()); err != nil {
		t.Fatal(err)
	}
	check("removed", "", "", true)
}
