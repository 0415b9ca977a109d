package host_test

import (
	"bytes"
	"context"
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

// A task that cannot be replaced is dropped all the same: a background call falls
// back until the pause is over, a turn fails.
func TestRecoverFails(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	thread := m.Thread("thread-1")
	background, turn := ask(t, m), askThread(t, thread)
	w.authority.RefuseRegistration(http.StatusServiceUnavailable)

	got := recoverFrom(t, m, background)
	check(t, got, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeHTTPStatus)
	if task := w.storedIdentity(t)["background_task_id"]; task != "" {
		t.Errorf("the rejected task %s is still stored", task)
	}
	_, err := m.Recover(context.Background(), turn, nil)
	checkCode(t, err, host.CodeThreadFailed)
	if record := w.load(t, wire.SlotThread+"thread-1"); len(record) > 0 {
		t.Errorf("the rejected task is still stored: %s", record)
	}

	w.authority.RefuseRegistration(0)
	w.clock.advance(time.Second)
	check(t, ask(t, m), core.ModeBearer, core.ReasonRegistrationFailed, core.CodeBackingOff)
	w.checkVerified(t, askThread(t, thread))
	w.clock.advance(maxPauseOfTests)
	w.checkVerified(t, ask(t, m))
	checkCounts(t, w.authority, 1, 4)
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
