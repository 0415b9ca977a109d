package authfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/turns"
)

// lockPoll is how often a lock that another process has is tried again: those that
// are held for milliseconds soon, those of a registration later.
const (
	lockPoll             = 2 * time.Millisecond
	registrationLockPoll = 20 * time.Millisecond
)

// queue lets those in this process through one after another, by the lock's path: two
// Files can have the same.
var queue turns.Turns

// lockFile is a file that is locked.
type lockFile struct {
	// target is whose lock it is.
	target, path string
	poll         time.Duration
	// removed says that it does not stay when it is given back.
	removed bool
}

// Lock waits until nobody else registers what the slot is for, LockTimeout at most.
// A lock ends with the process that holds it, however that ends.
//
// Errors: core.CodeFileLocked, core.CodeFileLockUnavailable, core.CodeStoreReadOnly,
// core.CodeFileNotRegular, core.CodeFileWriteFailed, core.CodeInvalidRequest for a slot
// that has no lock.
func (f *File) Lock(ctx context.Context, slot string) (unlock func(), err error) {
	thread, isThread := strings.CutPrefix(slot, wire.SlotThread)
	if slot != wire.SlotIdentity && (!isThread || thread == "") {
		return nil, &core.Error{Code: core.CodeInvalidRequest, Message: "there is no lock of such a slot"}
	}
	limited, cancel := context.WithTimeout(ctx, f.LockTimeout)
	defer cancel()
	target := resolve(f.path)
	l := lockFile{target: target, path: registrationLock(target), poll: registrationLockPoll}
	if isThread {
		l.path, l.removed = threadLock(target, thread), true // there are many
		if !f.WithoutLocks {
			err = (&operation{target: target}).makeFolder(threadLocks(target))
		}
	}
	if err == nil {
		unlock, err = f.take(limited, l)
	}
	if !isThread && err != nil && isUnwritable(err) {
		// Where nothing can be put beside the file, it is its own lock. No client locks
		// it.
		if file, _, openErr := open(target, os.O_RDWR); openErr == nil {
			_ = file.Close()
			l.path = target
			unlock, err = f.take(limited, l)
		}
	}
	if err != nil {
		return nil, lockFailure(ctx, l.path, lockError(ctx, err))
	}
	return unlock, nil
}

func isUnwritable(err error) bool {
	failure := failureOf(err)
	return failure == wire.FileFailureDenied || failure == wire.FileFailureReadOnly
}

// lockFailure is the error of a registration's lock.
func lockFailure(ctx context.Context, path string, err error) error {
	failure := failureOf(err)
	code, message := core.CodeFileWriteFailed, "the lock file cannot be made"
	switch {
	case failure == wire.FileFailureLocked:
		code, message = core.CodeFileLocked, path+" is held by another process, or by others in this one who came first; wait, or end that process"
		err = errors.Unwrap(err)
	case ctx.Err() != nil:
		code, message, err = core.CodeFileLocked, "the wait for "+path+" was canceled", ctx.Err()
	case failure == wire.FileFailureUnsupported:
		code, message = core.CodeFileLockUnavailable, "the file system has no locks; where no other process uses the file, say that none are needed"
	case failure == wire.FileFailureDenied, failure == wire.FileFailureReadOnly:
		code, message = core.CodeStoreReadOnly, "the lock file cannot be made; check who may write its folder, and whether that is mounted read-only"
	case failure == wire.FileFailureNotRegular, failure == wire.FileFailureFolder:
		code, message = core.CodeFileNotRegular, "there is something else where the lock file belongs; remove it"
	}
	return &core.Error{Code: code, Message: message, Err: err}
}

// lockError tells a lock that was not to be had in time from a caller that stopped
// waiting.
func lockError(ctx context.Context, err error) error {
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return &core.Error{Code: core.CodeFileLocked, Message: "the lock is held", Err: err}
	}
	return err
}

// take locks a file, which it makes where it is missing.
func (f *File) take(ctx context.Context, l lockFile) (unlock func(), err error) {
	endTurn, err := queue.Take(ctx, l.path)
	if err != nil || f.WithoutLocks {
		return endTurn, err
	}
	defer func() {
		if err != nil {
			endTurn()
		}
	}()
	for {
		lock, err := l.try()
		if err != nil {
			return nil, err
		}
		if lock != nil {
			return sync.OnceFunc(func() {
				if l.removed {
					// While it is held: who gets it next sees that it is gone.
					_ = os.Remove(l.path)
				}
				_ = lock.Unlock()
				endTurn()
			}), nil
		}
		if err := wait(ctx, l.poll); err != nil {
			return nil, err
		}
	}
}

// try returns the lock, or nil where another process has it.
func (l lockFile) try() (*flock.Flock, error) {
	info, err := os.Lstat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := l.make(); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		info, err = os.Lstat(l.path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // gone again: once more
	}
	if err == nil {
		err = checkRegular(l.path, info)
	}
	if err != nil {
		return nil, err
	}
	lock := flock.New(l.path, flock.SetFlag(lockFlags))
	locked, err := lock.TryLock()
	switch {
	case err != nil && (isOpenElsewhere(err) || errors.Is(err, fs.ErrNotExist)):
		return nil, nil
	case err != nil:
		return nil, err
	case !locked:
		return nil, lock.Close()
	}
	// What was locked may have been removed by who had it before.
	have, err := lock.Stat()
	if err == nil {
		var is fs.FileInfo
		if is, err = os.Lstat(l.path); err == nil && os.SameFile(have, is) {
			return lock, nil
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, lock.Unlock())
	}
	return nil, lock.Unlock()
}

// make makes the file, empty. One that the target's owner could not open is not left:
// their client would wait for it in vain.
func (l lockFile) make() error {
	made, err := os.OpenFile(l.path, os.O_RDONLY|os.O_CREATE|os.O_EXCL|openFlags, secretMode)
	if err != nil {
		return err
	}
	o := operation{target: l.target}
	if err := errors.Join(o.share(made, secretMode), made.Close()); err != nil {
		return errors.Join(err, os.Remove(l.path))
	}
	return nil
}
