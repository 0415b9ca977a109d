//go:build unix

package authfile

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"github.com/agentassert/agentassert/core/wire"
)

const (
	// openFlags follow no link, and do not wait for a pipe's other end.
	openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	// folderFlags open a folder, and nothing else.
	folderFlags = openFlags | syscall.O_DIRECTORY
	// lockFlags need no right to write: a lock file may be somebody else's.
	lockFlags = os.O_RDONLY | openFlags
	// keepsPrevious says that a file can be replaced while it is open.
	keepsPrevious = true
	// syncsFolders says that folders can be opened for that.
	syncsFolders = true
)

// systemFailure names a system call's error in the flow's words.
func systemFailure(err error) string {
	for _, f := range []struct {
		failure string
		errnos  []syscall.Errno
	}{
		{wire.FileFailureMissing, []syscall.Errno{syscall.ENOENT, syscall.ENOTDIR}},
		{wire.FileFailureDenied, []syscall.Errno{syscall.EACCES, syscall.EPERM}},
		{wire.FileFailureReadOnly, []syscall.Errno{syscall.EROFS}},
		{wire.FileFailureBusy, []syscall.Errno{syscall.EBUSY, syscall.EXDEV, syscall.ETXTBSY}},
		{wire.FileFailureNoRoom, []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}},
		{wire.FileFailureUnsupported, []syscall.Errno{syscall.ENOLCK, syscall.ENOSYS, syscall.EOPNOTSUPP, syscall.ENOTSUP, syscall.EBADF}},
		{wire.FileFailureNotRegular, []syscall.Errno{syscall.ELOOP, syscall.ENXIO}},
		{wire.FileFailureFolder, []syscall.Errno{syscall.EISDIR}},
	} {
		for _, errno := range f.errnos {
			if errors.Is(err, errno) {
				return f.failure
			}
		}
	}
	return wire.FileFailureFailed
}

// isOpenElsewhere reports whether somebody has the file open in a way that nobody
// else can open it, which there is on Windows only.
func isOpenElsewhere(error) bool { return false }

// identify returns what tells a file from others, and how many names it has.
func identify(info fs.FileInfo) (id string, links int64) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", 1
	}
	return strconv.FormatUint(uint64(s.Dev), 10) + ":" + strconv.FormatUint(s.Ino, 10), int64(s.Nlink)
}

// giveTo gives a file the owner and the group of another.
func giveTo(f *os.File, other fs.FileInfo) error {
	want, ok := other.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return chown(f, int(want.Uid), int(want.Gid))
}

// isOwnedAlike reports whether a file belongs to whom another belongs to.
func isOwnedAlike(f *os.File, info fs.FileInfo) bool {
	is, err := f.Stat()
	if err != nil {
		return false
	}
	have, ok := is.Sys().(*syscall.Stat_t)
	want, okWant := info.Sys().(*syscall.Stat_t)
	return ok && okWant && have.Uid == want.Uid
}

// giveToGroup gives a file the group of another.
func giveToGroup(f *os.File, other fs.FileInfo) error {
	want, ok := other.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return chown(f, -1, int(want.Gid))
}

// chown changes what is not as it should be; -1 is right in any case. An owner whom this
// user namespace does not have cannot be given anything: that is denied, too, though the system
// says that there is no such id.
func chown(f *os.File, uid, gid int) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	have, ok := info.Sys().(*syscall.Stat_t)
	if !ok || (uid < 0 || int(have.Uid) == uid) && int(have.Gid) == gid {
		return nil
	}
	err = f.Chown(uid, gid)
	if errors.Is(err, syscall.EINVAL) {
		return &fs.PathError{Op: "chown", Path: f.Name(), Err: syscall.EPERM}
	}
	return err
}

// keepAttributes gives a file all that another has but its content, or fails.
func keepAttributes(from string, to *os.File) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if err := giveTo(to, info); err != nil {
		return err
	}
	if err := copyExtended(from, to); err != nil {
		return err
	}
	if err := to.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	is, err := to.Stat()
	if err != nil {
		return err
	}
	want, ok := info.Sys().(*syscall.Stat_t)
	have, okHave := is.Sys().(*syscall.Stat_t)
	if ok && okHave && (have.Uid != want.Uid || have.Gid != want.Gid || have.Mode != want.Mode) {
		return &fs.PathError{Op: "chown", Path: to.Name(), Err: syscall.EPERM}
	}
	return nil
}
