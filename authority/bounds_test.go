package authority_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/agentassert/agentassert/authority"
)

// TestQuotas: an account that has taken all it may is refused, and another is not;
// in all there is an end, too.
func TestQuotas(t *testing.T) {
	limit := authority.Limit{Total: 3, PerAccount: 2}
	for what, take := range map[string]func(*testing.T, *backend, authority.Session) answer{
		"biscuits": func(t *testing.T, b *backend, s authority.Session) answer {
			return b.do(t, request{"GET", base + "/authenticate_app_v2", []string{
				"Authorization", "Bearer " + s.AccessToken,
				"X-Original-Method", "POST",
				"X-Original-Url", b.url + identityPath(base),
			}, ""})
		},
		"identities": func(t *testing.T, b *backend, s authority.Session) answer {
			return b.do(t, request{"POST", identityPath(authAPI), []string{
				"Authorization", "Bearer " + s.AccessToken,
			}, laterIdentityBody(t, newKey(t, 1))})
		},
		"tasks": func(t *testing.T, b *backend, s authority.Session) answer {
			// With the one identity of the account, which its tests have as user id.
			path := taskPath(base, s.UserID)
			return b.do(t, request{"POST", path, []string{
				"X-OpenAI-Authorization", b.mint(t, s.AccessToken, path),
			}, proofBody(t, newKey(t, 1), s.UserID, b.clock())})
		},
	} {
		t.Run(what, func(t *testing.T) {
			b := newBackend(t, map[string]authority.Options{
				"biscuits":   {MaxBiscuits: limit},
				"identities": {MaxIdentities: limit},
				"tasks":      {MaxTasks: limit},
			}[what])
			sessions := make([]authority.Session, 3)
			for i := range sessions {
				sessions[i] = b.SignIn(fmt.Sprintf("acct-%d", i), "user-1")
				if what == "tasks" {
					sessions[i].UserID = b.register(t, sessions[i], newKey(t, 1)).runtimeID
				}
			}
			b.check(t, take(t, b, sessions[0]), 200, "")
			b.check(t, take(t, b, sessions[0]), 200, "")
			b.check(t, take(t, b, sessions[0]), 429, authority.CodeQuotaExceeded)
			b.check(t, take(t, b, sessions[1]), 200, "")
			b.check(t, take(t, b, sessions[1]), 503, authority.CodeCapacityExceeded)
			b.check(t, take(t, b, sessions[2]), 503, authority.CodeCapacityExceeded)
			if what == "biscuits" { // the one kind that ends by itself
				b.advance(authority.DefaultBiscuitLifetime)
				b.check(t, take(t, b, sessions[2]), 200, "")
				b.check(t, take(t, b, sessions[0]), 200, "")
			}
		})
	}
}

// TestIdentityJWTQuota: identities that are issued count like those that are
// registered.
func TestIdentityJWTQuota(t *testing.T) {
	b := newBackend(t, authority.Options{JWTKey: jwtKey(), MaxIdentities: authority.Limit{PerAccount: 1}})
	u := authority.User{AccountID: "acct-1", UserID: "user-1"}
	for i, want := range []string{"", authority.CodeQuotaExceeded} {
		if jwt, err := b.IssueIdentityJWT(u); authority.Reason(err) != want || (jwt == "") != (want != "") {
			t.Errorf("identity %d: %v", i, err)
		}
	}
	u.AccountID = "acct-2"
	if _, err := b.IssueIdentityJWT(u); err != nil {
		t.Error(err)
	}
}

// TestTasksAreForgotten an hour after they have expired, by themselves or on
// request, and leave room for others.
func TestTasksAreForgotten(t *testing.T) {
	const lifetime = 10 * time.Minute
	b := newBackend(t, authority.Options{TaskLifetime: lifetime, MaxTasks: authority.Limit{Total: 2}})
	s := b.SignIn("acct-1", "user-1")
	g := b.register(t, s, newKey(t, 1))
	aged, ended := b.grant(t, s, g), b.grant(t, s, g)
	call := func(g agent, status int, code string) {
		t.Helper()
		b.check(t, b.do(t, request{"GET", base + "/codex/models", []string{"Authorization", g.assertion(t, b.clock())}, ""}), status, code)
	}
	grant := func(status int, code string) {
		t.Helper()
		path := taskPath(base, g.runtimeID)
		b.check(t, b.do(t, request{"POST", path, []string{
			"X-OpenAI-Authorization", b.mint(t, s.AccessToken, path),
		}, proofBody(t, g.key, g.runtimeID, b.clock())}), status, code)
	}
	held := func(want int) {
		t.Helper()
		if got := b.Counts().Tasks; got != want {
			t.Errorf("%d tasks are held, want %d", got, want)
		}
	}
	b.ExpireTask(ended.task)
	call(ended, 401, authority.CodeTaskExpired)
	b.advance(lifetime - 1)
	call(aged, 200, "")
	grant(503, authority.CodeCapacityExceeded)
	b.advance(1)
	call(aged, 401, authority.CodeTaskExpired)
	if !b.ExpireTask(aged.task) { // which does not make it be remembered for longer
		t.Error("there is no task to expire")
	}
	held(2)

	b.advance(time.Hour - lifetime) // after the request
	call(ended, 401, authority.CodeUnknownTask)
	call(aged, 401, authority.CodeTaskExpired)
	held(1)
	grant(200, "")
	grant(503, authority.CodeCapacityExceeded)
	b.advance(lifetime)
	call(aged, 401, authority.CodeUnknownTask)
	held(1)
	b.advance(lifetime + time.Hour)
	held(0)
}

// TestTasksWithoutLifetime are good for as long as their identity is.
func TestTasksWithoutLifetime(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	g := b.grant(t, s, b.register(t, s, newKey(t, 1)))
	b.advance(5 * 365 * 24 * time.Hour)
	b.check(t, b.do(t, request{"GET", base + "/codex/models", []string{"Authorization", g.assertion(t, b.clock())}, ""}), 200, "")
}

// TestCapturedTaskRegistration: in the profile auth-api the proof is all there is to a
// registration, and it gets nobody a second task, for as long as it is fresh.
func TestCapturedTaskRegistration(t *testing.T) {
	const skew = authority.DefaultSkew
	for name, tt := range map[string]struct {
		signed time.Duration // after the clock
		body   func(string) string
	}{
		"as it was":     {0, nil},
		"from the past": {-skew, nil},
		"ahead":         {skew, nil},
		"spelled otherwise": {0, func(body string) string {
			return strings.Replace(strings.Replace(body, "{", "{ \"more\":[],", 1), "signature", `\u0073ignature`, 1)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t, authority.Options{})
			g := b.registerLater(t, b.SignIn("acct-1", "user-1"), newKey(t, 1))
			captured := request{"POST", taskPath(authAPI, g.runtimeID), nil, proofBody(t, g.key, g.runtimeID, start.Add(tt.signed))}
			b.check(t, b.do(t, captured), 200, "")
			first := b.last().TaskID
			if tt.body != nil {
				captured.body = tt.body(captured.body)
			}
			replay := func(status int, code string) {
				t.Helper()
				a := b.do(t, captured)
				b.check(t, a, status, code)
				if status == 200 {
					if got := b.last().TaskID; got != first {
						t.Errorf("the same registration got task %s after %s", got, first)
					}
					return
				}
				if got := a.header.Get("Retry-After"); (status == 429) != (got == "1") {
					t.Errorf("status %d with Retry-After %q", status, got)
				}
				if last := b.last(); last.Verified || last.AccountID != "" || last.TaskID != "" {
					t.Errorf("observed %+v", last)
				}
			}
			replay(200, "")
			b.ExpireTask(first)
			replay(429, authority.CodeReplayedRegistration)

			// Another second's is another.
			b.advance(time.Second)
			if tt.signed >= 0 {
				replay(429, authority.CodeReplayedRegistration)
			}
			b.grantLater(t, g)

			// It is remembered for as long as it would be accepted.
			b.advance(tt.signed + skew - time.Second)
			if tt.signed > -skew {
				replay(429, authority.CodeReplayedRegistration)
			}
			b.advance(time.Second - 1) // the last moment of the second
			if tt.signed > -skew {
				replay(429, authority.CodeReplayedRegistration)
			}
			b.advance(1)
			replay(403, authority.CodeTimestampSkew)
			if got := b.Accepted().Tasks; got != 2 {
				t.Errorf("%d tasks were accepted", got)
			}
			b.RevokeAgent(g.runtimeID)
			replay(404, authority.CodeUnknownAgent)
		})
	}
}

// TestCapturedTaskRegistrationOfTheOtherProfile: a biscuit is not what keeps a proof
// from being used again.
func TestCapturedTaskRegistrationOfTheOtherProfile(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	g := b.register(t, s, newKey(t, 1))
	b.grant(t, s, g)
	proof := proofBody(t, g.key, g.runtimeID, start)
	b.check(t, b.do(t, request{"POST", taskPath(authAPI, g.runtimeID), nil, proof}), 200, "")
	b.grant(t, s, g) // the reference client's second task of a second, with a biscuit of its own
	if got := b.Accepted().Tasks; got != 2 {
		t.Errorf("%d tasks were accepted", got)
	}
}

// TestTaskRegistrationThatFailedCanBeTriedAgain: what was not granted is no replay.
func TestTaskRegistrationThatFailedCanBeTriedAgain(t *testing.T) {
	source := &source{}
	b := newBackend(t, authority.Options{Rand: source, MaxTasks: authority.Limit{Total: 1}})
	s := b.SignIn("acct-1", "user-1")
	g, other := b.registerLater(t, s, newKey(t, 1)), b.registerLater(t, s, newKey(t, 2))
	register := request{"POST", taskPath(authAPI, g.runtimeID), nil, proofBody(t, g.key, g.runtimeID, start)}
	source.limit(0)
	b.check(t, b.do(t, register), 500, authority.CodeInternal)
	source.limit(-1)
	b.grantLater(t, other)
	b.check(t, b.do(t, register), 503, authority.CodeCapacityExceeded)
	b.RevokeAgent(other.runtimeID)
	b.check(t, b.do(t, register), 200, "")
}

// slow is a body before which something happens.
type slow struct {
	io.Reader
	before func()
}

func (s *slow) Read(p []byte) (int, error) {
	s.before()
	s.before = func() {}
	return s.Reader.Read(p)
}

// TestCapturedTaskRegistrationWithASlowBody: a request that begins while the proof is
// fresh is not accepted after that was forgotten.
func TestCapturedTaskRegistrationWithASlowBody(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	g, other := b.registerLater(t, s, newKey(t, 1)), b.registerLater(t, s, newKey(t, 2))
	captured := proofBody(t, g.key, g.runtimeID, start)
	b.check(t, b.do(t, request{"POST", taskPath(authAPI, g.runtimeID), nil, captured}), 200, "")
	b.advance(authority.DefaultSkew)
	r := httptest.NewRequest("POST", taskPath(authAPI, g.runtimeID), &slow{strings.NewReader(captured), func() {
		b.advance(time.Second)
		b.grantLater(t, other)
	}})
	b.check(t, send(t, direct{b}, r), 403, authority.CodeTimestampSkew)
}

// TestCapturedTaskRegistrationAtOnce: of many at once, one is accepted.
func TestCapturedTaskRegistrationAtOnce(t *testing.T) {
	b := newBackend(t, authority.Options{})
	g := b.registerLater(t, b.SignIn("acct-1", "user-1"), newKey(t, 1))
	body := proofBody(t, g.key, g.runtimeID, start)
	var wg sync.WaitGroup
	for range 8 {
		r := httptest.NewRequest("POST", taskPath(authAPI, g.runtimeID), strings.NewReader(body))
		wg.Go(func() { b.ServeHTTP(httptest.NewRecorder(), r) })
	}
	wg.Wait()
	if got := b.Accepted().Tasks; got != 1 {
		t.Errorf("one proof registered %d tasks", got)
	}
}

// TestObservedIsBounded, whatever a client sends.
func TestObservedIsBounded(t *testing.T) {
	b := newBackend(t, authority.Options{})
	s := b.SignIn("acct-1", "user-1")
	g := b.register(t, s, newKey(t, 1))
	g.task = strings.Repeat("é", 2000)
	long := strings.Repeat("a", 5000)
	for _, r := range []request{
		{strings.Repeat("M", 500), "/" + long, []string{"Authorization", g.assertion(t, start)}, ""},
		{"POST", taskPath(authAPI, long), nil, proofBody(t, g.key, "agent-x", start)},
	} {
		b.do(t, r)
		last := b.last()
		for _, field := range []struct {
			text string
			most int
		}{
			{last.Method, 32}, {last.Path, 1024}, {last.AgentRuntimeID, 256}, {last.TaskID, 256},
		} {
			kept, isCut := strings.CutSuffix(field.text, "…")
			if len(kept) > field.most || !utf8.ValidString(field.text) || len(kept) < field.most-3 && isCut {
				t.Errorf("observed %q, of %d bytes", field.text, len(field.text))
			}
		}
	}
	if got := b.last().Path; !strings.HasSuffix(got, "a…") {
		t.Errorf("the path is %q", got)
	}
}

// lines decodes what a log has written.
func lines(t *testing.T, text string) (accounts []string, leftOut []int) {
	t.Helper()
	for line := range strings.Lines(text) {
		var l struct {
			Time    time.Time `json:"time"`
			Account string    `json:"account_id"`
			Status  int       `json:"status"`
			LeftOut int       `json:"left_out"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Time.IsZero() || (l.Status == 0) != (l.LeftOut > 0) {
			t.Errorf("%v in the line %q", err, line)
		}
		if l.LeftOut > 0 {
			leftOut = append(leftOut, l.LeftOut)
			accounts = append(accounts, fmt.Sprint("-", l.LeftOut))
		} else {
			accounts = append(accounts, l.Account)
		}
	}
	return accounts, leftOut
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	l, err := authority.NewLog(&out, authority.LogOptions{MaxLines: authority.Limit{Total: 5, PerAccount: 2}})
	if err != nil {
		t.Fatal(err)
	}
	observe := func(after time.Duration, accounts ...string) {
		for _, account := range accounts {
			l.Observe(authority.Request{Time: start.Add(after), Method: "GET", Path: "/", Status: 200, AccountID: account})
		}
	}
	expect := func(what, want string) {
		t.Helper()
		if got, _ := lines(t, out.String()); strings.Join(got, " ") != want {
			t.Errorf("%s: the log has the lines %q, want %q", what, got, want)
		}
	}
	observe(0, "a", "a", "a", "b", "a", "", "", "", "c")
	expect("a flood, and others", "a a b  ")
	observe(time.Second-1, "a")
	expect("the same second", "a a b  ")
	observe(time.Second, "a")
	expect("the next second", "a a b   -5 a")
	observe(0, "a", "a", "b")
	expect("late ones of the second before", "a a b   -5 a a b")
	observe(time.Hour, "c")
	expect("an hour later", "a a b   -5 a a b -1 c")
	observe(0, "a")
	expect("the clock set back", "a a b   -5 a a b -1 c a")
	observe(time.Second, "c", "c", "c")
	for range 2 { // it is told once
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	expect("closed", "a a b   -5 a a b -1 c a c c -1")
	if !strings.Contains(out.String(), `{"time":"2026-11-24T15:16:08Z","left_out":5}`+"\n") {
		t.Errorf("the log has %s", out.String())
	}
}

// TestLogDefaults: a flood by nobody, for some seconds, among calls of an account.
func TestLogDefaults(t *testing.T) {
	if l, err := authority.NewLog(nil, authority.LogOptions{MaxLines: authority.Limit{Total: -1}}); l != nil || authority.Reason(err) != authority.CodeInvalidOptions {
		t.Errorf("got %v, %v", l, err)
	}
	var out bytes.Buffer
	l, err := authority.NewLog(&out, authority.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const seconds, flood = 3, 5000
	for second := range seconds {
		for n := range flood {
			l.Observe(authority.Request{Time: start.Add(time.Duration(second) * time.Second), Status: 401, Error: "unauthenticated"})
			if n%1000 == 0 {
				l.Observe(authority.Request{Time: start.Add(time.Duration(second) * time.Second), Status: 200, AccountID: "acct-1"})
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	accounts, leftOut := lines(t, out.String())
	if n := strings.Count(strings.Join(accounts, "\n")+"\n", "acct-1\n"); n != seconds*flood/1000 {
		t.Errorf("%d calls of the account are in the log", n)
	}
	if len(leftOut) != seconds || leftOut[0] != flood-authority.DefaultMaxLinesPerAccount {
		t.Errorf("left out were %v", leftOut)
	}
	if most := seconds * (authority.DefaultMaxLinesPerAccount + flood/1000 + 1); len(accounts) != most {
		t.Errorf("the log has %d lines, want %d", len(accounts), most)
	}
}

type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }

func TestLogThatCannotBeWritten(t *testing.T) {
	full := errors.New("the disk is full")
	l, err := authority.NewLog(failing{full}, authority.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l.Observe(authority.Request{Time: start})
	if err := l.Close(); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

// FuzzLog: whatever a client sends is one line, of a bounded length.
func FuzzLog(f *testing.F) {
	f.Add("GET", "/backend-api/codex/models", "Bearer x")
	f.Add("\n", "/\x00\xff\u2028<>&", "AgentAssertion e30")
	f.Add(strings.Repeat("<", 4000), strings.Repeat("\xff", 4000), "")
	var out bytes.Buffer
	l, err := authority.NewLog(&out, authority.LogOptions{})
	if err != nil {
		f.Fatal(err)
	}
	now := start
	a, err := authority.New(authority.Options{Observe: l.Observe, Now: func() time.Time { return now }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path, authorization string) {
		now = now.Add(time.Second)
		out.Reset()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Method, r.URL.Path, r.URL.RawPath = method, "/"+path, ""
		r.Header.Set("Authorization", authorization)
		a.ServeHTTP(httptest.NewRecorder(), r)
		if line := out.String(); len(line) > 16<<10 || strings.Count(line, "\n") != 1 || !json.Valid(out.Bytes()) {
			t.Errorf("the line is %q", line)
		}
	})
}
