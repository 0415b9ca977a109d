package authority_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
)

// authAPI is the profile auth-api's, below the server's URL.
const authAPI = "/api/accounts"

// laterIdentityBody is what a client of the profile auth-api sends.
func laterIdentityBody(t testing.TB, k *core.PrivateKey) string {
	t.Helper()
	return strings.TrimSuffix(identityBody(t, k), "}") + `,"ttl":null}`
}

// registerLater registers a key in the profile auth-api, without a task.
func (b *backend) registerLater(t testing.TB, s authority.Session, k *core.PrivateKey, more ...string) agent {
	t.Helper()
	a := b.do(t, request{"POST", identityPath(authAPI), append([]string{
		"Authorization", "Bearer " + s.AccessToken,
	}, more...), laterIdentityBody(t, k)})
	id, ok := a.body["agent_runtime_id"].(string)
	if a.status != 200 || !ok || len(a.body) != 1 {
		t.Fatalf("identity registration: %d %v", a.status, a.body)
	}
	return agent{key: k, runtimeID: id}
}

// grantLater registers a task in the profile auth-api, and reads the answer of
// whatever shape.
func (b *backend) grantLater(t testing.TB, g agent) (agent, authority.TaskResponse) {
	t.Helper()
	a := b.do(t, request{"POST", taskPath(authAPI, g.runtimeID), nil, proofBody(t, g.key, g.runtimeID, b.clock())})
	if a.status != 200 || len(a.body) != 1 {
		t.Fatalf("task registration: %d %v", a.status, a.body)
	}
	var shape authority.TaskResponse
	for name, value := range a.body {
		shape, g.task = authority.TaskResponse(name), value.(string)
	}
	if strings.HasPrefix(string(shape), "encrypted") {
		var err error
		if g.task, err = core.OpenTaskID(g.key, g.task); err != nil {
			t.Fatal(err)
		}
	}
	return g, shape
}

func TestLaterProfileEndToEnd(t *testing.T) {
	for shape, want := range map[authority.TaskResponse]authority.TaskResponse{
		"":                                "encrypted_task_id", // the default
		authority.TaskResponsePlain:       "task_id",
		authority.TaskResponsePlainCamel:  "taskId",
		authority.TaskResponseSealed:      "encrypted_task_id",
		authority.TaskResponseSealedCamel: "encryptedTaskId",
	} {
		t.Run("shape "+string(shape), func(t *testing.T) {
			b := newBackend(t, authority.Options{TaskResponse: shape})
			s := b.SignIn("acct-1", "user-1")
			g := b.registerLater(t, s, newKey(t, 1))
			if got := b.last(); got.Scheme != authority.SchemeBearer || !got.Verified || got.AccountID != "acct-1" || got.AgentRuntimeID != g.runtimeID {
				t.Errorf("observed %+v", got)
			}
			g, name := b.grantLater(t, g)
			if name != want {
				t.Errorf("the task came as %q, want %q", name, want)
			}
			if got := b.last(); got.Scheme != authority.SchemeSignature || !got.Verified || got.AccountID != "acct-1" || got.TaskID != g.task {
				t.Errorf("observed %+v", got)
			}
			if !strings.HasPrefix(g.task, "task-") {
				t.Errorf("the task is %q", g.task)
			}
			for _, base := range []string{"/backend-api", ""} {
				a := b.do(t, request{"GET", base + "/codex/models", []string{
					"Authorization", g.assertion(t, start), "ChatGPT-Account-ID", "acct-1",
				}, ""})
				b.check(t, a, 200, "")
			}
			// The default profile goes on beside it, in its own shape.
			b.grant(t, s, g)
			b.grantLater(t, b.register(t, s, newKey(t, 2)))
			if got := b.Accepted(); got != (authority.Counts{Identities: 2, Tasks: 3}) {
				t.Errorf("Accepted() = %+v", got)
			}
			b.RevokeAgent(g.runtimeID)
			if held, all := b.Counts(), b.Accepted(); held != (authority.Counts{Identities: 1, Tasks: 1}) || all != (authority.Counts{Identities: 2, Tasks: 3}) {
				t.Errorf("after a revocation, Counts() = %+v, Accepted() = %+v", held, all)
			}
		})
	}
}

func TestLaterIdentityRegistration(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	bearer := "Bearer " + s.AccessToken
	k := newKey(t, 1)
	good := laterIdentityBody(t, k)
	biscuit := b.mint(t, s.AccessToken, identityPath(base))
	for _, tt := range []struct {
		name    string
		headers []string
		body    string
		status  int
		code    string
	}{
		{"good", []string{"Authorization", bearer}, good, 200, ""},
		{"with its account", []string{"Authorization", bearer, "ChatGPT-Account-ID", "acct-1"}, good, 200, ""},
		{"without ttl", []string{"Authorization", bearer}, identityBody(t, k), 200, ""},
		{"ttl of another kind", []string{"Authorization", bearer}, strings.Replace(good, "null", "3600", 1), 200, ""},
		{"says FedRAMP, and is not", []string{"Authorization", bearer, "X-OpenAI-Fedramp", "true"}, good, 200, ""},
		{"no authorization", nil, good, 401, authority.CodeUnauthenticated},
		{"a biscuit", []string{"X-OpenAI-Authorization", biscuit}, good, 401, authority.CodeUnauthenticated},
		{"an assertion", []string{"Authorization", "AgentAssertion e30"}, good, 401, authority.CodeUnauthenticated},
		{"another token", []string{"Authorization", bearer + "x"}, good, 401, authority.CodeInvalidToken},
		{"two authorizations", []string{"Authorization", bearer, "Authorization", bearer}, good, 400, authority.CodeInvalidRequest},
		{"other account", []string{"Authorization", bearer, "ChatGPT-Account-ID", "acct-2"}, good, 401, authority.CodeAccountMismatch},
		{"ttl twice", []string{"Authorization", bearer}, strings.Replace(good, `"ttl"`, `"ttl":1,"ttl"`, 1), 400, authority.CodeInvalidRequest},
		{"no body", []string{"Authorization", bearer}, "", 400, authority.CodeInvalidRequest},
		{"too large", []string{"Authorization", bearer}, good + strings.Repeat(" ", 64<<10), 413, authority.CodeBodyTooLarge},
		{"another kind of key", []string{"Authorization", bearer}, strings.Replace(good, "ssh-ed25519", "ssh-rsa", 1), 400, authority.CodeInvalidPublicKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := b.Accepted().Identities
			b.check(t, b.do(t, request{"POST", identityPath(authAPI), tt.headers, tt.body}), tt.status, tt.code)
			if accepted := b.Accepted().Identities - before; (accepted == 1) != (tt.status == 200) {
				t.Errorf("%d identities accepted", accepted)
			}
		})
	}
}

func TestLaterTaskRegistration(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	k := newKey(t, 1)
	g := b.registerLater(t, s, k)
	elsewhere := b.register(t, s, k) // in the default profile
	revoked := b.registerLater(t, s, k)
	b.RevokeAgent(revoked.runtimeID)
	proof := func(k *core.PrivateKey, id string, after time.Duration) string {
		return proofBody(t, k, id, start.Add(after))
	}
	good := proof(k, g.runtimeID, 0)
	skew := authority.DefaultSkew
	biscuit := b.mint(t, s.AccessToken, taskPath(base, g.runtimeID))
	for _, tt := range []struct {
		name, agent string
		headers     []string
		body        string
		status      int
		code        string
	}{
		{"good", g.runtimeID, nil, good, 200, ""},
		{"the same again", g.runtimeID, nil, good, 200, ""},
		{"registered in the default profile", elsewhere.runtimeID, nil, proof(k, elsewhere.runtimeID, 0), 200, ""},
		{"with an account, which is no authorization", g.runtimeID, []string{"ChatGPT-Account-ID", "acct-2"}, proof(k, g.runtimeID, time.Second), 200, ""},
		{"oldest", g.runtimeID, nil, proof(k, g.runtimeID, -skew), 200, ""},
		{"too old", g.runtimeID, nil, proof(k, g.runtimeID, -skew-time.Second), 403, authority.CodeTimestampSkew},
		{"too new", g.runtimeID, nil, proof(k, g.runtimeID, skew+time.Second), 403, authority.CodeTimestampSkew},
		{"another key", g.runtimeID, nil, proof(newKey(t, 2), g.runtimeID, 0), 404, authority.CodeUnknownAgent},
		{"another agent's", g.runtimeID, nil, proof(k, elsewhere.runtimeID, 0), 404, authority.CodeUnknownAgent},
		{"bearer", g.runtimeID, []string{"Authorization", "Bearer " + s.AccessToken}, good, 400, authority.CodeInvalidRequest},
		{"some other authorization", g.runtimeID, []string{"Authorization", "Basic dTpw"}, good, 400, authority.CodeInvalidRequest},
		{"biscuit", g.runtimeID, []string{"X-OpenAI-Authorization", biscuit}, good, 400, authority.CodeInvalidRequest},
		{"agent that never was", "agent-x", nil, proof(k, "agent-x", 0), 404, authority.CodeUnknownAgent},
		{"revoked agent", revoked.runtimeID, nil, proof(k, revoked.runtimeID, 0), 404, authority.CodeUnknownAgent},
		{"no body", g.runtimeID, nil, "", 400, authority.CodeInvalidRequest},
		{"no signature", g.runtimeID, nil, `{"timestamp":"2026-11-24T15:16:08Z"}`, 400, authority.CodeInvalidRequest},
		{"too large", g.runtimeID, nil, good + strings.Repeat(" ", 64<<10), 413, authority.CodeBodyTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := b.Accepted().Tasks
			b.check(t, b.do(t, request{"POST", taskPath(authAPI, tt.agent), tt.headers, tt.body}), tt.status, tt.code)
			isNew := tt.status == 200 && tt.name != "the same again"
			if accepted := b.Accepted().Tasks - before; (accepted == 1) != isNew {
				t.Errorf("%d tasks accepted", accepted)
			}
			if last := b.last(); last.Verified != (tt.status == 200) {
				t.Errorf("observed %+v", last)
			}
		})
	}
}

// TestProfilesAreApart: a credential of one profile is none in the other.
func TestProfilesAreApart(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	bearer := []string{"Authorization", "Bearer " + s.AccessToken}
	g := b.registerLater(t, s, newKey(t, 1))
	for _, tt := range []struct {
		name string
		request
		status int
		code   string
	}{
		{"bearer, for an identity", request{"POST", identityPath(base), bearer, identityBody(t, g.key)}, 403, authority.CodeInvalidBiscuit},
		{"signature alone, for a task", request{"POST", taskPath(base, g.runtimeID), nil, proofBody(t, g.key, g.runtimeID, start)}, 403, authority.CodeInvalidBiscuit},
		{"a biscuit for the auth API", request{"GET", base + "/authenticate_app_v2", append([]string{
			"X-Original-Method", "POST", "X-Original-Url", b.url + identityPath(authAPI),
		}, bearer...), ""}, 400, authority.CodeInvalidRequest},
		{"methods of an identity", request{"GET", identityPath(authAPI), bearer, ""}, 405, authority.CodeMethodNotAllowed},
		{"methods of a task", request{"PUT", taskPath(authAPI, g.runtimeID), nil, ""}, 405, authority.CodeMethodNotAllowed},
		{"the auth API has no biscuits: a call", request{"GET", authAPI + "/authenticate_app_v2", nil, ""}, 401, authority.CodeUnauthenticated},
		{"the auth API has nothing else: a call", request{"POST", authAPI, bearer, ""}, 200, ""},
		{"another path that starts alike: a call", request{"POST", identityPath(authAPI + "x"), bearer, ""}, 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := b.do(t, tt.request)
			b.check(t, a, tt.status, tt.code)
			if a.header.Get("X-OpenAI-Authorization") != "" {
				t.Error("a biscuit was minted")
			}
		})
	}
}

func TestNewRefusesOptions(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]authority.Options{
		"task response":           {TaskResponse: "taskID"},
		"key":                     {JWTKey: weak},
		"skew":                    {Skew: -time.Second},
		"skew in part of seconds": {Skew: time.Second + 1},
		"huge skew":               {Skew: authority.MaxSkew + time.Second},
		"biscuit lifetime":        {BiscuitLifetime: -1},
		"task lifetime":           {TaskLifetime: -1},
		"identities":              {MaxIdentities: authority.Limit{Total: -1}},
		"tasks":                   {MaxTasks: authority.Limit{PerAccount: -1}},
		"biscuits":                {MaxBiscuits: authority.Limit{Total: -1}},
	} {
		a, err := authority.New(o)
		if a != nil || !errors.Is(err, &authority.Error{Code: authority.CodeInvalidOptions}) {
			t.Errorf("%s: got %v, %v", name, a, err)
		}
	}
	if got := fmt.Sprint(authority.TaskResponses()); got != "[task_id taskId encrypted_task_id encryptedTaskId]" {
		t.Errorf("TaskResponses() = %s", got)
	}
}
