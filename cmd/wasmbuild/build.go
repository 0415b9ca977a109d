package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// buildEnv overrides what in the environment could make two builds differ.
var buildEnv = []string{
	"GOOS=wasip1", "GOARCH=wasm", "GOWASM=", "CGO_ENABLED=0",
	"GOFLAGS=-mod=readonly", "GOWORK=off", "GOEXPERIMENT=", "GOFIPS140=off",
}

// build builds the main package in the folder guest and returns the finished module, taken apart and as bytes. What
// the Go command has to say goes to stderr.
func build(ctx context.Context, guest string, stderr io.Writer) (*module, []byte, error) {
	dir, err := os.MkdirTemp("", "wasmbuild-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	l, err := link(ctx, guest, filepath.Join(dir, "guest.wasm"), stderr)
	if err != nil {
		return nil, nil, err
	}
	return l.finish(ctx, false)
}

// linked is a guest as the Go command writes it, and what shall be cut from it.
type linked struct {
	module []byte
	cuts   *cuts
}

// link lets the Go command write the guest to a file.
func link(ctx context.Context, guest, file string, stderr io.Writer) (*linked, error) {
	packages, err := goList(ctx, guest, stderr)
	if err != nil {
		return nil, err
	}
	c, err := readCuts(packages)
	if err != nil {
		return nil, err
	}
	pgo, err := inline(ctx, guest, packages, filepath.Dir(file), stderr)
	if err != nil {
		return nil, err
	}
	if err := runGo(ctx, guest, stderr, stderr, "build", "-trimpath", "-buildvcs=false", pgo,
		"-buildmode=c-shared", "-ldflags=-s -w -buildid=", "-o", file, "."); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(file)
	return &linked{b, c}, err
}

// listedPackage is what the Go command tells of a package.
type listedPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string // those that are built
}

// goList returns the packages that the guest is built from, its own last.
func goList(ctx context.Context, guest string, stderr io.Writer) ([]listedPackage, error) {
	var out bytes.Buffer
	if err := runGo(ctx, guest, &out, stderr, "list", "-deps", "-json=ImportPath,Dir,GoFiles", "."); err != nil {
		return nil, err
	}
	var packages []listedPackage
	for d := json.NewDecoder(&out); ; {
		var p listedPackage
		if err := d.Decode(&p); err == io.EOF && len(packages) > 0 {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading what go list says of %s: %w", guest, err)
		}
		packages = append(packages, p)
	}
}

// runGo runs the Go command on behalf of the guest: in its folder, so that the versions of what it needs are
// those of the guest's own module, and with an environment that makes it repeat itself.
func runGo(ctx context.Context, guest string, stdout, stderr io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = guest
	cmd.Env = append(os.Environ(), buildEnv...)
	cmd.Stdout = stdout
	cmd.Stderr = stderr
	if err := cmd.Run(); errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w; install Go, or put it on the path", err)
	} else if err != nil {
		return fmt.Errorf("building %s: %w; fix what go %s reports above, or run wasmbuild in the root of the repository", guest, err, args[0])
	}
	return nil
}

// finish makes the finished module of what the Go command wrote. One that is marked is for tests.
func (l *linked) finish(ctx context.Context, marked bool) (*module, []byte, error) {
	built, err := parseModule(l.module)
	if err != nil {
		return nil, nil, fmt.Errorf("reading what go build wrote: %w; wasmbuild may have to learn what this version of Go does", err)
	}
	frozen, answer, err := freeze(ctx, built, l.cuts, marked)
	if err != nil {
		return nil, nil, err
	}
	finished := frozen.encode()
	if marked {
		return frozen, finished, nil
	}
	if err := try(ctx, finished, answer); err != nil {
		return nil, nil, err
	}
	return frozen, finished, nil
}

// writeFile writes a file in one step: whoever reads it sees all of the old content or all of the new.
func writeFile(name string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = io.Copy(f, bytes.NewReader(content))
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
