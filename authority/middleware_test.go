package authority_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// ownTokens is a server's own middleware, whose tokens are "Bearer " and an account's id.
// It takes the credential away before it goes on, as some do.
func ownTokens(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		account, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || !strings.HasPrefix(account, "acct-") && account != "nobody" {
			http.Error(w, "no token of ours", http.StatusForbidden)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), userKey{}, account))
		r.Header.Del("Authorization")
		r.Header.Set("X-OpenAI-Agent-Assertion", "gone")
		r.Header.Set("ChatGPT-Account-ID", "gone")
		next.ServeHTTP(w, r)
	})
}

func accountOf(r *http.Request) string {
	account, _ := r.Context().Value(userKey{}).(string)
	return strings.TrimPrefix(account, "nobody")
}

// TestWrapWithBearer: who sends an assertion is verified here, who sends a token by the
// server itself, who sends both by both, and nobody is taken for another.
func TestWrapWithBearer(t *testing.T) {
	k, other := newKey(t, 1), newKey(t, 2)
	agents := directory{
		agents: map[string]authority.Agent{"a": {PublicKey: k.Public(), AccountID: "acct-1"}},
		tasks:  map[[2]string]authority.TaskStatus{{"a", "t"}: authority.TaskActive},
	}
	known := instances{
		"i":    {ID: "i", PublicKey: k.Public(), AccountID: "acct-1"},
		"free": {ID: "free", PublicKey: k.Public()},
		"fed":  {ID: "fed", PublicKey: k.Public(), AccountID: "acct-1", FedRAMP: true},
	}
	task, err := core.BuildAssertion(k, "a", "t", start.Unix())
	if err != nil {
		t.Fatal(err)
	}
	forged, err := core.BuildAssertion(other, "a", "t", start.Unix())
	if err != nil {
		t.Fatal(err)
	}
	value := func(id string) string { return instanceAssertion(t, k, id, start, 1) }
	const field = "X-OpenAI-Agent-Assertion"
	own := authority.Bearer{Wrap: ownTokens, AccountID: accountOf}
	for _, tt := range []struct {
		name    string
		bearer  authority.Bearer
		headers []string
		want    string // what the handler says, or what the refusal has
	}{
		{"assertion", own, []string{"Authorization", task}, "task a t, user "},
		{"assertion, its scheme in another case", own, []string{"Authorization", "AGENTASSERTION" + task[len("AgentAssertion"):]}, "task a t, user "},
		{"assertion of an instance", own, []string{"Authorization", "AgentAssertion " + value("i")}, "instance i, user "},
		{"token", own, []string{"Authorization", "Bearer acct-1"}, "nobody, user acct-1"},
		{"both", own, []string{"Authorization", "Bearer acct-1", field, value("i"), "ChatGPT-Account-ID", "acct-1"}, "instance i beside, user acct-1"},
		{"both, the instance of no account", own, []string{"Authorization", "Bearer acct-2", field, value("free")}, "instance free beside, user acct-2"},
		{"FedRAMP", own, []string{"Authorization", "Bearer acct-1", field, value("fed"), "X-OpenAI-Fedramp", "true"}, "instance fed beside, user acct-1"},

		{"nothing", own, nil, "no token of ours"},
		{"other scheme", own, []string{"Authorization", "Basic acct-1"}, "no token of ours"},
		{"bad token", own, []string{"Authorization", "Bearer x"}, "no token of ours"},
		{"forged", own, []string{"Authorization", forged}, authority.CodeUnknownAgent},
		{"garbage", own, []string{"Authorization", "AgentAssertion acct-1"}, authority.CodeInvalidAssertion},
		{"assertion as a token", own, []string{"Authorization", "Bearer " + strings.TrimPrefix(task, "AgentAssertion ")}, "no token of ours"},
		{"token as an assertion", own, []string{"Authorization", "AgentAssertion Bearer acct-1"}, authority.CodeInvalidAssertion},
		{"both in one", own, []string{"Authorization", "Bearer acct-1, " + task}, "user acct-1, AgentAssertion"}, // is the server's to refuse
		{"two fields", own, []string{"Authorization", "Bearer acct-1", "Authorization", task}, authority.CodeInvalidRequest},
		{"two fields, the other way", own, []string{"Authorization", task, "Authorization", "Bearer acct-1"}, authority.CodeInvalidRequest},
		{"two assertions", own, []string{"Authorization", task, field, value("i")}, authority.CodeInvalidRequest},
		{"two beside", own, []string{"Authorization", "Bearer acct-1", field, value("i"), field, value("i")}, authority.CodeInvalidRequest},
		{"instance without a token", own, []string{field, value("i")}, "no token of ours"},
		{"both, bad token", own, []string{"Authorization", "Bearer x", field, value("i")}, "no token of ours"},
		{"both, bad assertion", own, []string{"Authorization", "Bearer acct-1", field, instanceAssertion(t, other, "i", start, 1)}, authority.CodeUnknownAgent},
		{"both, a task's assertion", own, []string{"Authorization", "Bearer acct-1", field, task}, authority.CodeInvalidAssertion},
		{"both, an empty assertion", own, []string{"Authorization", "Bearer acct-1", field, ""}, authority.CodeUnauthenticated},
		{"both, another account", own, []string{"Authorization", "Bearer acct-2", field, value("i")}, authority.CodeAccountMismatch},
		{"both, a token of no account", own, []string{"Authorization", "Bearer nobody", field, value("i")}, authority.CodeAccountMismatch},
		{"both, another account in the header", own, []string{"Authorization", "Bearer acct-1", field, value("i"), "ChatGPT-Account-ID", "acct-2"}, authority.CodeAccountMismatch},
		{"both, FedRAMP without its mark", own, []string{"Authorization", "Bearer acct-1", field, value("fed")}, authority.CodeFedRAMPRequired},

		{"both, whose accounts nobody compares", authority.Bearer{Wrap: ownTokens}, []string{"Authorization", "Bearer acct-1", field, value("i")}, authority.CodeUnauthenticated},
		{"token, where none is let in", authority.Bearer{}, []string{"Authorization", "Bearer acct-1"}, authority.CodeUnauthenticated},
		{"both, where no token is let in", authority.Bearer{AccountID: accountOf}, []string{"Authorization", "Bearer acct-1", field, value("i")}, authority.CodeUnauthenticated},
		{"assertion, where no token is let in", authority.Bearer{}, []string{"Authorization", task}, "task a t, user "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newVerifier(t, authority.VerifierOptions{Agents: agents, Instances: known, Now: func() time.Time { return start }})
			called := false
			h := v.WrapWithBearer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				called = true
				p, ok := authority.PrincipalFromContext(r.Context())
				who := "nobody"
				switch {
				case ok && p.Form == wire.FormTask:
					who = "task " + p.AgentRuntimeID + " " + p.TaskID
				case ok:
					who = p.Form + " " + p.RuntimeAgentInstance
				}
				if p.Beside {
					who += " beside"
				}
				user, _ := r.Context().Value(userKey{}).(string)
				fmt.Fprintf(w, "%s, user %s", who, user)
			}), tt.bearer)
			// Somebody else's principal is not this request's.
			r := httptest.NewRequest("GET", "/", nil)
			r = r.WithContext(authority.ContextWithPrincipal(r.Context(), authority.Principal{Form: wire.FormTask, AgentRuntimeID: "outer", TaskID: "outer"}))
			for i := 0; i < len(tt.headers); i += 2 {
				r.Header.Add(tt.headers[i], tt.headers[i+1])
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			body := w.Body.String()
			if called != (w.Code == http.StatusOK) {
				t.Errorf("the handler was called: %v, with status %d", called, w.Code)
			}
			if !strings.Contains(body, tt.want) || w.Code == http.StatusOK && tt.want != body && !strings.Contains(tt.want, "AgentAssertion") {
				t.Errorf("got %d %s, want %s", w.Code, body, tt.want)
			}
			if challenge := w.Header().Values("WWW-Authenticate"); w.Code == http.StatusUnauthorized && strings.Join(challenge, ";") != "AgentAssertion;Bearer" {
				t.Errorf("WWW-Authenticate is %q", challenge)
			}
		})
	}
}

// TestWrapWithBearerUsesNothingUp: what is refused for the token, or for whose it is,
// leaves the instance's assertion as it was.
func TestWrapWithBearerUsesNothingUp(t *testing.T) {
	k := newKey(t, 1)
	v := newVerifier(t, authority.VerifierOptions{
		Agents: directory{}, Instances: instances{"i": {ID: "i", PublicKey: k.Public(), AccountID: "acct-1"}},
		Now: func() time.Time { return start },
	})
	h := v.WrapWithBearer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), authority.Bearer{Wrap: ownTokens, AccountID: accountOf})
	value := instanceAssertion(t, k, "i", start, 1)
	for _, tt := range []struct {
		token  string
		status int
	}{{"x", 403}, {"acct-2", 401}, {"acct-1", 200}, {"acct-1", 403}} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+tt.token)
		r.Header.Set("X-OpenAI-Agent-Assertion", value)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("with %s: %d %s, want %d", tt.token, w.Code, w.Body, tt.status)
		}
	}
}

// TestContextWithPrincipal: a handler's test has no need of keys.
func TestContextWithPrincipal(t *testing.T) {
	want := authority.Principal{Form: wire.FormTask, AgentRuntimeID: "a", TaskID: "t", Timestamp: start}
	if p, ok := authority.PrincipalFromContext(authority.ContextWithPrincipal(t.Context(), want)); !ok || p != want {
		t.Errorf("got %+v, %v", p, ok)
	}
}
