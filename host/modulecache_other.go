//go:build !unix

package host

import (
	"io/fs"
	"os"
	"path/filepath"
)

// Elsewhere a mode does not tell who can write. A folder in the user's profile is
// the user's alone by what it inherits.

func ownedByUs(fs.FileInfo) bool        { return true }
func writableByOthers(fs.FileInfo) bool { return false }
func hasOtherNames(fs.FileInfo) bool    { return false }

// makeSafeFolder makes a folder if need be, and returns it without links on the
// way.
func makeSafeFolder(dir string) (string, error) {
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", errCacheUnusable(err)
	}
	return dir, nil
}

func openUnfollowed(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	return os.Open(path)
}
