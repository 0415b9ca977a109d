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
	source, err := os.ReadFile("../core/errors.go")
	if err != nil {
		t.Fatal(err)
	}
	abi, err := os.ReadFile("ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(abi), "\n| code | what is wrong |\n")
	if !ok {
		t.Fatal("ABI.md has no table of errors")
	}
	section, _, _ = strings.Cut(section, "\n\n")
	listed := make(map[string]bool)
	for row := range strings.Lines(section) {
		codes, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(codes, -1) {
			listed[m[1]] = true
		}
	}
	for _, m := range regexp.MustCompile(`Code\w+ *= "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		if !listed[m[1]] {
			t.Errorf("ABI.md does not list %s", m[1])
		}
		delete(listed, m[1])
	}
	for code := range listed {
		t.Errorf("ABI.md lists %s, which the core does not have", code)
	}
}
