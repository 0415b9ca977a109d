package host_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// A strict manager gives an assertion or an error, where the profile has one; where it
// has none, the bearer token stays.
func TestStrict(t *testing.T) {
	refused := func(w *world, _ *host.ManagerConfig) { w.authority.RefuseRegistration(http.StatusServiceUnavailable) }
	credentials := func(c host.Credentials) func(*world, *host.ManagerConfig) {
		return func(_ *world, config *host.ManagerConfig) { config.Credentials = fixed(c) }
	}
	none := func(*world, *host.ManagerConfig) {}
	for name, tt := range map[string]struct {
		prepare func(*world, *host.ManagerConfig)
		surface string
		thread  bool
		code    string
		mode    string
		cause   string
	}{
		"an assertion":                       {none, core.SurfaceModels, false, "", core.ModeAgentAssertion, ""},
		"a turn's assertion":                 {none, core.SurfaceResponses, true, "", core.ModeAgentAssertion, ""},
		"bootstrap":                          {none, core.SurfaceBootstrap, false, "", core.ModeBearer, ""},
		"bootstrap, refused":                 {refused, core.SurfaceBootstrap, false, "", core.ModeBearer, ""},
		"a refused registration":             {refused, core.SurfaceModels, false, host.CodeNoAssertion, "", core.CodeHTTPStatus},
		"a refused turn":                     {refused, core.SurfaceResponses, true, host.CodeNoAssertion, "", core.CodeHTTPStatus},
		"nobody is signed in":                {credentials(host.Credentials{Kind: wire.CredentialsNone}), core.SurfaceModels, false, host.CodeNoAssertion, "", ""},
		"no account":                         {credentials(host.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "t"}), core.SurfaceModels, false, host.CodeNoAssertion, "", ""},
		"nobody is signed in, and bootstrap": {credentials(host.Credentials{Kind: wire.CredentialsNone}), core.SurfaceBootstrap, false, "", core.ModeNone, ""},
		"a backend that is not supported": {func(_ *world, c *host.ManagerConfig) { c.BaseURL = "https://other.example/backend-api" },
			core.SurfaceModels, false, host.CodeNoAssertion, "", ""},
		"a surface of the bearer token's": {func(_ *world, c *host.ManagerConfig) { c.Profile = wire.ProfileAuthAPI },
			core.SurfaceModels, false, "", core.ModeBearer, ""},
		"a store that fails": {func(_ *world, c *host.ManagerConfig) {
			c.Store = &faultyStore{Store: c.Store, faults: map[string]fault{"load " + wire.SlotIdentity: failing}}
		}, core.SurfaceModels, false, host.CodeNoAssertion, "", core.CodeStoreFailed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c := w.config()
			c.Strict = true
			tt.prepare(w, &c)
			m := manager(t, c)
			authorize := m.Authorization
			if tt.thread {
				authorize = m.Thread("thread-1").Authorization
			}
			for range 2 { // the second has the answer of this second
				a, err := authorize(context.Background(), tt.surface)
				checkCode(t, err, tt.code)
				if a.Mode != tt.mode {
					t.Errorf("got %v, want mode %q", a, tt.mode)
				}
				if err == nil {
					continue
				}
				cause := ""
				if inner := errors.Unwrap(err); inner != nil {
					cause = core.Code(inner)
				}
				if cause != tt.cause {
					t.Errorf("got %v behind %v, want code %q", cause, err, tt.cause)
				}
				checkHidden(t, w.secrets(t), err)
			}
			// A status says the same, unless it is that a registration is tried again.
			thread := ""
			if tt.thread {
				thread = "thread-1"
			}
			s, err := m.Status(context.Background(), "thread-1")
			if err != nil {
				t.Fatal(err)
			}
			r := row(t, s, tt.surface, thread)
			fails := tt.code != ""
			if r.Registers {
				return
			}
			if r.FallsBack != fails || (core.Code(r.Cause) == host.CodeNoAssertion) != fails || r.Mode != cmp.Or(tt.mode, core.ModeNone) {
				t.Errorf("the status has %+v", r)
			}
		})
	}
}

// A strict transport sends nothing without an assertion, the first time and the second.
func TestStrictTransport(t *testing.T) {
	w := newWorld()
	c := w.config()
	c.Strict = true
	m := manager(t, c)
	client, b := transport(w, m)
	w.authority.RefuseRegistration(http.StatusServiceUnavailable)
	_, err := client.Do(newRequest(t, context.Background(), http.MethodGet, baseURL+"/codex/models", nil))
	checkCode(t, err, host.CodeNoAssertion)
	checkCount(t, "calls", len(b.seen), 0)

	w.authority.RefuseRegistration(0)
	w.clock.advance(maxPauseOfTests)
	b.script = func(int, *http.Request) (*http.Response, error) {
		w.authority.RefuseRegistration(http.StatusServiceUnavailable)
		return respond(http.StatusUnauthorized, nil, strings.NewReader("")), nil
	}
	response, err := client.Do(newRequest(t, context.Background(), http.MethodGet, baseURL+"/codex/models", nil))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	checkCount(t, "status", response.StatusCode, http.StatusUnauthorized)
	checkCount(t, "calls", len(b.seen), 1)
}

// That calls carry the user's token is logged once for each reason, and that they do not
// any more, with nothing in it that is secret.
func TestFallbackIsLogged(t *testing.T) {
	var log bytes.Buffer
	w := newWorld()
	c := w.config()
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	m := manager(t, c)
	logged := func(level, text string, want int) {
		t.Helper()
		if got := strings.Count(log.String(), "level="+level); got != want || !strings.Contains(log.String(), text) {
			t.Errorf("got %d lines of %s, want %d with %q:\n%s", got, level, want, text, log.String())
		}
	}
	checkAssertion(t, ask(t, m))
	if _, err := m.Bearer(context.Background()); err != nil {
		t.Fatal(err)
	}
	logged("WARN", "", 0)
	w.authority.RefuseRegistration(http.StatusServiceUnavailable)
	w.authority.RevokeAgent(ask(t, m).AgentRuntimeID)
	for range 5 { // of which those after the first are in the pause
		a := recoverFrom(t, m, ask(t, m))
		if a.Mode == core.ModeAgentAssertion {
			a = recoverFrom(t, m, a)
		}
		w.clock.advance(time.Second)
	}
	logged("WARN", "registration-failed", 1)
	w.authority.RefuseRegistration(0)
	w.clock.advance(maxPauseOfTests)
	checkAssertion(t, ask(t, m))
	w.clock.advance(time.Second)
	checkAssertion(t, ask(t, m))
	logged("INFO", "carry assertions again", 1)
	for _, secret := range w.secrets(t) {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log shows a secret:\n%s", log.String())
		}
	}
}

// Without a logger, the program's own is told.
func TestFallbackIsLoggedByDefault(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	w := newWorld()
	c := w.config()
	c.Logger = nil
	c.BaseURL = "https://other.example/backend-api"
	check(t, ask(t, manager(t, c)), core.ModeBearer, core.ReasonUnsupportedHost, "")
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), core.ReasonUnsupportedHost) {
		t.Errorf("logged %q", log.String())
	}
}

// countsRegistrations wants to know one thing only.
type countsRegistrations struct {
	host.NoopObserver
	n int
}

func (c *countsRegistrations) Registering(ctx context.Context, r host.Registration) (context.Context, func(host.Authorization, error)) {
	c.n++
	return c.NoopObserver.Registering(ctx, r)
}

func TestNoopObserver(t *testing.T) {
	w, o := newWorld(), &countsRegistrations{}
	c := w.config()
	c.Observer = o
	m := manager(t, c)
	checkAssertion(t, ask(t, m))
	checkAssertion(t, ask(t, m))
	checkCount(t, "registrations", o.n, 1)
}
