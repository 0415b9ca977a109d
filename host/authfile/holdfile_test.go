package authfile_test

import (
	"os"
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
