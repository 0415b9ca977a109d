package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"
)

const checkNameLocks = "locks"

// lockFiles are the files beside auth.json that are locked, and for what: the client's
// two, and that of registrations. The client's first has one name, whatever that of the
// file is.
func lockFiles(target string) map[string]string {
	return map[string]string{
		filepath.Join(filepath.Dir(target), "auth.lock"): "the client's",
		target + ".lock":              "the client's",
		target + ".registration.lock": "a registration's",
	}
}

// checkLocks takes each lock that there is, shared and for an instant: who wants it at
// that very time tries again milliseconds later. A lock file that is not there is not
// made.
func (e *examination) checkLocks() {
	if e.WithoutLocks {
		e.note(checkNameLocks, "leave --without-locks out where several processes use the file", "no locks are taken, as --without-locks says: two processes can register at the same time")
		return
	}
	before, found := len(e.findings), 0
	files := lockFiles(e.target)
	for _, path := range sorted(files) {
		if info, err := os.Lstat(path); err == nil {
			found++
			e.checkLock(path, files[path], info)
		}
	}
	if err := tryLock(e.target); e.isRead && errors.Is(err, errNoLocks) {
		e.problem(checkNameLocks, "keep the identity in PostgreSQL (--store), or say --without-locks where no other process uses the file", "the file system of %s has no locks: nothing is registered there", filepath.Dir(e.target))
		return
	}
	switch {
	case len(e.findings) > before:
	case found == 0:
		e.ok(checkNameLocks, "there are locks, and nobody has used one yet")
	default:
		e.ok(checkNameLocks, "nobody holds a lock")
	}
}

func (e *examination) checkLock(path, whose string, info fs.FileInfo) {
	if !info.Mode().IsRegular() {
		e.problem(checkNameLocks, "remove it", "%s is no file, and in the place of one that is locked", path)
		return
	}
	switch err := tryLock(path); {
	case err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoLocks):
	case errors.Is(err, errHeld):
		held := holders(info)
		advice := "wait, or end that process"
		if held == "" {
			held, advice = "a process that cannot be seen from here, such as one of another container or machine", "wait, or look there"
		}
		e.note(checkNameLocks, advice, "%s lock (%s) is held by %s: others wait for it", whose, filepath.Base(path), held)
	case errors.Is(err, fs.ErrPermission):
		e.problem(checkNameLocks, "give it to whom auth.json belongs to (chown), or remove it while nothing runs", "%s cannot be opened by this user, so its lock cannot be had: %s", path, rights(info))
	default:
		e.problem(checkNameLocks, "look into the file system's log", "%s cannot be locked: %v", path, reason(err))
	}
}

var (
	errHeld    = errors.New("the lock is held")
	errNoLocks = errors.New("the file system has no locks")
)

// tryLock takes a file's lock and gives it back, without waiting for it and without
// making the file.
func tryLock(path string) error {
	lock := flock.New(path, flock.SetFlag(os.O_RDONLY))
	locked, err := lock.TryRLock()
	switch {
	case err == nil && locked:
		return lock.Unlock()
	case err == nil:
		return errors.Join(errHeld, lock.Close())
	}
	for _, none := range []error{syscall.ENOLCK, syscall.ENOSYS, errors.ErrUnsupported} {
		if errors.Is(err, none) {
			return fmt.Errorf("%w: %w", errNoLocks, err)
		}
	}
	return err
}
