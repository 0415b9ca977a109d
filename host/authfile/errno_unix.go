//go:build !windows

package authfile

import (
	"errors"
	"syscall"
)

// isReadOnly reports whether the file system itself is read-only.
func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

// isOpenElsewhere reports whether somebody has the file open in a way that nobody
// else can open it, which there is on Windows only.
func isOpenElsewhere(error) bool { return false }
