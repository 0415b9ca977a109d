//go:build linux || darwin

package authfile

import (
	"bytes"
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxExtended bounds the names of a file's extended attributes and the value of each,
// in bytes; Linux has no larger ones.
const maxExtended = 64 << 10

// copyExtended gives a file the extended attributes of another, of which access
// control lists are one on Linux; those that it has alone are removed.
func copyExtended(from string, to *os.File) error {
	want, err := extended(from)
	if err != nil {
		return err
	}
	have, err := extended(to.Name())
	if err != nil {
		return err
	}
	fd := int(to.Fd())
	for name, value := range want {
		if was, ok := have[name]; !ok || !bytes.Equal(was, value) {
			if err := unix.Fsetxattr(fd, name, value, 0); err != nil {
				return err
			}
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			if err := unix.Fremovexattr(fd, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// extended returns the extended attributes of a file: none where the file system
// has no such thing.
func extended(path string) (map[string][]byte, error) {
	names := make([]byte, maxExtended)
	n, err := unix.Llistxattr(path, names)
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	attributes := make(map[string][]byte)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, maxExtended)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return nil, err
		}
		attributes[name] = value[:n]
	}
	return attributes, nil
}
