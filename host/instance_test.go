package host_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// instanceConfig is a world's, of the profile instances.
func (w *world) instanceConfig(mode string) host.ManagerConfig {
	c := w.config()
	c.Profile = wire.ProfileInstances
	c.Instance = &host.InstanceConfig{HeaderMode: mode, InstallationID: "aa88e197-a6dc-457d-a525-2192aadf9048", Harness: "test", Role: "orchestrator"}
	return c
}

// checkInstance lets the authority verify an assertion of an instance.
func (w *world) checkInstance(t testing.TB, a host.Authorization, scheme string) {
	t.Helper()
	status, body := w.call(t, a)
	if status != http.StatusOK || body["scheme"] != scheme || body["runtime_agent_instance"] != a.RuntimeAgentInstance || body["account_id"] != a.AccountID {
		t.Fatalf("the authority answered %d %v to %+v", status, body, a)
	}
}

// One instance is registered for all calls, and nothing is stored; each call has an
// assertion of its own, in the header field of its mode, with every engine.
func TestInstances(t *testing.T) {
	for name, engine := range engines(t) {
		for mode, want := range map[string]string{wire.HeaderModeDual: core.ModeDualHeader, wire.HeaderModeAssertionOnly: core.ModeAgentAssertion} {
			t.Run(name+"/"+mode, func(t *testing.T) {
				w := newWorld()
				w.engine = engine
				m := manager(t, w.instanceConfig(mode))
				first := ask(t, m)
				check(t, first, want, core.ReasonRuntimeInstance, "")
				seen := map[string]bool{}
				for i, use := range []func() host.Authorization{
					func() host.Authorization { return first },
					func() host.Authorization { return ask(t, m) },
					func() host.Authorization { return askThread(t, m.Thread("thread-1")) },
					func() host.Authorization { return askThread(t, m.Thread("thread-2")) },
					func() host.Authorization { w.clock.advance(time.Second); return ask(t, m) },
				} {
					a := use()
					w.checkInstance(t, a, want)
					if a.RuntimeAgentInstance != first.RuntimeAgentInstance || a.TaskID != "" || a.AgentRuntimeID != "" {
						t.Errorf("call %d has %+v", i, a)
					}
					if seen[a.Header()+a.AgentAssertion()] {
						t.Errorf("call %d has the assertion of another", i)
					}
					seen[a.Header()+a.AgentAssertion()] = true
				}
				checkCount(t, "requests", w.network.count(), 1)
				if r := w.network.requests[0]; r.URL.String() != "https://auth.openai.com/agent/register" || r.Header.Get("Authorization") != "" {
					t.Errorf("the registration went to %s with %v", r.URL, r.Header)
				}
				for _, slot := range []string{wire.SlotIdentity, wire.SlotInstance, wire.SlotBackend, wire.SlotThread + "thread-1"} {
					if record, _ := w.store.Load(context.Background(), slot); record != nil {
						t.Errorf("the slot %s has %s", slot, record)
					}
				}
				// A new process, and so a new instance.
				c := w.instanceConfig(mode)
				c.Rand = newRand('n')
				if a := ask(t, manager(t, c)); a.RuntimeAgentInstance == first.RuntimeAgentInstance {
					t.Error("another manager has the same instance")
				}
			})
		}
	}
}

// However many calls begin at once, one registers, and each has an assertion of its own.
func TestInstancesAtOnce(t *testing.T) {
	w := newWorld()
	m := manager(t, w.instanceConfig(wire.HeaderModeDual))
	const calls = 100
	got := make([]host.Authorization, calls)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() {
			var err error
			if i%2 == 0 {
				got[i], err = m.Authorization(context.Background(), core.SurfaceModels)
			} else {
				got[i], err = m.Thread("thread-1").Authorization(context.Background(), core.SurfaceResponses)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, a := range got {
		w.checkInstance(t, a, core.ModeDualHeader) // none is a replay
	}
	checkCount(t, "requests", w.network.count(), 1)
}

// Of any number of calls that are refused because their instance is revoked, one
// registers another.
func TestInstancesRecover(t *testing.T) {
	w := newWorld()
	m := manager(t, w.instanceConfig(wire.HeaderModeAssertionOnly))
	const calls = 50
	rejected := make([]host.Authorization, calls)
	for i := range rejected {
		rejected[i] = ask(t, m)
	}
	w.authority.RevokeInstance(rejected[0].RuntimeAgentInstance)
	answers := make([]*http.Response, calls)
	for i, a := range rejected {
		if answers[i] = w.answer(t, a); answers[i].StatusCode != http.StatusUnauthorized {
			t.Fatalf("got %s", answers[i].Status)
		}
	}
	var all sync.WaitGroup
	for i, a := range rejected {
		all.Go(func() {
			healed, err := m.Recover(context.Background(), a, answers[i])
			if err != nil || healed.RuntimeAgentInstance == a.RuntimeAgentInstance {
				t.Errorf("got %v, %v", healed, err)
				return
			}
			w.checkInstance(t, healed, core.ModeAgentAssertion)
		})
	}
	all.Wait()
	checkCount(t, "requests", w.network.count(), 2)
	// If that one is refused, too, another does not help.
	a := ask(t, m)
	w.authority.RevokeInstance(a.RuntimeAgentInstance)
	healed, err := m.Recover(context.Background(), a, nil)
	checkCode(t, err, "")
	check(t, healed, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeInstanceRejected)
	checkCount(t, "requests", w.network.count(), 2)
	w.clock.advance(time.Minute)
	healed, err = m.Recover(context.Background(), a, nil)
	checkCode(t, err, "")
	w.checkInstance(t, healed, core.ModeAgentAssertion)
}

// A registration that fails costs a background call its assertion, and a turn itself.
func TestInstancesRegistrationFails(t *testing.T) {
	for _, mode := range []string{wire.HeaderModeDual, wire.HeaderModeAssertionOnly} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld()
			w.authority.RefuseRegistration(http.StatusForbidden)
			m := manager(t, w.instanceConfig(mode))
			a := ask(t, m)
			check(t, a, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeHTTPStatus)
			if a.Header() != "Bearer "+w.session.AccessToken || a.AgentAssertion() != "" {
				t.Errorf("the call carries %q and %q", a.Header(), a.AgentAssertion())
			}
			_, err := m.Thread("thread-1").Authorization(context.Background(), core.SurfaceResponses)
			checkCode(t, err, host.CodeThreadFailed)
			w.authority.RefuseRegistration(0)
			w.clock.advance(time.Second)
			askThread(t, m.Thread("thread-1")) // at once
		})
	}
}

// Each try of a registration has the same idempotency key, and the same key.
func TestInstancesTryAgain(t *testing.T) {
	w := newWorld()
	w.network.follow(func(n int, _ *http.Request) (*http.Response, error) {
		if n < 2 {
			return respond(http.StatusServiceUnavailable, nil, http.NoBody), nil
		}
		return nil, nil
	})
	m := manager(t, w.instanceConfig(wire.HeaderModeDual))
	m.SetWait(func(context.Context, time.Duration) error { return nil })
	w.checkInstance(t, ask(t, m), core.ModeDualHeader)
	checkCount(t, "requests", w.network.count(), 3)
	first := w.network.requests[0].Header.Get("Idempotency-Key")
	for i, r := range w.network.requests {
		if r.Header.Get("Idempotency-Key") != first || w.network.bodies[i] != w.network.bodies[0] || len(first) != 36 {
			t.Errorf("try %d: %v %s", i, r.Header, w.network.bodies[i])
		}
	}
}

// An API key gets an instance, too. It is in the registration, and nowhere else: the
// program sends it itself.
func TestInstancesOfAPIKeys(t *testing.T) {
	const apiKey = "sk-not-a-real-key"
	for mode, want := range map[string]string{wire.HeaderModeDual: core.ModeDualHeader, wire.HeaderModeAssertionOnly: core.ModeAgentAssertion} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld()
			if err := w.authority.AddAPIKey(apiKey); err != nil {
				t.Fatal(err)
			}
			c := w.instanceConfig(mode)
			c.Credentials = fixed(host.Credentials{Kind: wire.CredentialsAPIKey, AccessToken: apiKey})
			m := manager(t, c)
			a := ask(t, m)
			check(t, a, want, core.ReasonRuntimeInstance, "")
			h := http.Header{"Authorization": {"Bearer " + apiKey}}
			a.SetHeaders(h)
			own := h.Get("Authorization") == "Bearer "+apiKey
			if own != (mode == wire.HeaderModeDual) || strings.Contains(a.Header(), apiKey) {
				t.Errorf("the call carries %v", h)
			}
			if !strings.Contains(w.network.bodies[0], `{"type":"platform_api_key","credential":"`+apiKey+`"}`) {
				t.Errorf("the registration is %s", w.network.bodies[0])
			}
			w.authority.RefuseRegistration(http.StatusForbidden)
			failed := ask(t, manager(t, c))
			check(t, failed, core.ModeNone, core.ReasonRegistrationFailed, core.CodeHTTPStatus)
			h = http.Header{"Authorization": {"Bearer " + apiKey}, "X-Openai-Agent-Assertion": {"old"}}
			failed.SetHeaders(h)
			if h.Get("Authorization") != "Bearer "+apiKey || h.Get("X-OpenAI-Agent-Assertion") != "" {
				t.Errorf("after a failure the call carries %v", h)
			}
		})
	}
}

// Other credentials have another instance.
func TestInstancesFollowTheCredentials(t *testing.T) {
	w := newWorld()
	c := w.instanceConfig(wire.HeaderModeDual)
	credentials := w.credentials()
	c.Credentials = host.CredentialFunc(func(context.Context) (host.Credentials, error) { return credentials, nil })
	m := manager(t, c)
	first := ask(t, m)
	other := w.authority.SignIn("acct-2", "user-2")
	credentials.AccessToken, credentials.AccountID, credentials.UserID = other.AccessToken, other.AccountID, other.UserID
	w.clock.advance(time.Second)
	second := ask(t, m)
	w.checkInstance(t, second, core.ModeDualHeader)
	if second.RuntimeAgentInstance == first.RuntimeAgentInstance || second.AccountID != "acct-2" {
		t.Errorf("got %+v after %+v", second, first)
	}
	// A token that was refreshed is no other user's.
	credentials.AccessToken = w.authority.SignIn("acct-2", "user-2").AccessToken
	w.clock.advance(time.Second)
	if third := ask(t, m); third.RuntimeAgentInstance != second.RuntimeAgentInstance || third.Header() != "Bearer "+credentials.AccessToken {
		t.Errorf("got %+v after %+v", third, second)
	}
}

// A transport gives each request an assertion of its own, retries included.
func TestTransportOfInstances(t *testing.T) {
	w := newWorld()
	m := manager(t, w.instanceConfig(wire.HeaderModeDual))
	client, b := transport(w, m)
	for range 3 {
		if a := do(t, client, getRequest(t, baseURL+"/codex/models")); a.Status != http.StatusOK || a.Scheme != core.ModeDualHeader {
			t.Errorf("got %+v", a)
		}
	}
	w.authority.RevokeInstance(ask(t, m).RuntimeAgentInstance)
	if a := do(t, client, getRequest(t, baseURL+"/codex/models")); a.Status != http.StatusOK {
		t.Errorf("after a revocation: got %+v", a)
	}
	seen := map[string]bool{}
	for _, s := range b.seen {
		seen[s.header.Get("X-OpenAI-Agent-Assertion")] = true
	}
	checkCount(t, "assertions", len(seen), 5)
	checkCount(t, "requests", w.network.count(), 2)
	b.checkClosed(t)
}

// routedWorld is one whose account is kept elsewhere.
func routedWorld(to authority.Workspace) *world {
	w := newWorld()
	w.authority = newAuthority(authority.Options{Now: w.clock.Now, Rand: newRand('a'), Workspace: func(string) authority.Workspace { return to }})
	w.session = w.authority.SignIn("acct-1", "user-1")
	w.network = &network{backend: w.authority}
	return w
}

// A turn's calls to responses go where the workspace is kept, with all that they carry.
func TestTransportRoutes(t *testing.T) {
	elsewhere := authority.Workspace{Origin: "https://eu.chatgpt.com", Override: "us_cr"}
	for name, change := range map[string]func(w *world) host.ManagerConfig{
		"biscuit":  func(w *world) host.ManagerConfig { return w.config() },
		"auth-api": func(w *world) host.ManagerConfig { c := w.config(); c.Profile = wire.ProfileAuthAPI; return c },
		"dual":     func(w *world) host.ManagerConfig { return w.instanceConfig(wire.HeaderModeDual) },
		"only":     func(w *world) host.ManagerConfig { return w.instanceConfig(wire.HeaderModeAssertionOnly) },
		"bearer":   func(w *world) host.ManagerConfig { c := w.config(); c.AgentIdentity = false; return c },
	} {
		t.Run(name, func(t *testing.T) {
			w := routedWorld(elsewhere)
			c := change(w)
			c.WorkspaceRouting = true
			m := manager(t, c)
			client, b := transport(w, m)
			ctx := host.WithThread(context.Background(), m.Thread("thread-1"))
			for _, path := range []string{"/codex/responses?a=b", "/codex/responses", "/files", "/codex/models"} {
				if a := do(t, client, newRequest(t, ctx, http.MethodGet, baseURL+path, nil)); a.Status != http.StatusOK {
					t.Errorf("%s: got %+v", path, a)
				}
			}
			for i, want := range []string{
				"https://eu.chatgpt.com/backend-api/codex/responses?a=b", "https://eu.chatgpt.com/backend-api/codex/responses",
				baseURL + "/files", baseURL + "/codex/models",
			} {
				override := ""
				if i < 2 {
					override = "us_cr"
				}
				if got := b.seen[i]; got.url != want || got.header.Get("X-OpenAI-Account-Routing-Override") != override {
					t.Errorf("call %d went to %s with %v, want %s", i, got.url, got.header, want)
				}
			}
			asked := 0
			for _, r := range w.network.requests {
				if strings.HasSuffix(r.URL.Path, "/wham/accounts/check") {
					asked++
				}
			}
			checkCount(t, "questions", asked, 1)
			w.clock.advance(5 * time.Minute)
			do(t, client, newRequest(t, ctx, http.MethodGet, baseURL+"/codex/responses", nil))
			if r := w.network.requests[w.network.count()-1]; !strings.HasSuffix(r.URL.Path, "/wham/accounts/check") {
				t.Errorf("after five minutes the last request is to %s", r.URL)
			}
		})
	}
}

// Without knowing where it goes there is no turn; and nobody follows a redirect.
func TestTransportDoesNotRoute(t *testing.T) {
	for _, origin := range []string{"https://elsewhere.example", "http://chatgpt.com", "https://chatgpt.com/a"} {
		w := routedWorld(authority.Workspace{Origin: origin})
		c := w.config()
		c.WorkspaceRouting = true
		m := manager(t, c)
		_, err := m.Thread("thread-1").Authorization(context.Background(), core.SurfaceResponses)
		checkCode(t, err, host.CodeThreadFailed)
		check(t, ask(t, m), core.ModeAgentAssertion, core.ReasonBackgroundTask, "")
	}
	w := routedWorld(authority.Workspace{Origin: "https://eu.chatgpt.com"})
	c := w.config()
	c.WorkspaceRouting = true
	m := manager(t, c)
	client, b := transport(w, m)
	b.script = func(int, *http.Request) (*http.Response, error) {
		return respond(http.StatusTemporaryRedirect, http.Header{"Location": {"https://elsewhere.example/"}}, http.NoBody), nil
	}
	ctx := host.WithThread(context.Background(), m.Thread("thread-1"))
	_, err := client.Do(newRequest(t, ctx, http.MethodPost, baseURL+"/codex/responses", strings.NewReader("{}")))
	checkCode(t, err, host.CodeRedirected)
	checkCount(t, "calls", len(b.seen), 1)
	b.checkClosed(t)
}
