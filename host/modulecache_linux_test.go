package host_test

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// An access control list that lets one more user write is as good as a mode that
// does.
func TestSandboxCacheAccessLists(t *testing.T) {
	list := func(rights uint16) []byte {
		const (
			nobody             = 1<<32 - 1
			read, write, enter = 4, 2, 1
		)
		list := binary.LittleEndian.AppendUint32(nil, 2) // the version
		for _, e := range []struct {
			tag, rights uint16
			id          uint32
		}{
			{0x01, read | write | enter, nobody}, {0x02, rights, stranger}, {0x04, 0, nobody}, {0x10, rights, nobody}, {0x20, 0, nobody},
		} {
			list = binary.LittleEndian.AppendUint16(list, e.tag)
			list = binary.LittleEndian.AppendUint16(list, e.rights)
			list = binary.LittleEndian.AppendUint32(list, e.id)
		}
		return list
	}
	up := filepath.Dir
	for _, tt := range []struct {
		name    string
		where   func(entry string) string
		rights  uint16
		problem string
	}{
		{"reads the folder", func(entry string) string { return up(up(up(entry))) }, 5, ""},
		{"writes to the folder", func(entry string) string { return up(up(up(entry))) }, 7, "holds code that is run"},
		{"writes to the module's", func(entry string) string { return up(up(entry)) }, 7, "holds code that is run"},
		{"writes to wazero's", up, 7, "holds code that is run"},
		{"writes above", func(entry string) string { return up(up(up(up(entry)))) }, 7, "holds code that is run"},
		{"writes to an entry", func(entry string) string { return entry }, 6, "was damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			entry, _ := cachedEntry(t, dir)
			err := unix.Setxattr(tt.where(entry), "system.posix_acl_access", list(tt.rights), 0)
			if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) {
				t.Skipf("needs a file system with access control lists: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			checkCached(t, dir, tt.problem)
		})
	}
}
