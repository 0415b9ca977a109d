package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/moby/sys/atomicwriter"
)

// runFiles are those that a run has written, and that end with it.
type runFiles []runFile

type runFile struct {
	path string
	info fs.FileInfo
}

// write writes a line to a file that is a new one, or in the place of a regular one.
func (w *runFiles) write(path, line string, mode fs.FileMode) error {
	if err := atomicwriter.WriteFile(path, []byte(line+"\n"), mode); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	*w = append(*w, runFile{path, info})
	return nil
}

// remove removes the files, unless another run has put its own there.
func (w *runFiles) remove() error {
	var failures []error
	for _, f := range *w {
		info, err := os.Lstat(f.path)
		if err == nil && os.SameFile(info, f.info) {
			err = os.Remove(f.path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failures = append(failures, err)
		}
	}
	*w = nil
	return errors.Join(failures...)
}
