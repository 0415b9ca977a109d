package check_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
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

// code returns a document's blocks of code in a language.
func code(document, language string) (found []string) {
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```").FindAllStringSubmatch(document, -1) {
		found = append(found, m[1])
	}
	return found
}

// TestOperatingCommands runs what docs/operating.md has one run, with other ports: a
// backend and a proxy, a call, and what there is to ask.
func TestOperatingCommands(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the commands are for a POSIX shell")
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed; the commands of docs/operating.md are not run")
	}
	document := operating(t)
	shell, configuration := code(document, "sh"), code(document, "yaml")
	if len(shell) != 4 || len(configuration) != 1 {
		t.Fatalf("docs/operating.md has %d blocks of commands and %d of configuration", len(shell), len(configuration))
	}
	bin, dir, caches := buildTool(t), t.TempDir(), t.TempDir()
	backend := startAuthority(t, bin, dir, shell[0])
	listening := regexp.MustCompile(`127\.0\.0\.1:808[12]`).ReplaceAllString(configuration[0], "127.0.0.1:0")
	if err := os.WriteFile(filepath.Join(dir, "proxy.yaml"), []byte(strings.ReplaceAll(listening, readmeAddress, backend)), 0o600); err != nil {
		t.Fatal(err)
	}
	addresses := startTool(t, bin, dir, strings.Fields(shell[1])[1:], "--addr-file", "--operations-addr-file")
	elsewhere := strings.NewReplacer(readmeAddress, backend, "127.0.0.1:8081", addresses[0], "127.0.0.1:8082", addresses[1])

	run := func(commands string) (string, error) {
		c := exec.Command("sh", "-e", "-c", elsewhere.Replace(commands))
		c.Dir = dir
		c.Env = append(os.Environ(), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"), "XDG_CACHE_HOME="+caches)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	calls, err := run(shell[2])
	// Who called can know of it before it is counted: grep finds nothing then.
	for deadline := time.Now().Add(time.Minute); err != nil && time.Now().Before(deadline); {
		calls, err = run(shell[2])
	}
	if err != nil {
		t.Errorf("%v\n%s", err, calls)
	}
	for _, want := range []string{`"scheme":"agent-assertion"`, `"ready":true`, `agentassert_mode="agent-assertion"`} {
		if !strings.Contains(calls, want) {
			t.Errorf("no %s in\n%s", want, calls)
		}
	}
	if said, err := run(shell[3]); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

// TestOperatingFlags: the command has each flag that docs/operating.md has.
func TestOperatingFlags(t *testing.T) {
	help := ""
	for _, name := range []string{"proxy", "doctor", "status"} {
		c := exec.Command(filepath.Join(buildTool(t), "agentassert"), name, "--help")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		help += string(out)
	}
	document := operating(t)
	flags := regexp.MustCompile(`--[a-z-]+[a-z]`)
	named := map[string]bool{}
	for _, span := range regexp.MustCompile("`[^`\n]*`").FindAllString(document, -1) {
		for _, flag := range flags.FindAllString(span, -1) {
			named[flag] = true
		}
	}
	for flag := range named {
		if !regexp.MustCompile(flag + `\b`).MatchString(help) {
			t.Errorf("the command has no flag %s", flag)
		}
	}
	if len(named) < 8 {
		t.Errorf("only %d flags were found", len(named))
	}
}

// TestOperatingLogs: docs/operating.md lists the messages of the proxy and of its managers, and no others.
func TestOperatingLogs(t *testing.T) {
	document := operating(t)
	section := document[strings.Index(document, "\n## Logs"):strings.Index(document, "\n## Metrics")]
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?) \\| (?:info|warn|debug|error) \\|").FindAllStringSubmatch(section, -1) {
		for _, m := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(row[1], -1) {
			listed = append(listed, m[1])
		}
	}
	if !strings.Contains(section, "`request`, with level info") {
		t.Error("it does not say what a line of the access log is called")
	}
	listed = append(listed, "request")
	for i, message := range listed {
		if slices.Contains(listed[:i], message) {
			t.Errorf("%q is there twice", message)
		}
	}
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
			for _, m := range regexp.MustCompile(`(?:\.(?:Debug|Info|Warn|Error)(?:Context)?|LogAttrs|\.warn)\((?:[^")\n][^"\n]*, )?"([a-z][^"]+)"`).FindAllStringSubmatch(string(source), -1) {
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
