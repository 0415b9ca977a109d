//go:build unix

package doctor

import (
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// modesCount says that modes and owners decide who gets at a file.
const modesCount = true

func ownerOf(info fs.FileInfo) owner {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return owner{}
	}
	o := owner{known: true, uid: int(s.Uid), ours: os.Geteuid(), user: strconv.Itoa(int(s.Uid)), group: strconv.Itoa(int(s.Gid))}
	if u, err := user.LookupId(o.user); err == nil {
		o.user = shown(u.Username) + " (" + o.user + ")"
	}
	if g, err := user.LookupGroupId(o.group); err == nil {
		o.group = shown(g.Name) + " (" + o.group + ")"
	}
	return o
}

// linksOf is how many names a file has.
func linksOf(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Nlink)
	}
	return 1
}

// cannotWrite says why this user cannot write something, or nothing.
func cannotWrite(path string) string {
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS); err != nil {
		return err.Error()
	}
	return ""
}
