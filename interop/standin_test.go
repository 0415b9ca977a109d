//go:build interop && unix

package interop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// commitTimeout is how long 0.169 and later wait for the second lock.
	commitTimeout = 5 * time.Second
	commitPoll    = 10 * time.Millisecond
)

// saveLocked changes auth.json as 0.169 and later do: under two locks, one after
// the other, by a rename. It gives up where the second is not to be had.
func saveLocked(dir string, change func([]byte) ([]byte, error)) (err error) {
	first, err := openLock(filepath.Join(dir, "auth.lock"))
	if err != nil {
		return err
	}
	defer first.Close() // and with it the lock goes
	if err := flock(first, syscall.LOCK_EX); err != nil {
		return err
	}
	second, err := openLock(filepath.Join(dir, "auth.json.lock"))
	if err != nil {
		return err
	}
	defer second.Close()
	for deadline := time.Now().Add(commitTimeout); ; time.Sleep(commitPoll) {
		err := flock(second, syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("the lock of auth.json was held for more than 5 s, and the new tokens are lost")
		}
	}
	path := filepath.Join(dir, "auth.json")
	document, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	document, err = change(document)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(dir, ".auth-")
	if err != nil {
		return err
	}
	_, err = temporary.Write(document)
	if err := errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}

// saveInPlace changes auth.json as the releases before do: whoever looks meanwhile
// finds the file empty, or half of it.
func saveInPlace(dir string, change func([]byte) ([]byte, error)) error {
	path := filepath.Join(dir, "auth.json")
	document, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	document, err = change(document)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(document)
	return errors.Join(err, file.Close())
}

func openLock(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}

func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("locking %s: %w", filepath.Base(file.Name()), err)
		}
		return nil
	}
}
