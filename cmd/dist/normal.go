package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// normal is a package of another language with the same files in it, by name, of the commit's time, and of nobody: the programs
// that make them put in the time of now, and who they run as.
func (s *source) normal(name string, data []byte) ([]byte, error) {
	switch {
	case strings.HasSuffix(name, ".whl"):
		entries, err := readZip(data)
		if err != nil {
			return nil, err
		}
		// Of a wheel, what it says of itself is at the end.
		own := func(e entry) int { return strings.Count(path.Dir(e.name), ".dist-info") }
		slices.SortFunc(entries, func(a, b entry) int { return cmp.Or(cmp.Compare(own(a), own(b)), cmp.Compare(a.name, b.name)) })
		return zipped(entries, s.time)
	default:
		entries, err := readTarball(data)
		if err != nil {
			return nil, err
		}
		return tarball(sorted(entries), s.time)
	}
}

func readTarball(data []byte) ([]entry, error) {
	plain, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var entries []entry
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return entries, nil
		} else if err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		if header.Typeflag != tar.TypeReg || !fs.ValidPath(path.Clean(header.Name)) {
			return nil, fmt.Errorf("%s is no file of it", header.Name)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{path.Clean(header.Name), normalMode(header.FileInfo().Mode()), text})
	}
}

func readZip(data []byte) ([]entry, error) {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, f := range archive.File {
		if f.Mode().IsDir() {
			continue
		}
		if !f.Mode().IsRegular() || !fs.ValidPath(f.Name) {
			return nil, fmt.Errorf("%s is no file of it", f.Name)
		}
		text, err := fs.ReadFile(archive, f.Name)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{f.Name, normalMode(f.Mode()), text})
	}
	return entries, nil
}

// normalMode is a mode without what the umask of who made it has left out.
func normalMode(mode fs.FileMode) fs.FileMode {
	if mode&0o100 != 0 {
		return 0o755
	}
	return 0o644
}
