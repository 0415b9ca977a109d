package managers

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// TestDecisionTable: the table of "agentassert demo", and a conversation, in each profile:
// what a call carries on each surface, and what the backend makes of it.
func TestDecisionTable(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		for _, p := range profiles {
			t.Run(p.name, func(t *testing.T) {
				b := newBackend(t, nil)
				path := b.authJSON(t, "account-1")
				before, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				d := l.start(t, b.options(p, path))
				for _, s := range core.Surfaces() {
					if s.Path == "" {
						continue
					}
					thread := ""
					want := p.asserts(s)
					switch s.Scope {
					case core.ScopeThread:
						thread = "thread-1"
					case core.ScopeBearerOnly:
						want = row{core.ModeBearer, core.ReasonBearerOnlySurface, http.StatusOK}
					}
					a := d.authorization(s.Name, thread)
					status, v := b.send(t, s.Name, a.Headers)
					if got := (row{a.Mode, a.Reason, status}); got != want {
						t.Errorf("%s: %+v, the table says %+v: %s", s.Name, got, want, Result{Authorization: &a})
					}
					if want := (verified{a.Mode, a.AgentRuntimeID, a.TaskID, a.RuntimeAgentInstance}); a.asserts() && v != want {
						t.Errorf("%s: the backend verified %+v, not %+v", s.Name, v, want)
					}
					if a.AccountID != "account-1" {
						t.Errorf("%s: account %q", s.Name, a.AccountID)
					}
				}
				c := b.Accepted()
				if got := (registrations{c.Identities, c.Tasks, c.Instances}); got != p.accepted {
					t.Errorf("the backend accepted %+v, not %+v", got, p.accepted)
				}
				if p.accepted.identities > 0 {
					checkAuthJSON(t, path, before)
				}
			})
		}
	})
}

// TestScenarios: the rest of that table.
func TestScenarios(t *testing.T) {
	off := row{core.ModeBearer, core.ReasonFeatureOff, http.StatusOK}
	each(t, func(t *testing.T, l language) {
		for _, p := range profiles {
			for _, s := range []struct {
				name   string
				change func(t *testing.T, b *backend, o *Options)
				want   row
			}{
				{"gate off", func(_ *testing.T, _ *backend, o *Options) { o.AgentIdentity = false }, off},
				{"unsupported host", func(_ *testing.T, _ *backend, o *Options) { o.TrustedHosts = []string{"localhost"} }, p.unsupported},
				{"API key", func(t *testing.T, _ *backend, o *Options) {
					o.AuthJSON = writeAuthJSON(t, []byte(`{"auth_mode":"apikey","OPENAI_API_KEY":"not-a-real-key"}`))
				}, p.apiKey},
				{"registration refused", func(_ *testing.T, b *backend, _ *Options) { b.RefuseRegistration(http.StatusForbidden) }, p.failed},
			} {
				t.Run(p.name+"/"+s.name, func(t *testing.T) {
					b := newBackend(t, nil)
					o := b.options(p, b.authJSON(t, "account-1"))
					s.change(t, b, &o)
					a := l.start(t, o).authorization(p.surface, "")
					status, _ := b.send(t, p.surface, a.Headers)
					if got := (row{a.Mode, a.Reason, status}); got != s.want {
						t.Errorf("%+v, the table says %+v: %s", got, s.want, Result{Authorization: &a})
					}
					if c := b.Accepted(); c.Identities+c.Tasks+c.Instances > 0 {
						t.Errorf("the backend accepted %+v", c)
					}
				})
			}
		}
	})
}

// TestOneRegistration: any number of callers at once wait for the same registration.
func TestOneRegistration(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		for _, p := range profiles {
			if p.name == "auth-api" {
				continue // whose background calls assert nothing
			}
			t.Run(p.name, func(t *testing.T) {
				b := newBackend(t, nil)
				d := l.start(t, b.inMemory(p, "account-1"))
				seen := map[string]bool{}
				for _, r := range d.results(d.ask(request{Op: "authorization", Surface: core.SurfaceApps, Callers: 32})) {
					if r.Authorization == nil || !r.Authorization.asserts() {
						t.Fatal(r)
					}
					b.mustVerify(t, core.SurfaceApps, *r.Authorization)
					seen[r.Authorization.AgentRuntimeID+r.Authorization.TaskID+r.Authorization.RuntimeAgentInstance] = true
				}
				if c := b.Accepted(); len(seen) != 1 || c.Identities+c.Instances != 1 || c.Tasks > 1 {
					t.Errorf("%d agents; the backend accepted %+v", len(seen), c)
				}
			})
		}
	})
}

// TestRecover: what the backend has rejected is replaced once, whoever asks.
func TestRecover(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		for _, p := range profiles {
			t.Run(p.name, func(t *testing.T) {
				b := newBackend(t, nil)
				d := l.start(t, b.options(p, b.authJSON(t, "account-1")))
				first := d.authorization(core.SurfaceResponses, "thread-1")
				b.mustVerify(t, core.SurfaceResponses, first)
				code := "unknown_task"
				if p.profile == wire.ProfileInstances {
					b.RevokeInstance(first.RuntimeAgentInstance)
					code = "unknown_agent"
				} else {
					b.ExpireTask(first.TaskID)
				}
				if p.profile != wire.ProfileInstances {
					first = d.authorization(core.SurfaceResponses, "thread-1")
				}
				if status, _ := b.send(t, core.SurfaceResponses, first.Headers); status != http.StatusUnauthorized {
					t.Fatalf("the backend answers %d", status)
				}
				r := d.recover(map[string]string{"Date": time.Now().UTC().Format(http.TimeFormat)}, fmt.Sprintf(`{"error":{"code":%q}}`, code))
				if r.Authorization == nil {
					t.Fatal(r)
				}
				second := *r.Authorization
				b.mustVerify(t, core.SurfaceResponses, second)
				if second.TaskID+second.RuntimeAgentInstance == first.TaskID+first.RuntimeAgentInstance || second.AgentRuntimeID != first.AgentRuntimeID {
					t.Errorf("%s took the place of %s", r, Result{Authorization: &first})
				}
				if third := d.authorization(core.SurfaceResponses, "thread-1"); third.TaskID != second.TaskID || third.RuntimeAgentInstance != second.RuntimeAgentInstance {
					t.Errorf("the next call has %s", Result{Authorization: &third})
				}
			})
		}
	})
}

// TestDeadBackend: a background call gets the user's token, a turn of a conversation fails,
// and both say why.
func TestDeadBackend(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close() // so that nobody listens there
	each(t, func(t *testing.T, l language) {
		b := newBackend(t, nil)
		o := b.options(profiles[0], b.authJSON(t, "account-1"))
		o.BaseURL = "http://" + address + "/backend-api"
		d := l.start(t, o)
		a := d.authorization(core.SurfaceApps, "")
		if a.Mode != core.ModeBearer || a.Reason != core.ReasonRegistrationFailed || a.Cause == nil || a.Cause.Code != core.CodeRequestFailed || a.RetryAt == 0 {
			t.Errorf("%s, retry at %d", Result{Authorization: &a}, a.RetryAt)
		}
		if r := d.result(core.SurfaceResponses, "thread-1"); r.Error == nil || r.Error.Code != host.CodeThreadFailed {
			t.Error(r)
		}
	})
}

// TestRedirect: a registration follows none, for it carries the user's token.
func TestRedirect(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		elsewhere := newBackend(t, func(w http.ResponseWriter, _ *http.Request) bool {
			t.Error("a registration was sent elsewhere")
			w.WriteHeader(http.StatusTeapot)
			return false
		})
		b := newBackend(t, func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, elsewhere.origin+r.URL.Path, http.StatusTemporaryRedirect)
			return false
		})
		a := l.start(t, b.options(profiles[0], b.authJSON(t, "account-1"))).authorization(core.SurfaceApps, "")
		if a.Mode != core.ModeBearer || a.Cause == nil {
			t.Error(Result{Authorization: &a})
		}
	})
}

// TestLargeAnswer: a backend cannot fill the memory.
func TestLargeAnswer(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		b := newBackend(t, func(w http.ResponseWriter, _ *http.Request) bool {
			w.Write([]byte(strings.Repeat(" ", 1<<20)))
			return false
		})
		a := l.start(t, b.options(profiles[0], b.authJSON(t, "account-1"))).authorization(core.SurfaceApps, "")
		if a.Mode != core.ModeBearer || a.Cause == nil {
			t.Error(Result{Authorization: &a})
		}
	})
}

// TestReadOnlyStore: what the store does not take is kept in memory, and used.
func TestReadOnlyStore(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		b := newBackend(t, nil)
		o := b.inMemory(profiles[0], "account-1")
		o.ReadOnly = true
		a := l.start(t, o).authorization(core.SurfaceApps, "")
		// There is nothing in it, and nothing that is registered could be kept.
		if a.Mode != core.ModeBearer || a.Cause == nil || a.Cause.Code != core.CodeStoreReadOnly {
			t.Error(Result{Authorization: &a})
		}
		if c := b.Accepted(); c.Identities > 0 {
			t.Errorf("the backend accepted %+v", c)
		}
	})
}

// TestBrokenStore: whatever a store throws is a failure of the store.
func TestBrokenStore(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		b := newBackend(t, nil)
		o := b.inMemory(profiles[0], "account-1")
		o.Broken = true
		d := l.start(t, o)
		a := d.authorization(core.SurfaceApps, "")
		if a.Mode != core.ModeBearer || a.Reason != core.ReasonStoreFailed || a.Cause == nil || a.Cause.Code != core.CodeStoreFailed {
			t.Error(Result{Authorization: &a})
		}
		if r := d.result(core.SurfaceResponses, "thread-1"); r.Error == nil || r.Error.Code != host.CodeThreadFailed {
			t.Error(r)
		}
	})
}

// TestImpatientCaller: who gives up is told so, and whoever waits for the same
// registration gets it.
func TestImpatientCaller(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		open := make(chan struct{})
		b := newBackend(t, func(_ http.ResponseWriter, r *http.Request) bool {
			select {
			case <-open:
			case <-r.Context().Done():
			}
			return true
		})
		d := l.start(t, b.inMemory(profiles[0], "account-1"))
		r := d.results(d.ask(request{Op: "authorization", Surface: core.SurfaceApps, TimeoutMS: 100}))[0]
		if r.Error == nil || r.Error.Code != host.CodeCanceled {
			t.Error(r)
		}
		close(open)
		b.mustVerify(t, core.SurfaceApps, d.authorization(core.SurfaceApps, ""))
		if c := b.Accepted(); c.Identities != 1 || c.Tasks != 1 {
			t.Errorf("the backend accepted %+v", c)
		}
	})
}

// TestClosed: a manager that is closed says so, and closing it twice is fine.
func TestClosed(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		b := newBackend(t, nil)
		d := l.start(t, b.inMemory(profiles[0], "account-1"))
		d.authorization(core.SurfaceApps, "")
		d.done(request{Op: "close"})
		d.done(request{Op: "close"})
		if r := d.result(core.SurfaceApps, ""); r.Error == nil || r.Error.Code != host.CodeClosed {
			t.Error(r)
		}
	})
}

// TestForget: the task of a conversation that is over is removed, and the next call of it
// registers another.
func TestForget(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		b := newBackend(t, nil)
		o := b.options(profiles[0], b.authJSON(t, "account-1"))
		d := l.start(t, o)
		first := d.authorization(core.SurfaceResponses, "thread-1")
		other := l.start(t, o).authorization(core.SurfaceResponses, "thread-1")
		if other.TaskID != first.TaskID {
			t.Errorf("two tasks of one conversation: %q, %q", first.TaskID, other.TaskID)
		}
		d.done(request{Op: "forget", Thread: "thread-1"})
		if next := l.start(t, o).authorization(core.SurfaceResponses, "thread-1"); next.TaskID == first.TaskID {
			t.Error("the task is still there")
		}
	})
}

// TestRefusedOptions: a manager that cannot work is not opened, and says why.
func TestRefusedOptions(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		for _, c := range []struct {
			name, code string
			change     func(o *Options)
		}{
			{"base URL", core.CodeInvalidBaseURL, func(o *Options) { o.BaseURL = "backend" }},
			{"insecure", host.CodeInsecureBaseURL, func(o *Options) { o.BaseURL = "http://192.0.2.1/backend-api" }},
			{"insecure auth API", host.CodeInsecureBaseURL, func(o *Options) { o.AuthAPIURL = "http://192.0.2.1/api/accounts" }},
			{"trusted host", core.CodeInvalidTrustedHost, func(o *Options) { o.TrustedHosts = []string{"https://a.example"} }},
		} {
			t.Run(c.name, func(t *testing.T) {
				b := newBackend(t, nil)
				o := b.inMemory(profiles[0], "account-1")
				c.change(&o)
				r := l.process(t).ask(request{Op: "open", Options: &o})
				if r.Error == nil || r.Error.Code != c.code {
					t.Errorf("%+v, not %s", r.Error, c.code)
				}
			})
		}
	})
}
