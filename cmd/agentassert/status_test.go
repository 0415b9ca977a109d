package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host/proxy"
)

// signedIn is a new user's auth.json, and the backend that it is for.
func signedIn(t *testing.T) (backend *authority.Authority, url, authFile string) {
	t.Helper()
	backend = newBackend(t)
	server := httptest.NewServer(backend)
	t.Cleanup(server.Close)
	authFile = filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(authFile, backend.SignIn("account-1", "user-1").AuthJSON(), 0o600); err != nil {
		t.Fatal(err)
	}
	return backend, server.URL + "/backend-api", authFile
}

// statusJSON runs the command, and returns its rows by surface.
func statusJSON(t *testing.T, args ...string) map[string]statusRow {
	t.Helper()
	got := tool(t, "", append([]string{"status", "--json", "--trust-host", "127.0.0.1"}, args...)...)
	var report statusReport
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || got.code != 0 || got.stderr != "" {
		t.Fatalf("%v, %+v", err, got)
	}
	rows := make(map[string]statusRow)
	for _, r := range report.Surfaces {
		rows[r.Surface] = r
	}
	return rows
}

// TestStatusFollowsTheFiles registers by other commands, and never by its own.
func TestStatusFollowsTheFiles(t *testing.T) {
	backend, url, authFile := signedIn(t)
	common := []string{"--auth-file", authFile, "--base-url", url}
	files := func() string {
		names, err := filepath.Glob(authFile + "*")
		if err != nil {
			t.Fatal(err)
		}
		content := ""
		for _, name := range names {
			content += name + "\n" + string(readFile(t, name))
		}
		return content
	}
	before := files()
	rows := statusJSON(t, common...)
	if len(rows) != len(core.Surfaces())+1 {
		t.Errorf("%d rows", len(rows))
	}
	if r := rows[core.SurfaceModels]; !r.Registers || r.Mode != core.ModeAgentAssertion || r.Reason != core.ReasonBackgroundTask || r.TaskID != "" {
		t.Errorf("at first: %+v", r)
	}
	if files() != before || backend.Accepted() != (authority.Counts{}) {
		t.Error("it did more than look")
	}

	if got := tool(t, "", append([]string{"header", "--trust-host", "127.0.0.1"}, common...)...); got.code != 0 {
		t.Fatalf("header: %+v", got)
	}
	before = files()
	rows = statusJSON(t, common...)
	r := rows[core.SurfaceModels]
	if r.Registers || r.TaskID == "" || r.AgentRuntimeID == "" || r.AccountID != "account-1" || time.Since(r.IdentityRegisteredAt) > time.Hour {
		t.Errorf("registered: %+v", r)
	}
	if r := rows[core.SurfaceResponses]; !r.Registers || r.Scope != core.ScopeThread || r.Reason != core.ReasonThreadTask {
		t.Errorf("a conversation: %+v", r)
	}
	table := tool(t, "", append([]string{"status", "--trust-host", "127.0.0.1", "--thread", "thread 1"}, common...)...)
	for _, want := range []string{url, "SURFACE", core.SurfaceSafetyMonitor, "thread 1", r.TaskID, "agent " + r.AgentRuntimeID + ": registered ", " ago", "(registered by the first call)", "is not kept"} {
		if table.code != 0 || !strings.Contains(table.stdout, want) {
			t.Errorf("%q is not in %+v", want, table)
		}
	}
	if strings.Count(table.stdout, ": registered ") != 1 {
		t.Errorf("it repeats itself: %s", table.stdout)
	}
	for _, secret := range []string{core.Scheme, "Bearer ", "eyJ", "private"} {
		if strings.Contains(table.stdout, secret) {
			t.Errorf("%q is in %s", secret, table.stdout)
		}
	}
	if files() != before {
		t.Error("it did more than look")
	}
	off := statusJSON(t, append(common, "--no-agent-identity")...)
	if r := off[core.SurfaceModels]; r.Mode != core.ModeBearer || r.Reason != core.ReasonFeatureOff {
		t.Errorf("with the feature off: %+v", r)
	}
}

func TestStatusOfABackOff(t *testing.T) {
	backend, url, authFile := signedIn(t)
	common := []string{"--auth-file", authFile, "--base-url", url, "--trust-host", "127.0.0.1"}
	backend.RefuseRegistration(http.StatusForbidden)
	if got := tool(t, "", append([]string{"header"}, common...)...); got.code != 0 {
		t.Fatalf("header: %+v", got)
	}
	r := statusJSON(t, common...)[core.SurfaceApps]
	if r.Reason != core.ReasonRegistrationFailed || r.Cause == nil || r.Cause.Code != core.CodeBackingOff || !r.RetryAt.After(time.Now()) {
		t.Errorf("got %+v", r)
	}
	table := tool(t, "", append([]string{"status"}, common...)...)
	if !strings.Contains(table.stdout, "registration is tried again "+r.RetryAt.Format(time.RFC3339)+", in ") {
		t.Errorf("got %s", table.stdout)
	}
}

// TestStatusJSON: the form is a promise.
func TestStatusJSON(t *testing.T) {
	authFile := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(authFile, []byte(`{"auth_mode":"apikey","OPENAI_API_KEY":"not-a-real-key"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	got := tool(t, "", "status", "--json", "--auth-file", authFile, "--base-url", "https://chatgpt.com")
	want := `      "surface": "apps",
      "scope": "background",
      "mode": "none",
      "reason": "no-chatgpt-credentials",
      "registers": false,
      "cause": {
        "code": "api_key_sign_in",`
	if got.code != 0 || !strings.Contains(got.stdout, want) || !strings.HasPrefix(got.stdout, "{\n  \"base_url\": \"https://chatgpt.com/backend-api\",\n  \"at\": \"") {
		t.Errorf("got %+v", got)
	}
}

func TestStatusExitCodes(t *testing.T) {
	dir := t.TempDir()
	damaged := filepath.Join(dir, "damaged.json")
	if err := os.WriteFile(damaged, []byte(`{"tokens":`), 0o600); err != nil {
		t.Fatal(err)
	}
	status := func(authFile string, more ...string) []string {
		return append([]string{"status", "--base-url", "https://chatgpt.com", "--auth-file", authFile}, more...)
	}
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // in standard error, or in standard output where the code is 0
	}{
		{"nobody signed in", status(filepath.Join(dir, "none.json")), 0, core.ReasonNoChatGPTCredentials},
		{"help", []string{"status", "--help"}, 0, "identity_registered_at"},
		{"damaged auth.json", status(damaged), exitFailed, "JSON"},
		{"a folder", status(dir), exitFailed, "this is a folder"},
		{"an argument", status(damaged, "x"), exitUsage, "--help"},
		{"bad trusted host", status(damaged, "--trust-host", "a/b"), exitUsage, "trusted host"},
		{"bad base URL", status(damaged, "--base-url", "chatgpt.com"), exitUsage, "https://"},
		{"bad thread", status(filepath.Join(dir, "none.json"), "--thread", "a\nb"), exitUsage, "thread"},
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

func TestWhen(t *testing.T) {
	now := time.Date(2026, 11, 24, 15, 16, 8, 0, time.UTC)
	for _, tt := range []struct {
		ago  time.Duration
		want string
	}{
		{0, "0s ago"},
		{59 * time.Second, "59s ago"},
		{60 * time.Second, "1m ago"},
		{61*time.Minute + 59*time.Second, "1h 1m ago"},
		{50*time.Hour + 59*time.Minute, "2d 2h ago"},
		{-90 * time.Second, "in 1m 30s"},
	} {
		at := now.Add(-tt.ago)
		if got, want := when(at, now), at.Format(time.RFC3339)+", "+tt.want; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestStatusOfAccounts tells of each account, also beside one that cannot be used.
func TestStatusOfAccounts(t *testing.T) {
	u := startUpstream(t, none)
	folder := t.TempDir()
	u.addAccount(t, folder, "alice")
	u.addAccount(t, folder, "bob")
	registered := headerOf(t, u.url, filepath.Join(folder, "alice", proxy.AccountAuthFile))
	common := []string{"status", "--accounts", folder, "--base-url", u.url, "--trust-host", "127.0.0.1"}

	got := tool(t, "", common...)
	if got.code != 0 || !strings.Contains(got.stdout, "alice: "+u.url) || !strings.Contains(got.stdout, "bob: "+u.url) || !strings.Contains(got.stdout, registered.TaskID) {
		t.Errorf("got %+v", got)
	}
	if err := os.Mkdir(filepath.Join(folder, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	got = tool(t, "", append(common, "--json")...)
	var report struct {
		Accounts []struct {
			Account  string
			Surfaces []statusRow
			Error    *cause
		}
	}
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || len(report.Accounts) != 3 {
		t.Fatalf("%v, %+v", err, got)
	}
	checkSaid(t, got, exitFailed, []string{"1 of 3 accounts"})
	for i, want := range []struct {
		account   string
		registers bool
		code      string
	}{{"alice", false, ""}, {"bob", true, ""}, {"empty", false, proxy.CodeUnknownAccount}} {
		a := report.Accounts[i]
		if a.Account != want.account || (a.Error == nil) != (want.code == "") || a.Error != nil && (a.Error.Code != want.code || a.Surfaces != nil) {
			t.Errorf("account %d is %+v, want %+v", i, a, want)
		}
		for _, row := range a.Surfaces {
			if row.Surface == core.SurfaceModels && row.Registers != want.registers {
				t.Errorf("%s: %+v", a.Account, row)
			}
		}
	}
	for name, args := range map[string][]string{
		"no folder":   {"status", "--accounts", filepath.Join(folder, "missing"), "--base-url", u.url},
		"no base URL": {"status", "--accounts", folder, "--base-url", "ftp://x"},
	} {
		if got := tool(t, "", args...); got.code != exitUsage || got.stdout != "" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
