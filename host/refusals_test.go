package host_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// meanings are what a caller switches on.
var meanings = map[string]error{"revoked": core.ErrAgentRevoked, "expired": core.ErrTaskExpired, "temporary": core.ErrTemporary}

// checkMeans wants an error to be one of them, or none where want is empty.
func checkMeans(t *testing.T, err error, want string) {
	t.Helper()
	for name, meaning := range meanings {
		if got := errors.Is(err, meaning); got != (name == want) {
			t.Errorf("%v is %s: %t, want %q", err, name, got, want)
		}
	}
}

// What a registration came to can be switched on: in a background call's cause and in a
// turn's error, now and while the pause lasts that follows.
func TestRefusalsOfRegistrations(t *testing.T) {
	const secretBody = `{"error":{"code":"some_code","message":"you sent Bearer `
	for name, tt := range map[string]struct {
		at     int
		status int
		header http.Header
		body   string
		err    error
		want   core.Refusal
		means  string
	}{
		"no time": {taskRegistration, 503, http.Header{"Retry-After": {"17"}}, `{"error":{"code":"overloaded"}}`, nil,
			core.Refusal{Step: wire.StepTask, Status: 503, Code: "overloaded", RetryAfter: 17}, "temporary"},
		"forbidden": {identityRegistration, 403, nil, `{"detail":{"code":"account_deactivated"}}`, nil,
			core.Refusal{Step: wire.StepIdentity, Status: 403, Code: "account_deactivated"}, ""},
		"biscuit": {0, 429, nil, "<html>", nil,
			core.Refusal{Step: wire.StepBiscuit, Status: 429}, "temporary"},
		"quotes the token": {identityRegistration, 400, nil, secretBody + `TOKEN"}}`, nil,
			core.Refusal{Step: wire.StepIdentity, Status: 400, Code: "some_code"}, ""},
		"no connection": {taskRegistration, 0, nil, "", io.ErrUnexpectedEOF, core.Refusal{}, "temporary"},
		"a time-out":    {taskRegistration, 0, nil, "", context.DeadlineExceeded, core.Refusal{}, "temporary"},
	} {
		for _, thread := range []bool{false, true} {
			t.Run(name+map[bool]string{true: "/turn", false: "/background"}[thread], func(t *testing.T) {
				w := newWorld()
				body := strings.ReplaceAll(tt.body, "TOKEN", w.session.AccessToken)
				w.network.follow(failAt(tt.at, func(*http.Request) (*http.Response, error) {
					if tt.err != nil {
						return nil, tt.err
					}
					return respond(tt.status, tt.header, strings.NewReader(body)), nil
				}))
				m := manager(t, w.config())
				failure := func() error {
					if !thread {
						a := ask(t, m)
						return a.Cause
					}
					_, err := m.Thread("thread-1").Authorization(context.Background(), "")
					checkCode(t, err, host.CodeThreadFailed)
					return err
				}
				err := failure()
				checkMeans(t, err, tt.means)
				checkHidden(t, w.secrets(t), err)
				got, ok := errors.AsType[*core.Refusal](err)
				if ok != (tt.err == nil) {
					t.Fatalf("got %v, with a refusal: %t", err, ok)
				}
				if ok {
					if strings.Contains(got.Body, w.session.AccessToken) || got.Body == "" {
						t.Errorf("the body is %q", got.Body)
					}
					got := *got
					got.Body = ""
					if got != tt.want {
						t.Errorf("got %+v, want %+v", got, tt.want)
					}
				}
				if n := strings.Count(err.Error(), "the backend answered"); n > 1 {
					t.Errorf("%q says %d times what the backend answered", err, n)
				}
				if thread {
					return // the next turn tries again
				}
				w.clock.advance(time.Second)
				paused := ask(t, m)
				check(t, paused, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeBackingOff)
				checkMeans(t, paused.Cause, tt.means)
				again, _ := errors.AsType[*core.Refusal](paused.Cause)
				if first, _ := errors.AsType[*core.Refusal](err); again != first {
					t.Errorf("got %v behind the pause, want %v", again, first)
				}
			})
		}
	}
}

// An agent that the backend has revoked, and that is not replaced, is told apart.
func TestRevokedAgentsAreToldApart(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	background := ask(t, m)
	w.network.follow(func(_ int, r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/task/register") {
			return respond(http.StatusGone, nil, strings.NewReader("")), nil
		}
		return nil, nil
	})
	a := recoverFrom(t, m, background)
	checkMeans(t, a.Cause, "revoked")
	if r, ok := errors.AsType[*core.Refusal](a.Cause); !ok || r.Status != http.StatusGone {
		t.Errorf("got %v", r)
	}
}

// ReadRefusal is for answers to calls: nothing of the authorization shows.
func TestReadRefusal(t *testing.T) {
	if host.ReadRefusal(nil) != nil {
		t.Error("no response has a refusal")
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, baseURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	const key, assertion, other = "program's/own:key", "AgentAssertion e30.quoted", "hunter2 of the caller's"
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("X-OpenAI-Agent-Assertion", assertion)
	body := `{"error":{"code":"task_expired","message":"` + key + ", " + assertion + ", " + other + `"}}` + "\nand more"
	response := respond(http.StatusUnauthorized, http.Header{"Retry-After": {"2"}}, strings.NewReader(body))
	response.Request = request
	r := host.ReadRefusal(response, other)
	checkMeans(t, r, "expired")
	if r.Status != 401 || r.Code != "task_expired" || r.RetryAfter != 2 {
		t.Errorf("got %+v", r)
	}
	for _, secret := range []string{key, "e30.quoted", other} {
		if strings.Contains(r.Body, secret) {
			t.Errorf("the body %q shows %q", r.Body, secret)
		}
	}
	if got, err := io.ReadAll(response.Body); err != nil || string(got) != body {
		t.Errorf("read %q, %v; want all of the body", got, err)
	}
}

// A caller that has kept the ids alone recovers with them, and with nobody else's.
func TestRecoverTask(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(c *host.ManagerConfig)
		thread bool
	}{
		"background":        {func(*host.ManagerConfig) {}, false},
		"thread":            {func(*host.ManagerConfig) {}, true},
		"auth-api":          {func(c *host.ManagerConfig) { c.Profile = wire.ProfileAuthAPI }, false},
		"auth-api, thread":  {func(c *host.ManagerConfig) { c.Profile = wire.ProfileAuthAPI }, true},
		"auth-api, for all": {func(c *host.ManagerConfig) { c.Profile, c.AllSurfaces = wire.ProfileAuthAPI, true }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c := w.config()
			tt.change(&c)
			m := manager(t, c)
			thread := m.Thread("thread-1")
			var first host.Authorization
			if tt.thread || c.Profile == wire.ProfileAuthAPI {
				first = askThread(t, thread)
			} else {
				first = ask(t, m)
			}
			recoverTask := m.RecoverTask
			if tt.thread {
				recoverTask = thread.RecoverTask
			}
			requests := w.network.count()
			ctx := context.Background()
			for _, ids := range [][2]string{{"", ""}, {first.AgentRuntimeID, ""}, {"", first.TaskID}, {"agent-of-others", first.TaskID}} {
				_, err := recoverTask(ctx, ids[0], ids[1], nil)
				checkCode(t, err, host.CodeNotOurs)
			}
			checkCount(t, "requests", w.network.count(), requests)

			w.authority.ExpireTask(first.TaskID)
			w.clock.advance(time.Second) // a proof is good for one task
			second, err := recoverTask(ctx, first.AgentRuntimeID, first.TaskID, &core.Refusal{Status: 401, Code: "task_expired"})
			if err != nil {
				t.Fatal(err)
			}
			w.checkVerified(t, second)
			if second.TaskID == first.TaskID {
				t.Error("the task is the same")
			}
			// A rejection that comes late registers nothing.
			requests = w.network.count()
			w.clock.advance(time.Second)
			late, err := recoverTask(ctx, first.AgentRuntimeID, first.TaskID, nil)
			if err != nil || late.TaskID != second.TaskID {
				t.Errorf("got %v, %v; want task %s", late, err, second.TaskID)
			}
			checkCount(t, "requests", w.network.count(), requests)

			// An agent that another has taken the place of was this manager's, too.
			w.authority.RevokeAgent(first.AgentRuntimeID)
			third, err := recoverTask(ctx, first.AgentRuntimeID, second.TaskID, &core.Refusal{Status: 401, Code: core.CodeUnknownAgent})
			if err != nil || third.AgentRuntimeID == first.AgentRuntimeID {
				t.Fatalf("got %v, %v; want another agent", third, err)
			}
			w.checkVerified(t, third)
			w.clock.advance(time.Second)
			late, err = recoverTask(ctx, first.AgentRuntimeID, second.TaskID, nil)
			if err != nil || late.TaskID != third.TaskID {
				t.Errorf("got %v, %v; want task %s", late, err, third.TaskID)
			}
		})
	}
}

// Whatever a refusal's body is, and however it arrives, who reads it afterwards gets all of
// it, and the refusal shows nothing of the authorization.
func FuzzReadRefusal(f *testing.F) {
	f.Add([]byte(`{"error":{"code":"task_expired"}}`), 1, false)
	f.Add([]byte(`{"error":{"code":"task_expired"}} and more`), 3, true)
	f.Add([]byte(`[1,2`), 100, true)
	f.Add([]byte("<html>"), 1, false)
	f.Add([]byte(nil), 1, true)
	f.Fuzz(func(t *testing.T, body []byte, chunk int, fails bool) {
		const secret = "S3cr3t/OfThe+Caller=="
		want := error(nil)
		readers := []io.Reader{&chunks{rest: append(body, secret...), size: max(chunk, 1)}}
		if fails {
			want = errDisk
			readers = append(readers, iotest.ErrReader(errDisk))
		}
		response := respond(http.StatusUnauthorized, nil, io.MultiReader(readers...))
		r := host.ReadRefusal(response, secret)
		if r.Status != http.StatusUnauthorized || len(r.Body) > 2<<10 || strings.Contains(r.Body, secret) {
			t.Errorf("got %+v", r)
		}
		got, err := io.ReadAll(response.Body)
		if string(got) != string(body)+secret || !errors.Is(err, want) {
			t.Errorf("read %q, %v; want %q, %v", got, err, string(body)+secret, want)
		}
	})
}

// chunks is a text that arrives in pieces.
type chunks struct {
	rest []byte
	size int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.size)], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
