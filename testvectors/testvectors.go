// Package testvectors holds test vectors for the AgentAssertion protocol, and runs
// them against anything that answers the ABI of package wire: the core, the
// WebAssembly module in a sandbox, or another implementation behind an adapter.
//
// README.md describes the format, which needs neither Go nor this package.
package testvectors

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// FS holds the files of vectors, the set's version, in hosts the vectors for hosts
// and, in captures, the transcripts of the real client.
//
//go:embed VERSION *.json hosts/*.json captures/*
var FS embed.FS

// Version is the version of the format that this package reads. That of the
// vectors themselves is a [Set]'s.
const Version = 1

// Set is a set of vectors, as a folder such as this one holds it.
type Set struct {
	// Version is a semantic version; README.md says what its parts stand for.
	Version string
	// Files are in the order of their names.
	Files []File
}

// File is one file of vectors.
type File struct {
	Version int `json:"version"`
	// Area is the file's name without its extension.
	Area    string   `json:"area"`
	Vectors []Vector `json:"vectors"`
}

// Vector is one scenario: a call, with Method and Params and either OK or Error,
// or a flow, with Steps, and with a Method unless that is flow.step.
type Vector struct {
	// ID is unique among all files.
	ID string `json:"id"`
	// Comment says what the vector shows, Source where its expected values come
	// from.
	Comment string `json:"comment"`
	Source  string `json:"source"`

	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	OK     json.RawMessage `json:"ok,omitempty"`
	Error  *Error          `json:"error,omitempty"`

	Steps []Step `json:"steps,omitempty"`
}

// Step is one step of a flow: what the host says, and either the effect that the
// flow asks for in return, or an error, after which the state is the one before.
type Step struct {
	Event  json.RawMessage `json:"event"`
	Effect json.RawMessage `json:"effect,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// Error is an expected error. Its message is not pinned.
type Error struct {
	Code string `json:"code"`
}

// Load returns the files of the set in [FS], in the order of their names.
func Load() ([]File, error) {
	set, err := LoadSet(FS)
	return set.Files, err
}

// LoadHosts returns the files of the set in [FS] that are for hosts.
func LoadHosts() ([]File, error) {
	set, err := LoadHostSet(FS)
	return set.Files, err
}

// SetVersion is the version of the set in [FS].
func SetVersion() string {
	version, err := readVersion(FS)
	if err != nil {
		panic(err)
	}
	return version
}

var semanticVersion = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}$`)

// LoadSet reads a set: that in [FS], or another copy of this folder. What are
// neither the version nor files of vectors does not matter.
func LoadSet(fsys fs.FS) (Set, error) {
	version, err := readVersion(fsys)
	if err != nil {
		return Set{}, fmt.Errorf("testvectors: %w", err)
	}
	files, err := loadFiles(fsys)
	if err != nil {
		return Set{}, err
	}
	return Set{Version: version, Files: files}, nil
}

// loadFiles reads the files in a folder.
func loadFiles(fsys fs.FS) ([]File, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("testvectors: %w", err)
	}
	var files []File
	seen := make(map[string]bool)
	for _, entry := range entries {
		if entry.IsDir() || path.Ext(entry.Name()) != ".json" {
			continue
		}
		f, err := load(fsys, entry.Name(), seen)
		if err != nil {
			return nil, fmt.Errorf("testvectors: %s: %w", entry.Name(), err)
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, errors.New("testvectors: there is no file of vectors")
	}
	return files, nil
}

// LoadHostSet reads that part of a set which is for hosts: what they let a module do.
// Nothing that answers the ABI passes it.
func LoadHostSet(fsys fs.FS) (Set, error) {
	version, err := readVersion(fsys)
	if err != nil {
		return Set{}, fmt.Errorf("testvectors: %w", err)
	}
	hosts, err := fs.Sub(fsys, "hosts")
	if err != nil {
		return Set{}, fmt.Errorf("testvectors: %w", err)
	}
	files, err := loadFiles(hosts)
	if err != nil {
		return Set{}, err
	}
	return Set{Version: version, Files: files}, nil
}

func readVersion(fsys fs.FS) (string, error) {
	data, err := fs.ReadFile(fsys, "VERSION")
	if err != nil {
		return "", fmt.Errorf("the version, which belongs to the files of vectors: %w", err)
	}
	version := strings.TrimSpace(string(data))
	if !semanticVersion.MatchString(version) {
		return "", fmt.Errorf("VERSION: %q is not a version such as 1.0.0", version)
	}
	return version, nil
}

func load(fsys fs.FS, name string, seen map[string]bool) (File, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return File{}, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var f File
	if err := d.Decode(&f); err != nil {
		return File{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return File{}, errors.New("text after the end")
	}
	if f.Version != Version {
		return File{}, fmt.Errorf("the format's version is %d, not %d", f.Version, Version)
	}
	if f.Area+".json" != name {
		return File{}, fmt.Errorf("the area is %q", f.Area)
	}
	for _, v := range f.Vectors {
		if seen[v.ID] {
			return File{}, fmt.Errorf("two vectors have the id %q", v.ID)
		}
		seen[v.ID] = true
		if err := v.validate(); err != nil {
			return File{}, fmt.Errorf("%s: %w", v.ID, err)
		}
	}
	return f, nil
}

func (v Vector) validate() error {
	if v.ID == "" || v.Comment == "" || v.Source == "" {
		return errors.New("an id, a comment and a source have to be there")
	}
	if len(v.Steps) > 0 {
		if v.Method != "" && v.Method != "file.step" || v.Params != nil || v.OK != nil || v.Error != nil {
			return errors.New("a flow has steps, of flow.step or file.step, and nothing else")
		}
		for i, s := range v.Steps {
			if s.Event == nil || (s.Effect == nil) == (s.Error == nil) {
				return fmt.Errorf("step %d: want an event, and either an effect or an error", i)
			}
		}
		return nil
	}
	if v.Params == nil || (v.OK == nil) == (v.Error == nil) {
		return errors.New("a call has params, and either ok or error")
	}
	return nil
}
