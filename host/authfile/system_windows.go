package authfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/agentassert/agentassert/core/wire"
)

const (
	// openFlags: what can be opened by a name here waits for nobody.
	openFlags   = 0
	folderFlags = 0
	lockFlags   = os.O_RDWR
	// keepsPrevious: a file that is open cannot be replaced.
	keepsPrevious = false
	// syncsFolders: folders cannot be opened for that.
	syncsFolders = false
)

const (
	errorWriteProtect     = syscall.Errno(19)  // ERROR_WRITE_PROTECT
	errorSharingViolation = syscall.Errno(32)  // ERROR_SHARING_VIOLATION
	errorHandleDiskFull   = syscall.Errno(39)  // ERROR_HANDLE_DISK_FULL
	errorNotSupported     = syscall.Errno(50)  // ERROR_NOT_SUPPORTED
	errorDiskFull         = syscall.Errno(112) // ERROR_DISK_FULL
)

// systemFailure names a system call's error in the flow's words.
func systemFailure(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return wire.FileFailureMissing
	case errors.Is(err, errorWriteProtect):
		return wire.FileFailureReadOnly
	case errors.Is(err, errorDiskFull), errors.Is(err, errorHandleDiskFull):
		return wire.FileFailureNoRoom
	case errors.Is(err, errorNotSupported):
		return wire.FileFailureUnsupported
	case errors.Is(err, errorSharingViolation):
		return wire.FileFailureBusy
	case errors.Is(err, fs.ErrPermission):
		return wire.FileFailureDenied
	}
	return wire.FileFailureFailed
}

// isOpenElsewhere reports whether somebody has the file open in a way that nobody
// else can open it: that is how the host in JavaScript locks it.
func isOpenElsewhere(err error) bool { return errors.Is(err, errorSharingViolation) }

// identify: what an open folder says of a file does not tell it from others, so size,
// time and content have to.
func identify(fs.FileInfo) (id string, links int64) { return "", 1 }

// giveTo: a file belongs to who made it, and its folder says who may use it.
func giveTo(*os.File, fs.FileInfo) error      { return nil }
func isOwnedAlike(*os.File, fs.FileInfo) bool { return true }
func giveToGroup(*os.File, fs.FileInfo) error { return nil }

// keepAttributes: the access control list is the folder's.
func keepAttributes(from string, to *os.File) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	return os.Chmod(to.Name(), info.Mode().Perm())
}
