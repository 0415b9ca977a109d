package authority

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
)

const goodBody = `{"abom":{"agent_version":"1","agent_harness_id":"codex-cli","running_location":"cli-linux"},` +
	`"agent_public_key":"ssh-ed25519 x","capabilities":[]}`

// hold registers an agent and its task.
func hold(tb testing.TB, a *Authority, now time.Time, agent Agent, taskID string) {
	tb.Helper()
	if err := a.agents.add(now, agent.RuntimeID, agent.AccountID, time.Time{}, agent); err != nil {
		tb.Fatal(err)
	}
	if err := a.tasks.add(now, taskID, agent.AccountID, time.Time{}, task{agentRuntimeID: agent.RuntimeID}); err != nil {
		tb.Fatal(err)
	}
}

// FuzzServeHTTP sends anything anywhere: there is always one answer, in JSON, of
// a status that the package knows, and nobody gets in without a credential.
func FuzzServeHTTP(f *testing.F) {
	seed := make([]byte, 32)
	key, err := core.NewPrivateKey(seed)
	if err != nil {
		f.Fatal(err)
	}
	now := time.Unix(1795533368, 0)
	var observed Request
	a, err := New(Options{
		Now:     func() time.Time { return now },
		Observe: func(r Request) { observed = r },
	})
	if err != nil {
		f.Fatal(err)
	}
	s := a.SignIn("acct-1", "user-1")
	hold(f, a, now, Agent{RuntimeID: "agent-1", PublicKey: key.Public(), AccountID: "acct-1"}, "task-1")
	assertion, err := core.BuildAssertion(key, "agent-1", "task-1", now.Unix())
	if err != nil {
		f.Fatal(err)
	}
	registration := "http://host/backend-api/v1/agent/register"
	proof, err := core.SignRegistration(key, "agent-1", now.Unix())
	if err != nil {
		f.Fatal(err)
	}
	f.Add("GET", "/backend-api/codex/models?a=b", assertion, "acct-1", "", "", "")
	f.Add("GET", "/backend-api/authenticate_app_v2", "Bearer "+s.AccessToken, "", "", registration, "")
	f.Add("POST", "/backend-api/v1/agent/register", "", "", "biscuit", "", goodBody)
	f.Add("POST", "/api/accounts/v1/agent/register", "Bearer "+s.AccessToken, "", "", "", goodBody)
	f.Add("POST", "/api/accounts/v1/agent/agent-1/task/register", "", "", "", "", `{"signature":"`+proof.Signature+`","timestamp":"`+proof.Timestamp+`"}`)
	f.Add("GET", "/agent-identities/jwks", "", "", "", "", "")
	f.Add("POST", "/v1/agent/%2e%2e/task/register", "Bearer x", "", "biscuit", "", "{}")
	f.Add("CONNECT", "/", "", "", "", "", "")
	f.Add("OPTIONS", "*", "Basic x", "acct-2", "", "", "")
	f.Fuzz(func(t *testing.T, method, path, authorization, account, biscuit, original, body string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return // net/http answers these
		}
		r := httptest.NewRequest("GET", "http://host/", strings.NewReader(body))
		r.Method, r.URL = method, u
		for name, value := range map[string]string{
			"Authorization": authorization, accountHeader: account, biscuitHeader: biscuit,
			"X-Original-Method": "POST", "X-Original-Url": original,
		} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if !json.Valid(w.Body.Bytes()) || w.Code != observed.Status {
			t.Errorf("answered %d %q, observed %d", w.Code, w.Body, observed.Status)
		}
		if !slices.Contains([]int{200, 400, 401, 403, 404, 405, 413, 429, 503}, w.Code) {
			t.Errorf("status %d", w.Code)
		}
		if (w.Code == http.StatusUnauthorized) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("status %d with WWW-Authenticate %q", w.Code, w.Header().Get("WWW-Authenticate"))
		}
		to := parseRoute(u.EscapedPath())
		if w.Code == 200 && to.endpoint == endpointJWKS {
			return // for everybody
		}
		if w.Code == 200 && to.endpoint == endpointTask && to.isAuthAPI() {
			if got, err := core.ParseTaskRegistration([]byte(body)); err != nil || got != proof || authorization != "" {
				t.Errorf("%q was accepted from %q", body, authorization)
			}
			return
		}
		if _, credential := cutScheme(authorization); w.Code == 200 && credential != s.AccessToken && !sameEnvelope(authorization, assertion) {
			t.Errorf("%q was let in", authorization)
		}
	})
}

// FuzzVerifierHeader changes a good assertion: what is still accepted says the
// same.
func FuzzVerifierHeader(f *testing.F) {
	key, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	now := time.Unix(1795533368, 0)
	a, err := New(Options{Now: func() time.Time { return now }})
	if err != nil {
		f.Fatal(err)
	}
	hold(f, a, now, Agent{RuntimeID: "agent-1", PublicKey: key.Public()}, "task-1")
	good, err := core.BuildAssertion(key, "agent-1", "task-1", now.Unix())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, "")
	f.Add(strings.ToLower(core.Scheme)+strings.TrimPrefix(good, core.Scheme), "")
	f.Add("", `{"agent_runtime_id":"agent-1","signature":"","task_id":"task-1","timestamp":"2026-11-24T15:16:08Z"}`)
	f.Fuzz(func(t *testing.T, header, envelope string) {
		if header == "" { // so that the fuzzer gets beyond base64
			header = core.Scheme + " " + base64.RawURLEncoding.EncodeToString([]byte(envelope))
		}
		p, err := a.verifier.Verify(&http.Request{Header: http.Header{"Authorization": {header}}})
		if err == nil && (!sameEnvelope(header, good) || p.AgentRuntimeID != "agent-1" || p.TaskID != "task-1") {
			t.Errorf("%q was accepted as %+v", header, p)
		}
		if err != nil && p != (Principal{}) {
			t.Errorf("a refusal came with %+v", p)
		}
	})
}

func sameEnvelope(a, b string) bool {
	i, errA := core.ParseAssertion(a)
	j, errB := core.ParseAssertion(b)
	return errA == nil && errB == nil && i.Envelope != nil && *i.Envelope == *j.Envelope
}
