package authfile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/agentassert/agentassert/host/authfile"
)

const accessList = "system.posix_acl_access"

// listOf returns an access control list in the kernel's form, with rights for the
// owner, one more user, the group, the mask and all others.
func listOf(user uint32, owner, named, group, mask, other uint16) []byte {
	list := binary.LittleEndian.AppendUint32(nil, 2) // the version
	const nobody = 1<<32 - 1
	for _, e := range []struct {
		tag, rights uint16
		id          uint32
	}{
		{0x01, owner, nobody}, {0x02, named, user}, {0x04, group, nobody}, {0x10, mask, nobody}, {0x20, other, nobody},
	} {
		list = binary.LittleEndian.AppendUint16(list, e.tag)
		list = binary.LittleEndian.AppendUint16(list, e.rights)
		list = binary.LittleEndian.AppendUint32(list, e.id)
	}
	return list
}

func setAttribute(t *testing.T, path, name string, value []byte) {
	t.Helper()
	err := unix.Setxattr(path, name, value, 0)
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) {
		t.Skipf("needs a file system with %s: %v", name, err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func checkAttribute(t *testing.T, path, name string, want []byte) {
	t.Helper()
	got := make([]byte, 1024)
	n, err := unix.Getxattr(path, name, got)
	if err != nil || !bytes.Equal(got[:max(n, 0)], want) {
		t.Errorf("%s of %s: got %x, %v; want %x", name, filepath.Base(path), got[:max(n, 0)], err, want)
	}
}

func TestExtendedAttributes(t *testing.T) {
	f := newFile(t, document)
	setAttribute(t, f.Path(), "user.note", []byte("a note"))
	swap(t, f, "", record)
	checkContent(t, f.Path(), withRecord)
	checkAttribute(t, f.Path(), "user.note", []byte("a note"))
}

// Whom the access control list of a file lets in is let in to what is beside it, and
// nobody else: the mode's group bits are then not the group's.
func TestAccessControlList(t *testing.T) {
	f := authfile.New(filepath.Join(sharedFolder(t, alice, team, 0o777), "auth.json"))
	writeAs(t, f.Path(), document, alice, team, 0o600)
	list := listOf(bob, 6, 6, 0, 6, 0)
	setAttribute(t, f.Path(), accessList, list)
	checkCode(t, "as root", everything(f), "")
	checkAttribute(t, f.Path(), accessList, list)
	_, lock, registration, thread := authfile.LockFiles(f.Path(), "thread-1")
	for _, path := range []string{lock, registration, f.Path() + ".backoff", threadFile(t, f, "thread-1")} {
		checkAttribute(t, path, accessList, list)
		checkOwner(t, path, alice, team, 0o660)
	}
	folders := listOf(bob, 7, 7, 0, 7, 0)
	for _, path := range []string{f.Path() + ".threads", filepath.Dir(threadFile(t, f, "thread-1")), filepath.Dir(thread)} {
		checkAttribute(t, path, accessList, folders)
		checkOwner(t, path, alice, team, os.ModeDir|0o770)
	}
	for name, uid := range map[string]int{"the owner": alice, "who is let in": bob} {
		if code := runToEnd(t, "load", f.Path(), as(uid, uid)...); code != "" {
			t.Errorf("%s: %q", name, code)
		}
	}
	const carol = 41003
	if code := runToEnd(t, "load", f.Path(), as(carol, team)...); code == "" {
		t.Error("somebody else of the group can read it")
	}
	// Bob could not give a new file to alice, or make a lock that she can open.
	swap(t, f, record, "")
	if code := runToEnd(t, "swap", f.Path(), as(bob, bob)...); code != "" {
		t.Errorf("Swap of who is let in: %q", code)
	}
	checkContent(t, f.Path(), withRecord)
	checkAttribute(t, f.Path(), accessList, list)
	checkOwner(t, f.Path(), alice, team, 0o660)
}
