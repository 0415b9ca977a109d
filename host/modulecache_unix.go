//go:build unix

package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownedByUs reports whether nobody but this process's user and root can change the
// permissions. Root can do anything anyway, and what root has put into the image of
// a container is good.
func ownedByUs(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && (s.Uid == 0 || int(s.Uid) == os.Geteuid())
}

// writableByOthers reports whether the group or everybody may write. An access
// list that lets others write shows as the group's permission on Linux.
func writableByOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o022 != 0 }

// hasOtherNames reports whether a file is in another folder, too, where who put it
// here may have found it. One that another process has replaced since it was opened
// has no name at all.
func hasOtherNames(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return !ok || s.Nlink > 1
}

// maxLinks is how many links are followed, as on Linux.
const maxLinks = 40

// safeFolder makes a folder with mkdir if need be, and returns it without links on the
// way. It refuses one that somebody else could put another in the place of: in a
// folder above, or in one that has a link on the way.
func safeFolder(dir string, mkdir func(string, os.FileMode) error) (string, error) {
	const separator = string(filepath.Separator)
	done, rest := separator, strings.Split(dir, separator)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == "" || name == "." {
			continue
		}
		if name == ".." {
			done = filepath.Dir(done)
			continue
		}
		if err := checkUnreplaceable(done); err != nil {
			return "", err
		}
		next := filepath.Join(done, name)
		info, err := os.Lstat(next)
		if errors.Is(err, fs.ErrNotExist) {
			if err = mkdir(next, 0o700); err == nil || errors.Is(err, fs.ErrExist) {
				info, err = os.Lstat(next)
			}
		}
		switch {
		case err != nil:
			return "", errCacheUnusable(err)
		case info.Mode()&fs.ModeSymlink == 0:
			done = next // if it is no folder, the next step or the caller finds out
			continue
		case !ownedByUs(info):
			return "", errCacheNotOurs(next)
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", errCacheUnusable(err)
		}
		if links++; links > maxLinks {
			return "", errCacheUnusable(&fs.PathError{Op: "open", Path: dir, Err: syscall.ELOOP})
		}
		if filepath.IsAbs(target) {
			done = separator
		}
		rest = append(strings.Split(target, separator), rest...)
	}
	return done, nil
}

// checkUnreplaceable refuses a folder in which somebody else can put something in
// the place of what is ours.
func checkUnreplaceable(folder string) error {
	info, err := os.Stat(folder)
	switch {
	case err != nil:
		return errCacheUnusable(err)
	case !ownedByUs(info):
		return errCacheNotOurs(folder)
	case writableByOthers(info) && info.Mode()&fs.ModeSticky == 0:
		return errCacheShared("others can replace what is in "+folder, "take that permission away (chmod go-w)")
	}
	return nil
}

// openUnfollowed opens a file, but no link, and does not wait for who writes to a
// pipe.
func openUnfollowed(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// checkWritable returns the error of making something in a folder.
func checkWritable(folder string) error {
	err := unix.Faccessat(unix.AT_FDCWD, folder, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	if err != nil {
		return &fs.PathError{Op: "write", Path: folder, Err: err}
	}
	return nil
}
