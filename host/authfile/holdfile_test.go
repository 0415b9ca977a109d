package authfile_test

import (
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/gofrs/flock"
)

// holdFile locks a file as another program does.
func holdFile(t *testing.T, path string) (unlock func()) {
	t.Helper()
	lock := flock.New(path, flock.SetFlag(os.O_RDWR|os.O_CREATE))
	if ok, err := lock.TryLock(); err != nil || !ok {
		t.Fatalf("locking %s: %t, %v", path, ok, err)
	}
	unlock = sync.OnceFunc(func() {
		if err := lock.Unlock(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(unlock)
	return unlock
}

// lockFiles locks two files, one after the other, and waits for both.
func lockFiles(first, second string) (unlock func(), err error) {
	locks := make([]*flock.Flock, 2)
	for i, path := range []string{first, second} {
		locks[i] = flock.New(path, flock.SetFlag(os.O_RDWR|os.O_CREATE))
		if err := locks[i].Lock(); err != nil {
			return nil, err
		}
	}
	return func() {
		for _, lock := range slices.Backward(locks) {
			_ = lock.Unlock()
		}
	}, nil
}
