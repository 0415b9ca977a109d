package check_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// workflows are the public CI's, without their comments.
func workflows(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	found := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(file)] = regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(string(text), "")
	}
	return found
}

// TestWorkflowActions: a version is a tag, which its owner can move to other code. A commit is not.
func TestWorkflowActions(t *testing.T) {
	pinned := regexp.MustCompile(`^[a-z0-9-]+/[a-z0-9-]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+$`)
	commits := map[string]string{}
	for file, text := range workflows(t) {
		for _, m := range regexp.MustCompile(`(?m)uses: (.*)$`).FindAllStringSubmatch(text, -1) {
			if !pinned.MatchString(m[1]) {
				t.Errorf("%s uses %s, and not a commit with its version beside it", file, m[1])
				continue
			}
			name, at, _ := strings.Cut(m[1], "@")
			if other := commits[name]; other != "" && other != at {
				t.Errorf("%s uses %s at %s, another workflow at %s", file, name, at, other)
			}
			commits[name] = at
		}
	}
	if len(commits) < 4 {
		t.Errorf("only %d actions were found", len(commits))
	}
}

// TestMakeTargets: who follows the documents, or the workflows, has make do something that it can.
func TestMakeTargets(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):`).FindAllStringSubmatch(string(makefile), -1) {
		targets[m[1]] = true
	}
	found := 0
	look := func(file, text string) {
		for _, m := range regexp.MustCompile(`\bmake((?: [a-z][a-z-]*)+)`).FindAllStringSubmatch(text, -1) {
			for _, target := range strings.Fields(m[1]) {
				found++
				if !targets[target] {
					t.Errorf("%s: make has no target %s", file, target)
				}
			}
		}
	}
	for file, text := range workflows(t) {
		look(file, text)
	}
	for file, text := range documents(t) {
		for _, code := range regexp.MustCompile("(?ms)^```sh\n.*?^```|`[^`\n]*`").FindAllString(text, -1) {
			look(file, regexp.MustCompile(`(?m)#.*$`).ReplaceAllString(code, ""))
		}
	}
	if found < 40 {
		t.Errorf("only %d targets were found", found)
	}
}
