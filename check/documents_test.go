package check_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents are the repository's, by their paths from its root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != ".." && (name == "node_modules" || name == "build" || name == "testdata" || strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		found[filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))] = string(text)
		return err
	})
	if err != nil || found["README.md"] == "" {
		t.Fatalf("no documents: %v", err)
	}
	return found
}

// TestDocumentLinks: what a document links to in this repository is there, its heading, too.
func TestDocumentLinks(t *testing.T) {
	all := documents(t)
	links := 0
	for name, text := range all {
		text = regexp.MustCompile("(?ms)^```.*?^```").ReplaceAllString(text, "")
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			path, heading, _ := strings.Cut(m[1], "#")
			target := name
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), filepath.FromSlash(path)))
			}
			if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(target))); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: there is no %s", name, m[1])
				continue
			}
			if heading != "" && !headings(all[target])[heading] {
				t.Errorf("%s: %s has no heading #%s", name, target, heading)
			}
		}
	}
	if links < 40 {
		t.Errorf("only %d links were found", links)
	}
}

// headings are those of a document, as links name them.
func headings(text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		heading := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		found[strings.ReplaceAll(heading, " ", "-")] = true
	}
	return found
}
