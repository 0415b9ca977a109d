package authfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// stat returns what the stamp of a file has of it.
func stat(path string, followsLinks bool) (stamp, bool) {
	look := syscall.Lstat
	if followsLinks {
		look = syscall.Stat
	}
	var s syscall.Stat_t
	if err := look(path, &s); err != nil {
		return stamp{}, false
	}
	return stamp{
		device: uint64(s.Dev), inode: s.Ino, size: s.Size, mode: uint32(s.Mode),
		modified: s.Mtimespec.Nano(), changed: s.Ctimespec.Nano(),
	}, true
}

// isMissing reports whether there is no file of that name.
func isMissing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
