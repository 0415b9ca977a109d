package check_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// operating is docs/operating.md.
func operating(t *testing.T) string {
	t.Helper()
	document, err := os.ReadFile(filepath.Join("..", "docs", "operating.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(document)
}

// TestOperatingLogs: docs/operating.md lists the messages of the proxy and of its managers, and no others.
func TestOperatingLogs(t *testing.T) {
	document := operating(t)
	section := document[strings.Index(document, "\n## Logs"):strings.Index(document, "\n## Metrics")]
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?) \\| (?:info|warn|debug) \\|").FindAllStringSubmatch(section, -1) {
		for _, m := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(row[1], -1) {
			listed = append(listed, m[1])
		}
	}
	if !strings.Contains(section, "`request`, with level info") {
		t.Error("it does not say what a line of the access log is called")
	}
	listed = append(listed, "request")
	var found []string
	for _, pattern := range []string{"../host/*.go", "../host/proxy/*.go", "../cmd/agentassert/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?:\.(?:Debug|Info|Warn|Error)(?:Context)?|LogAttrs|\bp\.warn)\((?:[^")\n][^"\n]*, )?"([a-z][^"]+)"`).FindAllStringSubmatch(string(source), -1) {
				found = append(found, m[1])
				if !slices.Contains(listed, m[1]) {
					t.Errorf("docs/operating.md does not list %q, of %s", m[1], filepath.Base(file))
				}
			}
		}
	}
	for _, message := range listed {
		if !slices.Contains(found, message) {
			t.Errorf("nothing logs %q", message)
		}
	}
}

// TestOperatingExpressions: what is to be alerted on is measured.
func TestOperatingExpressions(t *testing.T) {
	document := operating(t)
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (counter|gauge|histogram) ").FindAllStringSubmatch(document, -1) {
		listed[m[1]] = true
		if m[2] == "histogram" {
			listed[m[1]+"_count"] = true
		}
	}
	section := document[strings.Index(document, "\n## What to alert on"):strings.Index(document, "\n## Size")]
	used := regexp.MustCompile(`\b(agentassert|http)_[a-z_]+[{[ ]`).FindAllString(section, -1)
	for _, name := range used {
		if name = name[:len(name)-1]; !listed[name] {
			t.Errorf("there is no metric %s", name)
		}
	}
	if len(used) < 5 {
		t.Errorf("only %d metrics were found", len(used))
	}
}
