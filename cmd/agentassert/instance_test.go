package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host/proxy"
)

// TestInspectCapturedInstances: the assertions of the real client, in either header, of
// which our tool says what they say, and who signed them.
func TestInspectCapturedInstances(t *testing.T) {
	for file, field := range map[string]string{
		"codex-0.171-instances-dual.jsonl": "x-openai-agent-assertion",
		"codex-0.171-instances-only.jsonl": "authorization",
	} {
		public, count := "", 0
		for text := range bytes.Lines(readFile(t, captures+file)) {
			var line struct {
				Headers   map[string]string `json:"headers"`
				Body      string            `json:"body"`
				Assertion struct {
					Payload struct {
						Instance string `json:"runtime_agent_instance"`
						ID       string `json:"id"`
					} `json:"payload"`
				} `json:"assertion"`
			}
			if err := json.Unmarshal(text, &line); err != nil {
				t.Fatal(err)
			}
			if public == "" {
				var body struct {
					PublicKey string `json:"public_key"`
				}
				if err := json.Unmarshal([]byte(line.Body), &body); err != nil {
					t.Fatal(err)
				}
				public = body.PublicKey
				continue
			}
			count++
			header, want := line.Headers[field], line.Assertion.Payload
			inspected := tool(t, header, "inspect", "--json", "-")
			if inspected.code != 0 || !strings.Contains(inspected.stdout, `"form": "instance"`) || !strings.Contains(inspected.stdout, `"canonical": true`) ||
				!strings.Contains(inspected.stdout, `"id": "`+want.ID+`"`) {
				t.Errorf("inspect %s: %+v", header, inspected)
			}
			var said struct {
				Instance instanceClaims `json:"instance"`
			}
			if err := json.Unmarshal([]byte(inspected.stdout), &said); err != nil {
				t.Fatal(err)
			}
			verified := tool(t, "", "verify", "--json", "--public-key", public, "--at", jsonNumber(said.Instance.IssuedAt), header)
			if verified.code != 0 || !strings.Contains(verified.stdout, `"runtime_agent_instance": "`+want.Instance+`"`) {
				t.Errorf("verify %s: %+v", header, verified)
			}
		}
		if count < 10 {
			t.Errorf("%s has %d assertions", file, count)
		}
	}
}

func jsonNumber(n int64) string {
	text, _ := json.Marshal(n)
	return string(text)
}

// TestAssertInstance: each is another one, in the form of its header field.
func TestAssertInstance(t *testing.T) {
	keyFile := filepath.Join(t.TempDir(), "key.txt")
	made := tool(t, "", "keygen")
	if err := os.WriteFile(keyFile, []byte(made.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	public, _, _ := strings.Cut(strings.TrimPrefix(made.stdout, "# public key: "), "\n")
	args := []string{"assert", "--key-file", keyFile, "--runtime-agent-instance", "rai:1", "--at", "1795725521"}
	first, second := tool(t, "", args...), tool(t, "", args...)
	dual := tool(t, "", append(args, "--header-mode", "dual_header")...)
	if first.code != 0 || first.stdout == second.stdout || !strings.HasPrefix(first.stdout, "AgentAssertion 1.") || !strings.HasPrefix(dual.stdout, "1.") {
		t.Fatalf("assert: %+v, %+v, %+v", first, second, dual)
	}
	for _, header := range []string{first.stdout, dual.stdout, "X-OpenAI-Agent-Assertion: " + dual.stdout} {
		if got := tool(t, header, "verify", "--public-key", public, "--at", "1795725521", "-"); got.code != 0 || !strings.Contains(got.stdout, "rai:1") {
			t.Errorf("verify %q: %+v", header, got)
		}
		if got := tool(t, header, "verify", "--public-key", public, "--at", "1795726521", "-"); got.code != exitNo {
			t.Errorf("later, verify %q: %+v", header, got)
		}
	}
	for _, wrong := range [][]string{
		append(args, "--header-mode", "both"),
		append(args, "--task-id", "t"),
		append(args, "--runtime-id", "r", "--task-id", "t"),
		{"assert", "--key-file", keyFile, "--runtime-id", "r"},
		{"assert", "--key-file", keyFile, "--runtime-agent-instance", "a\nb"},
	} {
		if got := tool(t, "", wrong...); got.code != exitUsage {
			t.Errorf("%q: %+v", wrong, got)
		}
	}
}

// TestDemoProfiles: every answer is the decision table's, in each profile.
func TestDemoProfiles(t *testing.T) {
	for name, tt := range map[string]struct {
		args      []string
		rows      int
		registers demoRegistrations
		want      map[string]string // of the rest
		rest      string
	}{
		"auth-api": {[]string{"--profile", "auth-api"}, 17, demoRegistrations{Identities: 1, Tasks: 1}, map[string]string{
			"responses": "agent-assertion identity-task 200", "bootstrap": "bearer bearer-only-surface 200", "gate off": "bearer feature-off 200",
			"API key": "none no-chatgpt-credentials 401", "registration refused": "none registration-failed 401",
		}, "bearer bearer-surface 200"},
		"instances": {[]string{"--profile", "instances"}, 18, demoRegistrations{Instances: 1}, map[string]string{
			"bootstrap": "bearer bearer-only-surface 200", "gate off": "bearer feature-off 200", "unsupported host": "bearer unsupported-host 200",
			"API key": "none registration-failed 401", "registration refused": "bearer registration-failed 200",
		}, "dual-header runtime-instance 200"},
		"instances alone": {[]string{"--profile", "instances", "--header-mode", "assertion_only"}, 18, demoRegistrations{Instances: 1}, map[string]string{
			"bootstrap": "bearer bearer-only-surface 200", "gate off": "bearer feature-off 200", "unsupported host": "bearer unsupported-host 200",
			"API key": "none registration-failed 401", "registration refused": "bearer registration-failed 200",
		}, "agent-assertion runtime-instance 200"},
	} {
		t.Run(name, func(t *testing.T) {
			got := tool(t, "", append([]string{"demo", "--json"}, tt.args...)...)
			var report demoReport
			if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || got.code != 0 {
				t.Fatalf("%+v, %v", got, err)
			}
			if len(report.Rows) != tt.rows || report.Registrations != tt.registers {
				t.Errorf("%d rows, registered %+v", len(report.Rows), report.Registrations)
			}
			for _, r := range report.Rows {
				key := r.Scenario
				if key == "" {
					key = r.Surface
				}
				expected, ok := tt.want[key]
				if !ok {
					expected = tt.rest
				}
				if got := strings.Join([]string{r.Mode, r.Reason, jsonNumber(int64(r.Status))}, " "); got != expected {
					t.Errorf("%s: %s, want %s", key, got, expected)
				}
			}
		})
	}
	for _, wrong := range [][]string{{"demo", "--profile", "x"}, {"demo", "--profile", "instances", "--header-mode", "x"}} {
		if got := tool(t, "", wrong...); got.code != exitUsage {
			t.Errorf("%q: %+v", wrong, got)
		}
	}
}

// TestHeaderOfInstances: the installation's id is the client's own, and of two header
// fields each has its name.
func TestHeaderOfInstances(t *testing.T) {
	a := newBackend(t)
	backend := httptest.NewServer(a)
	defer backend.Close()
	dir := t.TempDir()
	authFile := filepath.Join(dir, "auth.json")
	if err := os.WriteFile(authFile, a.SignIn("account-1", "user-1").AuthJSON(), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"header", "--auth-file", authFile, "--base-url", backend.URL + "/backend-api", "--trust-host", "127.0.0.1", "--profile", "instances", "--auth-api-url", backend.URL}
	if got := tool(t, "", args...); got.code != exitUsage || !strings.Contains(got.stderr, "--installation-id") {
		t.Errorf("without an installation id: %+v", got)
	}
	if got := tool(t, "", append(args, "--header-mode", "x", "--installation-id", "i")...); got.code != exitUsage {
		t.Errorf("header mode: %+v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "installation_id"), []byte("an-installation\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	call := func(lines string) int {
		r, err := http.NewRequest(http.MethodGet, backend.URL+"/backend-api/codex/models", nil)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(lines) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			r.Header.Set(name, value)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	dual := tool(t, "", args...)
	if dual.code != 0 || strings.Count(dual.stdout, "\n") != 2 || call(dual.stdout) != 200 || call(dual.stdout) != 403 {
		t.Errorf("dual: %+v", dual)
	}
	only := tool(t, "", append(args, "--header-mode", "assertion_only")...)
	if only.code != 0 || !strings.HasPrefix(only.stdout, "AgentAssertion 1.") || call("Authorization: "+only.stdout) != 200 {
		t.Errorf("only: %+v", only)
	}
	if c := a.Counts(); c.Instances != 2 || c.Identities != 0 {
		t.Errorf("registered %+v", c)
	}
	before := readFile(t, authFile)
	status := tool(t, "", append([]string{"status", "--json"}, args[1:]...)...)
	if status.code != 0 || !strings.Contains(status.stdout, core.ModeDualHeader) || !strings.Contains(status.stdout, `"registers": true`) || !bytes.Equal(before, readFile(t, authFile)) {
		t.Errorf("status: %+v", status)
	}
}

// TestProxyOfInstances: one instance, another assertion for each call, and none of the
// caller's own.
func TestProxyOfInstances(t *testing.T) {
	u := startUpstream(t, none)
	p := startProxy(t, u, "--profile", "instances", "--installation-id", "i", "--auth-api-url", u.server.URL)
	for range 3 {
		status, a := p.call(t, http.MethodGet, "/codex/models", p.header("X-OpenAI-Agent-Assertion", "1.a.b.c"))
		if status != http.StatusOK || a.Scheme != core.ModeDualHeader || a.AccountID != "account-1" {
			t.Errorf("got %d %+v", status, a)
		}
	}
	status, a := p.call(t, http.MethodGet, "/codex/responses", p.header(proxy.ThreadHeader, "thread-1"))
	if status != http.StatusOK || a.Scheme != core.ModeDualHeader {
		t.Errorf("a turn: got %d %+v", status, a)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	seen := map[string]bool{}
	for _, h := range u.calls {
		seen[h.Get("X-OpenAI-Agent-Assertion")] = true
	}
	if c := u.Counts(); c.Instances != 1 || len(seen) != 5 { // the registration has none
		t.Errorf("registered %+v, %d assertions", c, len(seen))
	}
}
