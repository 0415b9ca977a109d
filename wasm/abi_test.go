package wasm_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestABIListsCodes: ABI.md lists the codes of the core, each in the table of errors,
// and no others.
func TestABIListsCodes(t *testing.T) {
	compareTable(t, "| code | what is wrong |", regexp.MustCompile(`Code\w+ *= "([a-z_]+)"`).FindAllStringSubmatch(readFile(t, "../core/errors.go"), -1))
}

// TestABIListsFiles: so it does with the effects of the file flow, and with what can
// fail.
func TestABIListsFiles(t *testing.T) {
	source := readFile(t, "../core/wire/files.go")
	for header, comment := range map[string]string{
		"| effect | what to do |":           "// The types of a file flow's effects.",
		"| failure | errno, and the like |": "// What a FileEventFailed says went wrong.",
		"| operation | with | result |":     "// The operations.",
	} {
		_, block, ok := strings.Cut(source, comment)
		if !ok {
			t.Fatalf("files.go has no block %q", comment)
		}
		block, _, _ = strings.Cut(block, "\n)")
		compareTable(t, header, regexp.MustCompile(`File\w+ *= "([a-z-]+)"`).FindAllStringSubmatch(block, -1))
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// compareTable compares the first column of a table in ABI.md with constants, of
// which each match has one. What ends a flow needs no row.
func compareTable(t *testing.T, header string, constants [][]string) {
	t.Helper()
	_, section, ok := strings.Cut(readFile(t, "ABI.md"), "\n"+header+"\n")
	if !ok {
		t.Fatalf("ABI.md has no table %q", header)
	}
	section, _, _ = strings.Cut(section, "\n\n")
	listed := make(map[string]bool)
	for row := range strings.Lines(section) {
		names, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		for _, m := range regexp.MustCompile("`([a-z_-]+)`").FindAllStringSubmatch(names, -1) {
			listed[m[1]] = true
		}
	}
	if len(constants) == 0 {
		t.Errorf("there are no constants for the table %q", header)
	}
	for _, m := range constants {
		if !listed[m[1]] && m[1] != "done" {
			t.Errorf("ABI.md does not list %s below %q", m[1], header)
		}
		delete(listed, m[1])
	}
	for name := range listed {
		t.Errorf("ABI.md lists %s below %q, which the core does not have", name, header)
	}
}
