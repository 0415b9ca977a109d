package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// readOnly is a store that a status must not need more of.
type readOnly struct {
	host.Store
	t testing.TB
}

func (s readOnly) Save(_ context.Context, slot string, _ []byte) error {
	s.t.Errorf("the status saved %s", slot)
	return nil
}

func (s readOnly) Delete(_ context.Context, slot string) error {
	s.t.Errorf("the status deleted %s", slot)
	return nil
}

func (s readOnly) Swap(_ context.Context, slot string, _, _ []byte) error {
	s.t.Errorf("the status swapped %s", slot)
	return nil
}

func (s readOnly) Lock(context.Context, string) (func(), error) {
	s.t.Error("the status took the lock")
	return func() {}, nil
}

// status asks a new manager, as a program of its own does, and sees to it that
// nothing happens.
func (w *world) status(t testing.TB, c host.ManagerConfig, threads ...string) host.Status {
	t.Helper()
	before := w.network.count()
	c.Store = readOnly{c.Store, t}
	s, err := manager(t, c).Status(context.Background(), threads...)
	if err != nil {
		t.Fatalf("Status: %v", err)
	}
	checkCount(t, "requests for a status", w.network.count(), before)
	checkHidden(t, w.secrets(t), s)
	return s
}

// row returns the row of a surface, and of a thread if one is named.
func row(t testing.TB, s host.Status, surface, thread string) host.SurfaceStatus {
	t.Helper()
	for _, r := range s.Surfaces {
		if r.Surface == surface && r.Thread == thread {
			return r
		}
	}
	t.Fatalf("there is no row for %s %q", surface, thread)
	return host.SurfaceStatus{}
}

func TestStatusOverTime(t *testing.T) {
	for name, engine := range engines(t) {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.engine = engine
			m := manager(t, w.config())
			want := func(got host.SurfaceStatus, registers bool, identity, task time.Time) {
				t.Helper()
				reason := core.ReasonBackgroundTask
				if got.Scope == core.ScopeThread {
					reason = core.ReasonThreadTask
				}
				if got.Mode != core.ModeAgentAssertion || got.Reason != reason || got.Registers != registers || got.AccountID != "acct-1" ||
					(got.TaskID == "") != registers || !got.IdentityRegisteredAt.Equal(identity) || !got.TaskRegisteredAt.Equal(task) {
					t.Errorf("got %+v", got)
				}
			}
			never := time.Time{}

			s := w.status(t, w.config())
			if len(s.Surfaces) != len(core.Surfaces())+1 || !s.At.Equal(start) || s.BaseURL != baseURL {
				t.Errorf("%d rows at %v for %s", len(s.Surfaces), s.At, s.BaseURL)
			}
			for _, r := range s.Surfaces {
				if r.Scope == core.ScopeBearerOnly {
					if r.Mode != core.ModeBearer || r.Reason != core.ReasonBearerOnlySurface || r.Registers {
						t.Errorf("got %+v", r)
					}
					continue
				}
				want(r, true, never, never)
			}

			a := ask(t, m)
			w.clock.advance(time.Hour)
			s = w.status(t, w.config())
			want(row(t, s, core.SurfaceModels, ""), false, start, never)
			want(row(t, s, core.SurfaceBackground, ""), false, start, never)
			want(row(t, s, core.SurfaceResponses, ""), true, never, never)
			if r := row(t, s, core.SurfaceApps, ""); r.TaskID != a.TaskID || r.AgentRuntimeID != a.AgentRuntimeID {
				t.Errorf("got %+v for %+v", r, a)
			}

			// A conversation can have the id that a new one has not.
			turn, err := m.Thread("new").Authorization(context.Background(), core.SurfaceResponses)
			if err != nil {
				t.Fatal(err)
			}
			w.clock.advance(time.Hour)
			want(row(t, w.status(t, w.config()), core.SurfaceResponses, ""), true, never, never)
			s = w.status(t, w.config(), "new", "another")
			checkCount(t, "rows", len(s.Surfaces), len(core.Surfaces())+1+4)
			want(row(t, s, core.SurfaceResponses, "new"), false, start, start.Add(time.Hour))
			want(row(t, s, core.SurfaceFileUpload, "another"), true, never, never)
			if r := row(t, s, core.SurfaceFileUpload, "new"); r.TaskID != turn.TaskID {
				t.Errorf("got %+v for %+v", r, turn)
			}
		})
	}
}

func TestStatusOfABackOff(t *testing.T) {
	w := newWorld()
	w.authority.RefuseRegistration(http.StatusForbidden)
	a := ask(t, manager(t, w.config()))
	s := w.status(t, w.config())
	r := row(t, s, core.SurfaceModels, "")
	if r.Mode != core.ModeBearer || r.Reason != core.ReasonRegistrationFailed || core.Code(r.Cause) != core.CodeBackingOff || r.Registers ||
		r.RetryAt.IsZero() || !r.RetryAt.Equal(a.RetryAt) {
		t.Errorf("got %+v after %+v", r, a)
	}
	// A turn tries all the same.
	if r := row(t, s, core.SurfaceResponses, ""); !r.Registers || !r.RetryAt.IsZero() {
		t.Errorf("got %+v", r)
	}
	w.clock.set(a.RetryAt)
	if r := row(t, w.status(t, w.config()), core.SurfaceModels, ""); !r.Registers || r.Cause != nil {
		t.Errorf("after the pause: %+v", r)
	}
}

// failingStore cannot be read.
type failingStore struct{ host.Store }

func (failingStore) Load(context.Context, string) ([]byte, error) { return nil, errDisk }

// TestStatusIsWhatCallsGet asks for both, the status first.
func TestStatusIsWhatCallsGet(t *testing.T) {
	identity := func(members map[string]string) func(*world, *host.ManagerConfig) {
		return func(w *world, _ *host.ManagerConfig) {
			t.Helper()
			record, err := json.Marshal(members)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.store.Save(context.Background(), wire.SlotIdentity, record); err != nil {
				t.Fatal(err)
			}
		}
	}
	credentials := func(change func(*host.Credentials)) func(*world, *host.ManagerConfig) {
		return func(w *world, c *host.ManagerConfig) {
			changed := w.credentials()
			change(&changed)
			c.Credentials = fixed(changed)
		}
	}
	for _, tt := range []struct {
		name    string
		prepare func(*world, *host.ManagerConfig)
		reason  string // of a background call
	}{
		{"nothing stored", func(*world, *host.ManagerConfig) {}, core.ReasonBackgroundTask},
		{"a task stored", func(w *world, _ *host.ManagerConfig) { ask(t, manager(t, w.config())) }, core.ReasonBackgroundTask},
		{"gate off", func(_ *world, c *host.ManagerConfig) { c.AgentIdentity = false }, core.ReasonFeatureOff},
		{"unsupported host", func(_ *world, c *host.ManagerConfig) { c.BaseURL = "https://example.com" }, core.ReasonUnsupportedHost},
		{"nobody", credentials(func(c *host.Credentials) { *c = host.Credentials{Kind: wire.CredentialsNone} }), core.ReasonNoChatGPTCredentials},
		{"no account", credentials(func(c *host.Credentials) { c.AccountID = "" }), core.ReasonNoAccountID},
		{"no token to register with", credentials(func(c *host.Credentials) { c.AccessToken = "" }), core.ReasonNoAccessToken},
		{"another account's identity", identity(map[string]string{"workspace_id": "acct-2", "agent_runtime_id": "a", "agent_private_key": "no key"}), core.ReasonBackgroundTask},
		{"another client's identity", func(w *world, _ *host.ManagerConfig) { w.save(t, identityFor("acct-1", "user-1")) }, core.ReasonBackgroundTask},
		{"another client's identity without a task, and no token", func(w *world, c *host.ManagerConfig) {
			w.save(t, bytes.Replace(identityFor("acct-1", "user-1"), []byte("background_task_id"), []byte("old_task_id"), 1))
			credentials(func(c *host.Credentials) { c.AccessToken = "" })(w, c)
		}, core.ReasonNoAccessToken},
		{"another backend's identity", func(w *world, c *host.ManagerConfig) {
			ask(t, manager(t, w.config()))
			c.BaseURL = "https://chatgpt-staging.com"
		}, core.ReasonStoreFailed},
		{"credentials with a problem", credentials(func(c *host.Credentials) {
			*c = host.Credentials{Kind: wire.CredentialsNone, Problem: &wire.Error{Code: core.CodeNotSignedIn, Message: "sign in"}}
		}), core.ReasonNoChatGPTCredentials},
		{"an identity of a form that nobody knows", identity(map[string]string{"other": "form"}), core.ReasonStoreFailed},
		{"no store", func(_ *world, c *host.ManagerConfig) { c.Store = failingStore{c.Store} }, core.ReasonStoreFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			c := w.config()
			tt.prepare(w, &c)
			s := w.status(t, c, "thread-1")
			if got := row(t, s, core.SurfaceModels, "").Reason; got != tt.reason {
				t.Errorf("the reason is %s, want %s", got, tt.reason)
			}
			m := manager(t, c)
			for _, r := range s.Surfaces {
				var a host.Authorization
				var err error
				if r.Scope == core.ScopeThread {
					a, err = m.Thread("thread-1").Authorization(context.Background(), r.Surface)
				} else {
					a, err = m.Authorization(context.Background(), r.Surface)
				}
				if core.Code(err) == host.CodeThreadFailed {
					if r.Mode != core.ModeNone || r.Cause == nil {
						t.Errorf("got %+v for %v", r, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				same := a.Mode == r.Mode && a.Reason == r.Reason && a.AccountID == r.AccountID && core.Code(a.Cause) == core.Code(r.Cause)
				if !r.Registers {
					same = same && core.Code(a.Notice) == core.Code(r.Notice) && a.AgentRuntimeID == r.AgentRuntimeID && a.TaskID == r.TaskID
				}
				if !same {
					t.Errorf("the status has %+v, the call gets %v, cause %v", r, a, a.Cause)
				}
			}
		})
	}
}

func TestStatusOfAStoreThatFails(t *testing.T) {
	w := newWorld()
	c := w.config()
	c.Store = failingStore{c.Store}
	for _, r := range w.status(t, c).Surfaces {
		if r.Scope != core.ScopeBearerOnly && (core.Code(r.Cause) != core.CodeStoreFailed || !errors.Is(r.Cause, errDisk)) {
			t.Errorf("got %+v", r)
		}
	}
}

// deafStore saves nothing.
type deafStore struct{ host.Store }

func (deafStore) Save(context.Context, string, []byte) error         { return errDisk }
func (deafStore) Swap(context.Context, string, []byte, []byte) error { return errDisk }

// TestStatusOfAFailureThatWasNotSaved: the manager remembers it all the same.
func TestStatusOfAFailureThatWasNotSaved(t *testing.T) {
	w := newWorld()
	w.authority.RefuseRegistration(http.StatusForbidden)
	c := w.config()
	c.Store = deafStore{c.Store}
	m := manager(t, c)
	a := ask(t, m)
	s, err := m.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if r := row(t, s, core.SurfaceModels, ""); core.Code(r.Cause) != core.CodeBackingOff || !r.RetryAt.Equal(a.RetryAt) {
		t.Errorf("got %+v", r)
	}
}

func TestStatusErrors(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	_, err := m.Status(context.Background(), "a\nb")
	checkCode(t, err, core.CodeInvalidThreadID)
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = m.Status(canceled)
	checkCode(t, err, host.CodeCanceled)
	c := w.config()
	c.Credentials = host.CredentialFunc(func(context.Context) (host.Credentials, error) { return host.Credentials{}, errDisk })
	if _, err := manager(t, c).Status(context.Background()); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
	closeManager(t, m)
	_, err = m.Status(context.Background())
	checkCode(t, err, host.CodeClosed)
}
