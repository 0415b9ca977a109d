package host_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// registration is that of a task for the agent that the world's store has.
func (w *world) registration(t testing.TB, profile string) host.TaskRegistration {
	t.Helper()
	agent, err := core.ImportIdentity(w.load(t, wire.SlotIdentity))
	if err != nil {
		t.Fatal(err)
	}
	r := host.TaskRegistration{
		Agent: agent, Profile: profile, BaseURL: baseURL, HTTPClient: &http.Client{Transport: w.network},
		Now: w.clock.Now, Rand: newRand('r'),
	}
	if profile == wire.ProfileBiscuit {
		r.AccessToken = w.session.AccessToken
	}
	return r
}

// withAgent is a world whose store has an agent of that profile.
func withAgent(t testing.TB, profile string, o authority.Options) *world {
	t.Helper()
	if profile == wire.ProfileBiscuit {
		w := newWorld()
		checkAssertion(t, ask(t, manager(t, w.config())))
		return w
	}
	w := newAuthAPIWorld(o, authAPIUser)
	askThread(t, manager(t, w.config()).Thread("thread-1"))
	w.clock.advance(time.Second) // a proof is good for one task
	return w.world
}

// A task is registered in one call, in each profile, with each engine and in each form
// that a backend answers in: and a call with it is verified.
func TestRegisterTask(t *testing.T) {
	for name, engine := range engines(t) {
		for _, profile := range []string{wire.ProfileBiscuit, wire.ProfileAuthAPI} {
			for _, shape := range authority.TaskResponses() {
				t.Run(name+"/"+profile+"/"+string(shape), func(t *testing.T) {
					w := withAgent(t, profile, authority.Options{TaskResponse: shape})
					r := w.registration(t, profile)
					r.Engine = engine
					task, err := host.RegisterTask(context.Background(), r)
					if err != nil {
						t.Fatal(err)
					}
					if task == r.Agent.TaskID {
						t.Error("the task is the one before")
					}
					w.checkTask(t, r.Agent, task)
				})
			}
		}
	}
}

// checkTask wants the authority to accept an assertion of the task.
func (w *world) checkTask(t testing.TB, agent core.Identity, task string) {
	t.Helper()
	key, err := agent.Key()
	if err != nil {
		t.Fatal(err)
	}
	header, err := core.BuildAssertion(key, agent.AgentRuntimeID, task, w.clock.Now().Unix())
	if err != nil {
		t.Fatal(err)
	}
	request := newRequest(t, context.Background(), http.MethodGet, baseURL+"/codex/models", nil)
	request.Header.Set("Authorization", header)
	request.Header.Set("ChatGPT-Account-ID", w.session.AccountID)
	response := serve(w.authority, request)
	checkCount(t, "the call's status", response.StatusCode, http.StatusOK)
}

// What fails can be told apart, passes or not, and is tried as often as the caller says.
func TestRegisterTaskFails(t *testing.T) {
	answers := func(status int, header http.Header, body string) script {
		return func(int, *http.Request) (*http.Response, error) {
			return respond(status, header, strings.NewReader(body)), nil
		}
	}
	fails := func(err error) script {
		return func(int, *http.Request) (*http.Response, error) { return nil, err }
	}
	once := func(s script) script {
		n := 0
		return func(i int, r *http.Request) (*http.Response, error) {
			if n++; n > 1 {
				return nil, nil
			}
			return s(i, r)
		}
	}
	for name, tt := range map[string]struct {
		tries    int
		script   script
		requests int
		code     string
		means    string
		took     time.Duration
	}{
		"succeeds":                           {0, nil, 1, "", "", 0},
		"refused":                            {3, answers(403, nil, `{"error":{"code":"account_deactivated"}}`), 1, core.CodeHTTPStatus, "", 0},
		"unknown agent":                      {3, answers(404, nil, ""), 1, core.CodeHTTPStatus, "revoked", 0},
		"no time, once":                      {0, answers(503, nil, ""), 1, core.CodeHTTPStatus, "temporary", 0},
		"no time, thrice":                    {3, answers(503, nil, ""), 3, core.CodeHTTPStatus, "temporary", 300 * time.Millisecond},
		"no time, and then":                  {2, once(answers(503, nil, "")), 2, "", "", 100 * time.Millisecond},
		"no time, for two seconds":           {2, once(answers(429, http.Header{"Retry-After": {"2"}}, "")), 2, "", "", 2 * time.Second},
		"no time, for longer than is waited": {2, once(answers(429, http.Header{"Retry-After": {"6"}}, "")), 1, core.CodeHTTPStatus, "temporary", 0},
		"no connection":                      {2, fails(io.ErrUnexpectedEOF), 2, core.CodeRequestFailed, "temporary", 100 * time.Millisecond},
		"not JSON":                           {2, answers(200, nil, "<html>"), 1, core.CodeInvalidResponse, "", 0},
		"too large":                          {2, answers(200, nil, strings.Repeat(" ", 65<<10)), 1, core.CodeRequestFailed, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := withAgent(t, wire.ProfileAuthAPI, authority.Options{})
				r := w.registration(t, wire.ProfileAuthAPI)
				r.Tries = tt.tries
				w.network.follow(tt.script)
				before, began := w.network.count(), time.Now()
				task, err := host.RegisterTask(context.Background(), r)
				checkCode(t, err, tt.code)
				if tt.code != "" {
					checkMeans(t, err, tt.means)
				}
				if (task == "") != (err != nil) {
					t.Errorf("got task %q, %v", task, err)
				}
				checkCount(t, "requests", w.network.count()-before, tt.requests)
				if took := time.Since(began); took != tt.took {
					t.Errorf("it took %v, want %v", took, tt.took)
				}
				if _, ok := errors.AsType[*core.Refusal](err); ok != (tt.code == core.CodeHTTPStatus) {
					t.Errorf("got %v, with a refusal: %t", err, ok)
				}
				if err != nil {
					checkHidden(t, []string{r.Agent.PrivateKey}, err)
				}
			})
		})
	}
}

// The caller's context ends what it waits for, and its values reach the client.
func TestRegisterTaskEndsWithItsContext(t *testing.T) {
	w := withAgent(t, wire.ProfileAuthAPI, authority.Options{})
	r := w.registration(t, wire.ProfileAuthAPI)
	r.Tries = 5
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), tenantKey{}, "tenant-1"))
	w.network.follow(func(_ int, r *http.Request) (*http.Response, error) {
		if got := tenantOf(r.Context()); got != "tenant-1" {
			t.Errorf("got tenant %q", got)
		}
		cancel()
		return nil, r.Context().Err()
	})
	before := w.network.count()
	_, err := host.RegisterTask(ctx, r)
	checkCode(t, err, host.CodeCanceled)
	checkCount(t, "requests", w.network.count()-before, 1)
}

// What no request is made for is refused beforehand.
func TestRegisterTaskErrors(t *testing.T) {
	w := withAgent(t, wire.ProfileBiscuit, authority.Options{})
	before := w.network.count()
	for name, tt := range map[string]struct {
		change func(*host.TaskRegistration)
		code   string
	}{
		"no such profile":     {func(r *host.TaskRegistration) { r.Profile = "auth_api" }, core.CodeInvalidConfig},
		"no tasks":            {func(r *host.TaskRegistration) { r.Profile = wire.ProfileInstances }, core.CodeInvalidConfig},
		"http":                {func(r *host.TaskRegistration) { r.BaseURL = "http://chatgpt.com/backend-api" }, host.CodeInsecureBaseURL},
		"no URL":              {func(r *host.TaskRegistration) { r.BaseURL = "" }, core.CodeInvalidBaseURL},
		"no auth API":         {func(r *host.TaskRegistration) { r.Profile, r.BaseURL = wire.ProfileAuthAPI, "https://other.example" }, core.CodeNoAuthAPI},
		"no token":            {func(r *host.TaskRegistration) { r.AccessToken = "" }, core.CodeNoAccessToken},
		"no key":              {func(r *host.TaskRegistration) { r.Profile, r.Agent.PrivateKey = wire.ProfileAuthAPI, "" }, core.CodeInvalidPrivateKey},
		"no agent":            {func(r *host.TaskRegistration) { r.Profile, r.Agent.AgentRuntimeID = wire.ProfileAuthAPI, "" }, core.CodeInvalidAgentRuntimeID},
		"an agent of a colon": {func(r *host.TaskRegistration) { r.Profile, r.Agent.AgentRuntimeID = wire.ProfileAuthAPI, "a:b" }, core.CodeInvalidAgentRuntimeID},
		"tries below 0":       {func(r *host.TaskRegistration) { r.Tries = -1 }, host.CodeInvalidManagerConfig},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.registration(t, wire.ProfileBiscuit)
			tt.change(&r)
			_, err := host.RegisterTask(context.Background(), r)
			checkCode(t, err, tt.code)
			checkHidden(t, []string{w.session.AccessToken}, err)
		})
	}
	checkCount(t, "requests", w.network.count(), before)
}
