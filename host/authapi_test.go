package host_test

import (
	"context"
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

// authAPIWorld is a world whose clients are of the profile auth-api: a registration
// is two requests, and the host waits as long as it is told to without any time
// going by.
type authAPIWorld struct {
	*world
	user authority.User

	mu    sync.Mutex
	waits []time.Duration
}

func newAuthAPIWorld(o authority.Options, u authority.User) *authAPIWorld {
	w := &authAPIWorld{world: newWorld(), user: u}
	o.Now, o.Rand = w.clock.Now, newRand('a')
	w.authority = newAuthority(o)
	w.session = w.authority.SignInUser(u)
	w.network = &network{backend: w.authority}
	return w
}

func (w *authAPIWorld) config() host.ManagerConfig {
	c := w.world.config()
	c.Profile, c.AllSurfaces = wire.ProfileAuthAPI, true
	credentials := w.credentials()
	credentials.FedRAMP = w.user.FedRAMP
	c.Credentials = fixed(credentials)
	return c
}

func (w *authAPIWorld) manager(t testing.TB, c host.ManagerConfig) *host.Manager {
	t.Helper()
	m := manager(t, c)
	m.SetWait(func(_ context.Context, d time.Duration) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.waits = append(w.waits, d)
		return nil
	})
	return m
}

var authAPIUser = authority.User{AccountID: "acct-1", UserID: "user-1"}

// What goes over the wire is what the protocol says of these clients.
func TestAuthAPIRegisters(t *testing.T) {
	for _, shape := range authority.TaskResponses() {
		for _, fedRAMP := range []bool{false, true} {
			name := string(shape)
			if fedRAMP {
				name += "/FedRAMP"
			}
			t.Run(name, func(t *testing.T) {
				user := authAPIUser
				user.FedRAMP = fedRAMP
				w := newAuthAPIWorld(authority.Options{TaskResponse: shape}, user)
				m := w.manager(t, w.config())
				background := ask(t, m)
				w.checkVerified(t, background)
				checkAuthAPIRequests(t, w, background.AgentRuntimeID)
				w.clock.advance(time.Second)
				w.checkVerified(t, askThread(t, m.Thread("thread-1")))
				checkCount(t, "requests", w.network.count(), 2) // one task for all

				// As a program that starts again.
				again := ask(t, w.manager(t, w.config()))
				w.checkVerified(t, again)
				if again.TaskID != background.TaskID {
					t.Errorf("got task %s, want %s", again.TaskID, background.TaskID)
				}
				checkCounts(t, w.authority, 1, 1)
				checkAuthorizationHidden(t, w.secrets(t), background)
			})
		}
	}
}

// checkAuthAPIRequests checks the two requests of a registration.
func checkAuthAPIRequests(t *testing.T, w *authAPIWorld, agentRuntimeID string) {
	t.Helper()
	const authAPI = "https://auth.openai.com/api/accounts"
	fedRAMP := ""
	if w.user.FedRAMP {
		fedRAMP = "true"
	}
	for i, want := range []struct{ url, authorization, fedRAMP, body string }{
		{authAPI + "/v1/agent/register", "Bearer " + w.session.AccessToken, fedRAMP, `"ttl":null`},
		{authAPI + "/v1/agent/" + agentRuntimeID + "/task/register", "", "", `{"signature":"`},
	} {
		r, body := w.network.requests[i], w.network.bodies[i]
		if r.Method != http.MethodPost || r.URL.String() != want.url || !strings.Contains(body, want.body) {
			t.Errorf("request %d: got %s %s %q, want POST %s %q", i, r.Method, r.URL, body, want.url, want.body)
		}
		for name, value := range map[string]string{
			"Authorization": want.authorization, "X-Openai-Fedramp": want.fedRAMP, "X-Openai-Authorization": "",
		} {
			if got := r.Header.Get(name); got != value {
				t.Errorf("request %d: got %s %q, want %q", i, name, got, value)
			}
		}
	}
}

func TestAuthAPIWithAnotherAuthAPI(t *testing.T) {
	w := newAuthAPIWorld(authority.Options{}, authAPIUser)
	c := w.config()
	c.AuthAPIURL = "https://auth.api.openai.org/api/accounts/"
	w.checkVerified(t, ask(t, w.manager(t, c)))
	for _, r := range w.network.requests {
		if !strings.HasPrefix(r.URL.String(), "https://auth.api.openai.org/api/accounts/v1/agent/") {
			t.Errorf("a request went to %s", r.URL)
		}
	}
}

// Of a backend that is none of the public ones nobody knows where to register: so nobody is shown the token.
func TestAuthAPIWithoutAuthAPI(t *testing.T) {
	w := newAuthAPIWorld(authority.Options{}, authAPIUser)
	c := w.config()
	c.BaseURL, c.TrustedHosts = "https://backend.example/api", []string{"backend.example"}
	m := w.manager(t, c)
	a := ask(t, m)
	if a.Mode != core.ModeBearer || core.Code(a.Cause) != core.CodeNoAuthAPI {
		t.Errorf("got mode %s, cause %v", a.Mode, a.Cause)
	}
	if _, err := m.Thread("thread-1").Authorization(t.Context(), core.SurfaceResponses); core.Code(errors.Unwrap(err)) != core.CodeNoAuthAPI {
		t.Errorf("a thread's call: %v", err)
	}
	for _, r := range w.network.requests {
		t.Errorf("a request went to %s", r.URL)
	}
}

// A profile does not tell one identity from another's: what one registered, the
// other goes on with.
func TestAuthAPISharesTheIdentity(t *testing.T) {
	w := newAuthAPIWorld(authority.Options{}, authAPIUser)
	before := ask(t, manager(t, w.world.config()))
	after := ask(t, w.manager(t, w.config()))
	w.checkVerified(t, after)
	if after.TaskID != before.TaskID {
		t.Errorf("got task %s, want %s", after.TaskID, before.TaskID)
	}
	checkCounts(t, w.authority, 1, 1)
}

func TestAuthAPITriesAgain(t *testing.T) {
	status := func(code int) answer { return text(code, "{}") }
	for _, tt := range []struct {
		name   string
		answer answer
		// failures is how many times in a row the request fails, tries how often it
		// is sent for that.
		failures, tries int
		code            string
	}{
		{"429, once", status(http.StatusTooManyRequests), 1, 2, ""},
		{"500, twice", status(http.StatusInternalServerError), 2, 3, ""},
		{"503, for good", status(http.StatusServiceUnavailable), 3, 3, core.CodeHTTPStatus},
		{"time-out, twice", failWith(context.DeadlineExceeded), 2, 3, ""},
		{"no connection, for good", failWith(errDisk), 3, 3, core.CodeRequestFailed},
		{"400", status(http.StatusBadRequest), 1, 1, core.CodeHTTPStatus},
		{"403", status(http.StatusForbidden), 1, 1, core.CodeHTTPStatus},
		{"302", status(http.StatusFound), 1, 1, core.CodeHTTPStatus},
		{"garbage", text(http.StatusOK, "<html>"), 1, 1, core.CodeInvalidResponse},
		{"too large", text(http.StatusOK, strings.Repeat(" ", 64<<10+1)), 1, 1, core.CodeRequestFailed},
	} {
		for n, name := range []string{"identity", "task"} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				w := newAuthAPIWorld(authority.Options{}, authAPIUser)
				w.network.follow(func(index int, r *http.Request) (*http.Response, error) {
					if index >= n && index < n+tt.failures {
						return tt.answer(r)
					}
					return nil, nil
				})
				m := w.manager(t, w.config())
				a := ask(t, m)
				checkCount(t, "waits", len(w.waits), tt.tries-1)
				if want := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond}; !slices.Equal(w.waits, want[:tt.tries-1]) {
					t.Errorf("got waits %v, want %v", w.waits, want[:tt.tries-1])
				}
				if tt.code == "" {
					w.checkVerified(t, a)
					checkCount(t, "requests", w.network.count(), 2+tt.failures)
					checkCounts(t, w.authority, 1, 1)
					return
				}
				reason := core.ReasonRegistrationFailed
				if tt.tries > 1 {
					reason = core.ReasonRegistrationUnavailable
				}
				check(t, a, core.ModeBearer, reason, tt.code)
				checkCount(t, "requests", w.network.count(), n+tt.tries)
				// It is remembered for an hour, less the jitter.
				retryAt := checkPause(t, a, start, time.Hour)
				w.clock.set(retryAt.Add(-time.Second))
				check(t, ask(t, w.manager(t, w.config())), core.ModeBearer, reason, core.CodeBackingOff)
				checkCount(t, "requests within the pause", w.network.count(), n+tt.tries)
				w.clock.set(retryAt)
				w.checkVerified(t, ask(t, m))
			})
		}
	}
}

// A manager that is closed does not wait to try again.
func TestAuthAPIClosedWhileItWaits(t *testing.T) {
	w := newAuthAPIWorld(authority.Options{}, authAPIUser)
	w.authority.RefuseRegistration(http.StatusInternalServerError)
	m := w.manager(t, w.config())
	waiting := make(chan struct{})
	m.SetWait(func(ctx context.Context, _ time.Duration) error {
		close(waiting)
		<-ctx.Done()
		return ctx.Err()
	})
	result := askInBackground(context.Background(), m)
	<-waiting
	closeManager(t, m)
	got := <-result
	checkCode(t, got.err, "")
	check(t, got.Authorization, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeRequestFailed)
	checkRetryAt(t, got.Authorization, time.Time{})
	checkCount(t, "requests", w.network.count(), 1)
}

// The manager's own way of waiting.
func TestWait(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := host.Wait(canceled, time.Hour); err != context.Canceled {
		t.Errorf("canceled: got %v, want %v", err, context.Canceled)
	}
	if err := host.Wait(context.Background(), time.Nanosecond); err != nil {
		t.Errorf("got %v after the time", err)
	}
}

// What a backend asks for is kept to, in both profiles, where it is longer than
// the pause.
func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		earliest    time.Duration // after start
	}{
		{"seconds", "7200", 2 * time.Hour},
		{"date", start.Add(3 * time.Hour).Format(http.TimeFormat), 3 * time.Hour},
		{"longer than a day", "999999999", 24 * time.Hour},
		{"shorter than the pause", "1", 0},
		{"a date that is past", start.Add(-time.Hour).Format(http.TimeFormat), 0},
		{"garbage", "soon", 0},
		{"negative", "-5", 0},
	} {
		for _, profile := range []string{wire.ProfileBiscuit, wire.ProfileAuthAPI} {
			t.Run(tt.name+"/"+profile, func(t *testing.T) {
				refuse := true
				w := newAuthAPIWorld(authority.Options{Intercept: func(*http.Request) (int, http.Header) {
					if !refuse {
						return 0, nil
					}
					return http.StatusTooManyRequests, http.Header{"Retry-After": {tt.value}}
				}}, authAPIUser)
				c := w.config()
				c.Profile = profile
				m := w.manager(t, c)
				a := ask(t, m)
				reason := core.ReasonRegistrationFailed
				if profile == wire.ProfileAuthAPI {
					reason = core.ReasonRegistrationUnavailable
				}
				check(t, a, core.ModeBearer, reason, core.CodeHTTPStatus)
				if tt.earliest > 0 {
					checkRetryAt(t, a, start.Add(tt.earliest))
				} else if pause := a.RetryAt.Sub(start); pause < time.Minute/2 || pause > time.Hour {
					t.Errorf("got a pause of %v, want the usual one", pause)
				}
				refuse = false
				w.clock.set(a.RetryAt.Add(-time.Second))
				check(t, ask(t, m), core.ModeBearer, reason, core.CodeBackingOff)
				w.clock.set(a.RetryAt)
				w.checkVerified(t, ask(t, m))
			})
		}
	}
}

func TestAuthAPIRecovers(t *testing.T) {
	w := newAuthAPIWorld(authority.Options{}, authAPIUser)
	m := w.manager(t, w.config())
	background := ask(t, m)
	w.clock.advance(time.Second)
	turn := askThread(t, m.Thread("thread-1"))
	for _, rejected := range []host.Authorization{background, turn} {
		w.clock.advance(time.Second)
		w.authority.ExpireTask(rejected.TaskID)
		w.checkVerified(t, recoverFrom(t, m, rejected))
	}
	checkCounts(t, w.authority, 1, 2) // the other had the same, which was replaced
}

// A backend that takes a proof for one task, as it says nothing but the second, lets
// a call wait whose task expires in the second in which it was registered.
func TestAuthAPITasksOfOneSecond(t *testing.T) {
	w := newAuthAPIWorld(authority.Options{}, authAPIUser)
	m := w.manager(t, w.config())
	m.SetWait(func(_ context.Context, d time.Duration) error {
		checkCount(t, "milliseconds", int(d.Milliseconds()), 1000)
		w.clock.advance(d)
		return nil
	})
	a := ask(t, m)
	w.authority.ExpireTask(a.TaskID)
	w.checkVerified(t, recoverFrom(t, m, a))
	checkCounts(t, w.authority, 1, 2)
	checkCount(t, "requests", w.network.count(), 2+2)
}

// Without an access token a task can still be registered, for the signature is
// all that these clients send.
func TestAuthAPITaskNeedsNoToken(t *testing.T) {
	w := newAuthAPIWorld(authority.Options{}, authAPIUser)
	ask(t, w.manager(t, w.config()))
	w.clock.advance(time.Second)
	w.session.AccessToken = ""
	w.checkVerified(t, askThread(t, w.manager(t, w.config()).Thread("thread-1")))
}

// A configuration that cannot be used is an error, not a fall-back.
func TestAuthAPIConfig(t *testing.T) {
	for name, change := range map[string]func(*host.ManagerConfig){
		"unknown profile":      func(c *host.ManagerConfig) { c.Profile = "next" },
		"auth API is no URL":   func(c *host.ManagerConfig) { c.AuthAPIURL = "auth.openai.com" },
		"auth API with a user": func(c *host.ManagerConfig) { c.AuthAPIURL = "https://a@b.example" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newAuthAPIWorld(authority.Options{}, authAPIUser)
			c := w.config()
			change(&c)
			_, err := host.NewManager(c)
			checkCode(t, err, core.CodeInvalidConfig)
		})
	}
}
