package authfile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/authfile"
)

// lockedSlots are the kinds of slots that have a lock.
var lockedSlots = []string{wire.SlotIdentity, wire.SlotThread + "thread-1"}

func lock(t *testing.T, f *authfile.File, slot string) (unlock func()) {
	t.Helper()
	unlock, err := f.Lock(ctx, slot)
	if err != nil {
		t.Fatalf("Lock %s: %v", slot, err)
	}
	return unlock
}

func TestLock(t *testing.T) {
	for _, slot := range lockedSlots {
		t.Run(slot, func(t *testing.T) {
			f := newFile(t, document)
			unlock := lock(t, f, slot)
			// Neither another caller nor another File can have it.
			for name, other := range map[string]*authfile.File{"same": f, "another": authfile.New(f.Path())} {
				other.LockTimeout = 30 * time.Millisecond
				_, err := other.Lock(ctx, slot)
				checkCode(t, name+" File", err, core.CodeFileLocked)
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s File: got %v, want the deadline in its chain", name, err)
				}
			}
			canceled, cancel := context.WithCancel(ctx)
			cancel()
			_, err := authfile.New(f.Path()).Lock(canceled, slot)
			checkCode(t, "canceled", err, core.CodeFileLocked)
			if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "canceled") {
				t.Errorf("canceled: got %v, want it to say so", err)
			}
			// Loading, saving and swapping need no such lock.
			swap(t, f, "", record)
			checkLoad(t, f, wire.SlotIdentity, record)

			waiting := make(chan error, 1)
			other := authfile.New(f.Path())
			go func() {
				unlock, err := other.Lock(ctx, slot)
				if err == nil {
					unlock()
				}
				waiting <- err
			}()
			unlock()
			checkCode(t, "after unlock", <-waiting, "")
			unlock() // to no effect
		})
	}
}

// A lock is for what it names: the others do not wait for it.
func TestLocksAreIndependent(t *testing.T) {
	f := newFile(t, document)
	for _, slot := range append(lockedSlots, wire.SlotThread+"thread-2") {
		defer lock(t, f, slot)()
	}
}

// What locks leave: one file that is always there, and nothing of threads, of which
// there are many.
func TestLocksLeaveNothing(t *testing.T) {
	f := newFile(t, document)
	if err := os.Remove(f.Path()); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		lock(t, f, wire.SlotIdentity)()
		lock(t, f, fmt.Sprint(wire.SlotThread, i))()
	}
	checkFolder(t, f.Path(), "auth.json.locks", "auth.json.registration.lock")
	checkFolder(t, filepath.Join(f.Path()+".locks", "none"))
}

// What was locked may be removed by who had it: the next to lock it must not have a
// file that nobody else finds.
func TestThreadLockRace(t *testing.T) {
	f := newFile(t, document)
	const callers, rounds = 8, 40
	children := make([]*child, 2)
	for i := range children {
		children[i] = startChild(t, "count", f.Path())
	}
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			if err := countUp(f, rounds); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, c := range children {
		if err := c.Wait(); err != nil {
			t.Errorf("child: %v: %s", err, &c.errors)
		}
	}
	checkContent(t, f.Path()+".count", strings.Repeat("x", callers*rounds+len(children)*rounds))
}

func init() { children["count"] = func(f *authfile.File) error { return countUp(f, 40) } }

// countUp adds to a file under a lock, in a way that loses what is added without.
func countUp(f *authfile.File, rounds int) error {
	for range rounds {
		unlock, err := f.Lock(ctx, wire.SlotThread+"thread-1")
		if err != nil {
			return err
		}
		count, err := os.ReadFile(f.Path() + ".count")
		if err == nil || errors.Is(err, os.ErrNotExist) {
			err = os.WriteFile(f.Path()+".count", append(count, 'x'), 0o600)
		}
		unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// Without locks, those of this process still take turns, and no lock file is made.
func TestWithoutLocks(t *testing.T) {
	f := newFile(t, document)
	f.WithoutLocks = true
	for _, slot := range lockedSlots {
		unlock := lock(t, f, slot)
		f.LockTimeout = time.Millisecond
		_, err := f.Lock(ctx, slot)
		checkCode(t, "Lock "+slot, err, core.CodeFileLocked)
		unlock()
	}
	swap(t, f, "", record)
	checkContent(t, f.Path(), withRecord)
	checkFolder(t, f.Path(), "auth.json")
}

// The client's locks are taken in its order, are given back, and are held for no
// longer than it takes to replace the file: nothing is waited for in between.
func TestClientLocks(t *testing.T) {
	f := newFile(t, document)
	var effects []wire.FileEffect
	authfile.AfterEffect(t, func(e wire.FileEffect) { effects = append(effects, e) })
	for name, change := range changes {
		effects = nil
		checkCode(t, name, change(f), "")
		var locks []string
		for _, e := range effects {
			switch e.Type {
			case wire.FileEffectLock, wire.FileEffectUnlock:
				locks = append(locks, e.Type+" "+e.Name)
			case wire.FileEffectWait:
				t.Errorf("%s waits for %d ms under the locks", name, e.WaitMS)
			default:
				if len(locks) != 2 {
					t.Errorf("%s: %s %s while the locks are %q", name, e.Type, e.Name, locks)
				}
			}
		}
		if got, want := strings.Join(locks, ", "), "lock client-lock, lock target-lock, unlock target-lock, unlock client-lock"; got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// A client that holds its locks is waited for, not overtaken.
func TestClientHoldsItsLocks(t *testing.T) {
	client, target, _, _ := authfile.LockFiles("auth.json", "")
	for _, name := range []string{client, target} {
		t.Run(name, func(t *testing.T) {
			f := newFile(t, document)
			unlock := holdFile(t, filepath.Join(filepath.Dir(f.Path()), name))
			limited, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			checkCode(t, "Swap", f.Swap(limited, wire.SlotIdentity, nil, []byte(record)), core.CodeFileLocked)
			checkContent(t, f.Path(), document)
			checkLoad(t, f, wire.SlotIdentity, "")
			unlock()
			swap(t, f, "", record)
		})
	}
}

// A registration, which takes its time, keeps no client waiting.
func TestRegistrationLeavesTheClientsLocks(t *testing.T) {
	f := newFile(t, document)
	for _, slot := range lockedSlots {
		defer lock(t, f, slot)()
	}
	client, target, _, _ := authfile.LockFiles(f.Path(), "")
	for _, path := range []string{client, target} {
		holdFile(t, path)()
	}
}
