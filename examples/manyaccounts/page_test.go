package manyaccounts

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// goBlock is a block of Go on a page.
var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestPage: what docs/embedding.md shows is a part of this package, word by word.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/embedding.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, flush(string(source)))
	}
	all := strings.Join(sources, "\n")
	blocks := goBlock.FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 5 {
		t.Errorf("the page has only %d blocks of Go", len(blocks))
	}
	for _, block := range blocks {
		if code := flush(block[1]); !strings.Contains(all, code) {
			t.Errorf("this is no part of the package:\n%s", block[1])
		}
	}
}

// flush returns text without what its lines begin with, for a part is not always as deep
// as the whole.
func flush(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "\n")
}
