package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// release is one that can be tagged.
type release struct {
	root, version string
	modules       []*goModule
	commit        string
	tags          []string
}

// prepare refuses what cannot be released.
func prepare(ctx context.Context, version string) (*release, error) {
	root, err := git(ctx, ".", nil, nil, "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	r := &release{root: root, version: version}
	changes, err := git(ctx, root, nil, nil, "status", "--porcelain")
	if err != nil {
		return nil, err
	}
	if changes != "" {
		return nil, fmt.Errorf("the working tree is not what was committed; commit, stash or remove:\n%s", changes)
	}
	if r.modules, err = readModules(root); err != nil {
		return nil, err
	}
	for _, m := range r.modules {
		if m.released {
			r.tags = append(r.tags, m.tag(version))
		}
	}
	if len(r.tags) == 0 {
		return nil, errors.New("go.work lists no module that is released")
	}
	existing, err := git(ctx, root, nil, nil, append([]string{"tag", "--list"}, r.tags...)...)
	if err != nil {
		return nil, err
	}
	if existing != "" {
		return nil, fmt.Errorf("there are tags of %s already: %s; take the next version, for one that was published cannot be changed",
			version, strings.Join(strings.Fields(existing), ", "))
	}
	return r, nil
}

// tag makes the commit and its tags, or none of them.
func (r *release) tag(ctx context.Context) error {
	if err := r.makeCommit(ctx); err != nil {
		return err
	}
	for i, name := range r.tags {
		if _, err := git(ctx, r.root, nil, nil, "tag", "--annotate", "--message", "agentassert "+name, name, r.commit); err != nil {
			if i > 0 {
				// What stopped this one does not stop the removal of the others.
				_, undone := git(context.WithoutCancel(ctx), r.root, nil, nil, append([]string{"tag", "--delete"}, r.tags[:i]...)...)
				err = errors.Join(err, undone)
			}
			return err
		}
	}
	return nil
}

// makeCommit writes the commit's objects, by way of an index of its own: neither the
// working tree nor the branch knows of it.
func (r *release) makeCommit(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	index := []string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index")}
	if _, err := git(ctx, r.root, index, nil, "read-tree", "HEAD"); err != nil {
		return err
	}
	for _, m := range r.modules {
		if !m.released {
			continue
		}
		text, err := m.release(r.modules, r.version)
		if err != nil {
			return err
		}
		object, err := git(ctx, r.root, index, text, "hash-object", "-w", "--stdin")
		if err != nil {
			return err
		}
		if _, err := git(ctx, r.root, index, nil, "update-index", "--cacheinfo", "100644,"+object+","+path.Join(m.folder, "go.mod")); err != nil {
			return err
		}
	}
	tree, err := git(ctx, r.root, index, nil, "write-tree")
	if err != nil {
		return err
	}
	r.commit, err = git(ctx, r.root, index, nil, "commit-tree", tree, "-p", "HEAD", "-m", "Release "+r.version)
	return err
}

// report says what there is now, and how it is published.
func (r *release) report(w io.Writer) {
	fmt.Fprintf(w, "The commit %s is %s of:\n", r.commit, r.version)
	for _, m := range r.modules {
		if m.released {
			fmt.Fprintf(w, "  %-60s %s\n", m.path, m.tag(r.version))
		}
	}
	fmt.Fprintf(w, "\nNothing is published yet. To publish:\n\n  git push --atomic origin %s\n\nTo think better of it:\n\n  git tag --delete %s\n",
		strings.Join(r.tags, " "), strings.Join(r.tags, " "))
}

// git runs Git in a folder and returns what it writes, without the line feed at the end.
func git(ctx context.Context, dir string, env []string, in []byte, args ...string) (string, error) {
	var stderr bytes.Buffer
	c := exec.CommandContext(ctx, "git", args...)
	c.Dir, c.Env, c.Stdin, c.Stderr = dir, append(os.Environ(), env...), bytes.NewReader(in), &stderr
	out, err := c.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%w; install Git, or put it on the path", err)
	} else if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimRight(string(out), "\n"), nil
}
