package host_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// dated is a response with the date of a clock that is off by so much.
func dated(status int, off time.Duration, body string) *http.Response {
	header := http.Header{"Date": {start.Add(off).Format(http.TimeFormat)}}
	return respond(status, header, strings.NewReader(body))
}

// A rejected assertion, and the clock of whoever rejected it. Beyond five minutes that
// is why, and the task is as good as before.
func TestRecoverWithAClockThatIsOff(t *testing.T) {
	for name, tt := range map[string]struct {
		answer *http.Response
		says   string // in the cause, which is the clock then
	}{
		"an hour behind":         {dated(401, time.Hour, ""), "clock is 1 h behind the backend's"},
		"an hour ahead":          {dated(401, -time.Hour, bodyOf("task_expired")), "clock is 1 h ahead of the backend's"},
		"more, in other units":   {dated(401, 49*time.Hour+time.Minute, ""), "clock is 2 d 1 h behind"},
		"more than five minutes": {dated(401, 5*time.Minute+time.Second, ""), "clock is 5 min 1 s behind"},
		"five minutes":           {dated(401, 5*time.Minute, ""), ""},
		"five minutes ahead":     {dated(401, -5*time.Minute, ""), ""},
		"so the backend says":    {dated(401, 0, bodyOf(core.CodeTimestampSkew)), "clock"},
		"of an unknown agent":    {dated(401, time.Hour, bodyOf(core.CodeUnknownAgent)), "clock is 1 h behind"},
		"no date":                {respond(401, nil, http.NoBody), ""},
		"a date that is none":    {respond(401, http.Header{"Date": {"yesterday"}}, http.NoBody), ""},
		"an impossible date":     {respond(401, http.Header{"Date": {"Tue, 31 Feb 2026 15:16:08 GMT"}}, http.NoBody), ""},
		"no body, not even one":  {&http.Response{StatusCode: 401, Header: http.Header{}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			m := manager(t, w.config())
			rejected := ask(t, m)
			w.authority.ExpireTask(rejected.TaskID)
			before, requests := w.load(t, wire.SlotIdentity), w.network.count()
			a, err := m.Recover(context.Background(), rejected, tt.answer)
			checkCode(t, err, "")
			if tt.says == "" {
				w.checkVerified(t, a)
				checkCount(t, "requests", w.network.count(), requests+requestsPerTask)
				return
			}
			check(t, a, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeClockSkew)
			if !strings.Contains(a.Cause.Error(), tt.says) || !a.RetryAt.IsZero() {
				t.Errorf("got cause %v, retry at %v; want %q, and no pause", a.Cause, a.RetryAt, tt.says)
			}
			checkCount(t, "requests", w.network.count(), requests)
			if after := w.load(t, wire.SlotIdentity); string(after) != string(before) {
				t.Errorf("stored is %s, was %s", after, before)
			}
		})
	}
}

// A refused registration names the clock, too, and waits like any other.
func TestRegistrationWithAClockThatIsOff(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		off    time.Duration
		code   string
	}{
		"401":                   {http.StatusUnauthorized, time.Hour, core.CodeClockSkew},
		"403":                   {http.StatusForbidden, -24 * time.Hour, core.CodeClockSkew},
		"404":                   {http.StatusNotFound, time.Hour, core.CodeClockSkew},
		"500 is no refusal":     {http.StatusInternalServerError, time.Hour, core.CodeHTTPStatus},
		"a clock that is right": {http.StatusUnauthorized, time.Minute, core.CodeHTTPStatus},
	} {
		for n, request := range requestNames {
			if name == "404" && n != taskRegistration {
				continue
			}
			t.Run(name+"/"+request, func(t *testing.T) {
				w := newWorld()
				w.network.follow(failAt(n, func(*http.Request) (*http.Response, error) { return dated(tt.status, tt.off, ""), nil }))
				m := manager(t, w.config())
				a := ask(t, m)
				check(t, a, core.ModeBearer, core.ReasonRegistrationFailed, tt.code)
				end := checkPause(t, a, start, firstPause)
				checkCount(t, "requests", w.network.count(), n+1)
				if r := row(t, w.status(t, w.config()), core.SurfaceModels, ""); core.Code(r.Cause) != core.CodeBackingOff ||
					!strings.Contains(r.Cause.Error(), tt.code) {
					t.Errorf("the status has the cause %v, want %s named", r.Cause, tt.code)
				}
				w.clock.set(end)
				w.checkVerified(t, ask(t, m))
				checkCounts(t, w.authority, 1, 1)
			})
		}
	}
}

// A turn with a clock that is off is an error, and its task stays.
func TestTurnWithAClockThatIsOff(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	first, requests := turn(t, m), w.network.count()
	_, err := m.Recover(context.Background(), first, dated(401, time.Hour, ""))
	checkCode(t, err, host.CodeThreadFailed)
	if !strings.Contains(err.Error(), "clock is 1 h behind") {
		t.Errorf("got %v, want the clock named", err)
	}
	w.clock.advance(time.Second)
	if a := turn(t, m); a.TaskID != first.TaskID {
		t.Errorf("got the task %s, had %s", a.TaskID, first.TaskID)
	}
	checkCount(t, "requests", w.network.count(), requests)
}
