package core

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
)

const fileNow int64 = 1795533368 // 2026-11-24

// fakeFiles is the folder that a file flow works in, and a host that carries its
// effects out.
type fakeFiles struct {
	clock  int64 // in nanoseconds
	inodes int64
	// files has those of a thread as threads/2026-11/t.
	files       map[string]*fakeFile
	temporaries map[string]*fakeFile
	previous    *fakeFile
	held        map[string]bool
	// interfere is called before each effect, with its number. It returns a failure,
	// or killed, or nothing.
	interfere func(n int, e wire.FileEffect) string
	effects   []string
}

type fakeFile struct {
	content         []byte
	id              string
	modified, links int64
	mode            int64
}

// killed is what ends a process in the middle of an operation.
const killed = "killed"

func newFakeFiles(target string) *fakeFiles {
	h := &fakeFiles{clock: fileNow * 1e9, files: map[string]*fakeFile{}, temporaries: map[string]*fakeFile{}, held: map[string]bool{}}
	if target != "" {
		h.files[wire.FileNameTarget] = h.newFile([]byte(target))
	}
	return h
}

func (h *fakeFiles) newFile(content []byte) *fakeFile {
	h.inodes++
	f := &fakeFile{id: fmt.Sprint(h.inodes), mode: 0o600, links: 1}
	h.set(f, content)
	return f
}

func (h *fakeFiles) set(f *fakeFile, content []byte) {
	h.clock++
	f.content, f.modified = bytes.Clone(content), h.clock
}

func (h *fakeFiles) target() string {
	if f := h.files[wire.FileNameTarget]; f != nil {
		return string(f.content)
	}
	return ""
}

// run runs an operation to its end, or to where the process is killed, which has
// no result.
func (h *fakeFiles) run(t *testing.T, start wire.FileEvent) *wire.FileResult {
	t.Helper()
	const tooMany = 2000
	start.Type, start.Now = wire.FileEventStart, h.clock/1e9
	h.effects, h.previous = nil, nil
	var p wire.FileStepParams
	for p.Event = start; len(h.effects) < tooMany; {
		s, err := FileStep(p)
		if err != nil {
			t.Fatalf("after %q: %v", h.effects, err)
		}
		if s.Effect.Type == wire.FileEffectDone {
			if len(h.held)+len(h.temporaries) > 0 {
				t.Fatalf("the locks %v and %d temporaries are left after %q", h.held, len(h.temporaries), h.effects)
			}
			return s.Effect.Result
		}
		failure := ""
		if h.interfere != nil {
			failure = h.interfere(len(h.effects), s.Effect)
		}
		h.effects = append(h.effects, strings.TrimSpace(s.Effect.Type+" "+s.Effect.Name))
		if failure == killed {
			clear(h.held)
			clear(h.temporaries)
			return nil
		}
		p = wire.FileStepParams{State: s.State, Event: wire.FileEvent{Type: wire.FileEventFailed, Failure: failure}}
		if failure == "" {
			p.Event = h.carryOut(t, s.Effect)
		}
		p.Event.Now = h.clock / 1e9
	}
	t.Fatalf("the flow does not end: %q", h.effects[:50])
	return nil
}

// path is the key in files.
func path(name string) string {
	if month, ok := strings.CutPrefix(name, wire.FileNameThread); ok {
		return wire.FileNameThreads + "/" + month + "/t"
	}
	return name
}

func failedWith(failure string) wire.FileEvent {
	return wire.FileEvent{Type: wire.FileEventFailed, Failure: failure}
}

func (h *fakeFiles) carryOut(t *testing.T, e wire.FileEffect) wire.FileEvent {
	t.Helper()
	done := wire.FileEvent{Type: wire.FileEventDone}
	f := h.files[path(e.Name)]
	if e.Name == wire.FileNamePrevious {
		f = h.previous
	}
	switch e.Type {
	case wire.FileEffectRead, wire.FileEffectLook:
		if f != nil {
			done.Stat = &wire.FileStat{ID: f.id, Size: int64(len(f.content)), Modified: f.modified, Mode: f.mode, Links: f.links}
			if e.Type == wire.FileEffectRead {
				done.Content = bytes.Clone(f.content)
			}
		}
	case wire.FileEffectLock:
		if h.held[e.Name] {
			t.Fatalf("%s is locked twice", e.Name)
		}
		h.held[e.Name] = true
	case wire.FileEffectUnlock:
		if !h.held[e.Name] {
			t.Fatalf("%s is not locked", e.Name)
		}
		delete(h.held, e.Name)
	case wire.FileEffectCreate:
		if h.temporaries[e.Name] != nil {
			t.Fatalf("there is a temporary for %s already", e.Name)
		}
		h.temporaries[e.Name] = h.newFile(e.Content)
	case wire.FileEffectInstall:
		if e.Name == wire.FileNameTarget {
			h.previous = f
		}
		h.files[path(e.Name)] = h.temporaries[e.Name]
		delete(h.temporaries, e.Name)
	case wire.FileEffectDiscard:
		delete(h.temporaries, e.Name)
	case wire.FileEffectWrite:
		if f == nil {
			return failedWith(wire.FileFailureMissing)
		}
		h.set(f, slices.Concat(e.Content, f.content[min(len(e.Content), len(f.content)):]))
	case wire.FileEffectTruncate:
		if f == nil {
			return failedWith(wire.FileFailureMissing)
		}
		h.set(f, f.content[:min(int(e.Size), len(f.content))])
	case wire.FileEffectMove:
		if f == nil {
			return failedWith(wire.FileFailureMissing)
		}
		if h.files[path(e.To)] != nil {
			return failedWith(wire.FileFailureFailed)
		}
		h.files[path(e.To)] = f
		delete(h.files, path(e.Name))
	case wire.FileEffectRemove:
		if f == nil && !strings.HasPrefix(e.Name, wire.FileNameThreads+"/") {
			return failedWith(wire.FileFailureMissing)
		}
		delete(h.files, path(e.Name))
	case wire.FileEffectList:
		names := map[string]bool{}
		for name := range h.files {
			if rest, ok := strings.CutPrefix(name, e.Name+"/"); ok {
				entry, _, _ := strings.Cut(rest, "/")
				names[entry] = true
			}
		}
		done.Names = slices.Sorted(maps.Keys(names))
		done.Names = done.Names[:min(len(done.Names), int(e.Limit))]
	case wire.FileEffectWait:
		h.clock += e.WaitMS * 1e6
	}
	return done
}

// The documents of the tests: what is signed in with, which the client renews, and
// our identity.
func authJSON(token, identity string) string {
	if identity != "" {
		identity = `, "agent_identity": ` + identity
	}
	return `{"auth_mode": "chatgpt", "tokens": {"access_token": "` + token + `"}` + identity + "}"
}

const (
	identityA = `{"agent_runtime_id":"a"}`
	identityB = `{"agent_runtime_id":"b","agent_private_key":"longer than the other"}`
)

func swapTo(old, new string) wire.FileEvent {
	return wire.FileEvent{Operation: wire.FileOperationSwap, Slot: wire.SlotIdentity, Expected: []byte(old), Record: []byte(new)}
}

var readCredentials = wire.FileEvent{Operation: wire.FileOperationCredentials}

// failing returns an interference that lets some effects fail.
func failing(failures map[string]string) func(int, wire.FileEffect) string {
	return func(_ int, e wire.FileEffect) string { return failures[e.Type+" "+e.Name] }
}

// TestFileSwap: what a swap comes to on each kind of mount.
func TestFileSwap(t *testing.T) {
	busy := map[string]string{"install target": wire.FileFailureBusy}
	for _, c := range []struct {
		name     string
		failures map[string]string
		links    int64
		mode     int64
		target   string // "" for none
		code     string
		inPlace  bool
	}{
		{name: "plain", target: authJSON("t", identityA)},
		{name: "missing", target: ""},
		{name: "bind mount", failures: busy, target: authJSON("t", identityA), inPlace: true},
		{name: "hard link", links: 2, target: authJSON("t", identityA), inPlace: true},
		{name: "owner", failures: map[string]string{"own target": wire.FileFailureDenied}, target: authJSON("t", identityA), inPlace: true},
		{name: "folder", failures: map[string]string{
			"lock client-lock": wire.FileFailureDenied, "lock target-lock": wire.FileFailureDenied,
			"create target": wire.FileFailureDenied, "create journal": wire.FileFailureDenied,
		}, target: authJSON("t", identityA), inPlace: true},
		{name: "read-only", failures: map[string]string{
			"lock client-lock": wire.FileFailureReadOnly, "lock target-lock": wire.FileFailureReadOnly,
			"create target": wire.FileFailureReadOnly, "create journal": wire.FileFailureReadOnly, "write target": wire.FileFailureReadOnly,
		}, target: authJSON("t", identityA), code: CodeStoreReadOnly},
		{name: "read-only file in a writable folder", failures: map[string]string{
			"install target": wire.FileFailureBusy, "write target": wire.FileFailureReadOnly,
		}, target: authJSON("t", identityA), code: CodeStoreReadOnly},
		{name: "mode", mode: 0o400, target: authJSON("t", identityA), code: CodeStoreReadOnly},
		{name: "no room", failures: map[string]string{"create target": wire.FileFailureNoRoom}, target: authJSON("t", identityA), code: CodeFileWriteFailed},
		{name: "no room for the journal", failures: map[string]string{"create journal": wire.FileFailureNoRoom}, links: 2, target: authJSON("t", identityA), code: CodeFileWriteFailed},
		{name: "locked", failures: map[string]string{"lock target-lock": wire.FileFailureLocked}, target: authJSON("t", identityA), code: CodeFileLocked},
		{name: "no locks", failures: map[string]string{"lock client-lock": wire.FileFailureUnsupported}, target: authJSON("t", identityA), code: CodeFileLockUnavailable},
		{name: "other identity", target: authJSON("t", identityB[:22]+`c"}`), code: CodeRecordChanged},
		{name: "empty", target: " ", code: CodeInvalidAuthJSON},
		{name: "too large", target: authJSON(strings.Repeat("t", maxTarget), identityA), code: CodeFileWriteFailed},
		{name: "too large to be written in place", failures: busy, target: authJSON(strings.Repeat("t", maxInPlace), identityA), code: CodeFileWriteFailed},
	} {
		for _, operation := range []string{wire.FileOperationSwap, wire.FileOperationProbe} {
			t.Run(c.name+" "+operation, func(t *testing.T) {
				h := newFakeFiles(c.target)
				h.clock += 10e9 // nobody is writing
				h.interfere = failing(c.failures)
				want := authJSON("t", identityB)
				start := swapTo(identityA, identityB)
				if f := h.files[wire.FileNameTarget]; f != nil {
					f.links = max(f.links, c.links)
					if c.mode != 0 {
						f.mode = c.mode
					}
				} else {
					start, want = swapTo("", identityB), `{"agent_identity": `+identityB+"}\n"
				}
				if operation == wire.FileOperationProbe {
					if c.code == CodeRecordChanged {
						return // a probe does not ask whose the identity is
					}
					start, want = wire.FileEvent{Operation: operation, Slot: wire.SlotIdentity}, c.target
				}
				r := h.run(t, start)
				if c.code != "" {
					want = c.target
				}
				code := ""
				if r.Error != nil {
					code = r.Error.Code
				}
				if code != c.code {
					t.Errorf("the code is %q, not %q, after %q", code, c.code, h.effects)
				}
				if got := h.target(); got != want && !sameJSON([]byte(got), []byte(want)) {
					t.Errorf("the file is %.200q; want %.200q", got, want)
				}
				if h.files[wire.FileNameJournal] != nil {
					t.Errorf("the journal is left after %q", h.effects)
				}
				if got := slices.Contains(h.effects, "write target"); got != c.inPlace && c.code == "" {
					t.Errorf("written in place: %v; want %v", got, c.inPlace)
				}
			})
		}
	}
}

// TestFileKilled kills the process at every point of an operation, in the middle of
// each write and on a disk that fills up as well. Whoever reads next finds the old
// document or the new one, and whoever swaps next succeeds.
func TestFileKilled(t *testing.T) {
	for _, c := range []struct {
		name     string
		start    wire.FileEvent
		old, new string
	}{
		{"longer", swapTo(identityA, identityB), authJSON("t", identityA), authJSON("t", identityB)},
		{"shorter", swapTo(identityB, identityA), authJSON("t", identityB), authJSON("t", identityA)},
		{"probe", wire.FileEvent{Operation: wire.FileOperationProbe, Slot: wire.SlotIdentity}, authJSON("t", identityA), authJSON("t", identityA)},
	} {
		for _, links := range []int64{1, 2} {
			for _, full := range []string{"", wire.FileEffectWrite, wire.FileEffectTruncate, wire.FileEffectSync} {
				count := 0
				for point, ended := 0, false; !ended; point++ {
					for part := range 5 {
						h := newFakeFiles(c.old)
						h.files[wire.FileNameTarget].links = links
						failed := false
						write := func(e wire.FileEffect) {
							f := h.files[wire.FileNameTarget]
							content := e.Content[:len(e.Content)*part/4]
							h.set(f, slices.Concat(content, f.content[min(len(content), len(f.content)):]))
						}
						h.interfere = func(n int, e wire.FileEffect) string {
							switch {
							case n == point:
								if e.Type == wire.FileEffectWrite {
									write(e)
								}
								return killed
							case e.Type == full && e.Name == wire.FileNameTarget && !failed:
								failed = true
								if e.Type == wire.FileEffectWrite {
									write(e)
								}
								return wire.FileFailureNoRoom
							}
							return ""
						}
						ended = h.run(t, c.start) != nil
						count++
						where := fmt.Sprintf("%s, %d links, full at %q, killed at %d (%q), part %d", c.name, links, full, point, h.effects, part)
						h.interfere = nil
						h.clock += 10e9
						r := h.run(t, readCredentials)
						got := h.target()
						if r.Error != nil || r.Credentials == nil || r.Credentials.AccessToken != "t" {
							t.Errorf("%s: read %+v from %q", where, r, got)
						}
						if got != c.old && got != c.new {
							t.Errorf("%s: %q is left", where, got)
						}
						if h.files[wire.FileNameJournal] != nil {
							t.Errorf("%s: the journal is left", where)
						}
						if r := h.run(t, c.start); r.Error != nil || h.target() != c.new {
							t.Errorf("%s: the next swap: %+v, %q", where, r.Error, h.target())
						}
					}
				}
				if count < 20 {
					t.Errorf("%s: killed %d times only", c.name, count)
				}
			}
		}
	}
}

// TestFileKilledReadOnly: who can read and not write takes from the journal what a
// write was to come to.
func TestFileKilledReadOnly(t *testing.T) {
	old, new := authJSON("t", identityA), authJSON("t", identityB)
	torn := new[:len(new)-5]
	for name, failures := range map[string]map[string]string{
		"denied": {"lock client-lock": wire.FileFailureDenied, "lock target-lock": wire.FileFailureDenied, "write target": wire.FileFailureDenied},
		"locked": {"lock client-lock": wire.FileFailureLocked},
	} {
		h := newFakeFiles(torn)
		h.files[wire.FileNameJournal] = h.newFile(journal([]byte(old), []byte(new)))
		h.interfere = failing(failures)
		r := h.run(t, wire.FileEvent{Operation: wire.FileOperationLoad, Slot: wire.SlotIdentity})
		if r.Error != nil || string(r.Record) != identityB {
			t.Errorf("%s: read %q, %+v", name, r.Record, r.Error)
		}
		if h.target() != torn || h.files[wire.FileNameJournal] == nil {
			t.Errorf("%s: a reader without the locks changed something: %q", name, h.effects)
		}
	}
	// Where there is nothing to mend, the journal stays its owner's.
	h := newFakeFiles(old)
	h.files[wire.FileNameJournal] = h.newFile(journal([]byte(old), []byte(new)))
	h.interfere = failing(map[string]string{"lock target-lock": wire.FileFailureLocked})
	if r := h.run(t, readCredentials); r.Error != nil || h.files[wire.FileNameJournal] == nil {
		t.Errorf("a reader without the locks removed the journal: %+v, %q", r.Error, h.effects)
	}
}

// TestFileFullDisk: where a torn document cannot become the new one, it becomes the
// old again.
func TestFileFullDisk(t *testing.T) {
	old, new := authJSON("t", identityA), authJSON("t", identityB)
	h := newFakeFiles(new[:len(old)+2])
	h.files[wire.FileNameJournal] = h.newFile(journal([]byte(old), []byte(new)))
	h.interfere = func(_ int, e wire.FileEffect) string {
		if e.Type == wire.FileEffectWrite && len(e.Content) > len(old)+2 {
			return wire.FileFailureNoRoom
		}
		return ""
	}
	if r := h.run(t, readCredentials); r.Error != nil || h.target() != old || h.files[wire.FileNameJournal] != nil {
		t.Errorf("%+v, %q left after %q", r.Error, h.target(), h.effects)
	}
}

// An old client reads the document, opens the file, which empties it, and writes
// another token, all in its own time. Whatever it does between which of our effects,
// its token is in the file at the end, and never a torn document.
func TestFileOldClients(t *testing.T) {
	for _, foreign := range []string{identityA, identityB[:22] + `c"}`, ""} {
		ours := 0
		for opened, ended := 0, false; !ended; opened++ {
			for written := opened; written <= opened+30; written++ {
				h := newFakeFiles(authJSON("t", identityA))
				var file *fakeFile
				wrote := false
				write := func() {
					h.set(file, []byte(authJSON("renewed", foreign)))
					wrote = true
				}
				h.interfere = func(n int, _ wire.FileEffect) string {
					if n == opened {
						file = h.files[wire.FileNameTarget]
						h.set(file, nil)
					}
					if n == written {
						write()
					}
					return ""
				}
				r := h.run(t, swapTo(identityA, identityB))
				if ended = file == nil; ended {
					break
				}
				if !wrote {
					// It opened the file at the very end.
					write()
				}
				got := []byte(h.target())
				c, err := ReadCredentials(got)
				if err != nil || c.AccessToken != "renewed" {
					t.Fatalf("foreign identity %q, opened at %d, written at %d of %q: %q is left", foreign, opened, written, h.effects, got)
				}
				if record, _ := GetAuthJSONIdentity(got); r.Error == nil && string(record) == identityB {
					ours++
				} else if r.Error != nil && r.Error.Code != CodeRecordChanged {
					t.Errorf("opened at %d, written at %d: %s", opened, written, r.Error.Code)
				}
			}
		}
		if foreign == identityA && ours < 100 {
			t.Errorf("the identity was stored %d times only", ours)
		}
	}
}

// A new client renames. Its locks are ours, so it comes before or after; one that
// has none to take comes in between.
func TestFileNewClients(t *testing.T) {
	for _, links := range []int64{1, 2} {
		for point, ended := 0, false; !ended; point++ {
			h := newFakeFiles(authJSON("t", identityA))
			h.files[wire.FileNameTarget].links = links
			ended = true
			atWrite := false
			h.interfere = func(n int, e wire.FileEffect) string {
				if n == point {
					ended = false
					// Between the comparison and the write nobody can look.
					atWrite = e.Type == wire.FileEffectInstall && e.Name == wire.FileNameTarget ||
						(e.Type == wire.FileEffectWrite || e.Type == wire.FileEffectTruncate) && e.Name == wire.FileNameTarget
					h.files[wire.FileNameTarget] = h.newFile([]byte(authJSON("renewed", identityA)))
				}
				return ""
			}
			r := h.run(t, swapTo(identityA, identityB))
			if ended {
				break
			}
			if c, err := ReadCredentials([]byte(h.target())); err != nil || c.AccessToken != "renewed" && !atWrite {
				t.Errorf("%d links, at %d of %q: %q is left (%+v)", links, point, h.effects, h.target(), r.Error)
			}
		}
	}
}

// A file that somebody removes meanwhile is not made again: they have signed out.
func TestFileRemovedMeanwhile(t *testing.T) {
	for point, ended := 0, false; !ended; point++ {
		h := newFakeFiles(authJSON("t", identityA))
		ended = true
		known := false
		h.interfere = func(n int, e wire.FileEffect) string {
			if n == point {
				ended = false
				// Before it is read it was never there, and a rename cannot tell.
				known = slices.Contains(h.effects, "read target") && e.Type != wire.FileEffectInstall
				delete(h.files, wire.FileNameTarget)
			}
			return ""
		}
		r := h.run(t, swapTo(identityA, identityB))
		if known && (h.target() != "" || r.Error != nil && r.Error.Code != CodeRecordChanged) {
			t.Errorf("removed at %d of %q: %q, %+v", point, h.effects, h.target(), r.Error)
		}
	}
}

// TestFileThreads: a thread's record moves to the month that it is used in, and goes
// when it is not used for months, a few at a time.
func TestFileThreads(t *testing.T) {
	const slot = wire.SlotThread + "x"
	old := map[string]string{"threads/2026-11": "2026-11", "threads/2026-08": "2026-11", "threads/2026-07": ""}
	for folder, want := range old {
		h := newFakeFiles("")
		h.files[folder+"/t"] = h.newFile([]byte("record"))
		r := h.run(t, wire.FileEvent{Operation: wire.FileOperationLoad, Slot: slot})
		if (want != "") != (string(r.Record) == "record") || r.Error != nil {
			t.Errorf("%s: read %q, %+v", folder, r.Record, r.Error)
		}
		if want != "" && (len(h.files) != 1 || h.files["threads/"+want+"/t"] == nil) {
			t.Errorf("%s: it is not in %s, after %q", folder, want, h.effects)
		}
	}

	h := newFakeFiles("")
	for i := range 40 {
		h.files[fmt.Sprintf("threads/2025-01/%d", i)] = h.newFile(nil)
	}
	h.files["threads/2026-08/y"] = h.newFile(nil)
	h.files["threads/unrelated/y"] = h.newFile(nil)
	save := wire.FileEvent{Operation: wire.FileOperationSave, Slot: slot, Record: []byte("new")}
	for i, left := range []int{24, 8, 0} {
		if r := h.run(t, save); r.Error != nil || len(h.effects) > 30 {
			t.Errorf("%+v after %d effects", r.Error, len(h.effects))
		}
		if got := len(h.files) - 3; got != left {
			t.Errorf("save %d: %d old records are left; want %d", i, got, left)
		}
	}
	if r := h.run(t, wire.FileEvent{Operation: wire.FileOperationDelete, Slot: slot}); r.Error != nil || h.files["threads/2026-11/t"] != nil {
		t.Errorf("after a delete: %+v, %q", r.Error, h.effects)
	}

	// A record that was saved while an older one was to move stays.
	h = newFakeFiles("")
	h.files["threads/2026-10/t"] = h.newFile([]byte("old"))
	h.interfere = func(_ int, e wire.FileEffect) string {
		if e.Type == wire.FileEffectMove {
			h.files["threads/2026-11/t"] = h.newFile([]byte("newer"))
		}
		return ""
	}
	if h.run(t, wire.FileEvent{Operation: wire.FileOperationLoad, Slot: slot}); string(h.files["threads/2026-11/t"].content) != "newer" {
		t.Error("a move replaced a newer record")
	}
}

// TestFileRecords: the slots that have files of their own, the identity's included
// where auth.json is to be left alone.
func TestFileRecords(t *testing.T) {
	h := newFakeFiles(authJSON("t", ""))
	was := h.target()
	beside := func(e wire.FileEvent) wire.FileEvent {
		e.Beside = true
		return e
	}
	for i, c := range []struct {
		start wire.FileEvent
		code  string
		want  string
	}{
		{beside(swapTo("", "1")), "", "1"},
		{beside(swapTo("", "2")), CodeRecordChanged, "1"},
		{beside(swapTo("1", "2")), "", "2"},
		{beside(swapTo("1", "2")), "", "2"},
		{beside(wire.FileEvent{Operation: wire.FileOperationProbe, Slot: wire.SlotIdentity}), "", "2"},
		{beside(swapTo("2", "")), "", ""},
	} {
		r := h.run(t, c.start)
		if r.Error != nil && r.Error.Code != c.code || r.Error == nil && c.code != "" {
			t.Errorf("%d: %+v", i, r.Error)
		}
		got := h.run(t, beside(wire.FileEvent{Operation: wire.FileOperationLoad, Slot: wire.SlotIdentity}))
		if string(got.Record) != c.want || h.target() != was {
			t.Errorf("%d: read %q; auth.json is %q", i, got.Record, h.target())
		}
	}
	for _, start := range []wire.FileEvent{
		{},
		{Operation: "move", Slot: wire.SlotIdentity},
		{Operation: wire.FileOperationLoad},
		{Operation: wire.FileOperationLoad, Slot: wire.SlotThread},
		{Operation: wire.FileOperationSave, Slot: wire.SlotIdentity, Record: []byte("x")},
		{Operation: wire.FileOperationSave, Slot: wire.SlotBackoff},
		{Operation: wire.FileOperationDelete, Slot: wire.SlotIdentity},
		{Operation: wire.FileOperationSwap, Slot: wire.SlotThread + "x"},
	} {
		start.Type = wire.FileEventStart
		if _, err := FileStep(wire.FileStepParams{Event: start}); Code(err) != CodeInvalidRequest {
			t.Errorf("%+v: %v", start, err)
		}
	}
}
