//go:build !unix

package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Elsewhere a mode does not tell who can write. A folder in the user's profile is
// the user's alone by what it inherits.

func ownedByUs(fs.FileInfo) bool        { return true }
func writableByOthers(fs.FileInfo) bool { return false }
func hasOtherNames(fs.FileInfo) bool    { return false }

// safeFolder makes a folder with mkdir if need be, and returns it without links on the
// way.
func safeFolder(dir string, mkdir func(string, os.FileMode) error) (string, error) {
	err := makeAll(dir, mkdir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", errCacheUnusable(err)
	}
	return dir, nil
}

// makeAll makes a folder, and those above it that are missing.
func makeAll(dir string, mkdir func(string, os.FileMode) error) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(dir) == dir {
		return err
	}
	if err := makeAll(filepath.Dir(dir), mkdir); err != nil {
		return err
	}
	if err := mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// checkWritable would return the error of making something in a folder: only trying
// tells here.
func checkWritable(string) error { return nil }

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
