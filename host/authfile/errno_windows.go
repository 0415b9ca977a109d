package authfile

import (
	"errors"
	"syscall"
)

const (
	errorWriteProtect     = syscall.Errno(19) // ERROR_WRITE_PROTECT
	errorSharingViolation = syscall.Errno(32) // ERROR_SHARING_VIOLATION
)

// isReadOnly reports whether the volume itself is read-only.
func isReadOnly(err error) bool { return errors.Is(err, errorWriteProtect) }

// isOpenElsewhere reports whether somebody has the file open in a way that nobody
// else can open it: that is how the host in JavaScript locks it.
func isOpenElsewhere(err error) bool { return errors.Is(err, errorSharingViolation) }
