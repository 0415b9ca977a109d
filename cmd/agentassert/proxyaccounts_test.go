package main

import (
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host/proxy"
)

// addAccount signs an account in below a folder, with a token of its own.
func (u *upstream) addAccount(t *testing.T, folder, name string) (token string) {
	t.Helper()
	session := u.SignIn("account-"+name, "user-"+name)
	token = name + "." + hex.EncodeToString([]byte(name+" has random bytes here"))
	u.secrets = append(u.secrets, session.AccessToken, session.IDToken, token)
	for file, content := range map[string]string{proxy.AccountAuthFile: string(session.AuthJSON()), proxy.AccountTokenFile: token + "\n"} {
		path := filepath.Join(folder, name, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return token
}

// checkAccount expects a call to be an agent's of that account, and returns it.
func checkAccount(t *testing.T, p *running, path, account string, h http.Header) answer {
	t.Helper()
	status, a := p.call(t, http.MethodPost, path, h)
	if status != http.StatusOK || a.Scheme != core.ModeAgentAssertion || a.AccountID != "account-"+account {
		t.Fatalf("%s: %d %+v, want an assertion of account-%s", path, status, a, account)
	}
	return a
}

func checkRefused(t *testing.T, what string, status int, a answer, wantStatus int, wantCode string) {
	t.Helper()
	if status != wantStatus || a.Error.Code != wantCode {
		t.Errorf("%s: %d %+v, want %d %s", what, status, a, wantStatus, wantCode)
	}
}

// Callers with the proxy's token name an account, and get its calls and no other's.
func TestProxyAccountHeader(t *testing.T) {
	u := startUpstream(t, none)
	folder := t.TempDir()
	alice, bob := u.addAccount(t, folder, "alice"), u.addAccount(t, folder, "bob")
	if err := os.MkdirAll(filepath.Join(folder, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := startProxyFor(t, u, []string{"--accounts", folder, "--account-header", "x-account"})

	background := checkAccount(t, p, "/codex/models", "alice", p.header("X-Account", "alice"))
	if again := checkAccount(t, p, "/codex/models", "alice", p.header("X-Account", "alice")); again.TaskID != background.TaskID {
		t.Errorf("the second call has the task %s, the first %s", again.TaskID, background.TaskID)
	}
	other := checkAccount(t, p, "/codex/models", "bob", p.header("X-Account", "bob"))
	if other.AgentRuntimeID == background.AgentRuntimeID || other.TaskID == background.TaskID {
		t.Errorf("bob has %+v, alice %+v", other, background)
	}
	for _, thread := range [][]string{nil, {proxy.ThreadHeader, "thread-1"}} {
		of := func(account string) string {
			return checkAccount(t, p, "/codex/responses", account, p.header(append(thread, "X-Account", account)...)).TaskID
		}
		if task := of("alice"); task != of("alice") || task == of("bob") || task == background.TaskID {
			t.Errorf("in the conversation %q alice has the task %s, bob %s", thread, of("alice"), of("bob"))
		}
	}
	if got := u.Accepted(); got != (authority.Counts{Identities: 2, Tasks: 6}) {
		t.Errorf("registered %+v", got)
	}

	before := u.count()
	for _, name := range []string{"carol", "empty", "..", "../alice", "alice/", "alice/auth.json", ".", "alice\u00e9"} {
		status, a := p.call(t, http.MethodGet, "/codex/models", p.header("X-Account", name))
		checkRefused(t, name, status, a, http.StatusForbidden, proxy.CodeUnknownAccount)
	}
	for what, h := range map[string]http.Header{"none": p.header(), "an empty one": p.header("X-Account", ""), "two": {proxy.TokenHeader: {p.token}, "X-Account": {"alice", "bob"}}} {
		status, a := p.call(t, http.MethodGet, "/codex/models", h)
		checkRefused(t, what, status, a, http.StatusBadRequest, proxy.CodeAccountMissing)
	}
	// No other token is as good, and least of all an account's.
	for what, token := range map[string]string{"none": "", "another": "x", "alice's": alice, "bob's": bob} {
		status, a := p.call(t, http.MethodGet, "/codex/models", http.Header{proxy.TokenHeader: {token}, "X-Account": {"alice"}})
		checkRefused(t, what, status, a, http.StatusUnauthorized, proxy.CodeInvalidToken)
	}
	if u.count() != before {
		t.Errorf("%d requests of callers who were refused have reached the upstream", u.count()-before)
	}
	said := p.stop()
	for _, want := range []string{"for 2 accounts in ", "callers name the account in the header X-Account", `the account \"empty\" cannot be used`, "code=unknown_account"} {
		if !strings.Contains(strings.ReplaceAll(said.stderr, `"empty"`, `\"empty\"`), want) {
			t.Errorf("it said %s, want %s in it", said.stderr, want)
		}
	}
}

// Each account has a token, which says whose a call is, whatever else the call says.
func TestProxyAccountTokens(t *testing.T) {
	u := startUpstream(t, none)
	folder := t.TempDir()
	alice, bob := u.addAccount(t, folder, "alice"), u.addAccount(t, folder, "bob")
	p := startProxyFor(t, u, []string{"--accounts", folder, "--account-tokens"})

	checkAccount(t, p, "/codex/models", "alice", http.Header{proxy.TokenHeader: {alice}})
	checkAccount(t, p, "/codex/responses", "bob", http.Header{"Authorization": {"Bearer " + bob}})
	checkAccount(t, p, "/codex/models", "alice", http.Header{proxy.TokenHeader: {alice}, "Authorization": {"Bearer " + bob}, "X-Account": {"bob"}, "Chatgpt-Account-Id": {"account-bob"}})

	refused := func(what, token string) {
		t.Helper()
		status, a := p.call(t, http.MethodGet, "/codex/models", http.Header{proxy.TokenHeader: {token}, "X-Account": {"alice"}})
		checkRefused(t, what, status, a, http.StatusUnauthorized, proxy.CodeInvalidToken)
	}
	_, secret, _ := strings.Cut(alice, ".")
	before := u.count()
	for what, token := range map[string]string{
		"none": "", "a name": "alice.", "a name alone": "alice", "a secret alone": secret, "for another": "bob." + secret, "for nobody": "carol." + secret,
		"a step away": "../alice." + secret, "a step inside": "alice/../alice." + secret, "hidden": "." + secret, "cut short": alice[:len(alice)-1], "too long": alice + "0",
	} {
		refused(what, token)
	}
	if u.count() != before {
		t.Errorf("%d requests of callers who were refused have reached the upstream", u.count()-before)
	}

	// What the files say counts at once.
	tokenFile := filepath.Join(folder, "alice", proxy.AccountTokenFile)
	changed := strings.ToUpper(alice[:5]) + alice[5:] // not the account's name
	if err := os.WriteFile(tokenFile, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("replaced by one of no account's", alice)
	changed = "alice." + hex.EncodeToString([]byte("some other random bytes"))
	if err := os.WriteFile(tokenFile, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("replaced", alice)
	checkAccount(t, p, "/codex/models", "alice", http.Header{proxy.TokenHeader: {changed}})
	u.secrets = append(u.secrets, changed)
	if err := os.Remove(tokenFile); err != nil {
		t.Fatal(err)
	}
	refused("removed", changed)
}

// Accounts come and go while the proxy serves.
func TestProxyAccountsComeAndGo(t *testing.T) {
	u := startUpstream(t, none)
	folder := t.TempDir()
	p := startProxyFor(t, u, []string{"--accounts", folder, "--account-header", "X-Account"})
	call := func() (int, answer) {
		return p.call(t, http.MethodGet, "/codex/models", p.header("X-Account", "alice"))
	}
	status, a := call()
	checkRefused(t, "before it has come", status, a, http.StatusForbidden, proxy.CodeUnknownAccount)
	u.addAccount(t, folder, "alice")
	first := checkAccount(t, p, "/codex/models", "alice", p.header("X-Account", "alice"))
	// Somewhere that is no account's.
	away := filepath.Join(folder, ".away")
	if err := os.Rename(filepath.Join(folder, "alice"), away); err != nil {
		t.Fatal(err)
	}
	status, a = call()
	checkRefused(t, "after it has gone", status, a, http.StatusForbidden, proxy.CodeUnknownAccount)
	if err := os.Rename(away, filepath.Join(folder, "alice")); err != nil {
		t.Fatal(err)
	}
	if again := checkAccount(t, p, "/codex/models", "alice", p.header("X-Account", "alice")); again.TaskID != first.TaskID {
		t.Errorf("come back, it has the task %s, want %s", again.TaskID, first.TaskID)
	}
}

// What a caller authorizes itself with, and names the account in, goes nowhere.
func TestProxyAccountFields(t *testing.T) {
	u := startUpstream(t, none)
	folder := t.TempDir()
	u.addAccount(t, folder, "alice")
	p := startProxyFor(t, u, []string{"--accounts", folder, "--account-header", "X-Account"})
	h := p.header("X-Account", "alice", "Authorization", "Bearer of-the-callers", "X-Other", "kept")
	h["X_Account"], h["x.account"] = []string{"bob"}, []string{"bob"}
	checkAccount(t, p, "/codex/models", "alice", h)
	u.mu.Lock()
	defer u.mu.Unlock()
	last := u.calls[len(u.calls)-1]
	if last.Get("X-Other") != "kept" {
		t.Errorf("the caller's own field has not arrived: %v", last)
	}
	for name, values := range last {
		if spelling(name) == "x-account" || strings.Contains(strings.Join(values, " "), "of-the-callers") {
			t.Errorf("the upstream has got %s", name)
		}
	}
}

// An account that cannot be used does not keep others from being served, and what is
// wrong with it is for the log.
func TestProxyAccountFails(t *testing.T) {
	u := startUpstream(t, none)
	folder := t.TempDir()
	u.addAccount(t, folder, "alice")
	u.addAccount(t, folder, "broken")
	if err := os.WriteFile(filepath.Join(folder, "broken", proxy.AccountAuthFile), []byte(`{"agent_identity":"no.j.wt"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProxyFor(t, u, []string{"--accounts", folder, "--account-header", "X-Account", "--profile", "auth-api", "--all-surfaces",
		"--auth-api-url", u.server.URL + "/api/accounts"})
	for range 2 {
		status, a := p.call(t, http.MethodGet, "/codex/models", p.header("X-Account", "broken"))
		checkRefused(t, "broken", status, a, http.StatusBadGateway, proxy.CodeAccountFailed)
		if strings.Contains(a.Error.Message, folder) || strings.Contains(a.Error.Message, "JWT") {
			t.Errorf("the caller hears %q", a.Error.Message)
		}
	}
	checkAccount(t, p, "/codex/models", "alice", p.header("X-Account", "alice"))
	if said := p.stop(); !strings.Contains(said.stderr, "JWT") || !strings.Contains(said.stderr, "account=broken") {
		t.Errorf("it said %s", said.stderr)
	}
}

// What is missing, too much or misspelt is said at once.
func TestProxyAccountFlags(t *testing.T) {
	folder := t.TempDir()
	with := func(args ...string) []string { return append([]string{"--accounts", folder}, args...) }
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"nobody says which", with(), "--account-header"},
		{"both", with("--account-header", "X-Account", "--account-tokens"), "account-tokens"},
		{"a header without accounts", []string{"--auth-file", "x", "--account-header", "X-Account"}, "--accounts"},
		{"tokens without accounts", []string{"--auth-file", "x", "--account-tokens"}, "--accounts"},
		{"a sign-in, too", with("--account-tokens", "--auth-file", "x"), "auth-file"},
		{"a store, too", with("--account-tokens", "--store", "keyring:", "--store-name", "n"), "store"},
		{"a token of the proxy's, too", with("--account-tokens", "--token-file", "x"), "token-file"},
		{"a given one, too", with("--account-tokens", "--token-from", "x"), "token-from"},
		{"no folder", []string{"--accounts", filepath.Join(folder, "missing"), "--account-tokens"}, "--accounts"},
		{"Authorization", with("--account-header", "Authorization"), "X-Account"},
		{"Host", with("--account-header", "Host"), "X-Account"},
		{"no field", with("--account-header", "X-Acc ount"), "X-Account"},
		{"the proxy's own", with("--account-header", "x-agentassert-thread"), "X-Account"},
		{"a backend's", with("--account-header", "X-OpenAI-Subagent"), "X-Account"},
		{"one that is not forwarded", with("--account-header", "X-Forwarded-For"), "X-Account"},
		{"an upstream that is none", with("--account-tokens", "--upstream", "ftp://x"), "base URL"},
		{"a profile that is none", with("--account-tokens", "--profile", "x"), "--profile"},
		{"a conversation that is none", with("--account-tokens", "--thread", "\x00"), "thread"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tool(t, "", append([]string{"proxy", "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:9/backend-api", "--trust-host", "127.0.0.1"}, tt.args...)...)
			checkSaid(t, got, exitUsage, []string{tt.want})
		})
	}
}
