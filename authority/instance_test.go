package authority_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// instances is a fixed authority.InstanceDirectory.
type instances map[string]authority.Instance

func (d instances) Instance(_ context.Context, id string) (authority.Instance, error) {
	switch id {
	case "broken":
		return authority.Instance{}, errors.New("the database is away")
	case "keyless":
		return authority.Instance{ID: id}, nil
	}
	i, ok := d[strings.ToLower(id)]
	if !ok {
		return i, fmt.Errorf("no row: %w", authority.ErrUnknownAgent)
	}
	return i, nil
}

// instanceAssertion is the n-th assertion of an instance.
func instanceAssertion(t testing.TB, k *core.PrivateKey, id string, at time.Time, n byte) string {
	t.Helper()
	value, err := core.BuildInstanceAssertion(k, id, append(make([]byte, 15), n), at.Unix())
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// Each form is verified by the directory of its own, in the header field that it may
// stand in, and the principal says which it was.
func TestVerifierForms(t *testing.T) {
	k, other := newKey(t, 1), newKey(t, 2)
	// The agent and the instance have the same id, and the same key.
	agents := directory{
		agents: map[string]authority.Agent{"a": {PublicKey: k.Public(), AccountID: "acct-1"}, "agent-alone": {PublicKey: k.Public()}},
		tasks:  map[[2]string]authority.TaskStatus{{"a", "t"}: authority.TaskActive},
	}
	known := instances{
		"a":       {ID: "a", PublicKey: k.Public(), AccountID: "acct-1"},
		"fed":     {ID: "fed", PublicKey: k.Public(), FedRAMP: true},
		"revoked": {ID: "revoked", PublicKey: k.Public(), Revoked: true},
		"alone":   {ID: "alone", PublicKey: k.Public()},
	}
	task, err := core.BuildAssertion(k, "a", "t", start.Unix())
	if err != nil {
		t.Fatal(err)
	}
	onAlone, err := core.BuildAssertion(k, "alone", "t", start.Unix())
	if err != nil {
		t.Fatal(err)
	}
	value := func(id string) string { return instanceAssertion(t, k, id, start, 1) }
	asTask := authority.Principal{Form: wire.FormTask, AgentRuntimeID: "a", TaskID: "t", AccountID: "acct-1", Timestamp: start}
	asInstance := authority.Principal{Form: wire.FormInstance, RuntimeAgentInstance: "a", AccountID: "acct-1", Timestamp: start}
	beside := asInstance
	beside.Beside = true
	const field = "X-OpenAI-Agent-Assertion"
	for _, tt := range []struct {
		name    string
		headers []string
		want    authority.Principal
		code    string
		reason  string
	}{
		{"task", []string{"Authorization", task}, asTask, "", ""},
		{"instance", []string{"Authorization", "AgentAssertion " + value("a")}, asInstance, "", ""},
		{"instance, scheme in lower case", []string{"Authorization", "agentassertion  " + value("a")}, asInstance, "", ""},
		{"beside a token", []string{"Authorization", "Bearer x", field, value("a")}, beside, "", ""},
		{"beside nothing", []string{field, value("a")}, beside, "", ""},
		{"account", []string{field, value("a"), "ChatGPT-Account-ID", "acct-1"}, beside, "", ""},
		{"other account", []string{field, value("a"), "ChatGPT-Account-ID", "acct-2"}, authority.Principal{}, authority.CodeAccountMismatch, ""},
		{"FedRAMP", []string{field, value("fed"), "X-OpenAI-Fedramp", "true"},
			authority.Principal{Form: wire.FormInstance, RuntimeAgentInstance: "fed", FedRAMP: true, Beside: true, Timestamp: start}, "", ""},
		{"FedRAMP without its mark", []string{field, value("fed")}, authority.Principal{}, authority.CodeFedRAMPRequired, ""},
		{"two assertions", []string{"Authorization", task, field, value("a")}, authority.Principal{}, authority.CodeInvalidRequest, ""},
		{"the same twice", []string{"Authorization", "AgentAssertion " + value("a"), field, value("a")}, authority.Principal{}, authority.CodeInvalidRequest, ""},
		{"field twice", []string{field, value("a"), field, value("a")}, authority.Principal{}, authority.CodeInvalidRequest, ""},
		{"task in the other field", []string{field, strings.TrimPrefix(task, "AgentAssertion ")}, authority.Principal{}, authority.CodeInvalidAssertion, ""},
		{"task with its scheme there", []string{field, task}, authority.Principal{}, authority.CodeInvalidAssertion, ""},
		{"scheme in the other field", []string{field, "AgentAssertion " + value("a")}, authority.Principal{}, authority.CodeInvalidAssertion, ""},
		{"a bearer token there", []string{field, "Bearer x"}, authority.Principal{}, authority.CodeInvalidAssertion, ""},
		{"instance as a bearer token", []string{"Authorization", "Bearer " + value("a")}, authority.Principal{}, authority.CodeUnauthenticated, ""},
		{"agent as an instance", []string{field, value("agent-alone")}, authority.Principal{}, authority.CodeUnknownAgent, ""},
		{"instance as an agent", []string{"Authorization", onAlone}, authority.Principal{}, authority.CodeUnknownAgent, ""},
		{"unknown", []string{field, value("z")}, authority.Principal{}, authority.CodeUnknownAgent, ""},
		{"another key", []string{field, instanceAssertion(t, other, "a", start, 1)}, authority.Principal{}, authority.CodeUnknownAgent, authority.CodeInvalidSignature},
		{"revoked", []string{field, value("revoked")}, authority.Principal{}, authority.CodeInstanceRevoked, ""},
		{"revoked, another key", []string{field, instanceAssertion(t, other, "revoked", start, 1)}, authority.Principal{}, authority.CodeUnknownAgent, authority.CodeInvalidSignature},
		{"other spelling", []string{field, value("A")}, authority.Principal{}, authority.CodeUnknownAgent, authority.CodeOtherSpelling},
		{"no directory", []string{field, value("broken")}, authority.Principal{}, authority.CodeDirectoryFailed, authority.CodeDirectoryFailed},
		{"no key", []string{field, value("keyless")}, authority.Principal{}, authority.CodeDirectoryFailed, authority.CodeDirectoryFailed},
		{"skew", []string{field, instanceAssertion(t, k, "a", start.Add(-6*time.Minute), 1)}, authority.Principal{}, authority.CodeTimestampSkew, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newVerifier(t, authority.VerifierOptions{Agents: agents, Instances: known, Now: func() time.Time { return start }})
			r := &http.Request{Header: http.Header{}}
			for i := 0; i < len(tt.headers); i += 2 {
				r.Header.Add(tt.headers[i], tt.headers[i+1])
			}
			p, err := v.Verify(r)
			checkRefusal(t, err, tt.code, tt.reason)
			if p != tt.want {
				t.Errorf("got %+v, want %+v", p, tt.want)
			}
		})
	}
	// Without a directory of instances none is let in.
	v := newVerifier(t, authority.VerifierOptions{Agents: agents, Now: func() time.Time { return start }})
	_, err = v.Verify(&http.Request{Header: http.Header{"Authorization": {"AgentAssertion " + value("a")}}})
	checkRefusal(t, err, authority.CodeUnauthenticated, "")
}

// checkRefusal compares the code that the client is told, and that of the reason.
func checkRefusal(t testing.TB, err error, code, reason string) {
	t.Helper()
	got, gotReason := "", ""
	if err != nil {
		e, _ := errors.AsType[*authority.Error](err)
		got, gotReason = e.Code, authority.Reason(err)
	}
	if reason == "" {
		reason = code
	}
	if got != code || gotReason != reason {
		t.Errorf("got code %q, reason %q (%v), want %q, %q", got, gotReason, err, code, reason)
	}
}

// An instance's assertion is for one request, at whatever number of servers' threads at
// once; another with the same id is none; and it is forgotten when it is too old.
func TestInstanceReplays(t *testing.T) {
	k := newKey(t, 1)
	now := start
	memory, err := authority.NewMemoryReplays(authority.MemoryReplaysOptions{Reuse: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for name, hook := range map[string]func(context.Context, authority.Use) (bool, error){
		"by default": nil, "tasks can be used again": memory.Replayed,
	} {
		t.Run(name, func(t *testing.T) {
			now = start
			v := newVerifier(t, authority.VerifierOptions{
				Agents: directory{}, Instances: instances{"a": {ID: "a", PublicKey: k.Public()}, "b": {ID: "b", PublicKey: k.Public()}},
				Now: func() time.Time { return now }, Replayed: hook,
			})
			verify := func(value string) error {
				_, err := v.Verify(&http.Request{Header: http.Header{"X-Openai-Agent-Assertion": {value}}})
				return err
			}
			value := instanceAssertion(t, k, "a", start, 1)
			var first atomic.Int64
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					if err := verify(value); err == nil {
						first.Add(1)
					} else {
						checkRefusal(t, err, authority.CodeReplayedAssertion, "")
					}
				})
			}
			all.Wait()
			if n := first.Load(); n != 1 {
				t.Errorf("%d of 100 uses were let in, want 1", n)
			}
			checkRefusal(t, verify(instanceAssertion(t, k, "a", start.Add(time.Second), 1)), authority.CodeReplayedAssertion, "")
			checkRefusal(t, verify(instanceAssertion(t, k, "a", start, 2)), "", "")
			checkRefusal(t, verify(instanceAssertion(t, k, "b", start, 1)), "", "")
			now = start.Add(authority.DefaultSkew)
			checkRefusal(t, verify(value), authority.CodeReplayedAssertion, "")
			now = now.Add(time.Second)
			checkRefusal(t, verify(value), authority.CodeTimestampSkew, "")
		})
	}
}

// Where no more can be remembered, what is new is refused.
func TestInstanceReplaysFull(t *testing.T) {
	k := newKey(t, 1)
	memory, err := authority.NewMemoryReplays(authority.MemoryReplaysOptions{Max: authority.Limit{Total: 2}})
	if err != nil {
		t.Fatal(err)
	}
	v := newVerifier(t, authority.VerifierOptions{
		Agents: directory{}, Instances: instances{"a": {ID: "a", PublicKey: k.Public()}},
		Now: func() time.Time { return start }, Replayed: memory.Replayed,
	})
	for n, want := range []string{"", "", authority.CodeReplayCheckFailed} {
		_, err := v.Verify(&http.Request{Header: http.Header{"X-Openai-Agent-Assertion": {instanceAssertion(t, k, "a", start, byte(n))}}})
		code := ""
		if e, ok := errors.AsType[*authority.Error](err); ok {
			code = e.Code
		}
		if code != want {
			t.Errorf("use %d: got %q, want %q", n, code, want)
		}
	}
}

// instanceBody registers an instance, as the captured client does.
func instanceBody(t testing.TB, kind, credential string, k *core.PrivateKey) string {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(capturedInstance(t)), &body); err != nil {
		t.Fatal(err)
	}
	body["actor_auth"] = map[string]string{"type": kind, "credential": credential}
	if k != nil {
		body["public_key"] = k.Public().OpenSSH()
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// capturedInstance is the body of the captured registration.
func capturedInstance(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../testvectors/captures/codex-0.171-instances-dual.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var line struct{ Body string }
	first, _, _ := strings.Cut(string(text), "\n")
	if err := json.Unmarshal([]byte(first), &line); err != nil {
		t.Fatal(err)
	}
	return line.Body
}

// The reference client refuses an answer whose actor lacks a member, whoever it is.
func TestInstanceOfAnyBearer(t *testing.T) {
	b := newBackend(t, authority.Options{AcceptAnyBearer: true})
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"https://api.openai.com/auth":{"chatgpt_account_id":"acct-3","chatgpt_user_id":"user-3"}}`))
	for _, tt := range []struct{ kind, credential, account, user string }{
		{"oauth", "h." + claims + ".s", "acct-3", "user-3"},
		{"oauth", "opaque", "account-1", "user-1"},
		{"platform_api_key", "sk-not-a-real-key", "", "user-1"},
	} {
		a := b.do(t, request{"POST", "/agent/register", []string{"Idempotency-Key", tt.kind}, instanceBody(t, tt.kind, tt.credential, newKey(t, 1))})
		acts, _ := a.body["actor"].(map[string]any)
		account, _ := acts["account_id"].(string)
		if a.status != 200 || account != tt.account || acts["user_id"] != tt.user {
			t.Errorf("%s %q: got %d %v", tt.kind, tt.credential, a.status, a.body)
		}
	}
}

func TestInstanceRegistration(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	if err := b.AddAPIKey("sk-not-a-real-key"); err != nil {
		t.Fatal(err)
	}
	k, other := newKey(t, 1), newKey(t, 2)
	oauth := instanceBody(t, "oauth", s.AccessToken, k)
	register := func(key, body string, headers ...string) answer {
		return b.do(t, request{"POST", "/agent/register", append([]string{"Idempotency-Key", key}, headers...), body})
	}
	for _, tt := range []struct {
		name, key, body string
		headers         []string
		status          int
		code            string
	}{
		{"no idempotency key", "", oauth, nil, 400, authority.CodeInvalidRequest},
		{"a long idempotency key", strings.Repeat("k", 257), oauth, nil, 400, authority.CodeInvalidRequest},
		{"a bearer token, too", "k", oauth, []string{"Authorization", "Bearer x"}, 400, authority.CodeInvalidRequest},
		{"no body", "k", "", nil, 400, authority.CodeInvalidRequest},
		{"another's token", "k", instanceBody(t, "oauth", "x", k), nil, 401, authority.CodeInvalidToken},
		{"a token as an API key", "k", instanceBody(t, "platform_api_key", s.AccessToken, k), nil, 401, authority.CodeInvalidToken},
		{"an API key as a token", "k", instanceBody(t, "oauth", "sk-not-a-real-key", k), nil, 401, authority.CodeInvalidToken},
		{"another kind", "k", instanceBody(t, "basic", s.AccessToken, k), nil, 400, authority.CodeInvalidRequest},
		{"no key", "k", strings.Replace(oauth, `"public_key":"ssh-ed25519`, `"public_key":"ssh-rsa`, 1), nil, 400, authority.CodeInvalidPublicKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if a := register(tt.key, tt.body, tt.headers...); a.status != tt.status || a.code() != tt.code {
				t.Errorf("got %d %v, want %d %s", a.status, a.body, tt.status, tt.code)
			}
		})
	}
	if c := b.Counts(); c.Instances != 0 {
		t.Errorf("the authority has %+v", c)
	}
	if a := b.do(t, request{"GET", "/agent/register", nil, ""}); a.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: got %d", a.status)
	}

	first := register("key-1", oauth)
	id, _ := first.body["runtime_agent_instance_id"].(string)
	acts, _ := first.body["actor"].(map[string]any)
	if first.status != 200 || id == "" || acts["kind"] != "chatgpt" || acts["account_id"] != "acct-1" || acts["user_id"] != "user-1" || first.body["agent_host_id"] == "" {
		t.Fatalf("got %d %v", first.status, first.body)
	}
	if again := register("key-1", oauth); again.body["runtime_agent_instance_id"] != id {
		t.Errorf("the same registration again made %v", again.body)
	}
	if a := register("key-1", instanceBody(t, "oauth", s.AccessToken, other)); a.status != 400 {
		t.Errorf("another key with the same idempotency key: got %d %v", a.status, a.body)
	}
	if a := register("key-2", oauth); a.body["runtime_agent_instance_id"] == id {
		t.Error("another idempotency key made the same instance")
	}
	if c := b.Counts(); c.Instances != 2 || b.Accepted().Instances != 2 {
		t.Errorf("the authority has %+v, has accepted %+v", c, b.Accepted())
	}
	b.advance(24*time.Hour + time.Second)
	if a := register("key-1", oauth); a.body["runtime_agent_instance_id"] == id {
		t.Error("after a day it is the same registration still")
	}

	byKey := register("key-3", instanceBody(t, "platform_api_key", "sk-not-a-real-key", other))
	acts, _ = byKey.body["actor"].(map[string]any)
	if byKey.status != 200 || acts["kind"] != "platform" || acts["organization_id"] == "" || acts["project_id"] == "" {
		t.Errorf("an API key: got %d %v", byKey.status, byKey.body)
	}

	// Calls, in both modes.
	call := func(n byte, headers ...string) answer {
		value := instanceAssertion(t, k, id, b.clock(), n)
		for i := range headers {
			headers[i] = strings.ReplaceAll(headers[i], "{value}", value)
		}
		return b.do(t, request{"GET", base + "/codex/models", headers, ""})
	}
	dual := []string{"Authorization", "Bearer " + s.AccessToken, "X-OpenAI-Agent-Assertion", "{value}"}
	if a := call(1, dual...); a.status != 200 || a.body["scheme"] != "dual-header" || a.body["runtime_agent_instance"] != id || a.body["account_id"] != "acct-1" {
		t.Errorf("dual: got %d %v", a.status, a.body)
	}
	if a := call(2, "Authorization", "AgentAssertion {value}"); a.status != 200 || a.body["scheme"] != "agent-assertion" || a.body["runtime_agent_instance"] != id {
		t.Errorf("only: got %d %v", a.status, a.body)
	}
	if a := call(2, "Authorization", "AgentAssertion {value}"); a.status != 403 || a.code() != authority.CodeReplayedAssertion {
		t.Errorf("again: got %d %v", a.status, a.body)
	}
	if a := call(3, "X-OpenAI-Agent-Assertion", "{value}"); a.status != 401 || a.code() != authority.CodeUnauthenticated {
		t.Errorf("without a token: got %d %v", a.status, a.body)
	}
	stranger := b.SignIn("acct-2", "user-2")
	if a := call(4, "Authorization", "Bearer "+stranger.AccessToken, "X-OpenAI-Agent-Assertion", "{value}"); a.status != 401 || a.code() != authority.CodeAccountMismatch {
		t.Errorf("beside another's token: got %d %v", a.status, a.body)
	}
	if !b.RevokeInstance(id) || b.RevokeInstance("nobody") {
		t.Error("RevokeInstance does not know which instances there are")
	}
	if a := call(5, "Authorization", "AgentAssertion {value}"); a.status != 401 || a.code() != authority.CodeInstanceRevoked {
		t.Errorf("revoked: got %d %v", a.status, a.body)
	}
	b.advance(time.Hour + time.Second)
	if a := call(6, "Authorization", "AgentAssertion {value}"); a.status != 401 || a.code() != authority.CodeUnknownAgent {
		t.Errorf("forgotten: got %d %v", a.status, a.body)
	}
}

// Where an account's calls to responses go, whoever asks.
func TestAccountsCheck(t *testing.T) {
	b := newBackend(t, authority.Options{Workspace: func(id string) authority.Workspace {
		if id == "acct-1" {
			return authority.Workspace{}
		}
		return authority.Workspace{Origin: "https://eu.chatgpt.com", Override: "us_cr"}
	}})
	for account, want := range map[string][2]string{"acct-1": {"NO_CONSTRAINT", "NO_CONSTRAINT"}, "acct-2": {"https://eu.chatgpt.com", "us_cr"}} {
		s := b.SignIn(account, "user")
		a := b.do(t, request{"GET", base + "/wham/accounts/check", []string{"Authorization", "Bearer " + s.AccessToken}, ""})
		accounts, _ := a.body["accounts"].([]any)
		if a.status != 200 || len(accounts) != 1 || a.body["default_account_id"] != account {
			t.Fatalf("got %d %v", a.status, a.body)
		}
		entry := accounts[0].(map[string]any)
		if entry["id"] != account || entry["workspace_backend_origin"] != want[0] || entry["account_routing_override"] != want[1] {
			t.Errorf("got %v, want %v", entry, want)
		}
	}
	if a := b.do(t, request{"GET", base + "/wham/accounts/check", nil, ""}); a.status != 401 {
		t.Errorf("nobody: got %d", a.status)
	}
}
