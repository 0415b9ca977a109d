package host_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// at is the world's configuration for another backend, whose host is trusted.
func (w *world) at(url string) host.ManagerConfig {
	c := w.config()
	c.BaseURL, c.TrustedHosts = url, []string{"self-hosted.example", "127.0.0.1"}
	return c
}

// checkOtherBackend wants a manager to show nothing of the stored identity to its
// backend, on any surface.
func (w *world) checkOtherBackend(t *testing.T, c host.ManagerConfig) {
	t.Helper()
	requests, identity := w.network.count(), w.load(t, wire.SlotIdentity)
	s := w.status(t, c, "thread-1")
	m := manager(t, c)
	client, sent := transport(w, m)
	client.Transport.(*host.Transport).Thread = m.Thread("thread-1")
	for _, surface := range core.Surfaces() {
		if surface.Scope == core.ScopeBearerOnly {
			continue
		}
		r := newRequest(t, host.WithSurface(context.Background(), surface.Name), surface.Method, m.BaseURL()+surface.Path, nil)
		response, err := client.Do(r)
		thread := ""
		if surface.Scope == core.ScopeThread {
			thread = "thread-1"
			if !errors.Is(err, &core.Error{Code: core.CodeOtherBackend}) {
				t.Errorf("%s: got %v, want %s in its chain", surface.Name, err, core.CodeOtherBackend)
			}
		} else {
			if err != nil {
				t.Fatalf("%s: %v", surface.Name, err)
			}
			response.Body.Close()
			a := ask(t, m)
			check(t, a, core.ModeBearer, core.ReasonStoreFailed, core.CodeOtherBackend)
		}
		if status := row(t, s, surface.Name, thread); core.Code(status.Cause) != core.CodeOtherBackend || status.Registers {
			t.Errorf("%s: the status has %+v", surface.Name, status)
		}
	}
	for _, r := range sent.seen {
		if got := r.header.Get("Authorization"); !strings.HasPrefix(got, "Bearer ") {
			t.Errorf("%s gets %s", r.url, got)
		}
	}
	checkCount(t, "requests of registrations", w.network.count(), requests)
	if after := w.load(t, wire.SlotIdentity); !bytes.Equal(after, identity) {
		t.Errorf("stored is %s, was %s", after, identity)
	}
}

// An assertion names no audience: who gets one could show it to the backend that
// the identity belongs to.
func TestIdentityBelongsToItsBackend(t *testing.T) {
	for name, tt := range map[string]struct {
		first, second string
		same          bool
	}{
		"another host":               {baseURL, "https://self-hosted.example/backend-api", false},
		"the other way round":        {"https://self-hosted.example/backend-api", baseURL, false},
		"another scheme":             {"https://127.0.0.1:8443/backend-api", "http://127.0.0.1:8443/backend-api", false},
		"another port":               {"http://127.0.0.1:8080/backend-api", "http://127.0.0.1:8081/backend-api", false},
		"staging":                    {baseURL, "https://chatgpt-staging.com/backend-api", false},
		"a host below":               {baseURL, "https://eu.chatgpt.com/backend-api", false},
		"two names of one":           {baseURL, "https://chat.openai.com", true},
		"two names, other way round": {"https://chat.openai.com/backend-api", "https://chatgpt.com", true},
		"another path":               {"https://self-hosted.example/backend-api", "https://self-hosted.example/b/backend-api", true},
		"the port spelt out":         {"https://self-hosted.example/backend-api", "https://SELF-HOSTED.example:443/backend-api", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			m := manager(t, w.at(tt.first))
			first := ask(t, m)
			w.checkVerified(t, turn(t, m))
			if !tt.same {
				w.checkOtherBackend(t, w.at(tt.second))
			} else if a := ask(t, manager(t, w.at(tt.second))); a.TaskID != first.TaskID {
				t.Errorf("got the task %s, want %s", a.TaskID, first.TaskID)
			}
			w.clock.advance(time.Second)
			w.checkVerified(t, ask(t, m))
			checkCounts(t, w.authority, 1, 2)
		})
	}
}

// An identity that another client has stored belongs to the first backend that it is
// used with, if that is one to be trusted with it. That is remembered beside it, for
// its own record is that client's to write.
func TestForeignIdentityIsBound(t *testing.T) {
	const selfHosted = "https://self-hosted.example/backend-api"
	for name, tt := range map[string]struct {
		url   string
		bound bool
	}{
		"supported":   {baseURL, true},
		"trusted":     {selfHosted, true},
		"not trusted": {"https://elsewhere.example/backend-api", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.save(t, identityFor("acct-1", "user-1"))
			m := manager(t, w.at(tt.url))
			turn := func() error {
				w.network.follow(func(_ int, r *http.Request) (*http.Response, error) {
					t.Errorf("%s is asked to register", r.URL)
					return respond(http.StatusForbidden, nil, http.NoBody), nil
				})
				defer w.network.follow(nil)
				_, err := m.Thread("thread-1").Authorization(context.Background(), "")
				return err
			}
			if !tt.bound {
				check(t, ask(t, m), core.ModeBearer, core.ReasonUnsupportedHost, "")
				if err := turn(); !errors.Is(err, &core.Error{Code: core.CodeOtherBackend}) {
					t.Errorf("got %v, want %s in its chain", err, core.CodeOtherBackend)
				}
				if record := w.load(t, wire.SlotBackend); len(record) > 0 {
					t.Errorf("it is bound: %s", record)
				}
				// It is still free for one that is.
				checkAssertion(t, ask(t, manager(t, w.config())))
				return
			}
			checkAssertion(t, ask(t, m))
			if got, want := string(w.load(t, wire.SlotBackend)), `{"agent-1":"`+tt.url+`"}`; got != want {
				t.Errorf("bound is %s, want %s", got, want)
			}
			other := baseURL
			if tt.url == baseURL {
				other = selfHosted
			}
			w.checkOtherBackend(t, w.at(other))
		})
	}
}

// What cannot be noted is noted by the next call. What cannot be looked up could be
// another backend's.
func TestForeignIdentityThatCannotBeBound(t *testing.T) {
	for operation, mode := range map[string]string{"load backend": core.ModeBearer, "save backend": core.ModeAgentAssertion} {
		t.Run(operation, func(t *testing.T) {
			w := newWorld()
			w.save(t, identityFor("acct-1", "user-1"))
			store := &faultyStore{Store: w.store, faults: map[string]fault{operation: failing}}
			w.store = store
			m := manager(t, w.config())
			if a := ask(t, m); a.Mode != mode || (mode == core.ModeBearer) != errors.Is(a.Cause, errDisk) {
				t.Errorf("got %v, cause %v; want %s", a, a.Cause, mode)
			}
			store.repair()
			w.clock.advance(time.Second)
			checkAssertion(t, ask(t, m))
			if record := w.load(t, wire.SlotBackend); !strings.Contains(string(record), baseURL) {
				t.Errorf("bound is %s, want %s in it", record, baseURL)
			}
			checkCount(t, "requests", w.network.count(), 0)
		})
	}
}
