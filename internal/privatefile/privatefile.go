// Package privatefile reads files with secrets, which nobody but their owner can read.
package privatefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
)

// Read returns what is in a regular file that nobody but its owner has rights to. Of one
// with more bytes than most it returns one byte more than that. On Windows rights are not
// looked at.
//
// A file of another user's, which this process can read by its group, is one that somebody
// has given it so, as Kubernetes does with secrets and systemd with credentials: there the
// group may read, and nobody else may.
//
// Errors do not name the file, and show nothing of what is in it.
func Read(path string, most int64) (string, error) {
	// Looked at before it is opened, too: to open a pipe is to wait for its writer.
	if info, err := os.Stat(path); err != nil {
		return "", reason(err)
	} else if !info.Mode().IsRegular() {
		return "", errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", reason(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", reason(err)
	}
	if mode := info.Mode(); !mode.IsRegular() {
		return "", errors.New("it is not a regular file")
	} else if runtime.GOOS != "windows" && mode.Perm()&forbidden(info) != 0 {
		return "", fmt.Errorf("others than its owner have rights to the file (its mode is %#o): with chmod 600 they have none, and it is time for a new secret", mode.Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", reason(err)
	}
	return string(data), nil
}

// reason leaves out of an error of package os what is said beside it.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
