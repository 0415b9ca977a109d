//go:build !windows

package authfile

import (
	"errors"
	"syscall"
)

// isReadOnly reports whether the file system itself is read-only.
func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
