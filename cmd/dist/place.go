package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// place is the folder that a release is put into: what is made is beside it until all of it is there.
type place struct{ final, made string }

// newPlace refuses a folder that has something else in it, which would be lost.
func newPlace(final string) (*place, error) {
	final, err := filepath.Abs(final)
	if err != nil {
		return nil, err
	}
	there, err := os.ReadDir(final)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(final, "SHA256SUMS")); len(there) > 0 && err != nil {
		return nil, fmt.Errorf("%s has something in it that is no release, and would be replaced; name another folder", final)
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return nil, err
	}
	made, err := os.MkdirTemp(filepath.Dir(final), filepath.Base(final)+".part-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(made, 0o755); err != nil {
		return nil, errors.Join(err, os.RemoveAll(made))
	}
	return &place{final, made}, nil
}

// write writes a file of the release.
func (p *place) write(name string, data []byte) error {
	return os.WriteFile(filepath.Join(p.made, name), data, 0o644)
}

// sums is what SHA256SUMS has: a line for each file, as sha256sum writes and checks it.
func (p *place) sums() ([]byte, error) {
	files, err := os.ReadDir(p.made) // sorted
	if err != nil {
		return nil, err
	}
	var lines strings.Builder
	for _, file := range files {
		sum, err := sumFile(filepath.Join(p.made, file.Name()))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&lines, "%x  %s\n", sum, file.Name())
	}
	return []byte(lines.String()), nil
}

func sumFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

// commit puts what was made where it is to be.
func (p *place) commit() error {
	if err := os.RemoveAll(p.final); err != nil {
		return err
	}
	return os.Rename(p.made, p.final)
}

// discard removes what was not committed.
func (p *place) discard() { _ = os.RemoveAll(p.made) }

// report lists what there is.
func (p *place) report(w io.Writer) error {
	files, err := os.ReadDir(p.final)
	if err != nil {
		return err
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%10d  %s\n", info.Size(), filepath.Join(p.final, file.Name())); err != nil {
			return err
		}
	}
	return nil
}
