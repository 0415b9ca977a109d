package authfile

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// The access control list of a file, in the kernel's form: a version of four bytes,
// and entries of eight, whose second half-word has the rights.
const (
	accessList       = "system.posix_acl_access"
	accessListHeader = 4
	accessListEntry  = 8
)

// hasAccessList reports whether a file has an access control list, and its mode's
// group bits are therefore not the group's.
func hasAccessList(path string) bool {
	n, err := unix.Lgetxattr(path, accessList, nil)
	return err == nil && n > 0
}

// copyAccessList gives a file the access control list of another, if that has one.
// In a folder, who may read may look, too.
func copyAccessList(from string, to *os.File, isFolder bool) error {
	if !hasAccessList(from) {
		return nil
	}
	list := make([]byte, maxExtended)
	n, err := unix.Lgetxattr(from, accessList, list)
	if err != nil {
		return err
	}
	list = list[:n]
	for i := accessListHeader; isFolder && i+accessListEntry <= len(list); i += accessListEntry {
		rights := binary.LittleEndian.Uint16(list[i+2:])
		binary.LittleEndian.PutUint16(list[i+2:], rights|rights&4>>2)
	}
	return unix.Fsetxattr(int(to.Fd()), accessList, list, 0)
}
