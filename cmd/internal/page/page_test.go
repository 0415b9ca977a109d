package page_test

import (
	"strings"
	"testing"

	"github.com/agentassert/agentassert/cmd/internal/page"
)

// TestBlocks: each program keeps what the others have written.
func TestBlocks(t *testing.T) {
	whole := page.WithBlock([]byte("# Page\n\nfigures\n"), "load", []byte("loads\n"))
	whole = page.WithBlock(whole, "load-soak", []byte("soaked\n"))
	whole = page.WithBlock(whole, "load", []byte("other loads\n"))
	const want = "# Page\n\nfigures\n\n<!-- make load -->\nother loads\n<!-- make load: end -->\n\n<!-- make load-soak -->\nsoaked\n<!-- make load-soak: end -->\n"
	if string(whole) != want {
		t.Errorf("got %q", whole)
	}
	if got := string(page.Blocks(whole)); got != want[strings.Index(want, "<!--"):] {
		t.Errorf("the blocks are %q", got)
	}
	if got := page.Blocks([]byte("# Page\n")); got != nil {
		t.Errorf("without blocks there are %q", got)
	}
	// What is not whole is not cut.
	if got := string(page.WithBlock([]byte("a <!-- make load -->\nb\n"), "load", []byte("c\n"))); !strings.HasPrefix(got, "a <!-- make load -->\nb\n\n") {
		t.Errorf("got %q", got)
	}
}

func TestMachine(t *testing.T) {
	if got := page.Machine(); strings.Count(got, ", ") < 3 {
		t.Errorf("got %q", got)
	}
}
