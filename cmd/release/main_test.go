package main

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// repository is a small one that is like ours.
var repository = map[string]string{
	"go.work": "go 1.26.0\n\nuse (\n\t.\n\t./check // not released: nobody imports it\n\t./core\n\t./host/store\n)\n",
	"go.mod": "module example.com/m\n\ngo 1.26.0\n\nrequire (\n\texample.com/m/core v0.0.0\n\texample.org/other v1.2.3\n)\n\n" +
		"replace example.com/m/core => ./core\n",
	"core/go.mod": "module example.com/m/core\n\ngo 1.26.0\n",
	"check/go.mod": "module example.com/m/check\n\ngo 1.26.0\n\nrequire example.com/m v0.0.0\n\nrequire example.com/m/core v0.0.0 // indirect\n\n" +
		"replace (\n\texample.com/m => ..\n\texample.com/m/core => ../core\n)\n",
	"host/store/go.mod": "module example.com/m/host/store\n\ngo 1.26.0\n\nrequire example.com/m v0.0.0\n\nrequire example.com/m/core v0.0.0 // indirect\n\n" +
		"replace (\n\texample.com/m => ../..\n\texample.com/m/core => ../../core\n)\n",
	"host/store/store.go": "package store\n",
}

// at goes to a clone of the repository, with some files changed: without text, one is not there.
func at(t *testing.T, changed map[string]string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("Git is not installed, which releases are made with")
	}
	for _, name := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"} { // in a hook
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1",
		"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.com",
	} {
		t.Setenv(name, value)
	}
	t.Chdir(t.TempDir())
	files := maps.Clone(repository)
	maps.Copy(files, changed)
	for name, text := range files {
		if text != "" {
			write(t, name, text)
		}
	}
	command(t, "init", "--quiet", "--initial-branch=main")
	command(t, "add", "--all")
	command(t, "commit", "--quiet", "--message=all")
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func command(t *testing.T, args ...string) string {
	t.Helper()
	out, err := git(t.Context(), ".", nil, nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func program(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

// TestRelease: the tags are of a commit in which modules require each other by version, and all else is as it was.
func TestRelease(t *testing.T) {
	at(t, nil)
	before := command(t, "rev-parse", "HEAD")
	code, stdout, stderr := program(t, "v0.3.0-rc.1")
	if code != exitOK || stderr != "" {
		t.Fatalf("%d, %s", code, stderr)
	}
	want := []string{"core/v0.3.0-rc.1", "host/store/v0.3.0-rc.1", "v0.3.0-rc.1"}
	if got := strings.Fields(command(t, "tag", "--list")); !slices.Equal(got, want) {
		t.Errorf("the tags are %q, want %q", got, want)
	}
	if !strings.Contains(stdout, "git push --atomic origin v0.3.0-rc.1 core/v0.3.0-rc.1 host/store/v0.3.0-rc.1\n") {
		t.Errorf("it does not say what to push: %s", stdout)
	}
	for _, tag := range want {
		if parent := command(t, "rev-parse", tag+"^{commit}^"); parent != before {
			t.Errorf("%s is on top of %s, want %s", tag, parent, before)
		}
	}
	if head, status := command(t, "symbolic-ref", "HEAD"), command(t, "status", "--porcelain"); command(t, "rev-parse", "HEAD") != before || head != "refs/heads/main" || status != "" {
		t.Errorf("the branch or the tree is another: %s, %s", head, status)
	}
	if changed := strings.Fields(command(t, "diff", "--name-only", "HEAD", "v0.3.0-rc.1")); !slices.Equal(changed, []string{"go.mod", "host/store/go.mod"}) {
		t.Errorf("changed are %q", changed)
	}
	for name, want := range map[string]string{
		"go.mod":            "module example.com/m\n\ngo 1.26.0\n\nrequire (\n\texample.com/m/core v0.3.0-rc.1\n\texample.org/other v1.2.3\n)",
		"core/go.mod":       "module example.com/m/core\n\ngo 1.26.0",
		"host/store/go.mod": "module example.com/m/host/store\n\ngo 1.26.0\n\nrequire example.com/m v0.3.0-rc.1\n\nrequire example.com/m/core v0.3.0-rc.1 // indirect",
		"check/go.mod":      strings.TrimSuffix(repository["check/go.mod"], "\n"),
	} {
		if got := command(t, "show", "v0.3.0-rc.1:"+name); got != want {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
	}
}

// TestRefuses: each is said, and nothing is tagged.
func TestRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		args    []string
		changed map[string]string
		before  func(t *testing.T)
		code    int
		want    string
	}{
		"no version":            {args: nil, code: exitUsage, want: "one argument"},
		"two":                   {args: []string{"v0.3.0", "v0.4.0"}, code: exitUsage, want: "one argument"},
		"a flag":                {args: []string{"-force", "v0.3.0"}, code: exitUsage, want: "-force"},
		"a number":              {args: []string{"0.3.0"}, code: exitUsage, want: "such as v0.3.0"},
		"a short version":       {args: []string{"v0.3"}, code: exitUsage, want: "such as v0.3.0"},
		"a build":               {args: []string{"v0.3.0+linux"}, code: exitUsage, want: "such as v0.3.0"},
		"a word":                {args: []string{"latest"}, code: exitUsage, want: "such as v0.3.0"},
		"another major version": {args: []string{"v2.0.0"}, code: exitUsage, want: "/v2"},
		"a change":              {before: func(t *testing.T) { write(t, "go.mod", "module example.com/m\n") }, want: "go.mod"},
		"a new file":            {before: func(t *testing.T) { write(t, "core/new.go", "package core\n") }, want: "core/new.go"},
		"a tag":                 {before: func(t *testing.T) { command(t, "tag", "core/v0.3.0") }, want: "core/v0.3.0"},
		"no workspace":          {changed: map[string]string{"go.work": ""}, want: "clone of the repository"},
		"a folder that is gone": {changed: map[string]string{"core/go.mod": ""}, want: "go.work lists ./core"},
		"a replaced stranger":   {changed: map[string]string{"core/go.mod": repository["core/go.mod"] + "\nreplace example.org/other => example.org/fork v1.0.0\n"}, want: "example.org/other"},
		"what is not released":  {changed: map[string]string{"core/go.mod": repository["core/go.mod"] + "\nrequire example.com/m/check v0.0.0\n"}, want: "not released"},
		"nothing to release":    {changed: map[string]string{"go.work": "go 1.26.0\n\nuse ./check // not released\n"}, want: "no module"},
		"a tag that cannot be":  {before: func(t *testing.T) { command(t, "tag", "host/store") }, want: "host/store"},
	} {
		t.Run(name, func(t *testing.T) {
			at(t, test.changed)
			if test.before != nil {
				test.before(t)
			}
			before := command(t, "tag", "--list")
			args, code := test.args, test.code
			if code == 0 {
				args, code = []string{"v0.3.0"}, exitFailed
			}
			got, stdout, stderr := program(t, args...)
			if got != code || stdout != "" || !strings.Contains(stderr, test.want) {
				t.Errorf("%d, %q, %q; want %d, %q", got, stdout, stderr, code, test.want)
			}
			if after := command(t, "tag", "--list"); after != before {
				t.Errorf("the tags are %q, and were %q", after, before)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	if code, stdout, stderr := program(t, "--help"); code != exitOK || !strings.HasPrefix(stdout, "Usage: release VERSION") || stderr != "" {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
	t.Chdir(t.TempDir())
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(t.TempDir()))
	if code, _, stderr := program(t, "v0.3.0"); code != exitFailed || stderr == "" {
		t.Errorf("where there is no repository: %d, %q", code, stderr)
	}
}
