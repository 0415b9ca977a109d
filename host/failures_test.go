package host_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// firstPause is how long a backend is left alone after one failure.
const firstPause = time.Minute

// The requests of a registration, in their order.
const (
	identityBiscuit = iota
	identityRegistration
	taskBiscuit
	taskRegistration
)

var requestNames = []string{"identity biscuit", "identity", "task biscuit", "task"}

func respond(status int, header http.Header, body io.Reader) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(body)}
}

// answer is a script's answer to one request.
type answer func(r *http.Request) (*http.Response, error)

func text(status int, body string) answer {
	return func(*http.Request) (*http.Response, error) { return respond(status, nil, strings.NewReader(body)), nil }
}

func failWith(err error) answer {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// elsewhere sends a request, over a connection of its own, to another server.
func elsewhere(url string) answer {
	return func(r *http.Request) (*http.Response, error) {
		redirected, err := http.NewRequestWithContext(r.Context(), r.Method, url, nil)
		if err != nil {
			return nil, err
		}
		redirected.Header = r.Header
		transport := &http.Transport{DisableKeepAlives: true}
		return transport.RoundTrip(redirected)
	}
}

// endless is a body that never ends. It counts what is read of it.
type endless struct {
	read   int
	closed bool
}

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func (e *endless) Close() error { e.closed = true; return nil }

// silentServer is an HTTP server whose complaints about clients nobody sees.
func silentServer(t *testing.T, handler http.HandlerFunc, start func(*httptest.Server)) string {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(s)
	t.Cleanup(s.Close)
	return s.URL
}

// closedPort is the URL of a port where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// hijacked answers with bytes that are not HTTP, made from the request.
func hijacked(t *testing.T, answer func(r *http.Request) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, answer(r)); err != nil {
			t.Error(err)
		}
	}
}

// credentialOf is the secret in a request of a registration.
func credentialOf(r *http.Request) string {
	if biscuit := r.Header.Get("X-OpenAI-Authorization"); biscuit != "" {
		return biscuit
	}
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// failure is one way in which a request can fail.
type failure struct {
	name    string
	answer  answer
	code    string
	message string // a part of the cause's text
	// at lists the requests that can fail in this way: all, where it is empty.
	at []int
}

func networkFailures(t *testing.T) []failure {
	const status, request, response = core.CodeHTTPStatus, core.CodeRequestFailed, core.CodeInvalidResponse
	registrations := []int{identityRegistration, taskRegistration}
	biscuits := []int{identityBiscuit, taskBiscuit}
	untrusted := silentServer(t, func(http.ResponseWriter, *http.Request) {}, (*httptest.Server).StartTLS)
	plain := silentServer(t, func(http.ResponseWriter, *http.Request) {}, (*httptest.Server).Start)
	truncating := silentServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"agent_runtime_id":"agent-1`)
	}, (*httptest.Server).Start)
	echoing := silentServer(t, hijacked(t, func(r *http.Request) string {
		return "HTTP/1.1 " + credentialOf(r) + "\r\n\r\n"
	}), (*httptest.Server).Start)
	return []failure{
		{"redirect to another host", func(*http.Request) (*http.Response, error) {
			header := http.Header{"Location": {"https://elsewhere.example/steal"}}
			return respond(http.StatusFound, header, http.NoBody), nil
		}, status, "302", nil},
		{"redirect that repeats the body", func(*http.Request) (*http.Response, error) {
			header := http.Header{"Location": {"https://elsewhere.example/steal"}}
			return respond(http.StatusPermanentRedirect, header, http.NoBody), nil
		}, status, "308", nil},
		{"redirect that quotes the credential", func(r *http.Request) (*http.Response, error) {
			header := http.Header{"Location": {"https://[" + credentialOf(r)}}
			return respond(http.StatusFound, header, http.NoBody), nil
		}, status, "302", nil},
		{"403", text(http.StatusForbidden, `{"error":{}}`), status, "403", nil},
		{"500", text(http.StatusInternalServerError, ""), status, "500", nil},
		{"204 without a body", text(http.StatusNoContent, ""), response, "", nil},
		{"timeout", failWith(context.DeadlineExceeded), request, "timeout", nil},
		{"connection refused", elsewhere(closedPort(t)), request, "connect", nil},
		{"connection lost", failWith(io.ErrUnexpectedEOF), request, "connect", nil},
		{"untrusted certificate", elsewhere(untrusted), request, "no response (tls): the server's certificate is signed by an authority that is not trusted", nil},
		{"no TLS where there should be", elsewhere(strings.Replace(plain, "http:", "https:", 1)), request, "tls", nil},
		{"response quotes the credential, and is no HTTP", elsewhere(echoing), request, "connect", nil},
		{"body over 64 KiB", text(http.StatusOK, strings.Repeat(" ", 64<<10)+"x"), request, "too-large", nil},
		{"endless body", func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: &endless{}}, nil
		}, request, "too-large", nil},
		{"body cut off", elsewhere(truncating), request, "connect", nil},

		{"no biscuit", text(http.StatusOK, "{}"), response, "x-openai-authorization", biscuits},
		{"a biscuit that is too long", func(*http.Request) (*http.Response, error) {
			header := http.Header{"X-Openai-Authorization": {strings.Repeat("b", 8<<10+1)}}
			return respond(http.StatusOK, header, http.NoBody), nil
		}, response, "biscuit", biscuits},

		{"garbage", text(http.StatusOK, "<html>"), response, "not JSON", registrations},
		{"JSON cut off", text(http.StatusOK, `{"agent_runtime_id":"a","encrypted_task_id":"b"`), response, "not JSON", registrations},
		{"nothing", text(http.StatusOK, ""), response, "not JSON", registrations},
		{"another type", text(http.StatusOK, `{"agent_runtime_id":1,"encrypted_task_id":null}`), response, "lacks", registrations},
		{"duplicate member", text(http.StatusOK,
			`{"agent_runtime_id":"a","agent_runtime_id":"b","encrypted_task_id":"c","encrypted_task_id":"d"}`),
			response, "twice", registrations},
		{"an agent runtime id with a colon", text(http.StatusOK, `{"agent_runtime_id":"a:b"}`),
			core.CodeInvalidAgentRuntimeID, "colon", []int{identityRegistration}},
		{"an agent runtime id that is a path", text(http.StatusOK, `{"agent_runtime_id":".."}`),
			core.CodeInvalidAgentRuntimeID, "path", []int{identityRegistration}},
		{"no sealed box", text(http.StatusOK, `{"encrypted_task_id":"task-1"}`),
			core.CodeInvalidSealedTaskID, "", []int{taskRegistration}},
		{"a box sealed for another key", text(http.StatusOK, `{"encrypted_task_id":"`+sealedTaskID+`"}`),
			core.CodeInvalidSealedTaskID, "", []int{taskRegistration}},
	}
}

// failAt lets the nth request of all fail, and every later one go through.
func failAt(n int, a answer) script {
	return func(index int, r *http.Request) (*http.Response, error) {
		if index == n {
			return a(r)
		}
		return nil, nil
	}
}

// Every failure of every request falls back to bearer, is remembered, tried
// again once its time has come, and then forgotten.
func TestRegistrationFails(t *testing.T) {
	for _, f := range networkFailures(t) {
		for n, name := range requestNames {
			if len(f.at) > 0 && !slices.Contains(f.at, n) {
				continue
			}
			t.Run(f.name+"/"+name, func(t *testing.T) { testRegistrationFails(t, f, n) })
		}
	}
}

func testRegistrationFails(t *testing.T, f failure, n int) {
	w := newWorld()
	w.network.follow(failAt(n, f.answer))
	m := manager(t, w.config())

	a := ask(t, m)
	check(t, a, core.ModeBearer, core.ReasonRegistrationFailed, f.code)
	retryAt := checkPause(t, a, start, firstPause)
	if want := "Bearer " + w.session.AccessToken; a.Header() != want {
		t.Errorf("got header %q, want %q", a.Header(), want)
	}
	if !strings.Contains(a.Cause.Error(), f.message) {
		t.Errorf("got cause %q, want %q in it", a.Cause, f.message)
	}
	checkCount(t, "requests", w.network.count(), n+1)
	checkAuthorizationHidden(t, w.secrets(t), a)

	for _, at := range []time.Time{start.Add(time.Second), retryAt.Add(-time.Second)} {
		w.clock.set(at)
		for _, m := range []*host.Manager{m, manager(t, w.config())} {
			a := ask(t, m)
			check(t, a, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeBackingOff)
			checkRetryAt(t, a, retryAt)
			checkAuthorizationHidden(t, w.secrets(t), a)
		}
	}
	checkCount(t, "requests within the window", w.network.count(), n+1)

	w.clock.set(retryAt)
	a = ask(t, m)
	w.checkVerified(t, a)
	checkCounts(t, w.authority, 1, 1)
	wantRequests := n + 1 + requestsPerRegistration
	if n >= taskBiscuit { // the identity was registered, and stays
		wantRequests -= 2
	}
	checkCount(t, "requests in all", w.network.count(), wantRequests)
	if record := w.load(t, wire.SlotBackoff); len(record) > 0 {
		t.Errorf("the store still remembers %s", record)
	}
	w.network.mu.Lock()
	defer w.network.mu.Unlock()
	for _, r := range w.network.requests {
		if r.URL.Host != "chatgpt.com" {
			t.Errorf("a request went to %s", r.URL)
		}
	}
}

// checkPause wants a pause that its jitter has left between half of it and all,
// and returns its end.
func checkPause(t *testing.T, a host.Authorization, now time.Time, pause time.Duration) time.Time {
	t.Helper()
	if got := a.RetryAt.Sub(now); got < pause/2 || got > pause {
		t.Errorf("got a pause of %v, want one from %v to %v", got, pause/2, pause)
	}
	return a.RetryAt
}

func checkRetryAt(t *testing.T, a host.Authorization, want time.Time) {
	t.Helper()
	if !a.RetryAt.Equal(want) {
		t.Errorf("got RetryAt %v, want %v", a.RetryAt, want)
	}
}

// What is read of a response is bounded, and its body closed.
func TestRegistrationReadsNoMoreThanItMay(t *testing.T) {
	w, body := newWorld(), &endless{}
	w.network.follow(failAt(identityBiscuit, func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: body}, nil
	}))
	check(t, ask(t, manager(t, w.config())), core.ModeBearer, core.ReasonRegistrationFailed, core.CodeRequestFailed)
	if body.read > 128<<10 || !body.closed {
		t.Errorf("read %d bytes, closed %t; want 128 KiB at most, closed", body.read, body.closed)
	}
}

// The last byte that fits still does.
func TestRegistrationReadsAllThatItMay(t *testing.T) {
	w := newWorld()
	w.network.follow(failAt(identityRegistration, func(*http.Request) (*http.Response, error) {
		body := `{"agent_runtime_id":"agent-1"}`
		return respond(http.StatusOK, nil, strings.NewReader(strings.Repeat(" ", 64<<10-len(body))+body)), nil
	}))
	ask(t, manager(t, w.config()))
	if got := w.network.requests[taskRegistration].URL.Path; !strings.Contains(got, "/agent-1/") {
		t.Errorf("the task was asked for at %q, want it for agent-1", got)
	}
}

// Each request has 15 seconds, and no caller's deadline.
func TestRegistrationRequestsHaveADeadline(t *testing.T) {
	w := newWorld()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if _, err := manager(t, w.config()).Authorization(ctx, core.SurfaceModels); err != nil {
		t.Fatal(err)
	}
	checkCount(t, "requests", w.network.count(), requestsPerRegistration)
	for i, r := range w.network.requests {
		deadline, ok := r.Context().Deadline()
		if remaining := time.Until(deadline); !ok || remaining > 15*time.Second {
			t.Errorf("%s: got deadline %t, in %v; want one in 15 s at most", requestNames[i], ok, remaining)
		}
	}
}

// What is sent is compared with what was captured of the reference client.
func TestRegistrationRequests(t *testing.T) {
	w := newWorld()
	a := ask(t, manager(t, w.config()))
	checkCount(t, "requests", w.network.count(), requestsPerRegistration)
	identityURL := baseURL + "/v1/agent/register"
	taskURL := baseURL + "/v1/agent/" + a.AgentRuntimeID + "/task/register"
	for i, want := range []struct{ method, url, original, accept string }{
		{"GET", baseURL + "/authenticate_app_v2", identityURL, ""},
		{"POST", identityURL, "", `{"abom":{"agent_version":"1.0.0","agent_harness_id":"test","running_location":"test-linux"},"agent_public_key":"ssh-ed25519 `},
		{"GET", baseURL + "/authenticate_app_v2", taskURL, ""},
		{"POST", taskURL, "", `{"signature":"`},
	} {
		r, body := w.network.requests[i], w.network.bodies[i]
		if r.Method != want.method || r.URL.String() != want.url || !strings.HasPrefix(body, want.accept) {
			t.Errorf("%s: got %s %s %q, want %s %s %q…", requestNames[i], r.Method, r.URL, body, want.method, want.url, want.accept)
		}
		headers := map[string]string{
			"X-Original-Url": want.original, "Content-Type": "application/json",
			"X-Openai-Authorization": "", "Authorization": "", "X-Original-Method": "", "Cookie": "",
		}
		if want.original != "" {
			headers["Authorization"] = "Bearer " + w.session.AccessToken
			headers["X-Original-Method"] = "POST"
			headers["Content-Type"] = ""
		} else {
			headers["X-Openai-Authorization"] = w.network.biscuits[i/2]
		}
		for name, value := range headers {
			if got := r.Header.Get(name); got != value {
				t.Errorf("%s: got %s %q, want %q", requestNames[i], name, got, value)
			}
		}
	}
	first, second := w.network.requests[identityBiscuit], w.network.requests[taskBiscuit]
	ids := []string{first.Header.Get("X-Request-Id"), second.Header.Get("X-Request-Id")}
	for _, id := range ids {
		random, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(id, "codex-agent-identity-"))
		if err != nil || len(random) != 16 {
			t.Errorf("X-Request-Id %q: %v", id, err)
		}
	}
	if ids[0] == ids[1] {
		t.Errorf("two requests have the same X-Request-Id %q", ids[0])
	}
}

// Each pause is twice the one before, up to an hour; a success begins anew.
func TestBackoffGrows(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	pauses := []time.Duration{
		time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute,
		time.Hour, time.Hour,
	}
	w.authority.RefuseRegistration(http.StatusInternalServerError)
	for i, pause := range pauses {
		if i == len(pauses)-1 {
			m = manager(t, w.config()) // a program that starts again knows what happened before
		}
		a := ask(t, m)
		check(t, a, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeHTTPStatus)
		end := checkPause(t, a, w.clock.Now(), pause)
		w.clock.set(end.Add(-time.Second))
		check(t, ask(t, m), core.ModeBearer, core.ReasonRegistrationFailed, core.CodeBackingOff)
		w.clock.advance(time.Second)
		checkCount(t, "attempts", w.network.count(), i+1)
	}
	w.authority.RefuseRegistration(0)
	checkAssertion(t, ask(t, m))

	if err := w.store.Delete(context.Background(), wire.SlotIdentity); err != nil {
		t.Fatal(err)
	}
	w.authority.RefuseRegistration(http.StatusInternalServerError)
	w.clock.advance(time.Second)
	checkPause(t, ask(t, m), w.clock.Now(), firstPause)
}

// Another account is not made to wait.
func TestBackoffIsAnAccounts(t *testing.T) {
	w := newWorld()
	w.authority.RefuseRegistration(http.StatusForbidden)
	check(t, ask(t, manager(t, w.config())), core.ModeBearer, core.ReasonRegistrationFailed, core.CodeHTTPStatus)
	w.authority.RefuseRegistration(0)
	w.session = w.authority.SignIn("acct-2", "user-2")
	checkAssertion(t, ask(t, manager(t, w.config())))
}

// fault takes the place of what a store would do.
type fault func() error

func failing() error { return errDisk }

func panicking() error { panic("a secret: " + privateKey) }

// faultyStore is a store some of whose operations fail: "load", "save", "delete",
// "swap", "lock" or "probe", and a slot.
type faultyStore struct {
	host.Store

	mu     sync.Mutex
	faults map[string]fault
	// spared is how many times an operation succeeds before it fails.
	spared map[string]int
}

func (s *faultyStore) fault(operation string) error {
	s.mu.Lock()
	f := s.faults[operation]
	if f != nil && s.spared[operation] > 0 {
		s.spared[operation]--
		f = nil
	}
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	return f()
}

func (s *faultyStore) repair() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *faultyStore) Load(ctx context.Context, slot string) ([]byte, error) {
	if err := s.fault("load " + slot); err != nil {
		return nil, err
	}
	return s.Store.Load(ctx, slot)
}

func (s *faultyStore) Save(ctx context.Context, slot string, record []byte) error {
	if err := s.fault("save " + slot); err != nil {
		return err
	}
	return s.Store.Save(ctx, slot, record)
}

func (s *faultyStore) Delete(ctx context.Context, slot string) error {
	if err := s.fault("delete " + slot); err != nil {
		return err
	}
	return s.Store.Delete(ctx, slot)
}

func (s *faultyStore) Swap(ctx context.Context, slot string, old, new []byte) error {
	if err := s.fault("swap " + slot); err != nil {
		return err
	}
	return s.Store.Swap(ctx, slot, old, new)
}

func (s *faultyStore) Lock(ctx context.Context, slot string) (func(), error) {
	if err := s.fault("lock " + slot); err != nil {
		return nil, err
	}
	return s.Store.Lock(ctx, slot)
}

// Probe implements host.Prober, also for a store that is none.
func (s *faultyStore) Probe(ctx context.Context, slot string) error {
	if err := s.fault("probe " + slot); err != nil {
		return err
	}
	if p, ok := s.Store.(host.Prober); ok {
		return p.Probe(ctx, slot)
	}
	return nil
}

func TestStoreFails(t *testing.T) {
	for _, tt := range []struct {
		name      string
		operation string
		spared    int
		identity  []byte // stored before
		// requests are those of the one attempt; pause is how long the next one
		// has to wait.
		requests int
		pause    time.Duration
	}{
		{"load identity", "load identity", 0, nil, 0, 0},
		{"load identity again, under the lock", "load identity", 1, nil, 0, 0},
		{"load backoff", "load backoff", 0, nil, 0, 0},
		{"lock", "lock identity", 0, nil, 0, 0},
		{"probe", "probe identity", 0, nil, 0, 0},
		{"load what was set aside", "load set-aside", 0, identityFor("acct-9", "user-9"), 0, 0},
		{"set a stale identity aside", "save set-aside", 0, identityFor("acct-9", "user-9"), 0, 0},
		{"replace a stale identity", "swap identity", 0, identityFor("acct-9", "user-9"), 2, firstPause},
		{"save identity", "swap identity", 0, nil, 2, firstPause},
		{"save task", "swap identity", 1, nil, 4, firstPause},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			if tt.identity != nil {
				w.save(t, tt.identity)
			}
			store := &faultyStore{
				Store:  w.store,
				faults: map[string]fault{tt.operation: failing},
				spared: map[string]int{tt.operation: tt.spared},
			}
			w.store = store
			m := manager(t, w.config())
			a := ask(t, m)
			check(t, a, core.ModeBearer, core.ReasonStoreFailed, core.CodeStoreFailed)
			if !errors.Is(a.Cause, errDisk) {
				t.Errorf("got cause %v, want %v in its chain", a.Cause, errDisk)
			}
			checkAuthorizationHidden(t, []string{w.session.AccessToken, privateKey}, a)
			if tt.pause == 0 {
				checkRetryAt(t, a, time.Time{})
			} else {
				checkPause(t, a, start, tt.pause)
			}
			w.clock.advance(time.Second)
			if again := ask(t, m); again.Mode != core.ModeBearer {
				t.Errorf("the second call: got %v, want bearer", again)
			}
			checkCount(t, "requests", w.network.count(), tt.requests)

			store.repair()
			w.clock.advance(max(tt.pause, time.Second))
			a = ask(t, m)
			w.checkVerified(t, a)
		})
	}
}

// A failure that cannot be stored is remembered all the same, and the newer one
// counts where the store has an older.
func TestBackoffThatCannotBeSaved(t *testing.T) {
	for name, stored := range map[string]int{"never": 0, "after the first": 1} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			store := &faultyStore{
				Store:  w.store,
				faults: map[string]fault{"save backoff": failing},
				spared: map[string]int{"save backoff": stored},
			}
			w.store = store
			w.authority.RefuseRegistration(http.StatusForbidden)
			m := manager(t, w.config())
			for i, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
				a := ask(t, m)
				check(t, a, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeHTTPStatus)
				end := checkPause(t, a, w.clock.Now(), pause)
				w.clock.advance(time.Second)
				check(t, ask(t, m), core.ModeBearer, core.ReasonRegistrationFailed, core.CodeBackingOff)
				checkCount(t, "attempts", w.network.count(), i+1)
				w.clock.set(end)
			}
			w.authority.RefuseRegistration(0)
			w.checkVerified(t, ask(t, m))
		})
	}
}

// A record of old failures that cannot be deleted does no harm.
func TestBackoffThatCannotBeDeleted(t *testing.T) {
	w := newWorld()
	w.store = &faultyStore{Store: w.store, faults: map[string]fault{"delete backoff": failing}}
	w.authority.RefuseRegistration(http.StatusForbidden)
	m := manager(t, w.config())
	check(t, ask(t, m), core.ModeBearer, core.ReasonRegistrationFailed, core.CodeHTTPStatus)
	w.authority.RefuseRegistration(0)
	w.clock.advance(firstPause)
	w.checkVerified(t, ask(t, m))
}

// randFunc is a source of entropy made from a function.
type randFunc func() error

func (f randFunc) Read([]byte) (int, error) { return 0, f() }

func TestEntropyFails(t *testing.T) {
	w := newWorld()
	c := w.config()
	c.Rand = randFunc(failing)
	a := ask(t, manager(t, c))
	check(t, a, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeRequestFailed)
	checkRetryAt(t, a, time.Time{})
	if !errors.Is(a.Cause, errDisk) {
		t.Errorf("got cause %v, want %v in its chain", a.Cause, errDisk)
	}
	checkCount(t, "requests", w.network.count(), 0)
}

// What the caller brings can panic: the call fails, and nothing else.
func TestPanics(t *testing.T) {
	store := func(operation string) func(*world, *host.ManagerConfig) {
		return func(w *world, c *host.ManagerConfig) {
			c.Store = &faultyStore{Store: w.store, faults: map[string]fault{operation: panicking}}
		}
	}
	for name, change := range map[string]func(*world, *host.ManagerConfig){
		"load":          store("load identity"),
		"lock":          store("lock identity"),
		"probe":         store("probe identity"),
		"save identity": store("swap identity"),
		"transport": func(_ *world, c *host.ManagerConfig) {
			c.HTTPClient = &http.Client{Transport: roundTripper(failWithPanic)}
		},
		"credentials": func(_ *world, c *host.ManagerConfig) {
			c.Credentials = host.CredentialFunc(func(context.Context) (host.Credentials, error) {
				return host.Credentials{}, panicking()
			})
		},
		"entropy": func(_ *world, c *host.ManagerConfig) { c.Rand = randFunc(panicking) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c := w.config()
			change(w, &c)
			m := manager(t, c)
			for range 2 {
				_, err := m.Authorization(context.Background(), core.SurfaceModels)
				checkCode(t, err, core.CodeInternal)
				checkHidden(t, []string{privateKey, w.session.AccessToken}, err)
			}
			// The lock is free: another manager on the same store goes on.
			w.checkVerified(t, ask(t, manager(t, w.config())))
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func failWithPanic(*http.Request) (*http.Response, error) { return nil, panicking() }

// A transport that breaks its contract is one more way to fail.
func TestTransportReturnsTooLittle(t *testing.T) {
	for name, tt := range map[string]struct {
		response *http.Response
		code     string
	}{
		"nothing": {nil, core.CodeRequestFailed},
		"no body": {&http.Response{StatusCode: http.StatusOK}, core.CodeInvalidResponse},
	} {
		t.Run(name, func(t *testing.T) {
			c := newWorld().config()
			c.HTTPClient = &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
				return tt.response, nil
			})}
			check(t, ask(t, manager(t, c)), core.ModeBearer, core.ReasonRegistrationFailed, tt.code)
		})
	}
}

// Only the transport is taken from the caller's client.
// net/http takes a variable that it cannot read for none, and sends around the
// proxy.
func TestProxyIsNotBypassed(t *testing.T) {
	for _, name := range []string{"NO_PROXY", "no_proxy", "HTTPS_PROXY"} {
		t.Setenv(name, "")
	}
	t.Setenv("https_proxy", "http://user:S3cret%zz@proxy.invalid:9")
	w := newWorld()
	c := w.config()
	c.HTTPClient = nil
	m := manager(t, c)
	a := ask(t, m)
	check(t, a, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeRequestFailed)
	checkProxyError(t, a.Cause)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, baseURL+"/codex/models", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = (&host.Transport{Manager: m}).RoundTrip(r)
	checkCode(t, err, host.CodeInvalidProxy)
	checkProxyError(t, err)
}

func checkProxyError(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, &core.Error{Code: host.CodeInvalidProxy}) || !strings.Contains(err.Error(), "https_proxy") || strings.Contains(err.Error(), "S3cret") {
		t.Errorf("got %v; want %s in its chain, the variable's name, and not its value", err, host.CodeInvalidProxy)
	}
}

func TestClientLendsItsTransportOnly(t *testing.T) {
	w := newWorld()
	c := w.config()
	c.HTTPClient.Timeout = time.Nanosecond
	c.HTTPClient.Jar = forbiddenJar{t}
	c.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error {
		t.Error("the client's CheckRedirect was called")
		return nil
	}
	w.checkVerified(t, ask(t, manager(t, c)))
}
