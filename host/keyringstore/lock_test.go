package keyringstore_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/keyringstore"
)

// folderVariable tells a child where the lock files are.
const folderVariable = "AGENTASSERT_TEST_FOLDER"

func TestLockExcludes(t *testing.T) {
	k := new(fake)
	folder := t.TempDir()
	var holders atomic.Int32
	var wait sync.WaitGroup
	for range 4 {
		s, err := keyringstore.OpenOn(t.Context(), keyringstore.Config{Account: "account", LockFolder: folder}, k)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			wait.Go(func() {
				for range 3 {
					unlock, err := s.Lock(t.Context(), wire.SlotIdentity)
					if err != nil {
						t.Error(err)
						return
					}
					if holders.Add(1) != 1 {
						t.Error("two hold the lock")
					}
					if err := s.Save(t.Context(), "slot", record(2000, 1)); err != nil {
						t.Error(err)
					}
					holders.Add(-1)
					unlock()
				}
			})
		}
	}
	wait.Wait()
}

func TestLockTimesOut(t *testing.T) {
	k := new(fake)
	folder := t.TempDir()
	config := keyringstore.Config{Account: "account", LockFolder: folder, LockTimeout: 50 * time.Millisecond}
	s, err := keyringstore.OpenOn(t.Context(), config, k)
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := s.Lock(t.Context(), wire.SlotIdentity)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Lock(t.Context(), wire.SlotIdentity)
	checkCode(t, err, keyringstore.CodeLocked)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = s.Lock(ctx, wire.SlotIdentity)
	checkCode(t, err, keyringstore.CodeCanceled)

	config.Account = "another"
	other, err := keyringstore.OpenOn(t.Context(), config, k)
	if err != nil {
		t.Fatal(err)
	}
	unlockOther, err := other.Lock(t.Context(), wire.SlotIdentity)
	if err != nil {
		t.Fatalf("accounts share a lock: %v", err)
	}
	unlockOther()
	unlock()
	unlock, err = s.Lock(t.Context(), wire.SlotIdentity)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestProbeFailsWhereNothingCanBeWritten(t *testing.T) {
	k := new(fake)
	s := open(t, k)
	k.before = func(access string) error {
		if access == "set" {
			return errBroken
		}
		return nil
	}
	checkCode(t, s.Probe(t.Context(), wire.SlotIdentity), keyringstore.CodeWriteFailed)
	k.before = nil
	if err := s.Probe(t.Context(), wire.SlotIdentity); err != nil {
		t.Fatal(err)
	}
	if names := k.names(); len(names) != 0 {
		t.Errorf("items are left: %v", names)
	}
}

func TestLockFolderCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := keyringstore.OpenOn(t.Context(), keyringstore.Config{Account: "account", LockFolder: filepath.Join(file, "locks")}, new(fake))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Lock(t.Context(), wire.SlotIdentity)
	checkCode(t, err, keyringstore.CodeLockFailed)
	checkCode(t, s.Save(t.Context(), "slot", record(1, 1)), keyringstore.CodeLockFailed)
}

func TestLockFileCannotBeMade(t *testing.T) {
	folder := t.TempDir()
	s, err := keyringstore.OpenOn(t.Context(), keyringstore.Config{Account: "account", LockFolder: folder}, new(fake))
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := s.Lock(t.Context(), wire.SlotIdentity)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	// A folder where the file was.
	names, err := filepath.Glob(filepath.Join(folder, "*.lock"))
	if err != nil || len(names) != 1 {
		t.Fatalf("lock files: %v, %v", names, err)
	}
	if err := os.Remove(names[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(names[0], 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = s.Lock(t.Context(), wire.SlotIdentity)
	checkCode(t, err, keyringstore.CodeLockFailed)
}

// TestLockEndsWithItsProcess has another process take the lock, and kills it.
func TestLockEndsWithItsProcess(t *testing.T) {
	folder := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+childLocks, folderVariable+"="+folder)
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if line != "locked\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	s, err := keyringstore.OpenOn(t.Context(), keyringstore.Config{
		Account: "account", LockFolder: folder, LockTimeout: 50 * time.Millisecond,
	}, new(fake))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Lock(t.Context(), wire.SlotIdentity)
	checkCode(t, err, keyringstore.CodeLocked)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	unlock, err := s.Lock(t.Context(), wire.SlotIdentity)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// lockForever is the main function of a child: it takes the lock, says so, and
// waits for its end. It returns the exit code.
func lockForever() int {
	ctx := context.Background()
	s, err := keyringstore.Open(ctx, keyringstore.Config{Account: "account", LockFolder: os.Getenv(folderVariable)})
	if err == nil {
		_, err = s.Lock(ctx, wire.SlotIdentity)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 1
}

// TestLocksOfSlotsAreApart: threads register beside each other and beside the
// identity, and leave no files.
func TestLocksOfSlotsAreApart(t *testing.T) {
	folder := t.TempDir()
	s, err := keyringstore.OpenOn(t.Context(), keyringstore.Config{Account: "account", LockFolder: folder}, new(fake))
	if err != nil {
		t.Fatal(err)
	}
	var unlocks []func()
	for _, slot := range []string{wire.SlotIdentity, "thread/a", "thread/../../b"} {
		unlock, err := s.Lock(t.Context(), slot)
		if err != nil {
			t.Fatal(err)
		}
		unlocks = append(unlocks, unlock)
	}
	for _, unlock := range unlocks {
		unlock()
	}
	checkFiles(t, folder, 1) // the identity's lock
}

// TestManyLockOneSlot: a lock file that is removed when the lock is given back lets
// nobody in beside its holder. Each store knows the folder by another path, so that
// they wait for the file as other processes do.
func TestManyLockOneSlot(t *testing.T) {
	folder, links := t.TempDir(), t.TempDir()
	var holders atomic.Int32
	var wait sync.WaitGroup
	for i := range 4 {
		link := filepath.Join(links, fmt.Sprint(i))
		if err := os.Symlink(folder, link); err != nil {
			t.Skipf("needs symbolic links: %v", err)
		}
		s, err := keyringstore.OpenOn(t.Context(), keyringstore.Config{Account: "account", LockFolder: link}, new(fake))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			wait.Go(func() {
				for range 10 {
					unlock, err := s.Lock(t.Context(), "thread/1")
					if err != nil {
						t.Error(err)
						return
					}
					if holders.Add(1) != 1 {
						t.Error("two hold the lock")
					}
					holders.Add(-1)
					unlock()
					unlock() // once is enough, twice no harm
				}
			})
		}
	}
	wait.Wait()
	checkFiles(t, folder, 0)
}

// TestLocksOfManyThreads: those who wait for one lock do not keep others, and no files
// are left.
func TestLocksOfManyThreads(t *testing.T) {
	folder := t.TempDir()
	s, err := keyringstore.OpenOn(t.Context(), keyringstore.Config{Account: "account", LockFolder: folder}, new(fake))
	if err != nil {
		t.Fatal(err)
	}
	const threads = 300
	var unlocks []func()
	for i := range threads { // all held at a time
		unlock, err := s.Lock(t.Context(), fmt.Sprint(wire.SlotThread, i))
		if err != nil {
			t.Fatal(err)
		}
		unlocks = append(unlocks, unlock)
	}
	checkFiles(t, folder, threads)
	for _, unlock := range unlocks {
		unlock()
	}
	checkFiles(t, folder, 0)
}

// checkFiles checks how many files a folder of locks has.
func checkFiles(t *testing.T, folder string, want int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(names) != want {
		t.Errorf("%d files in the folder (%.3v), %v; want %d", len(names), names, err, want)
	}
}

// Who waits for a lock waits longer than a registration can hold it.
func TestLocksAreWaitedForLongEnough(t *testing.T) {
	s, err := keyringstore.OpenOn(t.Context(), keyringstore.Config{Account: "account", LockFolder: t.TempDir()}, &fake{})
	if err != nil {
		t.Fatal(err)
	}
	if wait := s.LockTimeout(); wait <= wire.MaxLockSeconds*time.Second {
		t.Errorf("got %v, want more than %d s", wait, wire.MaxLockSeconds)
	}
}
