package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// source is what a release is made of: a commit that is checked out.
type source struct {
	root, version, commit string
	time                  time.Time // the commit's; nothing in a release has another
	goVersion             string
	named                 bool // the version was chosen, by somebody or by a tag
	dirty                 bool
	changes               string // what is not as it was committed, as Git says it
}

// number is the version as file names and packages have it.
func (s *source) number() string { return strings.TrimPrefix(s.version, "v") }

// checkVersion says what is wrong with a version, if anything is.
func checkVersion(version string) error {
	if !semver.IsValid(version) || semver.Canonical(version) != version {
		return fmt.Errorf("%q is no version, such as v0.3.0 or v0.3.0-rc.1", version)
	}
	return nil
}

// identify says what is checked out. A version of "" stands for the commit's own.
func identify(ctx context.Context, version string) (*source, error) {
	root, err := output(ctx, ".", nil, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, fmt.Errorf("%w; run dist in a clone of the repository", err)
	}
	s := &source{root: filepath.FromSlash(root), version: version}
	head, err := output(ctx, root, nil, "git", "log", "-1", "--no-show-signature", "--format=%H %ct")
	if err != nil {
		return nil, err
	}
	commit, seconds, _ := strings.Cut(head, " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("git log says %q of the commit's time: %w", head, err)
	}
	s.commit, s.time = commit, time.Unix(unix, 0).UTC()
	if s.changes, err = output(ctx, root, nil, "git", "status", "--porcelain"); err != nil {
		return nil, err
	}
	s.dirty = s.changes != ""
	if s.goVersion, err = output(ctx, root, nil, "go", "env", "GOVERSION"); err != nil {
		return nil, err
	}
	if s.named = s.version != ""; s.named {
		return s, nil
	}
	tags, err := output(ctx, root, nil, "git", "tag", "--points-at", "HEAD")
	if err != nil {
		return nil, err
	}
	for tag := range strings.FieldsSeq(tags) {
		if checkVersion(tag) == nil && (s.version == "" || semver.Compare(tag, s.version) > 0) {
			s.version = tag
		}
	}
	if s.named = s.version != ""; !s.named {
		// A release's tag is of a commit beside the branch, so none of them is a version to count from.
		s.version = module.PseudoVersion("v0", "", s.time, s.commit[:12])
	}
	if s.dirty {
		s.version += "+dirty"
	}
	return s, nil
}

// output runs a program in a folder, with more in its environment, and returns what it writes, without the line feed
// at the end.
func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	var stderr bytes.Buffer
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env, c.Stderr = dir, append(os.Environ(), env...), &stderr
	out, err := c.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%w; install it, or put it on the path", err)
	} else if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimRight(string(out), "\n"), nil
}
