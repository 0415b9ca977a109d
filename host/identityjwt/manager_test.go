package identityjwt_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/identityjwt"
)

// newManager returns a manager whose identity is the world's JWT.
func newManager(t *testing.T, w *world) *host.Manager {
	t.Helper()
	id, err := identityjwt.Verify(context.Background(), w.token, w.options())
	if err != nil {
		t.Fatal(err)
	}
	m, err := host.NewManager(host.ManagerConfig{
		Engine:        host.NewNative(),
		BaseURL:       baseURL,
		AgentIdentity: true,
		JWTIdentity:   &id,
		HTTPClient:    &http.Client{Transport: w.network},
		Now:           w.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Errorf("closing the manager: %v", err)
		}
	})
	w.network.requests = nil // those of Verify
	return m
}

// checkVerified lets the authority verify an assertion, and returns its task.
func (w *world) checkVerified(t *testing.T, surface string, a host.Authorization) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, baseURL+"/codex/models", nil)
	a.SetHeaders(r.Header)
	recorder := httptest.NewRecorder()
	w.authority.ServeHTTP(recorder, r)
	var answer struct {
		Scheme  string `json:"scheme"`
		TaskID  string `json:"task_id"`
		Account string `json:"account_id"`
		FedRAMP bool   `json:"fedramp"`
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	if recorder.Code != http.StatusOK || answer.Scheme != "agent-assertion" || answer.Account != "acct-1" || answer.FedRAMP != a.FedRAMP {
		t.Fatalf("%s: the authority answered %d %+v to %v", surface, recorder.Code, answer, a)
	}
	return answer.TaskID
}

// One task is registered per manager, and every surface uses it: a thread's and
// those that otherwise carry a bearer token too.
func TestManagerUsesOneTask(t *testing.T) {
	for name, fedRAMP := range map[string]bool{"account": false, "FedRAMP account": true} {
		t.Run(name, func(t *testing.T) {
			u := user
			u.FedRAMP = fedRAMP
			w := newWorld(t, u)
			ctx := context.Background()
			for process := range 2 {
				w.advance(time.Second) // the backend grants an agent one task a second
				m := newManager(t, w)
				tasks := map[string]bool{}
				for _, s := range core.Surfaces() {
					authorize := m.Authorization
					if s.Scope == core.ScopeThread {
						authorize = m.Thread("thread-of-" + s.Name).Authorization
					}
					a, err := authorize(ctx, s.Name)
					if err != nil {
						t.Fatalf("%s: %v", s.Name, err)
					}
					tasks[w.checkVerified(t, s.Name, a)] = true
				}
				server, err := m.AppsMCPServer(ctx, "")
				if err != nil || !strings.HasPrefix(server.Headers.Get("Authorization"), "AgentAssertion ") {
					t.Errorf("the MCP server's configuration: %v", err)
				}
				if len(tasks) != 1 || len(w.network.requests) != 1 {
					t.Errorf("got tasks %v and %d requests, want one of each", tasks, len(w.network.requests))
				}
				// The signature is the proof, and all there is.
				if r := w.network.requests[0]; r.URL.Host != "auth.openai.com" || r.Header.Get("Authorization") != "" {
					t.Errorf("the task was registered at %s, authorized: %t", r.URL, r.Header.Get("Authorization") != "")
				}
				if got, want := w.authority.Counts(), (authority.Counts{Identities: 1, Tasks: process + 1}); got != want {
					t.Errorf("the authority has %+v, want %+v", got, want)
				}
			}
		})
	}
}

func TestManagerRecoversATask(t *testing.T) {
	w := newWorld(t, user)
	m := newManager(t, w)
	thread := m.Thread("thread-1")
	turn, err := thread.Authorization(context.Background(), core.SurfaceResponses)
	if err != nil {
		t.Fatal(err)
	}
	w.authority.ExpireTask(turn.TaskID)
	w.advance(time.Second) // the backend grants an agent one task a second
	replacement, err := m.Recover(context.Background(), turn, nil)
	if err != nil {
		t.Fatal(err)
	}
	if task := w.checkVerified(t, core.SurfaceResponses, replacement); task == turn.TaskID {
		t.Errorf("the task %s was not replaced", task)
	}
	if got := w.authority.Accepted(); got != (authority.Counts{Tasks: 2}) {
		t.Errorf("the authority accepted %+v, want two tasks", got)
	}
}

// Without a task there is nothing to fall back to, and a turn is an error.
func TestManagerWithoutATask(t *testing.T) {
	w := newWorld(t, user)
	m := newManager(t, w)
	w.authority.RefuseRegistration(http.StatusForbidden)
	a, err := m.Authorization(context.Background(), core.SurfaceModels)
	if err != nil {
		t.Fatal(err)
	}
	if a.Mode != core.ModeNone || a.Header() != "" || core.Code(a.Cause) != core.CodeHTTPStatus {
		t.Errorf("got %v, cause %v; want nothing", a, a.Cause)
	}
	_, err = m.Thread("thread-1").Authorization(context.Background(), core.SurfaceResponses)
	if core.Code(err) != host.CodeThreadFailed {
		t.Errorf("a turn: got %v, want %s", err, host.CodeThreadFailed)
	}
	if retry := a.RetryAt.Sub(start); retry < 30*time.Minute || retry > time.Hour {
		t.Errorf("got a pause of %v, want up to an hour", retry)
	}
}
