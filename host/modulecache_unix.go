//go:build unix

package host

import (
	"io/fs"
	"os"
	"syscall"
)

// ownedByUs reports whether nobody but this process's user, and root, who can do
// anything anyway, can change the permissions.
func ownedByUs(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && (s.Uid == 0 || int(s.Uid) == os.Geteuid())
}

// writableByOthers reports whether the group or everybody may write. An access
// list that lets others write shows as the group's permission.
func writableByOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o022 != 0 }

// replaceable reports whether everybody can rename what others have in a folder.
func replaceable(info fs.FileInfo) bool {
	return info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0
}
