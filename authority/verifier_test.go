package authority_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
)

func newVerifier(t testing.TB, o authority.VerifierOptions) *authority.Verifier {
	t.Helper()
	v, err := authority.NewVerifier(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// directory is a fixed authority.Directory. Its agents have the ids that they are
// kept under.
type directory struct {
	agents  map[string]authority.Agent
	tasks   map[[2]string]authority.TaskStatus // by agent and task
	failure error
	// taskFailure fails only the look-up of tasks.
	taskFailure error
}

func (d directory) Agent(_ context.Context, id string) (authority.Agent, error) {
	if d.failure != nil {
		return authority.Agent{}, d.failure
	}
	a, ok := d.agents[id]
	if !ok {
		return a, fmt.Errorf("no row: %w", authority.ErrUnknownAgent)
	}
	a.RuntimeID = id
	return a, nil
}

func (d directory) Task(_ context.Context, agent, task string) (authority.Task, error) {
	return authority.Task{ID: task, AgentRuntimeID: agent, Status: d.tasks[[2]string{agent, task}]}, d.taskFailure
}

func TestVerifier(t *testing.T) {
	k := newKey(t, 1)
	good := directory{
		agents: map[string]authority.Agent{
			"a":    {PublicKey: k.Public(), AccountID: "acct-1"},
			"a2":   {PublicKey: k.Public(), AccountID: "acct-1"},
			"free": {PublicKey: k.Public()},
			"bare": {AccountID: "acct-1"},
			"fed":  {PublicKey: k.Public(), AccountID: "acct-1", FedRAMP: true},
		},
		tasks: map[[2]string]authority.TaskStatus{
			{"a", "t"}:    authority.TaskActive,
			{"a", "old"}:  authority.TaskExpired,
			{"a", "odd"}:  authority.TaskStatus(99),
			{"free", "t"}: authority.TaskActive,
			{"fed", "t"}:  authority.TaskActive,
		},
	}
	broken := errors.New("the database is away")
	sign := func(k *core.PrivateKey, agent, task string, after time.Duration) string {
		header, err := core.BuildAssertion(k, agent, task, start.Add(after).Unix())
		if err != nil {
			t.Fatal(err)
		}
		return header
	}
	header := sign(k, "a", "t", 0)
	encoded := strings.TrimPrefix(header, "AgentAssertion ")
	const min5 = authority.DefaultSkew
	for _, tt := range []struct {
		name string
		// headers are names and values, in turns.
		headers []string
		agents  directory
		skew    time.Duration
		status  int
		code    string
	}{
		{"good", []string{"Authorization", header}, good, 0, 200, ""},
		{"good, with its account", []string{"Authorization", header, "ChatGPT-Account-ID", "acct-1"}, good, 0, 200, ""},
		{"good, scheme in other case", []string{"Authorization", "agentassertion " + encoded}, good, 0, 200, ""},
		{"agent without an account, which names one", []string{"Authorization", sign(k, "free", "t", 0), "ChatGPT-Account-ID", "x"}, good, 0, 200, ""},

		{"FedRAMP", []string{"Authorization", sign(k, "fed", "t", 0), "X-OpenAI-Fedramp", "true"}, good, 0, 200, ""},
		{"not FedRAMP, but says so", []string{"Authorization", header, "X-OpenAI-Fedramp", "true"}, good, 0, 200, ""},
		{"FedRAMP, but does not say so", []string{"Authorization", sign(k, "fed", "t", 0)}, good, 0, 403, authority.CodeFedRAMPRequired},
		{"FedRAMP, and says it twice", []string{"Authorization", sign(k, "fed", "t", 0), "X-OpenAI-Fedramp", "true", "X-OpenAI-Fedramp", "true"}, good, 0, 400, authority.CodeInvalidRequest},
		{"FedRAMP, with an unknown task", []string{"Authorization", sign(k, "fed", "x", 0)}, good, 0, 401, authority.CodeUnknownTask},

		{"no authorization", nil, good, 0, 401, authority.CodeUnauthenticated},
		{"bearer", []string{"Authorization", "Bearer x"}, good, 0, 401, authority.CodeUnauthenticated},
		{"other scheme with the same start", []string{"Authorization", "AgentAssertion2 " + encoded}, good, 0, 401, authority.CodeUnauthenticated},
		{"two authorizations", []string{"Authorization", header, "Authorization", "Bearer x"}, good, 0, 400, authority.CodeInvalidRequest},
		{"the same one twice", []string{"Authorization", header, "Authorization", header}, good, 0, 400, authority.CodeInvalidRequest},
		{"two in one header", []string{"Authorization", header + ", Bearer x"}, good, 0, 401, authority.CodeInvalidAssertion},
		{"two accounts", []string{"Authorization", header, "ChatGPT-Account-ID", "acct-1", "ChatGPT-Account-ID", "acct-2"}, good, 0, 400, authority.CodeInvalidRequest},
		{"the scheme alone", []string{"Authorization", "AgentAssertion"}, good, 0, 401, authority.CodeInvalidAssertion},
		{"no base64", []string{"Authorization", "AgentAssertion !"}, good, 0, 401, authority.CodeInvalidAssertion},
		{"padding", []string{"Authorization", "AgentAssertion " + base64.URLEncoding.EncodeToString([]byte(`{}`))}, good, 0, 401, authority.CodeInvalidAssertion},
		{"no envelope", []string{"Authorization", "AgentAssertion " + base64.RawURLEncoding.EncodeToString([]byte(`{}`))}, good, 0, 401, authority.CodeInvalidAssertion},
		{"cut short", []string{"Authorization", header[:len(header)-4]}, good, 0, 401, authority.CodeInvalidAssertion},
		{"another key", []string{"Authorization", sign(newKey(t, 2), "a", "t", 0)}, good, 0, 401, authority.CodeUnknownAgent},
		{"another key, too old", []string{"Authorization", sign(newKey(t, 2), "a", "t", -time.Hour)}, good, 0, 401, authority.CodeUnknownAgent},
		{"another key, unknown task", []string{"Authorization", sign(newKey(t, 2), "a", "x", 0)}, good, 0, 401, authority.CodeUnknownAgent},
		{"unknown agent", []string{"Authorization", sign(k, "x", "t", 0)}, good, 0, 401, authority.CodeUnknownAgent},
		{"unknown task", []string{"Authorization", sign(k, "a", "x", 0)}, good, 0, 401, authority.CodeUnknownTask},
		{"another agent's task", []string{"Authorization", sign(k, "a2", "t", 0)}, good, 0, 401, authority.CodeUnknownTask},
		{"status that there is not", []string{"Authorization", sign(k, "a", "odd", 0)}, good, 0, 401, authority.CodeUnknownTask},
		{"expired task", []string{"Authorization", sign(k, "a", "old", 0)}, good, 0, 401, authority.CodeTaskExpired},
		{"other account", []string{"Authorization", header, "ChatGPT-Account-ID", "acct-2"}, good, 0, 401, authority.CodeAccountMismatch},

		{"oldest", []string{"Authorization", sign(k, "a", "t", -min5)}, good, 0, 200, ""},
		{"newest", []string{"Authorization", sign(k, "a", "t", min5)}, good, 0, 200, ""},
		{"too old", []string{"Authorization", sign(k, "a", "t", -min5-time.Second)}, good, 0, 401, authority.CodeTimestampSkew},
		{"too new", []string{"Authorization", sign(k, "a", "t", min5+time.Second)}, good, 0, 401, authority.CodeTimestampSkew},
		{"too old, unknown task", []string{"Authorization", sign(k, "a", "x", -time.Hour)}, good, 0, 401, authority.CodeTimestampSkew},
		{"oldest of a second", []string{"Authorization", sign(k, "a", "t", -time.Second)}, good, time.Second, 200, ""},
		{"too old for a second", []string{"Authorization", sign(k, "a", "t", -2*time.Second)}, good, time.Second, 401, authority.CodeTimestampSkew},
		{"oldest of all", []string{"Authorization", sign(k, "a", "t", -authority.MaxSkew)}, good, authority.MaxSkew, 200, ""},

		{"directory fails", []string{"Authorization", header}, directory{failure: broken}, 0, 503, authority.CodeDirectoryFailed},
		{"directory fails for tasks", []string{"Authorization", header}, directory{agents: good.agents, taskFailure: broken}, 0, 503, authority.CodeDirectoryFailed},
		{"directory has no key", []string{"Authorization", sign(k, "bare", "t", 0)}, good, 0, 503, authority.CodeDirectoryFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newVerifier(t, authority.VerifierOptions{Agents: tt.agents, Now: func() time.Time { return start }, Skew: tt.skew})
			called := false
			server := httptest.NewServer(v.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				called = true
				p, ok := authority.PrincipalFromContext(r.Context())
				claimed := envelopeOf(t, r.Header.Get("Authorization"))
				if !ok || p.AgentRuntimeID != claimed.AgentRuntimeID || p.TaskID != claimed.TaskID ||
					p.Timestamp.Format(time.RFC3339) != claimed.Timestamp || p.AccountID != tt.agents.agents[p.AgentRuntimeID].AccountID ||
					p.FedRAMP != tt.agents.agents[p.AgentRuntimeID].FedRAMP {
					t.Errorf("principal %+v, %v", p, ok)
				}
				fmt.Fprint(w, "{}")
			})))
			defer server.Close()
			r, err := http.NewRequest("GET", server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(tt.headers); i += 2 {
				r.Header.Add(tt.headers[i], tt.headers[i+1])
			}
			a := send(t, http.DefaultTransport, r)
			if a.status != tt.status || a.code() != tt.code {
				t.Errorf("got %d %q, want %d %q; body %v", a.status, a.code(), tt.status, tt.code, a.body)
			}
			challenge := strings.Join(a.header.Values("WWW-Authenticate"), ";")
			if want := map[int]string{401: "AgentAssertion"}[tt.status]; challenge != want {
				t.Errorf("WWW-Authenticate %q, want %q", challenge, want)
			}
			if called != (tt.status == 200) {
				t.Errorf("the handler was called: %v", called)
			}
		})
	}
}

func TestVerifierWithoutClock(t *testing.T) {
	k := newKey(t, 1)
	v := newVerifier(t, authority.VerifierOptions{Agents: directory{
		agents: map[string]authority.Agent{"a": {PublicKey: k.Public()}},
		tasks:  map[[2]string]authority.TaskStatus{{"a", "t"}: authority.TaskActive},
	}})
	header, err := core.BuildAssertion(k, "a", "t", time.Now().Unix())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(&http.Request{Header: http.Header{"Authorization": {header}}}); err != nil {
		t.Error(err)
	}
}

func TestVerifyErrors(t *testing.T) {
	k := newKey(t, 1)
	header, err := core.BuildAssertion(k, "a", "t", start.Unix())
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{Header: http.Header{"Authorization": {header}}}
	broken := errors.New("the database at 10.0.0.1 is away")
	v := newVerifier(t, authority.VerifierOptions{Agents: directory{failure: broken}, Now: func() time.Time { return start }})

	p, err := v.Verify(r)
	if p != (authority.Principal{}) {
		t.Errorf("an error came with the principal %+v", p)
	}
	var refusal *authority.Error
	if !errors.As(err, &refusal) || refusal.Status != 503 || strings.Contains(err.Error(), "10.0.0.1") {
		t.Errorf("got %#v", err)
	}
	if !errors.Is(err, broken) {
		t.Error("the cause is lost")
	}
	if !errors.Is(err, &authority.Error{Code: authority.CodeDirectoryFailed}) || errors.Is(err, &authority.Error{Code: authority.CodeInternal}) {
		t.Error("errors.Is does not compare codes")
	}

	// A clock that RFC 3339 cannot write.
	v = newVerifier(t, authority.VerifierOptions{
		Agents: directory{agents: map[string]authority.Agent{"a": {PublicKey: k.Public()}}},
		Now:    func() time.Time { return time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	})
	if _, err := v.Verify(r); !errors.Is(err, &authority.Error{Code: authority.CodeInternal}) {
		t.Errorf("got %v", err)
	}
}

func TestPrincipalFromContextWithoutOne(t *testing.T) {
	if p, ok := authority.PrincipalFromContext(context.Background()); ok {
		t.Errorf("got %+v", p)
	}
}
