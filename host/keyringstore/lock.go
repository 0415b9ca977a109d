package keyringstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/turns"
)

const (
	// lockPoll is how often a lock that is held is tried again.
	lockPoll = 20 * time.Millisecond
	// folderMode and fileMode keep others on the computer from taking a lock.
	folderMode = 0o700
	fileMode   = 0o600
	// probe is the end of the name of the item by which Probe tries whether the
	// keyring can be written.
	probe = ".probe"
)

// queue lets those in this process through one after another, by the lock file's path:
// two stores can have the same.
var queue turns.Turns

// Lock waits until nobody else registers what the slot is for, Config.LockTimeout at
// most. A lock ends with the process that holds it, however that ends.
//
// Errors: CodeLocked, CodeLockFailed, CodeCanceled.
func (s *Store) Lock(ctx context.Context, slot string) (unlock func(), err error) {
	path := s.locks + ".lock"
	if slot != wire.SlotIdentity {
		// A slot's name is whatever a harness chose.
		sum := sha256.Sum256([]byte(slot))
		path = s.locks + "-" + hex.EncodeToString(sum[:]) + ".lock"
	}
	return s.lockFile(ctx, path, slot != wire.SlotIdentity)
}

// Probe writes an item and removes it, because what could not be saved in the end is
// better not registered.
//
// Errors: CodeWriteFailed, CodeUnavailable, CodeCanceled.
func (s *Store) Probe(ctx context.Context, _ string) error {
	w := writer{Store: s} // of an item that is nobody's, and the same for all
	item := s.account + probe
	if err := w.set(ctx, item, "can this keyring be written?"); err != nil {
		return err
	}
	return w.remove(ctx, item)
}

// lockItems waits until nobody else writes items of this store.
func (s *Store) lockItems(ctx context.Context) (*writer, error) {
	unlock, err := s.lockFile(ctx, s.locks+".write.lock", false)
	if err != nil {
		return nil, err
	}
	return &writer{Store: s, unlock: unlock}, nil
}

// lockFile locks a file, which it makes. One of many is removed when the lock is given
// back.
func (s *Store) lockFile(ctx context.Context, path string, ofMany bool) (unlock func(), err error) {
	if err := canceled(ctx); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return nil, fail(CodeLockFailed, "the folder of the lock files cannot be made; name another, or check who may write there", err)
	}
	limited, cancel := context.WithTimeout(ctx, s.lockTimeout)
	defer cancel()
	endTurn, err := queue.Take(limited, path)
	if err != nil {
		return nil, s.notLocked(ctx, limited, path, err)
	}
	for {
		lock := flock.New(path, flock.SetPermissions(fileMode))
		if _, err := lock.TryLockContext(limited, lockPoll); err != nil {
			endTurn()
			return nil, s.notLocked(ctx, limited, path, err)
		}
		if !isStill(lock, path) {
			// Who had it has removed it meanwhile.
			_ = lock.Unlock()
			continue
		}
		return sync.OnceFunc(func() {
			var removeErr error
			if ofMany {
				removeErr = os.Remove(path)
			}
			_ = lock.Unlock()
			if removeErr != nil && runtime.GOOS == "windows" {
				// Windows removes no file that somebody has opened: not before, and
				// now only where nobody waits for it.
				_ = os.Remove(path)
			}
			endTurn()
		}), nil
	}
}

// isStill reports whether the file that was locked is the one of that name.
func isStill(lock *flock.Flock, path string) bool {
	have, err := lock.Stat()
	if err != nil {
		return false
	}
	is, err := os.Lstat(path)
	return err == nil && os.SameFile(have, is)
}

func (s *Store) notLocked(ctx, limited context.Context, path string, err error) error {
	switch {
	case ctx.Err() != nil:
		return canceled(ctx)
	case limited.Err() != nil:
		return fail(CodeLocked, path+" is held by others, in this process or another; wait, or end those", err)
	default:
		return fail(CodeLockFailed, "the lock file cannot be made; check who may write its folder", err)
	}
}
