package authfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/authfile"
)

// mount mounts something, until the test ends.
func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		t.Skipf("needs the right to mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(target, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
}

// newDisk returns a file on a disk of 64 KiB.
func newDisk(t *testing.T) *authfile.File {
	t.Helper()
	dir := t.TempDir()
	mount(t, "tmpfs", dir, "tmpfs", 0, "size=64k")
	f := authfile.New(filepath.Join(dir, "auth.json"))
	write(t, f.Path(), document)
	return f
}

// fill fills a file's disk, and returns what fills it.
func fill(t *testing.T, f *authfile.File) string {
	t.Helper()
	filler := filepath.Join(filepath.Dir(f.Path()), "filler")
	if err := os.WriteFile(filler, []byte(strings.Repeat("x", 64<<10)), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: got %v, want %v", err, syscall.ENOSPC)
	}
	return filler
}

// bind has a file at a path, as a container has one that is mounted by itself.
func bind(t *testing.T, source, path string, flags uintptr) *authfile.File {
	t.Helper()
	write(t, path, "")
	mount(t, source, path, "", syscall.MS_BIND, "")
	if flags != 0 {
		if err := syscall.Mount("", path, "", syscall.MS_REMOUNT|syscall.MS_BIND|flags, ""); err != nil {
			t.Skipf("needs the right to remount a file: %v", err)
		}
	}
	return authfile.New(path)
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// A file that is mounted by itself cannot be replaced, and is written over.
func TestBindMountedFile(t *testing.T) {
	outside := newFile(t, document).Path()
	was := inode(t, outside)
	f := bind(t, outside, filepath.Join(t.TempDir(), "auth.json"), 0)
	checkCode(t, "Probe", f.Probe(ctx, wire.SlotIdentity), "")
	checkContent(t, outside, document)
	swap(t, f, "", record)
	checkContent(t, outside, withRecord)
	checkLoad(t, f, wire.SlotIdentity, record)
	swap(t, f, record, "")
	checkContent(t, outside, document)
	checkFolder(t, outside, "auth.json")
	checkFolder(t, f.Path(), clientLocks...)
	if is := inode(t, outside); is != was {
		t.Errorf("the file is another: inode %d, was %d", is, was)
	}
	for _, slot := range lockedSlots {
		lock(t, f, slot)()
	}
}

// What cannot be written can be read, and says before anything is registered that it
// cannot be written.
func TestReadOnlyMounts(t *testing.T) {
	for _, tt := range []struct {
		name string
		file func(t *testing.T) *authfile.File
	}{
		{"the file system", func(t *testing.T) *authfile.File {
			f := newDisk(t)
			if err := syscall.Mount("", filepath.Dir(f.Path()), "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
				t.Skipf("needs the right to remount a file system: %v", err)
			}
			return f
		}},
		{"the file", func(t *testing.T) *authfile.File {
			return bind(t, newFile(t, document).Path(), filepath.Join(t.TempDir(), "auth.json"), syscall.MS_RDONLY)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.file(t)
			checkLoad(t, f, wire.SlotIdentity, "")
			checkLoad(t, f, wire.SlotThread+"thread-1", "")
			if c, err := f.Credentials(ctx); err != nil || c.AccessToken != "secret-token" {
				t.Errorf("Credentials: got %v, %v; want the access token", c, err)
			}
			checkChanges(t, f, core.CodeStoreReadOnly)
			checkContent(t, f.Path(), document)
			if tt.name == "the file" {
				return // what is beside it can be written
			}
			checkCode(t, "Save backoff", f.Save(ctx, wire.SlotBackoff, []byte(record)), core.CodeStoreReadOnly)
			checkCode(t, "Save thread", f.Save(ctx, wire.SlotThread+"thread-1", []byte(record)), core.CodeStoreReadOnly)
			for _, slot := range lockedSlots {
				_, err := f.Lock(ctx, slot)
				checkCode(t, "Lock "+slot, err, core.CodeStoreReadOnly)
			}
		})
	}
}

// On a full disk nothing changes, and it is found out before anything is registered.
func TestFullDisk(t *testing.T) {
	for _, linked := range []bool{false, true} {
		f := newDisk(t)
		folder := []string{"auth.json", "auth.json.lock", "auth.lock", "filler"}
		if linked {
			if err := os.Link(f.Path(), f.Path()+"2"); err != nil {
				t.Fatal(err)
			}
			folder = []string{"auth.json", "auth.json.lock", "auth.json2", "auth.lock", "filler"}
		}
		filler := fill(t, f)
		checkChanges(t, f, core.CodeFileWriteFailed)
		err := f.Save(ctx, wire.SlotBackoff, []byte(record))
		checkCode(t, "Save backoff", err, core.CodeFileWriteFailed)
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Save: got %v, want %v in its chain", err, syscall.ENOSPC)
		}
		checkCode(t, "Save thread", f.Save(ctx, wire.SlotThread+"thread-1", []byte(record)), core.CodeFileWriteFailed)
		if err := os.RemoveAll(f.Path() + ".threads"); err != nil { // empty folders
			t.Fatal(err)
		}
		checkContent(t, f.Path(), document)
		checkFolder(t, f.Path(), folder...)

		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		checkCode(t, "Probe", f.Probe(ctx, wire.SlotIdentity), "")
		swap(t, f, "", record)
		checkContent(t, f.Path(), withRecord)
	}
}

// A disk with room for the file, and none for an identity, is full.
func TestProbeTriesTheRoom(t *testing.T) {
	f := newDisk(t)
	filler := filepath.Join(filepath.Dir(f.Path()), "filler")
	// Of 16 pages one is the file's; two are left, and an identity's room is four.
	if err := os.WriteFile(filler, []byte(strings.Repeat("x", 13*os.Getpagesize())), 0o600); err != nil {
		t.Skipf("needs pages of 4 KiB: %v", err)
	}
	checkCode(t, "Probe", f.Probe(ctx, wire.SlotIdentity), core.CodeFileWriteFailed)
	checkContent(t, f.Path(), document)
}

// A device in the file's place is not opened.
func TestDevice(t *testing.T) {
	f := newFile(t, "")
	if err := errors.Join(os.Remove(f.Path()), syscall.Mknod(f.Path(), syscall.S_IFCHR|0o600, 1<<8|5)); err != nil { // /dev/zero
		t.Skipf("needs the right to make a device: %v", err)
	}
	_, err := f.Credentials(ctx)
	checkCode(t, "Credentials", err, core.CodeFileNotRegular)
	checkChanges(t, f, core.CodeFileNotRegular)
	if info, err := os.Lstat(f.Path()); err != nil || info.Mode().Type() != fs.ModeDevice|fs.ModeCharDevice {
		t.Errorf("the device: got %v, %v", info.Mode(), err)
	}
}
