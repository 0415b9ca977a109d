//go:build unix

package authfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/authfile"
)

// The users of these tests, and their group. No account has to have them.
const (
	alice = 41001
	bob   = 41002
	team  = 42000
)

func init() {
	children["use"] = func(f *authfile.File) error {
		return errors.Join(everything(f), f.Swap(ctx, wire.SlotIdentity, []byte(record), nil))
	}
	children["use once"] = everything
	children["load"] = func(f *authfile.File) error {
		for _, slot := range usedSlots {
			if got, err := f.Load(ctx, slot); err != nil || string(got) != record {
				return errors.Join(err, errors.New(slot+" is not what was saved"))
			}
		}
		return nil
	}
}

var usedSlots = []string{wire.SlotIdentity, wire.SlotBackoff, wire.SlotThread + "thread-1"}

// everything uses a file as a run does that registers.
func everything(f *authfile.File) error {
	for _, slot := range lockedSlots {
		unlock, err := f.Lock(ctx, slot)
		if err != nil {
			return err
		}
		defer unlock()
	}
	return errors.Join(
		f.Probe(ctx, wire.SlotIdentity),
		f.Swap(ctx, wire.SlotIdentity, nil, []byte(record)),
		f.Save(ctx, wire.SlotBackoff, []byte(record)),
		f.Save(ctx, wire.SlotThread+"thread-1", []byte(record)))
}

// A run as root takes nothing from the file's owner, who goes on with everything.
func TestOwnerStays(t *testing.T) {
	f := authfile.New(filepath.Join(sharedFolder(t, alice, team, 0o700), "auth.json"))
	writeAs(t, f.Path(), document, alice, team, 0o600)
	checkCode(t, "as root", everything(f), "")
	checkOwners(t, f, alice, team, 0o600)
	if code := runToEnd(t, "load", f.Path(), as(alice, team)...); code != "" {
		t.Errorf("the owner, after root: %q", code)
	}
	swap(t, f, record, "")
	if code := runToEnd(t, "use", f.Path(), as(alice, team)...); code != "" {
		t.Errorf("the owner, after root: %q", code)
	}
	checkOwners(t, f, alice, team, 0o600)
}

// A file that root makes is the folder's owner's.
func TestOwnerOfAFileThatIsMade(t *testing.T) {
	f := authfile.New(filepath.Join(sharedFolder(t, alice, team, 0o700), "auth.json"))
	checkCode(t, "as root", everything(f), "")
	checkOwners(t, f, alice, team, 0o600)
	if code := runToEnd(t, "load", f.Path(), as(alice, team)...); code != "" {
		t.Errorf("the owner, after root: %q", code)
	}
}

// checkOwners checks whose the file and all that is beside it is.
func checkOwners(t *testing.T, f *authfile.File, uid, gid int, mode os.FileMode) {
	t.Helper()
	checkOwner(t, f.Path(), uid, gid, mode)
	err := filepath.WalkDir(filepath.Dir(f.Path()), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == filepath.Dir(f.Path()):
		case entry.IsDir():
			checkOwner(t, path, uid, gid, fs.ModeDir|mode|mode&0o444>>2)
		default:
			checkOwner(t, path, uid, gid, mode)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A file that a group shares is one for all of the group, whoever writes it.
func TestGroupShares(t *testing.T) {
	f := authfile.New(filepath.Join(sharedFolder(t, alice, team, 0o770|fs.ModeSetgid), "auth.json"))
	writeAs(t, f.Path(), document, alice, team, 0o660)
	for _, uid := range []int{bob, alice, bob} {
		if code := runToEnd(t, "use", f.Path(), as(uid, team)...); code != "" {
			t.Fatalf("as %d: %q", uid, code)
		}
		checkOwner(t, f.Path(), alice, team, 0o660)
		checkContent(t, f.Path(), document)
	}
	if code := runToEnd(t, "use once", f.Path(), as(bob, team)...); code != "" {
		t.Fatalf("as bob: %q", code)
	}
	if code := runToEnd(t, "load", f.Path(), as(alice, team)...); code != "" {
		t.Fatalf("as alice: %q", code)
	}
}

// The owner of a file that is in a group of others, as one that root has made, makes
// what belongs beside it, and locks it like anyone.
func TestOwnerInAnotherGroup(t *testing.T) {
	f := authfile.New(filepath.Join(sharedFolder(t, bob, team, 0o700), "auth.json"))
	writeAs(t, f.Path(), document, bob, 0, 0o600)
	if code := runToEnd(t, "swap", f.Path(), as(bob, team)...); code != "" {
		t.Fatalf("Swap: %q", code)
	}
	checkContent(t, f.Path(), withRecord)
	checkOwner(t, f.Path(), bob, 0, 0o600)
	for _, name := range []string{".lock", ".registration.lock"} {
		checkOwner(t, f.Path()+name, bob, team, 0o600)
	}
}

// Who may write the file and not its folder writes over it, and locks it itself.
// Nothing can be kept beside it.
func TestFolderThatCannotBeWritten(t *testing.T) {
	f := authfile.New(filepath.Join(sharedFolder(t, 0, 0, 0o755), "auth.json"))
	writeAs(t, f.Path(), document, bob, team, 0o600)
	if code := runToEnd(t, "swap", f.Path(), as(bob, team)...); code != "" {
		t.Fatalf("Swap: %q", code)
	}
	checkContent(t, f.Path(), withRecord)
	checkOwner(t, f.Path(), bob, team, 0o600)
	checkFolder(t, f.Path(), "auth.json")
	if code := runToEnd(t, "save", f.Path(), as(bob, team)...); code != core.CodeStoreReadOnly {
		t.Errorf("Save: got %q, want %q", code, core.CodeStoreReadOnly)
	}
	if code := runToEnd(t, "lock thread", f.Path(), as(bob, team)...); code != core.CodeStoreReadOnly {
		t.Errorf("Lock of a thread: got %q, want %q", code, core.CodeStoreReadOnly)
	}
	checkFolder(t, f.Path(), "auth.json")
}

func init() {
	children["swap"] = func(f *authfile.File) error {
		unlock, err := f.Lock(ctx, wire.SlotIdentity)
		if err != nil {
			return err
		}
		defer unlock()
		return errors.Join(f.Probe(ctx, wire.SlotIdentity), f.Swap(ctx, wire.SlotIdentity, nil, []byte(record)))
	}
	children["save"] = func(f *authfile.File) error { return f.Save(ctx, wire.SlotThread+"thread-1", []byte(record)) }
	children["lock thread"] = func(f *authfile.File) error {
		_, err := f.Lock(ctx, wire.SlotThread+"thread-1")
		return err
	}
	children["credentials"] = func(f *authfile.File) error {
		_, err := f.Credentials(ctx)
		return err
	}
}

// Who may read neither the file nor its folder is told so.
func TestRightsThatAreMissing(t *testing.T) {
	f := authfile.New(filepath.Join(sharedFolder(t, alice, team, 0o755), "auth.json"))
	for _, tt := range []struct {
		name, child, code string
		mode              os.FileMode
	}{
		{"no right to read", "credentials", core.CodeFileUnreadable, 0o600},
		{"no right to read", "swap", core.CodeStoreReadOnly, 0o600},
		{"no right to write", "credentials", "", 0o644},
		{"no right to write", "swap", core.CodeStoreReadOnly, 0o644},
		{"no right to write", "save", core.CodeStoreReadOnly, 0o644},
	} {
		writeAs(t, f.Path(), document, alice, team, tt.mode)
		if code := runToEnd(t, tt.child, f.Path(), as(bob, bob)...); code != tt.code {
			t.Errorf("%s, %s: got %q, want %q", tt.name, tt.child, code, tt.code)
		}
		checkContent(t, f.Path(), document)
		checkFolder(t, f.Path(), "auth.json")
	}
}

// What is beside a file must not be in the way of its owner: it is not made by who
// cannot give it to them. Here bob may write the folder, and the file only because
// everybody may, or nobody but its owner.
func TestNothingIsInTheOwnersWay(t *testing.T) {
	f := authfile.New(filepath.Join(sharedFolder(t, alice, alice, 0o777), "auth.json"))
	writeAs(t, f.Path(), document, alice, alice, 0o644)
	if code := runToEnd(t, "swap", f.Path(), as(bob, bob)...); code != core.CodeStoreReadOnly {
		t.Errorf("a file that bob may only read: got %q, want %q", code, core.CodeStoreReadOnly)
	}
	if code := runToEnd(t, "save", f.Path(), as(bob, bob)...); code != core.CodeStoreReadOnly {
		t.Errorf("a file that bob may only read: got %q, want %q", code, core.CodeStoreReadOnly)
	}
	checkFolder(t, f.Path(), "auth.json")
	if err := os.Chmod(f.Path(), 0o666); err != nil {
		t.Fatal(err)
	}
	if code := runToEnd(t, "use once", f.Path(), as(bob, bob)...); code != "" {
		t.Fatalf("a file that everybody may write: %q", code)
	}
	checkOwner(t, f.Path(), alice, alice, 0o666)
	if code := runToEnd(t, "load", f.Path(), as(alice, alice)...); code != "" {
		t.Errorf("its owner, after bob: %q", code)
	}
}

func TestHardLinks(t *testing.T) {
	f := newFile(t, document)
	other := filepath.Join(t.TempDir(), "auth.json")
	if err := os.Link(f.Path(), other); err != nil {
		t.Skipf("needs hard links: %v", err)
	}
	checkCode(t, "Probe", f.Probe(ctx, wire.SlotIdentity), "")
	checkContent(t, other, document)
	swap(t, f, "", record)
	checkContent(t, other, withRecord)
	swap(t, authfile.New(other), record, "")
	checkContent(t, f.Path(), document)
	for _, path := range []string{f.Path(), other} {
		checkFolder(t, path, clientLocks...)
	}
	if info, err := os.Stat(f.Path()); err != nil || info.Sys().(*syscall.Stat_t).Nlink != 2 {
		t.Errorf("the file has lost its other name: %v", err)
	}
}
