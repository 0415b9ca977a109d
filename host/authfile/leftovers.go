package authfile

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// temporary is how the names of files begin that are to take the place of
	// another: package atomicwriter's choice.
	temporary = ".tmp-"
	// leftoverAge is how old such a file must be to be nobody's any more: far
	// older than any write takes.
	leftoverAge = time.Hour
	// identitySize is more than an identity adds to a file, in bytes.
	identitySize = 16 << 10
)

// removeLeftovers removes what processes that were killed in the middle of
// writing a file have left beside it. Those files hold secrets. One that cannot
// be removed waits for the next time.
func removeLeftovers(path string) {
	folder, name := filepath.Split(path)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, e := range entries {
		random, ok := strings.CutPrefix(e.Name(), temporary+name)
		if !ok || random == "" || strings.Trim(random, "0123456789") != "" || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > leftoverAge {
			_ = os.Remove(filepath.Join(folder, e.Name()))
		}
	}
}

// checkRoom fails if the disk has no room for another auth.json, by writing one:
// a registration that cannot be saved would leave an identity with the backend
// that nobody has.
func (f *File) checkRoom() error {
	size := identitySize
	if info, err := os.Stat(f.path); err == nil {
		size += int(min(info.Size(), maxSize))
	}
	path := f.target()
	file, err := os.CreateTemp(filepath.Dir(path), temporary+filepath.Base(path))
	if err != nil {
		return writeFailed(err)
	}
	_, err = file.Write(make([]byte, size))
	if err == nil {
		err = file.Sync()
	}
	_ = file.Close()
	_ = os.Remove(file.Name()) // if that fails, removeLeftovers does it
	if err != nil {
		return writeFailed(err)
	}
	return nil
}
