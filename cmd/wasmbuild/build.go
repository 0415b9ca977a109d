package main

import (
	"bytes"
	"context"
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

// build builds the guest's main package and returns the finished module, taken apart and as bytes. What
// the Go command has to say goes to stderr.
func build(ctx context.Context, guest string, stderr io.Writer) (*module, []byte, error) {
	dir, err := os.MkdirTemp("", "wasmbuild-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	b, err := goBuild(ctx, guest, filepath.Join(dir, "guest.wasm"), stderr)
	if err != nil {
		return nil, nil, err
	}
	return finish(ctx, b)
}

// goBuild lets the Go command write the guest to a file, and returns what it wrote.
func goBuild(ctx context.Context, guest, file string, stderr io.Writer) ([]byte, error) {
	pgo, err := inline(ctx, guest, filepath.Dir(file), stderr)
	if err != nil {
		return nil, err
	}
	if err := runGo(ctx, guest, stderr, stderr, "build", "-trimpath", "-buildvcs=false", pgo,
		"-buildmode=c-shared", "-ldflags=-s -w -buildid=", "-o", file, guest); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// runGo runs the Go command, with an environment that makes it repeat itself, on behalf of the guest.
func runGo(ctx context.Context, guest string, stdout, stderr io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
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

// finish makes the finished module of what the Go command wrote.
func finish(ctx context.Context, b []byte) (*module, []byte, error) {
	built, err := parseModule(b)
	if err != nil {
		return nil, nil, fmt.Errorf("reading what go build wrote: %w; wasmbuild may have to learn what this version of Go does", err)
	}
	frozen, answer, err := freeze(ctx, built)
	if err != nil {
		return nil, nil, err
	}
	finished := frozen.encode()
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
