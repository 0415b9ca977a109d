package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
)

const captures = "../../testvectors/captures/"

// result is what a command line came to.
type result struct {
	code           int
	stdout, stderr string
}

// tool runs a command line in this process, on the native engine unless it says
// otherwise: what the engines answer is compared elsewhere.
func tool(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	args = append([]string{"--engine", "native"}, args...)
	code := execute(t.Context(), args, strings.NewReader(stdin), &stdout, &stderr)
	return result{code, stdout.String(), progressLine.ReplaceAllString(stderr.String(), "")}
}

// progressLine is what only a slow machine has a command say.
var progressLine = regexp.MustCompile(`(?m)^agentassert: .*, after \d+[smhd]( \d+[smhd])?\n`)

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// captured is the real client's identity.
type captured struct {
	Identity struct {
		PrivateKey string `json:"agent_private_key"`
		RuntimeID  string `json:"agent_runtime_id"`
		TaskID     string `json:"background_task_id"`
	} `json:"agent_identity"`
}

func capturedIdentity(t *testing.T) captured {
	t.Helper()
	var c captured
	if err := json.Unmarshal(readFile(t, captures+"enabled.auth.json"), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAssertPrintsTheCapturedHeaders: the real client's headers, byte for byte.
func TestAssertPrintsTheCapturedHeaders(t *testing.T) {
	key := capturedIdentity(t).Identity.PrivateKey
	count := 0
	for text := range bytes.Lines(readFile(t, captures+"enabled.jsonl")) {
		var line struct {
			Headers map[string]string `json:"headers"`
			AA      struct {
				Raw string `json:"raw"`
			} `json:"aa"`
		}
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatal(err)
		}
		if line.AA.Raw == "" {
			continue
		}
		count++
		var e envelope
		if err := json.Unmarshal([]byte(line.AA.Raw), &e); err != nil {
			t.Fatal(err)
		}
		got := tool(t, key, "assert", "--key-file", "-", "--runtime-id", e.AgentRuntimeID, "--task-id", e.TaskID, "--at", e.Timestamp)
		if want := line.Headers["authorization"]; got.code != 0 || got.stdout != want+"\n" {
			t.Errorf("assert: %+v, want %q", got, want)
		}
		inspected := tool(t, "", "inspect", "--json", line.Headers["authorization"])
		if inspected.code != 0 || !strings.Contains(inspected.stdout, `"canonical": true`) {
			t.Errorf("inspect: %+v", inspected)
		}
	}
	if count == 0 {
		t.Fatal("no assertion in the capture")
	}
}

func TestKeygenAssertVerify(t *testing.T) {
	keyFile := filepath.Join(t.TempDir(), "key.txt")
	made := tool(t, "", "keygen")
	if err := os.WriteFile(keyFile, []byte(made.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	public, _, _ := strings.Cut(strings.TrimPrefix(made.stdout, "# public key: "), "\n")
	header := strings.TrimSpace(tool(t, "", "assert", "--key-file", keyFile, "--runtime-id", "agent-1", "--task-id", "a:b", "--at", "1795533368").stdout)
	verify := func(more ...string) result {
		return tool(t, "", append([]string{"verify", "--public-key", public}, more...)...)
	}
	if got := verify("--at", "2026-11-24T15:21:08Z", header); got.code != 0 || !strings.Contains(got.stdout, "valid\n") || !strings.Contains(got.stdout, "a:b") {
		t.Errorf("five minutes later: %+v", got)
	}
	if got := verify("--at", "2026-11-24T15:21:09Z", header); got.code != exitNo || !strings.Contains(got.stderr, "too old") {
		t.Errorf("a second more: %+v", got)
	}
	if got := verify("--at", "2026-11-24T15:16:08Z", "--skew", "0s", "Authorization:", header); got.code != 0 {
		t.Errorf("with the header's name: %+v", got)
	}
	if got := tool(t, header, "verify", "--public-key", public+" a comment", "--at", "1795533368", "-"); got.code != 0 {
		t.Errorf("from standard input, key with a comment: %+v", got)
	}
	if got := verify("--at", "1795533368", header[:len(header)-2]); got.code != exitNo {
		t.Errorf("a header cut short: %+v", got)
	}
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	apiKey := write("api-key.json", `{"auth_mode":"apikey","OPENAI_API_KEY":"not-a-real-key"}`)
	empty := write("empty.json", "")
	damaged := write("damaged.json", `{"tokens":`)
	badKey := write("key.txt", "not base64\n")
	header := func(authFile string, more ...string) []string {
		return append([]string{"header", "--base-url", "https://chatgpt.com", "--auth-file", authFile}, more...)
	}
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // in standard error, or in standard output where the code is 0
	}{
		{"help", []string{"--help"}, 0, "Exit codes"},
		{"help of a command", []string{"verify", "--help"}, 0, "--skew"},
		{"no command", nil, 0, "Assertions and keys:"},
		{"version", []string{"version"}, 0, "abi 2"},
		{"completion", []string{"completion", "bash"}, 0, "agentassert"},
		{"completion of surfaces", []string{"__complete", "header", "--surface", ""}, 0, "remote-control"},
		{"one line of version", []string{"--version"}, 0, "agentassert "},
		{"unknown command", []string{"nonsense"}, exitUsage, "agentassert --help"},
		{"mistyped command", []string{"verfy"}, exitUsage, "did you mean 'agentassert verify'?"},
		{"another tool's name of a command", []string{"sign"}, exitUsage, "did you mean 'agentassert assert'?"},
		{"mistyped command of a command", []string{"store", "migrat"}, exitUsage, "did you mean 'agentassert store migrate'?"},
		{"mistyped, where the command runs too", []string{"conformance", "runer"}, exitUsage, "did you mean 'agentassert conformance runner'?"},
		{"mistyped help", []string{"help", "exit-code"}, exitUsage, "did you mean 'agentassert help exit-codes'?"},
		{"a shell that is none", []string{"completion", "zhs"}, exitUsage, "did you mean 'agentassert completion zsh'?"},
		{"help of nothing", []string{"help", "store", "nonsense"}, exitUsage, "no command or topic 'store nonsense'"},
		{"help by name", []string{"help", "store", "migrate"}, 0, "Make the table"},
		{"a topic with examples", []string{"help", "configuration"}, 0, "Examples:\n  agentassert"},
		{"a topic", []string{"help", "exit-codes"}, 0, "the answer is no"},
		{"a topic as a command", []string{"exit-codes"}, 0, "the answer is no"},
		{"unknown flag", []string{"demo", "--nonsense"}, exitUsage, "agentassert demo --help"},
		{"mistyped flag", []string{"verify", "--publickey", "x"}, exitUsage, "did you mean '--public-key'?"},
		{"mistyped flag of all commands", []string{"keygen", "--engin", "native"}, exitUsage, "did you mean '--engine'?"},
		{"unknown short flag", []string{"keygen", "-j"}, exitUsage, "there is no flag -j; did you mean '--json'?"},
		{"no value", []string{"verify", "--skew"}, exitUsage, "--skew needs a value: how far"},
		{"a value of another type", []string{"verify", "--skew", "long"}, exitUsage, `--skew cannot be "long"`},
		{"argument for flags", []string{"keygen", "out.txt"}, exitUsage, `flags alone, and "out.txt" is none`},
		{"missing flag", []string{"assert"}, exitUsage, "a flag is missing: --key-file FILE (the private key's file; - is standard input); see"},
		{"one of two", []string{"assert", "--key-file", "-"}, exitUsage, "one of --runtime-id, --runtime-agent-instance is missing; see"},
		{"half of two", []string{"assert", "--key-file", "-", "--runtime-id", "a"}, exitUsage, "--runtime-id needs --task-id beside it; see"},
		{"both of two", []string{"assert", "--key-file", "-", "--runtime-id", "a", "--task-id", "b", "--runtime-agent-instance", "c"}, exitUsage, "--runtime-id and --runtime-agent-instance exclude each other"},
		{"missing argument", []string{"inspect"}, exitUsage, "needs the argument HEADER"},
		{"too many arguments", []string{"inspect", "a", "b", "c"}, exitUsage, "put it in quotes"},
		{"bad engine", []string{"--engine", "steam", "keygen"}, exitUsage, "steam"},
		{"bad time", []string{"verify", "--public-key", "x", "--at", "yesterday", "h"}, exitUsage, "RFC 3339"},
		{"bad skew", []string{"verify", "--public-key", "x", "--skew", "1ms", "h"}, exitUsage, "whole number"},
		{"bad public key", []string{"verify", "--public-key", "x", "h"}, exitUsage, "neither PEM nor a JWK"},
		{"no assertion", []string{"inspect", "Bearer x"}, exitNo, "AgentAssertion"},
		{"no key file", []string{"assert", "--key-file", filepath.Join(dir, "none"), "--runtime-id", "a", "--task-id", "b"}, exitFailed, "key file"},
		{"a bad key file", []string{"assert", "--key-file", badKey, "--runtime-id", "a", "--task-id", "b"}, exitFailed, "base64"},
		{"nobody signed in", header(filepath.Join(dir, "none.json")), exitNo, core.ReasonNoChatGPTCredentials},
		{"http", []string{"header", "--base-url", "http://chatgpt.com", "--auth-file", apiKey}, exitUsage, "--allow-http"},
		{"http that is allowed", []string{"header", "--base-url", "http://chatgpt.com", "--allow-http", "--auth-file", apiKey}, exitNo, core.ReasonNoChatGPTCredentials},
		{"http for the auth API", header(apiKey, "--auth-api-url", "http://auth.example"), exitUsage, "--allow-http"},
		{"http for keys", []string{"header", "--base-url", "http://chatgpt.com", "--jwt-file", badKey}, exitUsage, "--allow-http"},
		{"API key", header(apiKey), exitNo, core.ReasonNoChatGPTCredentials},
		{"empty auth.json", header(empty), exitFailed, "empty"},
		{"damaged auth.json", header(damaged), exitFailed, "JSON"},
		{"bad surface", header(apiKey, "--surface", "nonsense"), exitUsage, "surface"},
		{"a thread's surface", header(apiKey, "--surface", "responses"), exitUsage, "thread"},
		{"bad trusted host", header(apiKey, "--trust-host", "a/b"), exitUsage, "trusted host"},
		{"bad base URL", []string{"header", "--auth-file", apiKey, "--base-url", "chatgpt.com"}, exitUsage, "https://"},
		{"an address in use", []string{"authority", "--listen", "127.0.0.1:99999"}, exitFailed, "listen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tool(t, "", tt.args...)
			said := got.stderr
			if tt.code == 0 {
				said = got.stdout
			}
			if got.code != tt.code || !strings.Contains(said, tt.want) {
				t.Errorf("code %d, want %d; said %q, want %q in it", got.code, tt.code, said, tt.want)
			}
			if tt.code != 0 && strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("not one line: %q", got.stderr)
			}
		})
	}
}

// noNetwork makes every request of the tool's to another machine fail the test.
func noNetwork(t *testing.T) {
	t.Helper()
	forward := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a request to %s", r.URL)
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(forward.Close)
	useProxy(t, forward.URL)
}

// useProxy has the tool send its requests to other machines through a proxy.
func useProxy(t *testing.T, proxy string) {
	t.Helper()
	for name, value := range map[string]string{"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": "", "no_proxy": ""} {
		t.Setenv(name, value)
	}
}

// TestHeaderWithoutNetwork uses the identity that the real client left.
func TestHeaderWithoutNetwork(t *testing.T) {
	noNetwork(t)
	before := readFile(t, captures+"enabled.auth.json")
	path := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	c := capturedIdentity(t)
	got := tool(t, "", "header", "--auth-file", path, "--base-url", "http://agent.chatgpt.com/backend-api", "--allow-http", "--json")
	var x headerReport
	if err := json.Unmarshal([]byte(got.stdout), &x); err != nil {
		t.Fatal(err, got)
	}
	if x.Mode != core.ModeAgentAssertion || x.Reason != core.ReasonBackgroundTask || x.AgentRuntimeID != c.Identity.RuntimeID ||
		x.TaskID != c.Identity.TaskID || x.AccountID != "acct-1" || x.ValidUntil.IsZero() {
		t.Errorf("explained %+v", x)
	}
	if inspected := tool(t, "", "inspect", x.Header); !strings.Contains(inspected.stdout, "task_id           "+c.Identity.TaskID+"\n") {
		t.Errorf("the header says %+v", inspected)
	}
	// The record gets what other clients want of it, once, and nothing else changes.
	completed := readFile(t, path)
	identity := bytes.Index(before, []byte(`"agent_identity"`))
	if !bytes.HasPrefix(completed, before[:identity]) || !bytes.Contains(completed, []byte(`"account_id": "acct-1"`)) {
		t.Errorf("auth.json changed to %s", completed)
	}
	if again := tool(t, "", "header", "--auth-file", path, "--base-url", "http://agent.chatgpt.com/backend-api", "--allow-http"); again.code != 0 {
		t.Errorf("the second time: %+v", again)
	}
	if after := readFile(t, path); !bytes.Equal(completed, after) {
		t.Errorf("auth.json changed once more, to %s", after)
	}
	off := tool(t, "", "header", "--auth-file", path, "--base-url", "http://agent.chatgpt.com/backend-api", "--allow-http", "--no-agent-identity")
	if off.code != 0 || !strings.HasPrefix(off.stdout, "Bearer ") {
		t.Errorf("with the feature off: %+v", off)
	}
}

// TestAuthorityCommand runs the backend as a command, and registers through it
// as through a proxy, which needs absolute-form requests.
func TestAuthorityCommand(t *testing.T) {
	dir := t.TempDir()
	addrFile, logFile := filepath.Join(dir, "addr"), filepath.Join(dir, "log.jsonl")
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan result, 1)
	listening := make(chan string, 1)
	go func() {
		var stdout bytes.Buffer
		stderr := &notify{first: listening}
		code := execute(ctx, []string{"authority", "--listen", "127.0.0.1:0", "--accept-any-bearer", "--addr-file", addrFile, "--log", logFile},
			strings.NewReader(""), &stdout, stderr)
		served <- result{code, stdout.String(), stderr.text.String()}
	}()
	select {
	case <-listening:
	case r := <-served:
		t.Fatalf("it ended: %+v", r)
	}
	addr := strings.TrimSpace(string(readFile(t, addrFile)))

	// An auth.json without an identity, as the user has it after signing in.
	document, err := core.SetAuthJSONIdentity(readFile(t, captures+"enabled.auth.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "auth.json")
	if err := os.WriteFile(path, document, 0o600); err != nil {
		t.Fatal(err)
	}
	proxy, err := url.Parse("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	useProxy(t, proxy.String())
	first := tool(t, "", "header", "--auth-file", path, "--base-url", "http://agent.chatgpt.com/backend-api", "--allow-http")
	if first.code != 0 || !strings.HasPrefix(first.stdout, "AgentAssertion ") {
		t.Fatalf("header: %+v", first)
	}
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://agent.chatgpt.com/backend-api/codex/models", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", strings.TrimSpace(first.stdout))
	// net/http reads HTTP_PROXY once in a process.
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the backend answers %d to the header", response.StatusCode)
	}
	cancel()
	if r := <-served; r.code != 0 {
		t.Errorf("interrupted, it ends with %+v", r)
	}
	var seen []string
	for line := range strings.Lines(string(readFile(t, logFile))) {
		var r authority.Request
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, fmt.Sprint(r.Scheme, " ", r.Verified, " ", r.Status))
	}
	want := []string{"bearer true 200", "biscuit true 200", "bearer true 200", "biscuit true 200", "agent-assertion true 200"}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("the log has %q, want %q", seen, want)
	}
	if said := string(readFile(t, logFile)); strings.Contains(said, "AgentAssertion ") || strings.Contains(said, "eyJ") {
		t.Errorf("a secret in the log: %s", said)
	}
}

// notify tells of the first thing written to it.
type notify struct {
	first chan<- string
	text  bytes.Buffer
}

func (n *notify) Write(p []byte) (int, error) {
	if n.text.Len() == 0 {
		n.first <- string(p)
	}
	return n.text.Write(p)
}

// TestDemo runs it as a newcomer does, in the sandbox.
func TestDemo(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := execute(t.Context(), []string{"demo", "--json", "--cache-dir", t.TempDir()}, strings.NewReader(""), &stdout, &stderr)
	if code != 0 {
		t.Fatalf("code %d: %s", code, stderr.String())
	}
	var report demoReport
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	if report.Module.Imports != 0 || report.Module.Bytes == 0 || report.Registrations != (demoRegistrations{Identities: 1, Tasks: 1}) {
		t.Errorf("report %+v", report)
	}
	// The decision table, once more and independently.
	want := map[string]string{
		"bootstrap": "bearer bearer-only-surface 200", "gate off": "bearer feature-off 200",
		"unsupported host": "bearer unsupported-host 200", "API key": "none no-chatgpt-credentials 401",
		"registration refused": "bearer registration-failed 200",
	}
	if len(report.Rows) != 15 {
		t.Errorf("%d rows, want 15", len(report.Rows))
	}
	for _, r := range report.Rows {
		key := r.Scenario
		if key == "" {
			key = r.Surface
		}
		expected, ok := want[key]
		if !ok {
			expected = "agent-assertion background-task 200"
		}
		if got := fmt.Sprint(r.Mode, " ", r.Reason, " ", r.Status); got != expected {
			t.Errorf("%s: %s, want %s", key, got, expected)
		}
	}
}

func TestDemoSaysWhenItIsWrong(t *testing.T) {
	r := demoReport{Rows: []demoRow{{Surface: "apps", Mode: core.ModeBearer, Status: 200, want: demoRowWant{core.ModeAgentAssertion, core.ReasonBackgroundTask, 200}}}}
	var out bytes.Buffer
	if err := r.print(&out); err != nil || !strings.Contains(out.String(), "WRONG") {
		t.Errorf("printed %q, %v", out.String(), err)
	}
	if err := r.check(); err == nil || err.(*outcome).code != exitNo {
		t.Errorf("check: %v", err)
	}
}
