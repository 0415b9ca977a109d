package managers

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// backend is an authority on this machine.
type backend struct {
	*authority.Authority
	origin string
	client *http.Client
}

// newBackend starts one. Before, if not nil, gets each request first, and reports
// whether the authority is to answer it.
func newBackend(t *testing.T, before func(w http.ResponseWriter, r *http.Request) bool) *backend {
	t.Helper()
	a, err := authority.New(authority.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before == nil || before(w, r) {
			a.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return &backend{Authority: a, origin: server.URL, client: server.Client()}
}

// authJSON signs a user in, and returns the path of the client's file.
func (b *backend) authJSON(t *testing.T, account string) string {
	t.Helper()
	return writeAuthJSON(t, b.SignIn(account, "user-"+account).AuthJSON())
}

func writeAuthJSON(t *testing.T, document []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(path, document, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// options are those of a manager for this backend, with that auth.json.
func (b *backend) options(p profile, authJSON string) Options {
	o := Options{
		AuthJSON: authJSON, BaseURL: b.origin + "/backend-api", AgentIdentity: true, TrustedHosts: []string{"127.0.0.1"},
		Profile: p.profile, AllSurfaces: p.allSurfaces,
	}
	switch p.profile {
	case wire.ProfileAuthAPI:
		o.AuthAPIURL = b.origin + "/api/accounts"
	case wire.ProfileInstances:
		o.AuthAPIURL = b.origin
		o.Instance = &Instance{HeaderMode: p.headerMode, InstallationID: "test", Harness: "managers", Role: "orchestrator"}
	}
	return o
}

// inMemory are the same with a store in memory.
func (b *backend) inMemory(p profile, account string) Options {
	o := b.options(p, "")
	s := b.SignIn(account, "user-"+account)
	o.Credentials = &Credentials{Kind: wire.CredentialsChatGPT, AccessToken: s.AccessToken, AccountID: account}
	return o
}

// verified is what the backend says that it authenticated.
type verified struct {
	Scheme               string `json:"scheme"`
	AgentRuntimeID       string `json:"agent_runtime_id"`
	TaskID               string `json:"task_id"`
	RuntimeAgentInstance string `json:"runtime_agent_instance"`
}

// send makes a call on that surface, and returns the status and what was authenticated.
func (b *backend) send(t *testing.T, surface string, headers map[string]string) (int, verified) {
	t.Helper()
	s, err := core.LookupSurface(surface)
	if err != nil {
		t.Fatal(err)
	}
	path := s.Path
	if s.Scope == core.ScopeBearerOnly {
		path = "/plugins/featured" // not the endpoints that mint and register
	}
	r, err := http.NewRequestWithContext(t.Context(), s.Method, b.origin+"/backend-api"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	response, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var v verified
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return response.StatusCode, v
}

// mustVerify makes a call with an assertion, which the backend has to verify.
func (b *backend) mustVerify(t *testing.T, surface string, a Authorization) {
	t.Helper()
	if !a.asserts() {
		t.Fatalf("%s: no assertion: %s", surface, Result{Authorization: &a})
	}
	status, v := b.send(t, surface, a.Headers)
	want := verified{a.Mode, a.AgentRuntimeID, a.TaskID, a.RuntimeAgentInstance}
	if status != http.StatusOK || v != want {
		t.Errorf("%s: the backend answers %d and verified %+v, not %+v", surface, status, v, want)
	}
}

// checkAuthJSON checks that a client's file has kept the user's tokens.
func checkAuthJSON(t *testing.T, path string, before []byte) {
	t.Helper()
	type document struct {
		Tokens json.RawMessage `json:"tokens"`
		Agent  json.RawMessage `json:"agent_identity"`
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var was, is document
	if err := json.Unmarshal(before, &was); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(after, &is); err != nil {
		t.Fatalf("auth.json is damaged: %v", err)
	}
	if !bytes.Equal(was.Tokens, is.Tokens) {
		t.Error("the user's tokens have changed")
	}
	if len(is.Agent) == 0 {
		t.Error("there is no identity in auth.json")
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); strings.Contains(name, "journal") || strings.Contains(name, "tmp") || strings.Contains(name, ".new") {
			t.Errorf("%s was left behind", name)
		}
	}
}
