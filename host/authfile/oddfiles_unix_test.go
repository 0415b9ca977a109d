//go:build unix

package authfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/authfile"
)

// oddFiles are what somebody can put in the place of a file of ours. What they lead
// to holds outside.
var oddFiles = map[string]func(t *testing.T, path, outside string){
	"pipe": func(t *testing.T, path, _ string) {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Skipf("needs pipes: %v", err)
		}
	},
	"device": func(t *testing.T, path, _ string) {
		if err := syscall.Mknod(path, syscall.S_IFCHR|0o600, 1<<8|5); err != nil { // /dev/zero
			t.Skipf("needs the right to make a device: %v", err)
		}
	},
	"link to a file":   func(t *testing.T, path, outside string) { symlink(t, filepath.Join(outside, "file"), path) },
	"link to a folder": func(t *testing.T, path, outside string) { symlink(t, outside, path) },
	"link to nothing":  func(t *testing.T, path, outside string) { symlink(t, filepath.Join(outside, "nothing"), path) },
	"folder": func(t *testing.T, path, _ string) {
		if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
			t.Fatal(err)
		}
	},
	"file": func(t *testing.T, path, _ string) { write(t, path, "something") },
}

// Whatever is in the place of a file of ours: nothing waits for it, and what it leads
// to stays as it is, whatever becomes of the operation.
func TestOddFiles(t *testing.T) {
	probe := authfile.New(filepath.Join(t.TempDir(), "auth.json"))
	client, target, registration, thread := authfile.LockFiles(probe.Path(), "thread-1")
	const thisMonth, oldMonth = "2026-11", "2026-01"
	authfile.SetNow(t, clockAt("2026-11-26T12:00:00Z"))
	for _, sibling := range []string{
		client, target, registration, filepath.Dir(thread), thread,
		probe.Path() + ".journal", probe.Path() + ".identity",
		probe.Path() + ".backoff", probe.Path() + ".backend", probe.Path() + ".set-aside",
		probe.Path() + ".threads", probe.Path() + ".threads/" + thisMonth, probe.Path() + ".threads/" + oldMonth,
		authfile.RecordFile(probe.Path(), thisMonth, "thread-1"), authfile.RecordFile(probe.Path(), "2026-10", "thread-1"),
		authfile.RecordFile(probe.Path(), oldMonth, "thread-2"),
	} {
		name, err := filepath.Rel(filepath.Dir(probe.Path()), sibling)
		if err != nil {
			t.Fatal(err)
		}
		for odd, put := range oddFiles {
			t.Run(name+", a "+odd, func(t *testing.T) {
				outside := t.TempDir()
				write(t, filepath.Join(outside, "file"), "outside")
				oldest := filepath.Base(authfile.RecordFile("auth.json", oldMonth, "thread-2"))
				write(t, filepath.Join(outside, oldest), "outside")
				f := newFile(t, document)
				path := filepath.Join(filepath.Dir(f.Path()), name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				put(t, path, outside)
				useAll(f)
				f.Beside = true
				useAll(f)

				entries, err := os.ReadDir(outside)
				if err != nil || len(entries) != 2 {
					t.Errorf("outside are %v, %v; want what was there", entries, err)
				}
				checkContent(t, filepath.Join(outside, "file"), "outside")
				checkContent(t, filepath.Join(outside, oldest), "outside")
				if info, err := os.Stat(filepath.Join(outside, "file")); err != nil || info.Mode() != 0o600 {
					t.Errorf("outside: %v, %v", info, err)
				}
				got, err := os.ReadFile(f.Path())
				if err != nil || string(got) != document {
					t.Errorf("the file holds %q, %v", got, err)
				}
			})
		}
	}
}

// useAll does all that can be done with a file, and leaves it as it was.
func useAll(f *authfile.File) {
	for _, slot := range lockedSlots {
		if unlock, err := f.Lock(ctx, slot); err == nil {
			defer unlock()
		}
	}
	_, _ = f.Credentials(ctx)
	_ = f.Probe(ctx, wire.SlotIdentity)
	if f.Swap(ctx, wire.SlotIdentity, nil, []byte(record)) == nil {
		_ = f.Swap(ctx, wire.SlotIdentity, []byte(record), nil)
	}
	_, _ = f.Load(ctx, wire.SlotIdentity)
	for _, slot := range []string{
		wire.SlotBackoff, wire.SlotBackend, wire.SlotSetAside, wire.SlotThread + "thread-1", wire.SlotThread + "thread-2",
	} {
		_, _ = f.Load(ctx, slot)
		_ = f.Probe(ctx, slot)
		_ = f.Save(ctx, slot, []byte(record))
		_, _ = f.Load(ctx, slot)
		_ = f.Delete(ctx, slot)
	}
}

// What is odd is named, where it is in the way.
func TestOddFilesAreNamed(t *testing.T) {
	for _, odd := range []string{"pipe", "link to a file", "folder"} {
		t.Run(odd, func(t *testing.T) {
			f := newFile(t, document)
			_, target, registration, thread := authfile.LockFiles(f.Path(), "thread-1")
			for _, path := range []string{target, registration, filepath.Dir(thread), f.Path() + ".threads", f.Path() + ".backoff"} {
				oddFiles[odd](t, path, t.TempDir())
			}
			checkCode(t, "Swap", f.Swap(ctx, wire.SlotIdentity, nil, []byte(record)), core.CodeFileLocked)
			_, err := f.Lock(ctx, wire.SlotIdentity)
			checkCode(t, "Lock", err, core.CodeFileNotRegular)
			_, err = f.Load(ctx, wire.SlotBackoff)
			if want := map[string]string{"folder": core.CodeFileIsFolder}[odd]; want != "" {
				checkCode(t, "Load backoff", err, want)
				return // for folders are what threads have
			}
			checkCode(t, "Load backoff", err, core.CodeFileNotRegular)
			_, err = f.Lock(ctx, wire.SlotThread+"thread-1")
			checkCode(t, "Lock of a thread", err, core.CodeFileNotRegular)
			checkCode(t, "Save thread", f.Save(ctx, wire.SlotThread+"thread-1", []byte(record)), core.CodeFileNotRegular)
			_, err = f.Load(ctx, wire.SlotThread+"thread-1")
			checkCode(t, "Load thread", err, core.CodeFileNotRegular)
		})
	}
}

// A pipe in the place of the file itself is not waited for.
func TestPipe(t *testing.T) {
	f := authfile.New(filepath.Join(t.TempDir(), "auth.json"))
	oddFiles["pipe"](t, f.Path(), "")
	_, err := f.Credentials(ctx)
	checkCode(t, "Credentials", err, core.CodeFileNotRegular)
	checkChanges(t, f, core.CodeFileNotRegular)
	if info, err := os.Lstat(f.Path()); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Errorf("the pipe: got %v, %v", info, err)
	}
}
