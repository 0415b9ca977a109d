//go:build unix

package privatefile

import (
	"io/fs"
	"os"
	"syscall"
)

// forbidden are the rights that a file does not give if it is private.
func forbidden(info fs.FileInfo) fs.FileMode {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return forbiddenTo(os.Geteuid(), int(s.Uid))
	}
	return 0o077
}

// forbiddenTo is forbidden for a user and the file's owner. The superuser needs no group.
func forbiddenTo(user, owner int) fs.FileMode {
	if user == 0 || user == owner {
		return 0o077
	}
	return 0o037
}
