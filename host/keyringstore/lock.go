package keyringstore

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

const (
	// lockPoll is how often a lock that is held is tried again.
	lockPoll = 20 * time.Millisecond
	// folderMode and fileMode keep others on the computer from taking a lock.
	folderMode = 0o700
	fileMode   = 0o600
	// probe is the end of the name of the item by which Lock tries whether the
	// keyring can be written.
	probe = ".probe"
)

// Lock waits for the store's lock, Config.LockTimeout at most. A lock ends with
// the process that holds it, however that ends. It fails early where the keyring
// cannot be written, for then nothing could be saved in the end.
//
// Errors: CodeLocked, CodeLockFailed, CodeWriteFailed, CodeCanceled.
func (s *Store) Lock(ctx context.Context) (unlock func(), err error) {
	unlock, err = s.lockFile(ctx, s.locks+".lock")
	if err != nil {
		return nil, err
	}
	if err := s.tryWriting(ctx); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// tryWriting writes an item and removes it.
func (s *Store) tryWriting(ctx context.Context) error {
	item := s.account + probe
	if err := s.set(ctx, item, "can this keyring be written?"); err != nil {
		return err
	}
	return s.remove(ctx, item)
}

// lockItems waits until nobody else writes items of this store.
func (s *Store) lockItems(ctx context.Context) (unlock func(), err error) {
	return s.lockFile(ctx, s.locks+".write.lock")
}

func (s *Store) lockFile(ctx context.Context, path string) (unlock func(), err error) {
	if err := canceled(ctx); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return nil, fail(CodeLockFailed, "the folder of the lock files cannot be made; name another, or check who may write there", err)
	}
	limited, cancel := context.WithTimeout(ctx, s.lockTimeout)
	defer cancel()
	lock := flock.New(path, flock.SetPermissions(fileMode))
	locked, err := lock.TryLockContext(limited, lockPoll)
	switch {
	case locked:
		return func() { _ = lock.Unlock() }, nil
	case ctx.Err() != nil:
		return nil, canceled(ctx)
	case limited.Err() != nil:
		return nil, fail(CodeLocked, path+" is held by another process; end that, or wait", err)
	default:
		return nil, fail(CodeLockFailed, "the lock file cannot be made; check who may write its folder", err)
	}
}
