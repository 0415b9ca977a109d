package authfile

import (
	"errors"
	"syscall"
)

// errorWriteProtect is ERROR_WRITE_PROTECT.
const errorWriteProtect = syscall.Errno(19)

// isReadOnly reports whether the volume itself is read-only.
func isReadOnly(err error) bool { return errors.Is(err, errorWriteProtect) }
