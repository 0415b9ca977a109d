package authfile_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

var _ host.Versioned = (*authfile.File)(nil)

// tells reports whether the system says when a file has changed.
const tells = runtime.GOOS == "linux" || runtime.GOOS == "darwin"

// version is the version of a slot once the slot has been loaded.
func version(t *testing.T, f *authfile.File, slot string) string {
	t.Helper()
	if _, err := f.Load(ctx, slot); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load(ctx, wire.SlotIdentity); err != nil {
		t.Fatal(err)
	}
	v, err := f.Version(ctx, slot)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// inALaterTick changes a file until the system's clock, which stands between its ticks,
// has a time for it that it had not before. The file is one that is there.
func inALaterTick(t *testing.T, path string, change func()) {
	t.Helper()
	before := authfile.Changed(path)
	for range 1_000_000 {
		change()
		if authfile.Changed(path) != before {
			return
		}
	}
	t.Fatal("the system's clock stands")
}

// Of each change that can be made to a file, no version is left that it had before.
func TestVersionTellsEachChange(t *testing.T) {
	later := time.Now().Add(time.Hour)
	const other = `{"agent_runtime_id":"agent-2","agent_private_key":"secret-key"}` // as long as the record
	replaced := strings.Replace(withRecord, record, other, 1)
	rename := func(t *testing.T, path, content string) {
		t.Helper()
		write(t, path+".new", content)
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	modified := func(t *testing.T, path string) time.Time {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime()
	}
	for _, slot := range []string{wire.SlotIdentity, wire.SlotThread + "thread-1", wire.SlotBackend} {
		for name, change := range map[string]func(t *testing.T, path, content string){
			"written in place":  func(t *testing.T, path, content string) { write(t, path, content) },
			"replaced":          rename,
			"its content again": func(t *testing.T, path, content string) { write(t, path, content) },
			"replaced, with its time": func(t *testing.T, path, content string) {
				was := modified(t, path)
				rename(t, path, content)
				if err := os.Chtimes(path, was, was); err != nil {
					t.Fatal(err)
				}
			},
			"written in place, with its time": func(t *testing.T, path, content string) {
				was := modified(t, path)
				write(t, path, content)
				if err := os.Chtimes(path, was, was); err != nil {
					t.Fatal(err)
				}
			},
			"swapped with another of its age": func(t *testing.T, path, content string) {
				was := modified(t, path)
				write(t, path+".new", content)
				if err := os.Chtimes(path+".new", was, was); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(path+".new", path); err != nil {
					t.Fatal(err)
				}
			},
		} {
			t.Run(strings.ReplaceAll(slot, "/", " ")+"/"+name, func(t *testing.T) {
				authfile.SetNow(t, func() time.Time { return later })
				f := newFile(t, withRecord)
				path, content := f.Path(), replaced
				if slot != wire.SlotIdentity {
					save(t, f, slot, record)
					path, content = authfile.SlotFile(f.Path(), slot), other
				}
				if strings.HasSuffix(name, "again") {
					content = withRecord
				}
				before := version(t, f, slot)
				if again := version(t, f, slot); tells && (before == "" || again != before) {
					t.Fatalf("the versions are %q and %q, of one record", before, again)
				}
				inALaterTick(t, path, func() { change(t, path, content) })
				after, err := f.Version(ctx, slot)
				if err != nil || after == before && after != "" {
					t.Errorf("the version is still %q, %v", after, err)
				}
				if after := version(t, f, slot); tells && (after == "" || after == before) {
					t.Errorf("the version is %q, and was %q before the change", after, before)
				}
			})
		}
	}
}

// Where a file's times do not tell, there is no version, and it is read.
func TestVersionCannotTell(t *testing.T) {
	real := time.Now()
	thread := wire.SlotThread + "thread-1"
	for name, tt := range map[string]struct {
		slot    string
		now     time.Time
		prepare func(t *testing.T, f *authfile.File)
	}{
		"just written":         {wire.SlotIdentity, real, nil},
		"just written, thread": {thread, real, nil},
		"in the future":        {wire.SlotIdentity, real.Add(-24 * time.Hour), nil},
		"never read": {wire.SlotIdentity, real.Add(time.Hour), func(_ *testing.T, f *authfile.File) {
			*f = *authfile.New(f.Path())
		}},
		"a journal": {wire.SlotIdentity, real.Add(time.Hour), func(t *testing.T, f *authfile.File) {
			write(t, f.Path()+".journal", "{}")
		}},
		"no file": {wire.SlotIdentity, real.Add(time.Hour), func(t *testing.T, f *authfile.File) {
			if err := os.Remove(f.Path()); err != nil {
				t.Fatal(err)
			}
		}},
		"a thread of last month": {thread, real.Add(40 * 24 * time.Hour), nil},
		"no such thread":         {thread + "-2", real.Add(time.Hour), nil},
		"no slot of ours":        {"no-such-slot", real.Add(time.Hour), nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFile(t, withRecord)
			save(t, f, thread, record)
			authfile.SetNow(t, func() time.Time { return tt.now })
			if _, err := f.Load(ctx, wire.SlotIdentity); err != nil {
				t.Fatal(err)
			}
			if tt.prepare != nil {
				tt.prepare(t, f)
			}
			if v, err := f.Version(ctx, tt.slot); v != "" || err != nil {
				t.Errorf("got %q, %v; want no version", v, err)
			}
		})
	}
}

// When the clock has been set back, a file can change at a time at which it has changed
// before.
func TestVersionAfterTheClockIsSetBack(t *testing.T) {
	if !tells {
		t.Skip("the system does not say when a file has changed")
	}
	wall, up := time.Now().Add(time.Hour), time.Hour
	authfile.SetNow(t, func() time.Time { return wall })
	authfile.SetUptime(t, func() time.Duration { return up })
	f := newFile(t, withRecord)
	versions := map[string]bool{version(t, f, wire.SlotIdentity): true}
	for _, tt := range []struct {
		wall, up time.Duration
		known    bool
	}{
		{time.Minute, time.Minute, true},
		{-time.Second, 0, true}, // which is less than what a file's time must be past
		{-time.Second, 0, false},
		{time.Hour, 0, true}, // ahead, or after the machine has slept
		{-time.Hour, 0, false},
		{time.Second, time.Second, true},
	} {
		wall, up = wall.Add(tt.wall), up+tt.up
		v := version(t, f, wire.SlotIdentity)
		if v == "" || versions[v] != tt.known {
			t.Errorf("the clock goes on by %v in %v: the version %q was known before: %t, want %t", tt.wall, tt.up, v, versions[v], tt.known)
		}
		versions[v] = true
	}
}

// A link that leads somewhere else has another version, and so has what is beside it.
func TestVersionFollowsLinks(t *testing.T) {
	later := time.Now().Add(time.Hour)
	authfile.SetNow(t, func() time.Time { return later })
	one, two := newFile(t, withRecord), newFile(t, withRecord)
	link := filepath.Join(t.TempDir(), "auth.json")
	symlink(t, one.Path(), link)
	f := authfile.New(link)
	thread := wire.SlotThread + "thread-1"
	save(t, one, thread, record)
	save(t, two, thread, record)
	identity, task := version(t, f, wire.SlotIdentity), version(t, f, thread)
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	symlink(t, two.Path(), link)
	for slot, before := range map[string]string{wire.SlotIdentity: identity, thread: task} {
		for range 2 {
			after, err := f.Version(ctx, slot)
			if err != nil || after != "" && after == before {
				t.Errorf("%s: the version is still %q, %v", slot, after, err)
			}
			version(t, f, slot)
		}
	}
}

// With the identity beside auth.json, its version is that of its own file.
func TestVersionBeside(t *testing.T) {
	later := time.Now().Add(time.Hour)
	authfile.SetNow(t, func() time.Time { return later })
	f := newFile(t, document)
	f.Beside = true
	swap(t, f, "", record)
	if _, err := f.Credentials(ctx); err != nil {
		t.Fatal(err)
	}
	before := version(t, f, wire.SlotIdentity)
	inALaterTick(t, f.Path(), func() { write(t, f.Path(), document+" ") })
	if _, err := f.Credentials(ctx); err != nil {
		t.Fatal(err)
	}
	if after := version(t, f, wire.SlotIdentity); after != before || tells && after == "" {
		t.Errorf("auth.json has changed: got %q, want %q", after, before)
	}
	path := authfile.SlotFile(f.Path(), wire.SlotIdentity)
	inALaterTick(t, path, func() { write(t, path, record+" ") })
	if after := version(t, f, wire.SlotIdentity); after == before && after != "" {
		t.Error("the identity has changed, and the version has not")
	}
}
