package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/core"
)

// withoutJSON are the commands that print no result, or one that JSON would not help with.
var withoutJSON = map[string]string{
	"agentassert":                       "its help",
	"agentassert help":                  "a text",
	"agentassert completion":            "its help",
	"agentassert completion bash":       "a script",
	"agentassert completion zsh":        "a script",
	"agentassert completion fish":       "a script",
	"agentassert completion powershell": "a script",
	"agentassert man":                   "writes files, and prints nothing",
	"agentassert health":                "answers with its exit code, and prints nothing",
	"agentassert store":                 "its help",
	"agentassert conformance runner":    "lines of JSON, always",
	"agentassert proxy":                 "a log, which --log-format has in JSON",
}

func TestEveryResultCanBeJSON(t *testing.T) {
	left := maps.Clone(withoutJSON)
	delete(left, "agentassert help") // which the library does not count among the commands
	eachCommand(newRoot(), func(c *cobra.Command) {
		if c.IsAdditionalHelpTopicCommand() {
			return
		}
		_, excepted := withoutJSON[c.CommandPath()]
		delete(left, c.CommandPath())
		if f := c.Flags().Lookup("json"); (f != nil) == excepted {
			t.Errorf("%s: excepted is %v; with --json: %v", c.CommandPath(), excepted, f != nil)
		}
	})
	for name := range left {
		t.Errorf("there is no command %s to except", name)
	}
}

// member is what a member's name looks like.
var member = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// members are the names in a JSON text of all its objects.
func members(t *testing.T, text string) []string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	names := map[string]bool{}
	var collect func(any)
	collect = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, below := range v {
				names[name] = true
				collect(below)
			}
		case []any:
			for _, below := range v {
				collect(below)
			}
		}
	}
	collect(value)
	return slices.Sorted(maps.Keys(names))
}

// checkMembers: the help says what each member is.
func checkMembers(t *testing.T, help, text string) {
	t.Helper()
	names := members(t, text)
	if len(names) == 0 {
		t.Errorf("%q has no members", text)
	}
	for _, name := range names {
		if !member.MatchString(name) || !regexp.MustCompile(`\b`+name+`\b`).MatchString(help) {
			t.Errorf("the member %s is not in the help, or named otherwise than the rest", name)
		}
	}
}

// TestJSON: what a command says, it says as JSON, too; and its help, what is in there.
func TestJSON(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key.txt")
	public := strings.TrimSpace(tool(t, "", "keygen", "--out", key).stdout)
	of := func(args ...string) string {
		t.Helper()
		got := tool(t, "", append([]string{"assert", "--key-file", key, "--at", "1795533368"}, args...)...)
		if got.code != 0 {
			t.Fatalf("%+v", got)
		}
		return got.stdout
	}
	task, instance := of("--runtime-id", "agent-1", "--task-id", "task-1"), of("--runtime-agent-instance", "rai:1")
	_, base, authFile := signedIn(t)
	user := []string{"--auth-file", authFile, "--base-url", base, "--trust-host", "127.0.0.1"}
	for _, tt := range []struct {
		name  string
		stdin string
		args  []string
		code  int
		// said are in the text and in the JSON.
		said []string
	}{
		{"keygen", "", []string{"keygen"}, 0, []string{"ssh-ed25519 "}},
		{"assert", "", []string{"assert", "--key-file", key, "--runtime-id", "agent-1", "--task-id", "task-1", "--at", "1795533368"}, 0, []string{strings.TrimSpace(task)}},
		{"assert, an instance", "", []string{"assert", "--key-file", key, "--runtime-agent-instance", "rai:1", "--header-mode", "dual_header"}, 0, nil},
		{"verify", task, []string{"verify", "--public-key", public, "--at", "1795533369", "-"}, 0, []string{"valid", "agent-1", "task-1", "2026-11-24T15:16:08Z"}},
		{"verify an instance", instance, []string{"verify", "--public-key", public, "--at", "1795533369", "-"}, 0, []string{"valid", "rai:1"}},
		{"verify, later", task, []string{"verify", "--public-key", public, "--at", "1795543369", "-"}, exitNo, nil},
		{"verify what is none", "Bearer x", []string{"verify", "--public-key", public, "-"}, exitNo, nil},
		{"inspect", task, []string{"inspect", "-"}, 0, []string{"task", "agent-1", "task-1", "2026-11-24T15:16:08Z", "canonical"}},
		{"inspect an instance", instance, []string{"inspect", "-"}, 0, []string{"instance", "rai:1", "canonical"}},
		{"header", "", append([]string{"header"}, user...), 0, []string{"AgentAssertion "}},
		{"status", "", append([]string{"status"}, user...), 0, []string{"models", "agent-assertion", "background-task"}},
		{"version", "", []string{"version"}, 0, []string{moduleHash(), toolVersion()}},
		{"demo", "", []string{"demo", "--profile", "instances"}, 0, []string{moduleHash(), "dual-header", "API key"}},
		{"conformance", "", []string{"conformance", "--exec", self(t) + " conformance runner --engine native", "--id", "generate-rfc-8032-test-1"}, 0, []string{"keys"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, asJSON := tool(t, tt.stdin, tt.args...), tool(t, tt.stdin, append(tt.args, "--json")...)
			if text.code != tt.code || asJSON.code != tt.code {
				t.Fatalf("%+v, %+v", text, asJSON)
			}
			if tt.args[0] != "header" && text.stderr != asJSON.stderr {
				t.Errorf("standard error has %q, and with --json %q", text.stderr, asJSON.stderr)
			}
			for _, want := range tt.said {
				if !strings.Contains(text.stdout, want) || !strings.Contains(asJSON.stdout, want) {
					t.Errorf("%q is missing in %s\nor in %s", want, text.stdout, asJSON.stdout)
				}
			}
			checkMembers(t, tool(t, "", tt.args[0], "--help").stdout, asJSON.stdout)
		})
	}
}

// TestAuthorityJSON: who starts it needs no more than the line that it prints.
func TestAuthorityJSON(t *testing.T) {
	authFile, jwtFile := filepath.Join(t.TempDir(), "auth.json"), filepath.Join(t.TempDir(), "identity.jwt")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	listening, ended := make(chan string, 1), make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		ended <- execute(ctx, []string{"authority", "--listen", "127.0.0.1:0", "--json", "--auth-file-out", authFile, "--jwt-out", jwtFile}, strings.NewReader(""), &notify{first: listening}, &stderr)
	}()
	var start authorityStart
	select {
	case line := <-listening:
		checkMembers(t, tool(t, "", "authority", "--help").stdout, line)
		if err := json.Unmarshal([]byte(line), &start); err != nil || strings.Count(line, "\n") != 1 {
			t.Errorf("%v: %q", err, line)
		}
	case code := <-ended:
		t.Fatalf("it ended with %d: %s", code, stderr.String())
	}
	if start.AuthFile != authFile || start.JWTFile != jwtFile {
		t.Errorf("got %+v", start)
	}
	// --explain is what --json was called.
	if got := tool(t, "", "header", "--explain", "--auth-file", start.AuthFile, "--base-url", start.BaseURL, "--trust-host", start.TrustHost); !json.Valid([]byte(got.stdout)) || got.code != 0 {
		t.Errorf("header --explain: %+v", got)
	}
	got := tool(t, "", "header", "--auth-file", start.AuthFile, "--base-url", start.BaseURL, "--trust-host", start.TrustHost)
	if got.code != 0 || !strings.HasPrefix(got.stdout, core.Scheme+" ") {
		t.Errorf("used, it says %+v", got)
	}
	cancel()
	if code := <-ended; code != 0 || stderr.Len() > 0 {
		t.Errorf("it ended with %d: %s", code, stderr.String())
	}
}
