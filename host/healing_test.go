package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// setAside are the agents that were set aside, and why.
func (w *world) setAside(t *testing.T) map[string]string {
	t.Helper()
	var entries []struct {
		Reason   string         `json:"reason"`
		Identity map[string]any `json:"agent_identity"`
	}
	if record := w.load(t, wire.SlotSetAside); len(record) > 0 {
		if err := json.Unmarshal(record, &entries); err != nil {
			t.Fatalf("%v in %s", err, record)
		}
	}
	out := map[string]string{}
	for _, e := range entries {
		out[e.Identity["agent_runtime_id"].(string)] = e.Reason
	}
	return out
}

// checkHealed wants an authorization of another agent than the first, which was set
// aside, and to be told of that.
func (w *world) checkHealed(t *testing.T, first, a host.Authorization) {
	t.Helper()
	w.checkVerified(t, a)
	if a.AgentRuntimeID == first.AgentRuntimeID || a.Cause != nil || core.Code(a.Notice) != core.CodeIdentitySetAside {
		t.Errorf("got the agent %s after %s, cause %v, notice %v", a.AgentRuntimeID, first.AgentRuntimeID, a.Cause, a.Notice)
	}
	if reason := w.setAside(t)[first.AgentRuntimeID]; reason != core.CodeUnknownAgent {
		t.Errorf("%s was set aside for the reason %q", first.AgentRuntimeID, reason)
	}
	if stored := w.storedIdentity(t); stored["agent_runtime_id"] != a.AgentRuntimeID ||
		stored["identity_replaced_at"] != w.clock.Now().Format(time.RFC3339) {
		t.Errorf("stored is %s, replaced at %q", stored["agent_runtime_id"], stored["identity_replaced_at"])
	}
	s := w.status(t, w.config(), "thread-1")
	for _, r := range s.Surfaces {
		if r.AgentRuntimeID == a.AgentRuntimeID && !r.IdentityReplacedAt.Equal(w.clock.Now()) {
			t.Errorf("the status of %s has %v", r.Surface, r.IdentityReplacedAt)
		}
	}
}

// bodyOf is a refusal's body with a code.
func bodyOf(code string) string { return `{"error":{"code":"` + code + `","message":"m"}}` }

// A backend says in several ways, when a task is registered, that it does not know
// the agent: that has a new identity registered, and in no other case.
func TestTaskRegistrationOfAnUnknownAgent(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		heals  bool
	}{
		"404":              {http.StatusNotFound, "", true},
		"410":              {http.StatusGone, "<html>", true},
		"401 with code":    {http.StatusUnauthorized, bodyOf(core.CodeUnknownAgent), true},
		"403 with code":    {http.StatusForbidden, bodyOf(core.CodeUnknownAgent), true},
		"401":              {http.StatusUnauthorized, "", false},
		"403 of another":   {http.StatusForbidden, bodyOf("unknown_account"), false},
		"405":              {http.StatusMethodNotAllowed, "", false},
		"200 with no task": {http.StatusOK, bodyOf(core.CodeUnknownAgent), false},
	} {
		for scope, use := range map[string]use{"background": ask, "thread": turn} {
			t.Run(name+"/"+scope, func(t *testing.T) {
				w := newWorld()
				first := askThread(t, manager(t, w.config()).Thread("thread-2"))
				requests := w.network.count()
				w.network.follow(failAt(requests+1, text(tt.status, tt.body))) // the biscuit comes first
				m := manager(t, w.config())
				if tt.heals {
					w.checkHealed(t, first, use(t, m))
					checkCount(t, "requests", w.network.count(), requests+requestsPerTask+requestsPerRegistration)
					return
				}
				before := w.load(t, wire.SlotIdentity)
				a, err := m.Authorization(context.Background(), core.SurfaceModels)
				if scope == "thread" {
					a, err = m.Thread("thread-1").Authorization(context.Background(), "")
				}
				if a.Mode == core.ModeAgentAssertion && scope != "thread" {
					t.Errorf("got %v, %v", a, err)
				}
				if after := w.load(t, wire.SlotIdentity); string(after) != string(before) || len(w.setAside(t)) > 0 {
					t.Errorf("stored is %s, was %s; set aside is %v", after, before, w.setAside(t))
				}
			})
		}
	}
}

// An assertion of an agent that the backend does not know is answered with 401 and a
// code: the call goes through with a new identity.
func TestRecoverOfARevokedAgent(t *testing.T) {
	for name, use := range map[string]use{"background": ask, "thread": turn} {
		for how, tt := range map[string]struct {
			answer   func(*world, host.Authorization) *http.Response
			requests int
		}{
			"with the answer": {func(w *world, a host.Authorization) *http.Response { return w.answer(t, a) }, requestsPerRegistration},
			// Then the registration of another task shows it.
			"without the answer": {func(*world, host.Authorization) *http.Response { return nil }, requestsPerTask + requestsPerRegistration},
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				w := newWorld()
				m, other := manager(t, w.config()), manager(t, w.config())
				first := use(t, m)
				same := use(t, other)
				w.authority.RevokeAgent(first.AgentRuntimeID)
				requests := w.network.count()
				a, err := m.Recover(context.Background(), first, tt.answer(w, first))
				checkCode(t, err, "")
				w.checkHealed(t, first, a)
				checkCount(t, "requests", w.network.count(), requests+tt.requests)

				// Who comes later uses what is there, and is told nothing.
				b, err := other.Recover(context.Background(), same, tt.answer(w, same))
				checkCode(t, err, "")
				if b.AgentRuntimeID != a.AgentRuntimeID || b.TaskID != a.TaskID || b.Notice != nil {
					t.Errorf("the other program has %s, %s, notice %v; want %s, %s", b.AgentRuntimeID, b.TaskID, b.Notice, a.AgentRuntimeID, a.TaskID)
				}
				checkCount(t, "requests in all", w.network.count(), requests+tt.requests)
			})
		}
	}
}

// Of any number of programs, one replaces the identity.
func TestManyRecoverARevokedAgent(t *testing.T) {
	for name, use := range map[string]use{"background": ask, "thread": turn} {
		for storeName, prepare := range stores {
			t.Run(name+"/"+storeName, func(t *testing.T) {
				w := newWorld()
				prepare(t, w)
				managers := make([]*host.Manager, 8)
				rejected := make([]host.Authorization, len(managers))
				for i := range managers {
					managers[i] = manager(t, w.config())
					rejected[i] = use(t, managers[i])
				}
				w.authority.RevokeAgent(rejected[0].AgentRuntimeID)
				var wg sync.WaitGroup
				agents := make([]string, len(managers))
				for i, m := range managers {
					wg.Go(func() {
						a, err := m.Recover(context.Background(), rejected[i], w.answer(t, rejected[i]))
						if err != nil || a.Mode != core.ModeAgentAssertion {
							t.Errorf("got %v, %v", a, err)
						}
						agents[i] = a.AgentRuntimeID
					})
				}
				wg.Wait()
				for _, agent := range agents {
					if agent != agents[0] || agent == rejected[0].AgentRuntimeID {
						t.Errorf("got the agents %v after %s", agents, rejected[0].AgentRuntimeID)
					}
				}
				if got := w.authority.Accepted(); got.Identities != 2 || got.Tasks != 2 {
					t.Errorf("the authority accepted %+v, want two of each", got)
				}
			})
		}
	}
}

// Where a backend forgets whatever it is shown, a new identity an hour is enough.
func TestReplacementIsNotReplacedAtOnce(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	a := ask(t, m)
	for range 2 {
		w.authority.RevokeAgent(a.AgentRuntimeID)
		healed, err := m.Recover(context.Background(), a, w.answer(t, a))
		checkCode(t, err, "")
		w.checkHealed(t, a, healed)

		w.authority.RevokeAgent(healed.AgentRuntimeID)
		requests := w.network.count()
		for range 3 {
			w.clock.advance(19 * time.Minute)
			a = ask(t, m)
			if a.AgentRuntimeID != healed.AgentRuntimeID {
				t.Fatalf("got the agent %s, want %s, which is stored", a.AgentRuntimeID, healed.AgentRuntimeID)
			}
			given, err := m.Recover(context.Background(), a, w.answer(t, a))
			checkCode(t, err, "")
			check(t, given, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeUnknownAgent)
			if !strings.Contains(given.Cause.Error(), a.AgentRuntimeID) {
				t.Errorf("got cause %v, want the agent %s in it", given.Cause, a.AgentRuntimeID)
			}
		}
		checkCount(t, "requests within the hour", w.network.count(), requests)
		w.clock.advance(3 * time.Minute)
		a = ask(t, m)
	}
	if got := w.authority.Accepted().Identities; got != 3 {
		t.Errorf("the authority accepted %d identities, want three", got)
	}
}

// Without a 401 it is the registration of a task that shows the replacement unknown
// too. That is a failure like others, with a pause.
func TestReplacementWithoutTask(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	first := askThread(t, m.Thread("thread-2"))
	w.network.follow(func(_ int, r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/task/register") {
			return respond(http.StatusNotFound, nil, http.NoBody), nil
		}
		return nil, nil
	})
	a := ask(t, m)
	check(t, a, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeUnknownAgent)
	checkPause(t, a, start, firstPause)
	if core.Code(a.Notice) != core.CodeIdentitySetAside || w.storedIdentity(t)["agent_runtime_id"] == first.AgentRuntimeID {
		t.Errorf("got notice %v, and %s is stored", a.Notice, w.storedIdentity(t)["agent_runtime_id"])
	}
	checkCount(t, "requests", w.network.count(), requestsPerRegistration+requestsPerTask+requestsPerRegistration)
	r := row(t, w.status(t, w.config()), core.SurfaceModels, "")
	if core.Code(r.Cause) != core.CodeBackingOff || !strings.Contains(r.Cause.Error(), core.CodeUnknownAgent) {
		t.Errorf("the status has the cause %v", r.Cause)
	}
}

// An identity that is all the credentials there are is not replaced: nobody could
// register another.
func TestCredentialsAreNotHealed(t *testing.T) {
	for name, fail := range map[string]func(*testing.T, *world, *host.Manager) (host.Authorization, error){
		"assertion": func(t *testing.T, w *world, m *host.Manager) (host.Authorization, error) {
			a := ask(t, m)
			w.checkVerified(t, a)
			w.authority.RevokeAgent(a.AgentRuntimeID)
			return m.Recover(context.Background(), a, w.answer(t, a))
		},
		"task registration": func(t *testing.T, w *world, m *host.Manager) (host.Authorization, error) {
			w.authority.RevokeAgent(w.storedIdentity(t)["agent_runtime_id"])
			return m.Authorization(context.Background(), core.SurfaceModels)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			askThread(t, manager(t, w.config()).Thread("thread-1"))
			w.clock.advance(time.Second) // a proof is good for one task
			c := w.config()
			c.Credentials = fixed(host.Credentials{Kind: wire.CredentialsAgentIdentity, AccountID: "acct-1", UserID: "user-1"})
			a, err := fail(t, w, manager(t, c))
			checkCode(t, err, "")
			if a.Mode != core.ModeNone || !errors.Is(a.Cause, &core.Error{Code: core.CodeUnknownAgent}) {
				t.Errorf("got %v, cause %v", a, a.Cause)
			}
			if got := w.authority.Accepted().Identities; got != 1 || len(w.setAside(t)) > 0 || len(w.storedIdentity(t)) == 0 {
				t.Errorf("%d identities were registered, %v set aside, and %d members are stored", got, w.setAside(t), len(w.storedIdentity(t)))
			}
		})
	}
}

// What does not fit is kept until another takes its place, and afterwards beside it.
func TestUnfitIdentityIsSetAside(t *testing.T) {
	for name, record := range map[string]string{
		"another account's": string(identityFor("acct-9", "user-1")),
		"another user's":    string(identityFor("acct-1", "user-9")),
		"no user":           strings.Replace(string(identityFor("acct-1", "user-1")), `"chatgpt_user_id":"user-1",`, "", 1),
		"damaged key":       strings.Replace(string(identityFor("acct-1", "user-1")), "MFECAQEw", "AAAA", 1),
		"id with a colon":   strings.Replace(string(identityFor("acct-1", "user-1")), "agent-1", "agent:1", 1),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.save(t, []byte(record))
			w.authority.RefuseRegistration(http.StatusForbidden)
			m := manager(t, w.config())
			a := ask(t, m)
			check(t, a, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeHTTPStatus)
			if got := w.load(t, wire.SlotIdentity); string(got) != record {
				t.Errorf("stored is %s, was %s", got, record)
			}
			w.authority.RefuseRegistration(0)
			w.clock.advance(firstPause)
			// Who asks beforehand is told, too.
			for _, r := range w.status(t, w.config()).Surfaces {
				if r.Scope != core.ScopeBearerOnly && (!r.Registers || core.Code(r.Notice) != core.CodeIdentitySetAside) {
					t.Errorf("the status of %s registers: %t, notice %v", r.Surface, r.Registers, r.Notice)
				}
			}
			a = ask(t, m)
			w.checkVerified(t, a)
			if core.Code(a.Notice) != core.CodeIdentitySetAside {
				t.Errorf("got notice %v", a.Notice)
			}
			if got := string(w.load(t, wire.SlotSetAside)); strings.Count(got, record) != 1 {
				t.Errorf("set aside is %s, want %s once", got, record)
			}
			w.clock.advance(time.Second)
			if a = ask(t, m); a.Notice != nil {
				t.Errorf("got notice %v again", a.Notice)
			}
		})
	}
}

// A stored key that is not the one the agent registered is of no use to anybody. The
// backend says of it what it says of an agent that it does not know, and the client
// registers a new identity, once.
func TestRecoverOfAnotherKey(t *testing.T) {
	w := newWorld()
	first := ask(t, manager(t, w.config()))
	stranger, err := core.NewPrivateKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	record := string(w.load(t, wire.SlotIdentity))
	w.save(t, []byte(strings.Replace(record, w.storedIdentity(t)["agent_private_key"], stranger.PKCS8(), 1)))
	m := manager(t, w.config())
	a := ask(t, m)
	answer := w.answer(t, a)
	if a.AgentRuntimeID != first.AgentRuntimeID || answer.StatusCode != http.StatusUnauthorized {
		t.Fatalf("%s got %s", a.AgentRuntimeID, answer.Status)
	}
	healed, err := m.Recover(context.Background(), a, answer)
	checkCode(t, err, "")
	w.checkHealed(t, first, healed)
	checkCounts(t, w.authority, 2, 2)
}

// A flow for which all goes wrong that it gets over still ends, well before a host
// gives up on it: the backend is overloaded, has forgotten the agent, and others keep
// writing.
func TestLongestFlow(t *testing.T) {
	const maxSteps = 96 // the manager's
	w := newAuthAPIWorld(authority.Options{}, authAPIUser)
	first := ask(t, w.manager(t, w.config()))
	// As another client has left it: it belongs to no backend yet.
	record := strings.Replace(string(w.load(t, wire.SlotIdentity)), `"base_url"`, `"other"`, 1)
	w.save(t, []byte(record))
	w.authority.RevokeAgent(first.AgentRuntimeID)

	// Each request is sent three times, and the identity is swapped as often as the flow
	// bears: dropped at the second time, replaced at the third after that.
	tries := map[string]int{}
	w.network.follow(func(_ int, r *http.Request) (*http.Response, error) {
		if tries[r.URL.Path]++; tries[r.URL.Path]%3 != 0 {
			return respond(http.StatusServiceUnavailable, nil, http.NoBody), nil
		}
		return nil, nil
	})
	swaps := 0
	w.store = &faultyStore{Store: w.store, faults: map[string]fault{"swap identity": func() error {
		if swaps++; slices.Contains([]int{1, 3, 4}, swaps) {
			return changing()
		}
		return nil
	}}}
	engine := &countingEngine{Engine: w.engine}
	w.engine = engine
	m := w.manager(t, w.config())
	rejected := turn(t, m)
	answer := w.answer(t, rejected)
	calls := engine.calls.Load()
	a, err := m.Recover(context.Background(), rejected, answer)
	checkCode(t, err, "")
	w.checkHealed(t, first, a)
	steps := engine.calls.Load() - calls
	t.Logf("%d steps, %d swaps, %d requests", steps, swaps, w.network.count())
	if steps > maxSteps*3/4 {
		t.Errorf("%d steps of %d", steps, maxSteps)
	}
}
