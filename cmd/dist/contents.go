package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// extras is what comes along with the command, on all platforms the same.
type extras struct {
	pages       []entry // manual pages: agentassert.1 and so on
	completions []entry // named as each shell looks for them
	units       []entry // deploy/systemd: what systemd reads, and the proxy's configuration
	documents   []entry
}

// shells are the names of files with completions, by shell.
var shells = map[string]string{"bash": "agentassert.bash", "zsh": "_agentassert", "fish": "agentassert.fish", "powershell": "agentassert.ps1"}

// gather has the command write what it knows of itself, and reads the rest from the repository.
func (s *source) gather(ctx context.Context, program, work string) (*extras, error) {
	x := &extras{}
	pages := filepath.Join(work, "man")
	env := []string{"SOURCE_DATE_EPOCH=" + strconv.FormatInt(s.time.Unix(), 10)}
	if _, err := output(ctx, work, env, program, "man", "--out", pages); err != nil {
		return nil, err
	}
	var err error
	if x.pages, err = readAll(pages, "*.1"); err != nil {
		return nil, err
	}
	for shell, name := range shells {
		script, err := output(ctx, work, nil, program, "completion", shell)
		if err != nil {
			return nil, err
		}
		x.completions = append(x.completions, entry{name, 0o644, []byte(script + "\n")})
	}
	folder := filepath.Join(s.root, "deploy", "systemd")
	if x.units, err = readAll(folder, "*"); err != nil {
		return nil, err
	}
	users, err := readAll(filepath.Join(folder, "user"), "*")
	if err != nil {
		return nil, err
	}
	x.units = append(x.units, below("user", users)...)
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md"} {
		e, err := s.read(name)
		if err != nil {
			return nil, err
		}
		x.documents = append(x.documents, e)
	}
	if len(x.pages) == 0 || len(x.units) == 0 {
		return nil, fmt.Errorf("there are %d manual pages and %d units, and should be some of each", len(x.pages), len(x.units))
	}
	return x, nil
}

// read reads a file of the repository, and names it by the last part of its name.
func (s *source) read(name string) (entry, error) {
	data, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(name)))
	return entry{path.Base(name), 0o644, data}, err
}

// readAll reads the files of a folder whose names match.
func readAll(folder, pattern string) ([]entry, error) {
	names, err := filepath.Glob(filepath.Join(folder, pattern)) // sorted
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, name := range names {
		if info, err := os.Stat(name); err != nil {
			return nil, err
		} else if info.IsDir() {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{filepath.Base(name), 0o644, data})
	}
	return entries, nil
}

// archive is the .tar.gz or .zip of a platform, and its name.
func (r *release) archive(b *binary, x *extras, notice []byte) (string, []byte, error) {
	top := fmt.Sprintf("agentassert_%s_%s_%s", r.number(), b.platform.os, b.platform.arch)
	entries := []entry{{b.platform.program(), 0o755, b.data}, {"THIRD-PARTY-LICENSES.txt", 0o644, notice}}
	entries = append(entries, x.documents...)
	windows := b.platform.os == "windows"
	if !windows {
		entries = append(entries, below("man/man1", x.pages)...)
	}
	for _, c := range x.completions {
		if strings.HasSuffix(c.name, ".ps1") || !windows {
			entries = append(entries, below("completions", []entry{c})...)
		}
	}
	if b.platform.os == "linux" {
		entries = append(entries, below("systemd", x.units)...)
	}
	entries = sorted(below(top, entries))
	if windows {
		data, err := zipped(entries, r.time)
		return top + ".zip", data, err
	}
	data, err := tarball(entries, r.time)
	return top + ".tar.gz", data, err
}

// below puts entries into a folder.
func below(folder string, entries []entry) []entry {
	var moved []entry
	for _, e := range entries {
		moved = append(moved, entry{path.Join(folder, e.name), e.mode, e.data})
	}
	return moved
}

// module is what who calls the module from another language needs.
func (s *source) module() ([]entry, error) {
	var entries []entry
	for _, name := range []string{"wasm/agentassert.wasm", "wasm/ABI.md", "wasm/agentassert.cddl", "LICENSE"} {
		e, err := s.read(name)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// vectors are the test vectors, as the repository has them, without our programs that make and run them.
func (s *source) vectors(ctx context.Context) ([]entry, error) {
	names, err := output(ctx, s.root, nil, "git", "-c", "core.quotePath=off", "ls-files", "testvectors")
	if err != nil {
		return nil, err
	}
	license, err := s.read("LICENSE")
	if err != nil {
		return nil, err
	}
	entries := []entry{license}
	for name := range strings.Lines(names) {
		name = strings.TrimSuffix(name, "\n")
		relative := strings.TrimPrefix(name, "testvectors/")
		folder, _, _ := strings.Cut(relative, "/")
		if path.Ext(name) == ".go" || bytes.Contains([]byte(" generate schemacheck conformance testdata "), []byte(" "+folder+" ")) {
			continue
		}
		e, err := s.read(name)
		if err != nil {
			return nil, err
		}
		e.name = relative
		entries = append(entries, e)
	}
	return entries, nil
}
