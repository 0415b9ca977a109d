package proxy

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// checkNoSecrets wants no credential, query or header of a caller's in the log.
func (s *signedIn) checkNoSecrets(t *testing.T) {
	t.Helper()
	for _, secret := range []string{s.session.AccessToken, core.Scheme + " ", "of-the-caller", "Bearer"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log has %q: %s", secret, s.log)
		}
	}
}

// TestLogSaysFallback: that calls begin to carry the bearer token is said once, whyever
// they do, and so is that they assert again.
func TestLogSaysFallback(t *testing.T) {
	const begun, over = `level=WARN msg="agentassert: calls carry the user's own token`, `level=INFO msg="agentassert: calls carry assertions again"`
	call := func(t *testing.T, p *running, want string) {
		t.Helper()
		if status, body := p.get(t, "/codex/models"); status != http.StatusOK || !strings.Contains(body, want) {
			t.Fatalf("%d %s, want %s", status, body, want)
		}
	}
	count := func(t *testing.T, s *signedIn, reason string, wantBegun, wantOver int) {
		t.Helper()
		if n := len(s.log.lines(begun, "authorization.reason="+reason)); n != wantBegun || len(s.log.lines(begun)) != n {
			t.Errorf("the fall-back was said %d times, want %d: %s", n, wantBegun, s.log)
		}
		if n := len(s.log.lines(over)); n != wantOver {
			t.Errorf("its end was said %d times, want %d: %s", n, wantOver, s.log)
		}
		s.checkNoSecrets(t)
	}
	t.Run("a refused registration", func(t *testing.T) {
		s := startSignedIn(t, nil)
		p := s.serve(t, asItIs, asItIs)
		s.RefuseRegistration(http.StatusForbidden)
		for range 3 {
			call(t, p, core.ModeBearer)
		}
		count(t, s, core.ReasonRegistrationFailed, 1, 0)
		if n := len(s.log.lines(`level=WARN msg="registration failed"`, "code=")); n != 1 {
			t.Errorf("the failed registration was said %d times: %s", n, s.log)
		}
		s.RefuseRegistration(0)
		// The pause after it ends early.
		if err := s.store.Delete(t.Context(), wire.SlotBackoff); err != nil {
			t.Fatal(err)
		}
		body := ""
		for deadline := time.Now().Add(time.Minute); !strings.Contains(body, core.ModeAgentAssertion) && time.Now().Before(deadline); {
			_, body = p.get(t, "/codex/models")
		}
		call(t, p, core.ModeAgentAssertion)
		count(t, s, core.ReasonRegistrationFailed, 1, 1)
		if n := len(s.log.lines("level=INFO msg=registered")); n != 1 {
			t.Errorf("the registration was said %d times: %s", n, s.log)
		}
	})
	t.Run("an unsupported host", func(t *testing.T) {
		s := startSignedIn(t, nil)
		p := s.serve(t, func(c *host.ManagerConfig) { c.TrustedHosts = nil }, asItIs)
		for range 3 {
			call(t, p, core.ModeBearer)
		}
		count(t, s, core.ReasonUnsupportedHost, 1, 0)
		// It is over with another configuration, which says what it does first.
		err := p.Replace(Setup{BaseURL: s.url, Tenants: OneUser("t", s.manager(t, func(*host.ManagerConfig) {}))})
		if err != nil {
			t.Fatal(err)
		}
		call(t, p, core.ModeAgentAssertion)
		if n := len(s.log.lines("level=INFO msg=registered")); n != 1 {
			t.Errorf("the registration was said %d times: %s", n, s.log)
		}
	})
}

// TestLogSaysRejection: an assertion that the upstream rejects, and that calls carry
// nothing.
func TestLogSaysRejection(t *testing.T) {
	s := startSignedIn(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	p := s.serve(t, asItIs, asItIs)
	_, body := p.get(t, "/codex/models")
	_, task, _ := strings.Cut(body, `"task_id":"`)
	task, _, _ = strings.Cut(task, `"`)
	if !s.ExpireTask(task) {
		t.Fatalf("no task in %s", body)
	}
	if status, body := p.get(t, "/codex/models"); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	for range 3 {
		p.get(t, "/test/x")
	}
	p.stop()
	if n := len(s.log.lines("msg=registered", "recovery=true")); n == 0 {
		t.Errorf("the recovery was not said: %s", s.log)
	}
	if n := len(s.log.lines("msg=request ", "recovered=true", "status=200", "mode=agent-assertion")); n != 1 {
		t.Errorf("the access log has %d requests that were sent again: %s", n, s.log)
	}
	if n := len(s.log.lines(`level=WARN msg="authorization rejected by the upstream"`)); n != 2 || len(s.log.lines("repeated=2")) != 1 {
		t.Errorf("a rejection was said %d times, want at first and with the count: %s", n, s.log)
	}
	s.checkNoSecrets(t)

	backend := startSignedIn(t, func(http.ResponseWriter, *http.Request) {})
	p = start(t, newPlain(t, backend.url, func(c *Config) { c.Logger = backend.logger }))
	for range 3 {
		p.get(t, "/test/x")
	}
	if n := len(backend.log.lines(`level=WARN msg="request sent without authorization"`, "reason="+core.ReasonNoChatGPTCredentials)); n != 1 {
		t.Errorf("calls without authorization were said %d times: %s", n, backend.log)
	}
}

// TestAccessLog: one record for each request, with nothing of a caller's but the method and
// the path.
func TestAccessLog(t *testing.T) {
	s := startSignedIn(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, "%d bytes", n)
	})
	p := s.serve(t, asItIs, asItIs)
	p.do(t, http.MethodPost, "/test/a%20b?q=of-the-caller", strings.NewReader("12345"),
		TokenHeader, "t", ThreadHeader, "of-the-caller", "Authorization", "Bearer of-the-caller")
	p.do(t, http.MethodPost, "/test/chunks", io.MultiReader(strings.NewReader("123456")), TokenHeader, "t")
	p.do(t, http.MethodGet, "/test/stranger?token=of-the-caller", nil, TokenHeader, "of-the-caller")
	p.do(t, http.MethodGet, "/authenticate_app_v2", nil, TokenHeader, "t")
	p.do(t, http.MethodGet, "/"+strings.Repeat("x", 2*maxLogged), nil, TokenHeader, "t")
	p.stop()
	for _, want := range []string{
		`method=POST path=/test/a%20b status=200 code="" mode=agent-assertion reason=background-task recovered=false thread=true account="" duration=`,
		`method=POST path=/test/chunks status=200 code="" mode=agent-assertion reason=background-task recovered=false thread=false account="" duration=`,
		`method=GET path=/test/stranger status=401 code=invalid_token mode="" reason="" recovered=false thread=false account="" duration=`,
		`method=GET path=/authenticate_app_v2 status=403 code=forbidden_path mode="" reason=""`,
		`method=GET path=/` + strings.Repeat("x", maxLogged-1) + `... status=`,
	} {
		if n := len(s.log.lines("level=INFO msg=request "+want, "duration=")); n != 1 {
			t.Errorf("%d records with %s: %s", n, want, s.log)
		}
	}
	for _, want := range []string{"sent=7 received=5\n", "sent=7 received=6\n"} {
		if n := len(s.log.lines("path=/test/", want)); n != 1 {
			t.Errorf("%d records with %s: %s", n, want, s.log)
		}
	}
	s.checkNoSecrets(t)
}

// told are requests that an observer was told of.
type told struct {
	NoopObserver
	mu  sync.Mutex
	all []RequestInfo
}

func (o *told) Request(r RequestInfo) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, r)
}

// TestLogIsQuiet: callers who hang up are no failure, in whatever part of a request or of
// its response, and an upstream that ends early is said once.
func TestLogIsQuiet(t *testing.T) {
	begun := make(chan struct{}, 1)
	s := startSignedIn(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/early"):
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "begun")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case strings.HasSuffix(r.URL.Path, "/socket"):
			echoUpgraded(t)(w, r)
			return
		}
		fmt.Fprint(w, "begun")
		_ = http.NewResponseController(w).Flush()
		begun <- struct{}{}
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	var observer told
	p := s.serve(t, asItIs, func(c *Config) { c.Observer, c.Logger = &observer, s.logger })
	hangUp := func(text string, wait bool) {
		t.Helper()
		c, r := p.raw(t, text)
		if wait {
			if response := readResponse(t, r); response.StatusCode >= 300 {
				t.Fatalf("status %d", response.StatusCode)
			}
		}
		if err := c.SetLinger(0); err != nil { // with a reset, as tools that measure do
			t.Fatal(err)
		}
		c.Close()
	}
	const each = 4
	for range each {
		hangUp(p.request("GET /test/stream"), true)
		<-begun
		hangUp(p.request("GET /test/socket", strings.Split(strings.TrimSuffix(upgrade, "\r\n"), "\r\n")[1:]...), true)
		hangUp(p.request("POST /test/x", "Content-Length: 100")+"x", false)
		hangUp("GET /", false)
		_, r := p.raw(t, p.request("GET /test/early"))
		response, err := http.ReadResponse(r, nil) // of which there may be nothing
		if err == nil {
			_, err = io.ReadAll(response.Body)
		}
		if err == nil {
			t.Error("a response that was broken off looks whole")
		}
	}
	p.stop()
	if n := len(s.log.lines("level=WARN")); n != 2 || len(s.log.lines(`level=WARN msg="response broken off"`, "code=upstream_failed")) != 2 {
		t.Errorf("%d warnings, want the first of those whose upstream ended early, and their count: %s", n, s.log)
	}
	if n := len(s.log.lines("repeated=3")); n != 1 {
		t.Errorf("they were not counted: %s", s.log)
	}
	codes := map[string]int{}
	for _, r := range observer.all {
		codes[r.Method+" "+r.Code]++
		if r.Duration <= 0 {
			t.Errorf("it took %v", r.Duration)
		}
	}
	if codes["GET "+CodeUpstreamFailed] != each || codes["GET "+host.CodeCanceled] != each || codes["GET "] != each || codes["POST "+CodeInvalidBody] != each {
		t.Errorf("the observer was told of %v", codes)
	}
}

// TestLogOfFlood: an upstream that is down, and strangers, have a line at first, and another
// with their count.
func TestLogOfFlood(t *testing.T) {
	s := startSignedIn(t, nil)
	p := s.serve(t, asItIs, func(c *Config) { c.AccessLog = nil })
	if status, body := p.get(t, "/codex/models"); status != http.StatusOK {
		t.Fatal(status, body)
	}
	s.server.Close()
	for range 20 {
		p.get(t, "/codex/models?q=of-the-caller")
		p.do(t, http.MethodGet, "/", nil, TokenHeader, "of-the-caller")
	}
	p.stop()
	for _, of := range []string{`msg="request failed" method=GET path=/backend-api/codex/models status=502 code=upstream_failed`, `msg="request refused" status=401 code=invalid_token`} {
		if all, counted := len(s.log.lines(of)), len(s.log.lines(of, "repeated=19")); all != 2 || counted != 1 {
			t.Errorf("%d lines with %s, %d of them with the count: %s", all, of, counted, s.log)
		}
	}
	s.checkNoSecrets(t)
}

// TestServerLog: what net/http's server says is told apart by how it begins.
func TestServerLog(t *testing.T) {
	log, l := newLogger(slog.LevelInfo)
	w := bufio.NewWriter(serverLog{log})
	for _, text := range []string{"http: Accept error: accept tcp 127.0.0.1:1: too many; retrying in 5ms\n", "http: Accept error: accept tcp 127.0.0.1:1: too many; retrying in 10ms\n", "http: panic serving x\n"} {
		fmt.Fprint(w, text)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	checkLog(t, "the server", l,
		`level=WARN msg="http: Accept error" error="http: Accept error: accept tcp 127.0.0.1:1: too many; retrying in 5ms"`,
		`level=WARN msg="http: panic serving x" error="http: panic serving x"`)
	log.Handler().(*counting).repeats.flush()
}
