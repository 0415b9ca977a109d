package authfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/authfile"
)

func clockAt(timestamp string) func() time.Time {
	return func() time.Time {
		at, err := time.Parse(time.RFC3339, timestamp)
		if err != nil {
			panic(err)
		}
		return at
	}
}

// record in a month's folder, of a thread that was last used then.
func writeThread(t *testing.T, f *authfile.File, month, thread string) string {
	t.Helper()
	path := authfile.RecordFile(f.Path(), month, thread)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, path, record)
	return path
}

// months are the folders of threads' records that there are.
func months(t *testing.T, f *authfile.File) string {
	t.Helper()
	entries, err := os.ReadDir(f.Path() + ".threads")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return fmt.Sprint(names)
}

// A thread that is used goes on; its record moves to the month that it was used in.
func TestThreadsMoveOn(t *testing.T) {
	f := newFile(t, document)
	for _, tt := range []struct{ now, month string }{
		{"2026-11-30T23:59:59Z", "2026-11"},
		{"2026-12-01T00:00:00Z", "2026-12"},
		{"2027-03-31T00:00:00Z", "2027-03"}, // the third month after
	} {
		authfile.SetNow(t, clockAt(tt.now))
		if tt.month == "2026-11" {
			save(t, f, wire.SlotThread+"thread-1", record)
		}
		checkLoad(t, f, wire.SlotThread+"thread-1", record)
		if got, want := threadFile(t, f, "thread-1"), authfile.RecordFile(f.Path(), tt.month, "thread-1"); got != want {
			t.Errorf("at %s the record is at %s, want %s", tt.now, got, want)
		}
	}
}

// What is no longer used is no longer found, and goes, a few at a time, when
// something is saved; what is used within 90 days stays.
func TestThreadsExpire(t *testing.T) {
	authfile.SetNow(t, clockAt("2026-11-26T12:00:00Z"))
	f := newFile(t, document)
	const old = 40
	for i := range old {
		writeThread(t, f, "2026-07", fmt.Sprint("old-", i))
	}
	kept := writeThread(t, f, "2026-08", "kept")
	write(t, filepath.Join(f.Path()+".threads", "2026-07", ".tmp-"+filepath.Base(kept)+"123"), record) // of a killed process
	foreign := filepath.Join(f.Path()+".threads", "notes")
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	checkLoad(t, f, wire.SlotThread+"old-1", "")
	for _, want := range []int{25, 9, 0} {
		save(t, f, wire.SlotThread+"new", record)
		entries, err := os.ReadDir(filepath.Join(f.Path()+".threads", "2026-07"))
		if err != nil || len(entries) != want {
			t.Errorf("there are %d old records, %v; want %d", len(entries), err, want)
		}
	}
	save(t, f, wire.SlotThread+"new", record)
	if got, want := months(t, f), "[2026-08 2026-11 notes]"; got != want {
		t.Errorf("the folders are %s, want %s", got, want)
	}
	checkLoad(t, f, wire.SlotThread+"kept", record)
	checkLoad(t, f, wire.SlotThread+"new", record)
}

// What somebody else has put in an old month's folder stays, and is in the way of
// nothing.
func TestForeignFileAmongOldThreads(t *testing.T) {
	authfile.SetNow(t, clockAt("2026-11-26T12:00:00Z"))
	f := newFile(t, document)
	foreign := filepath.Join(filepath.Dir(writeThread(t, f, "2026-07", "old")), "notes.txt")
	write(t, foreign, "notes")
	for range 3 {
		save(t, f, wire.SlotThread+"new", record)
	}
	checkContent(t, foreign, "notes")
	if _, err := os.Stat(authfile.RecordFile(f.Path(), "2026-07", "old")); !os.IsNotExist(err) {
		t.Errorf("the old record: got %v, want it gone", err)
	}
}

func TestForgottenThread(t *testing.T) {
	authfile.SetNow(t, clockAt("2026-11-26T12:00:00Z"))
	f := newFile(t, document)
	for _, month := range []string{"2026-11", "2026-10", "2026-09", "2026-08"} {
		writeThread(t, f, month, "thread-1")
	}
	for range 2 {
		checkCode(t, "Delete", f.Delete(ctx, wire.SlotThread+"thread-1"), "")
		checkLoad(t, f, wire.SlotThread+"thread-1", "")
	}
}

// Saving costs the same with many threads as with one: no folder is listed that has
// many, and no more effects are carried out.
func TestManyThreads(t *testing.T) {
	authfile.SetNow(t, clockAt("2026-11-26T12:00:00Z"))
	f := newFile(t, document)
	var effects []wire.FileEffect
	authfile.AfterEffect(t, func(e wire.FileEffect) { effects = append(effects, e) })
	save(t, f, wire.SlotThread+"thread-1", record)
	alone := names(effects)
	for _, e := range effects {
		if e.Type == wire.FileEffectList && e.Name != wire.FileNameThreads {
			t.Errorf("%s is listed", e.Name)
		}
	}
	const threads = 100_000
	first := writeThread(t, f, "2026-11", "thread-0")
	for i := range threads {
		// Other names of one file: as many entries, and made in a moment.
		if err := os.Link(first, authfile.RecordFile(f.Path(), "2026-11", fmt.Sprint("other-", i))); err != nil {
			// Of one file there may be no more names.
			first = writeThread(t, f, "2026-11", fmt.Sprint("other-", i))
		}
	}
	effects = nil
	save(t, f, wire.SlotThread+"thread-2", record)
	checkLoad(t, f, wire.SlotThread+"thread-2", record)
	effects = effects[:len(effects)-1] // the load
	if got := names(effects); got != alone {
		t.Errorf("with %d threads a save takes %s, want %s", threads, got, alone)
	}
}

// A record that is moved to this month takes the place of none that somebody has
// saved meanwhile.
func TestMovedThreadReplacesNothing(t *testing.T) {
	authfile.SetNow(t, clockAt("2026-11-26T12:00:00Z"))
	f := newFile(t, document)
	writeThread(t, f, "2026-10", "thread-1")
	const newer = `{"task_id":"newer"}`
	authfile.AfterEffect(t, func(e wire.FileEffect) {
		if e.Type == wire.FileEffectMakeFolder {
			write(t, authfile.RecordFile(f.Path(), "2026-11", "thread-1"), newer)
		}
	})
	checkLoad(t, f, wire.SlotThread+"thread-1", record)
	authfile.AfterEffect(t, func(wire.FileEffect) {})
	checkLoad(t, f, wire.SlotThread+"thread-1", newer)
}
