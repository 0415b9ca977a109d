package host_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// serve has a handler answer a request, without a network between.
func serve(h http.Handler, r *http.Request) *http.Response {
	recorder := httptest.NewRecorder()
	if r.Body == nil {
		r = r.Clone(r.Context())
		r.Body = http.NoBody // as every server has it
	}
	h.ServeHTTP(recorder, r)
	return recorder.Result()
}

// recoverFrom asks for what a rejected authorization is replaced with.
func recoverFrom(t testing.TB, m *host.Manager, rejected host.Authorization) host.Authorization {
	t.Helper()
	a, err := m.Recover(context.Background(), rejected, nil)
	if err != nil {
		t.Fatalf("Recover: %v", err)
	}
	return a
}

func TestRecoverReplacesTheTask(t *testing.T) {
	for name, askFor := range map[string]func(m *host.Manager) host.Authorization{
		"background": func(m *host.Manager) host.Authorization { return ask(t, m) },
		"thread":     func(m *host.Manager) host.Authorization { return askThread(t, m.Thread("thread-1")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			m, other := manager(t, w.config()), manager(t, w.config())
			rejected := askFor(m)
			sameTask := askFor(other)
			w.authority.ExpireTask(rejected.TaskID)

			replacement := recoverFrom(t, m, rejected)
			w.checkVerified(t, replacement)
			if replacement.TaskID == rejected.TaskID || replacement.AgentRuntimeID != rejected.AgentRuntimeID {
				t.Errorf("got %s, %s in place of %s, %s",
					replacement.AgentRuntimeID, replacement.TaskID, rejected.AgentRuntimeID, rejected.TaskID)
			}
			requests := requestsPerRegistration + requestsPerTask
			checkCount(t, "requests", w.network.count(), requests)
			// The answer of this second is the new one.
			if now := askFor(m); now.TaskID != replacement.TaskID {
				t.Errorf("got task %s after the recovery, want %s", now.TaskID, replacement.TaskID)
			}
			// Another manager, which was hit by the same rejection, finds what is stored.
			if found := recoverFrom(t, other, sameTask); found.TaskID != replacement.TaskID {
				t.Errorf("the other manager has task %s, want %s", found.TaskID, replacement.TaskID)
			}
			// And a rejection that comes late changes nothing.
			w.clock.advance(time.Minute)
			if late := recoverFrom(t, m, rejected); late.TaskID != replacement.TaskID {
				t.Errorf("a late rejection: got task %s, want %s", late.TaskID, replacement.TaskID)
			}
			checkCount(t, "requests in all", w.network.count(), requests)
			checkCounts(t, w.authority, 1, 2)
		})
	}
}

// One task's rejection is not another's.
func TestRecoverLeavesOtherTasksAlone(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	background, one, two := ask(t, m), askThread(t, m.Thread("thread-1")), askThread(t, m.Thread("thread-2"))
	w.authority.ExpireTask(one.TaskID)
	w.checkVerified(t, recoverFrom(t, m, one))
	w.clock.advance(time.Second)
	if got := ask(t, m); got.TaskID != background.TaskID {
		t.Errorf("the background task is %s, was %s", got.TaskID, background.TaskID)
	}
	if got := askThread(t, m.Thread("thread-2")); got.TaskID != two.TaskID {
		t.Errorf("the other thread's task is %s, was %s", got.TaskID, two.TaskID)
	}
	checkCounts(t, w.authority, 1, 4)
}

func TestRecoverFromWhatIsNoAssertion(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	checkAssertion(t, ask(t, m))
	record, requests := w.load(t, wire.SlotIdentity), w.network.count()
	bearer, err := m.Bearer(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got := recoverFrom(t, m, bearer); got != bearer {
		t.Errorf("bearer: got %v, want the same again", got)
	}
	other := manager(t, w.config())
	others, err := other.Bearer(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]host.Authorization{
		"zero": {}, "made up": {Mode: core.ModeAgentAssertion, TaskID: "task-1"},
		"another manager's": ask(t, other), "another manager's bearer": others,
	} {
		if _, err := m.Recover(context.Background(), a, nil); core.Code(err) != host.CodeNotOurs {
			t.Errorf("%s: got %v, want code %s", name, err, host.CodeNotOurs)
		}
	}
	checkCount(t, "requests", w.network.count(), requests)
	if after := w.load(t, wire.SlotIdentity); !bytes.Equal(after, record) {
		t.Errorf("the record was %s, is %s", record, after)
	}
}

// A task that cannot be replaced stays, for it may be good after all: a background call
// whose assertion is rejected falls back until the pause is over, a turn fails.
func TestRecoverFails(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	thread := m.Thread("thread-1")
	background, turn := ask(t, m), askThread(t, thread)
	w.authority.ExpireTask(background.TaskID)
	w.authority.RefuseRegistration(http.StatusServiceUnavailable)
	identity, record := w.load(t, wire.SlotIdentity), w.load(t, wire.SlotThread+"thread-1")

	check(t, recoverFrom(t, m, background), core.ModeBearer, core.ReasonRegistrationFailed, core.CodeHTTPStatus)
	_, err := m.Recover(context.Background(), turn, nil)
	checkCode(t, err, host.CodeThreadFailed)
	for slot, before := range map[string][]byte{wire.SlotIdentity: identity, wire.SlotThread + "thread-1": record} {
		if after := w.load(t, slot); !bytes.Equal(after, before) {
			t.Errorf("%s was %s, and is %s", slot, before, after)
		}
	}

	w.authority.RefuseRegistration(0)
	w.clock.advance(time.Second)
	// The conversation's task was not what is wrong.
	w.checkVerified(t, askThread(t, thread))
	// Until the pause is over the manager does without the other at once, and who does not
	// know of the rejection finds the pause.
	check(t, ask(t, m), core.ModeBearer, core.ReasonRegistrationFailed, core.CodeBackingOff)
	other := manager(t, w.config())
	again := ask(t, other)
	if again.TaskID != background.TaskID {
		t.Errorf("the background task is %s, was %s", again.TaskID, background.TaskID)
	}
	check(t, recoverFrom(t, other, again), core.ModeBearer, core.ReasonRegistrationFailed, core.CodeBackingOff)
	w.clock.advance(maxPauseOfTests)
	w.checkVerified(t, recoverFrom(t, m, ask(t, m)))
	checkCounts(t, w.authority, 1, 2)
}

// While tasks cannot be had, the one that is rejected costs no more than a registration for
// each pause, however many calls it is rejected in, in however many processes.
func TestRejectedTaskIsNoLoop(t *testing.T) {
	w := newWorld()
	first := ask(t, manager(t, w.config()))
	w.authority.ExpireTask(first.TaskID)
	w.authority.RefuseRegistration(http.StatusServiceUnavailable)
	managers := []*host.Manager{manager(t, w.config()), manager(t, w.config()), manager(t, w.config())}
	before := w.network.count()
	for pause := range 3 {
		for range 20 {
			for _, m := range managers {
				rejected := ask(t, m)
				if rejected.Mode == core.ModeAgentAssertion {
					rejected = recoverFrom(t, m, rejected)
				}
				if rejected.Mode != core.ModeBearer {
					t.Fatalf("got %v", rejected)
				}
			}
			w.clock.advance(time.Second)
		}
		checkCount(t, "requests", w.network.count()-before, pause+1)
		w.clock.advance(maxPauseOfTests)
	}
	w.authority.RefuseRegistration(0)
	got := recoverFrom(t, managers[0], ask(t, managers[0]))
	w.checkVerified(t, got)
	if stored := w.storedIdentity(t)["background_task_id"]; stored != got.TaskID || got.TaskID == first.TaskID {
		t.Errorf("the task is %s, and %s is stored", got.TaskID, stored)
	}
}

// rejecting is a backend that rejects every assertion with one code.
type rejecting struct{ code string }

func (b rejecting) RoundTrip(r *http.Request) (*http.Response, error) {
	body := `{"error":{"code":"` + b.code + `","message":"as it is"}}`
	return &http.Response{StatusCode: http.StatusUnauthorized, Body: io.NopCloser(strings.NewReader(body)), Request: r, Header: http.Header{}}, nil
}

// A rejection for another reason than the task replaces nothing, in no profile: the caller
// sees the backend's answer, and the next call is as the one before.
func TestRejectedForAnotherReason(t *testing.T) {
	for _, code := range []string{"account_deactivated", "account_mismatch", "invalid_assertion", "Invalid_Task_Id"} {
		for _, path := range []string{"/codex/models", "/codex/responses"} {
			t.Run(code+path, func(t *testing.T) {
				w := newWorld()
				m := manager(t, w.config())
				thread := m.Thread("thread-1")
				background, turn := ask(t, m), askThread(t, thread)
				requests := w.network.count()
				client := &http.Client{Transport: &host.Transport{Manager: m, Base: rejecting{code}, Thread: thread}}
				for range 3 {
					response, err := client.Get(m.BaseURL() + path)
					if err != nil {
						t.Fatal(err)
					}
					body, err := io.ReadAll(response.Body)
					response.Body.Close()
					if err != nil || response.StatusCode != http.StatusUnauthorized || !strings.Contains(string(body), code) {
						t.Errorf("got %d, %s, %v", response.StatusCode, body, err)
					}
				}
				checkCount(t, "requests", w.network.count(), requests)
				if now := ask(t, m); now.Header() != background.Header() {
					t.Errorf("the next background call has %v", now)
				}
				if now := askThread(t, thread); now.Header() != turn.Header() {
					t.Errorf("the next turn has %v", now)
				}
				answer := respond(http.StatusUnauthorized, nil, strings.NewReader(`{"error":{"code":"`+code+`"}}`))
				a, err := m.Recover(context.Background(), background, answer)
				if err != nil {
					t.Fatal(err)
				}
				check(t, a, core.ModeNone, core.ReasonAssertionRejected, core.CodeAssertionRejected)
				if a.Cause == nil || !strings.Contains(a.Cause.Error(), code) {
					t.Errorf("the cause is %v", a.Cause)
				}
				checkCounts(t, w.authority, 1, 2)
			})
		}
	}
}

// A caller without pauses decides by itself when the backend is asked again, and nothing
// is written of failures.
func TestNoPauses(t *testing.T) {
	w := newWorld()
	c := w.config()
	c.Pauses = new(host.Pauses)
	m := manager(t, c)
	rejected := ask(t, m)
	w.authority.ExpireTask(rejected.TaskID)
	w.authority.RefuseRegistration(http.StatusServiceUnavailable)
	for range 3 {
		before := w.network.count()
		a := recoverFrom(t, m, rejected)
		check(t, a, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeHTTPStatus)
		if !a.RetryAt.IsZero() {
			t.Errorf("it is tried again at %v", a.RetryAt)
		}
		checkCount(t, "requests", w.network.count()-before, 1)
	}
	if record := w.load(t, wire.SlotBackoff); len(record) > 0 {
		t.Errorf("there is a record of failures: %s", record)
	}
	w.authority.RefuseRegistration(0)
	w.checkVerified(t, recoverFrom(t, m, rejected))
}

// What a manager cannot be configured with is an error at once.
func TestPausesAndCapabilities(t *testing.T) {
	for name, change := range map[string]func(*host.ManagerConfig){
		"pauses that shrink": func(c *host.ManagerConfig) { c.Pauses = &host.Pauses{First: 2 * time.Second, Most: time.Second} },
		"pauses over a day": func(c *host.ManagerConfig) {
			c.Pauses = &host.Pauses{First: time.Second, Most: 24*time.Hour + time.Nanosecond}
		},
		"half a second":            func(c *host.ManagerConfig) { c.Pauses = &host.Pauses{First: time.Second / 2} },
		"an empty capability":      func(c *host.ManagerConfig) { c.Capabilities = []string{""} },
		"too many capabilities":    func(c *host.ManagerConfig) { c.Capabilities = make([]string, 17) },
		"too long a description":   func(c *host.ManagerConfig) { c.ABOM.AgentVersion = strings.Repeat("v", 4097) },
		"instances without theirs": func(c *host.ManagerConfig) { c.Profile = wire.ProfileInstances },
	} {
		t.Run(name, func(t *testing.T) {
			c := newWorld().config()
			change(&c)
			_, err := host.NewManager(c)
			checkCode(t, err, core.CodeInvalidConfig)
		})
	}
}

// maxPauseOfTests is longer than any pause after a first few failures.
const maxPauseOfTests = time.Hour

func TestRecoverOnAClosedManager(t *testing.T) {
	m := manager(t, newWorld().config())
	a := ask(t, m)
	closeManager(t, m)
	_, err := m.Recover(context.Background(), a, nil)
	checkCode(t, err, host.CodeClosed)
}

// rejectAll is a backend that answers every assertion with 401.
type rejectAll struct{}

func (rejectAll) RoundTrip(r *http.Request) (*http.Response, error) {
	status := http.StatusOK
	if strings.HasPrefix(r.Header.Get("Authorization"), core.Scheme) {
		status = http.StatusUnauthorized
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Request: r, Header: http.Header{}}, nil
}

// Where every assertion is rejected, whatever its task, tasks are not used up: one
// replaces the first, and others a minute later at the earliest.
func TestEveryAssertionIsRejected(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	client := &http.Client{Transport: &host.Transport{Manager: m, Base: rejectAll{}}}
	const calls, seconds = 60, 2
	for range calls {
		response, err := client.Get(m.BaseURL() + "/codex/models")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		w.clock.advance(seconds * time.Second)
	}
	if got, most := w.authority.Accepted().Tasks, 2+calls*seconds/60; got < 2 || got > most {
		t.Errorf("%d tasks were registered for %d calls, want from 2 to %d", got, calls, most)
	}
}
