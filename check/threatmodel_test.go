package check_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThreatModel holds docs/threat-model.md to its word: each sentence that promises
// something names a test, and the test is there.
func TestThreatModel(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "docs", "threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	promise := regexp.MustCompile(`(?s)\n- (.*?)(?:\n\n|\n- |\z)`)
	promises := 0
	for rest := string(document); ; {
		at := promise.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		promises++
		text := strings.Join(strings.Fields(rest[at[2]:at[3]]), " ")
		rest = rest[at[3]:]
		named := regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(text[max(0, strings.LastIndex(text, "(`")):], -1)
		if len(named) == 0 || !strings.HasSuffix(text, ")") {
			t.Errorf("no test is named for: %s", text)
		}
		for _, name := range named {
			if !strings.HasPrefix(name[1], "make ") && !testExists(t, name[1]) {
				t.Errorf("there is no %s, for: %s", name[1], text)
			}
		}
	}
	if promises < 60 {
		t.Errorf("only %d promises were found", promises)
	}
}

// testExists looks for a test, such as host.TestX, "bindings/js: its title" or "bindings/c: its function", among the
// sources of its package.
func testExists(t *testing.T, name string) bool {
	t.Helper()
	pattern, want := "", []string(nil)
	if dir, title, ok := strings.Cut(name, ": "); ok {
		switch dir {
		case "bindings/c":
			pattern, want = filepath.Join("..", dir, "test", "*.c"), []string{"static void " + title + "("}
		case "bindings/python":
			pattern, want = filepath.Join("..", dir, "tests", "test_*.py"), []string{"def " + title + "("}
		default:
			pattern, want = filepath.Join("..", dir, "test", "*.test.ts"), []string{`test("` + title + `"`, `describe("` + title + `"`}
		}
	} else {
		dir, function, _ := strings.Cut(name, ".Test")
		kind := "Test"
		if function == "" {
			dir, function, _ = strings.Cut(name, ".Fuzz")
			kind = "Fuzz"
		}
		pattern, want = filepath.Join("..", dir, "*_test.go"), []string{"func " + kind + function + "("}
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if strings.Contains(string(text), w) {
				return true
			}
		}
	}
	return false
}
