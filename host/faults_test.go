package host_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

// steps is a store and a transport that call a hook at each operation of a flow,
// before it is done.
type steps struct {
	host.Store
	network http.RoundTripper
	// strict operations fail once their context has ended, as those of a database
	// and of a network do.
	strict bool

	mu   sync.Mutex
	n    int
	hook func(n int)
	// flow is the context of the flow: of its first operation, a Load.
	flow context.Context
}

// follow starts counting anew.
func (s *steps) follow(hook func(n int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n, s.hook, s.flow = 0, hook, nil
}

// count is how many operations there were.
func (s *steps) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

func (s *steps) step(ctx context.Context) error {
	s.mu.Lock()
	n, hook := s.n, s.hook
	s.n++
	if n == 0 {
		s.flow = ctx
	}
	s.mu.Unlock()
	if hook != nil {
		hook(n)
	}
	if s.strict {
		return ctx.Err()
	}
	return nil
}

func (s *steps) Load(ctx context.Context, slot string) ([]byte, error) {
	if err := s.step(ctx); err != nil {
		return nil, err
	}
	return s.Store.Load(ctx, slot)
}

func (s *steps) Save(ctx context.Context, slot string, record []byte) error {
	if err := s.step(ctx); err != nil {
		return err
	}
	return s.Store.Save(ctx, slot, record)
}

func (s *steps) Delete(ctx context.Context, slot string) error {
	if err := s.step(ctx); err != nil {
		return err
	}
	return s.Store.Delete(ctx, slot)
}

func (s *steps) Swap(ctx context.Context, slot string, old, new []byte) error {
	if err := s.step(ctx); err != nil {
		return err
	}
	return s.Store.Swap(ctx, slot, old, new)
}

func (s *steps) Lock(ctx context.Context, slot string) (func(), error) {
	if err := s.step(ctx); err != nil {
		return nil, err
	}
	return s.Store.Lock(ctx, slot)
}

func (s *steps) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := s.step(r.Context()); err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil { // as every transport does
		return nil, err
	}
	return s.network.RoundTrip(r)
}

// registering is one way to come to a registration.
type registering struct {
	name string
	// prepare returns what registers.
	prepare func(*testing.T, *world, *host.Manager) func(context.Context) (host.Authorization, error)
	// tasks are those that are registered in the end.
	tasks int
}

var registrations = []registering{
	{"first call", func(_ *testing.T, _ *world, m *host.Manager) func(context.Context) (host.Authorization, error) {
		return func(ctx context.Context) (host.Authorization, error) {
			return m.Authorization(ctx, core.SurfaceModels)
		}
	}, 1},
	{"recovery", func(t *testing.T, w *world, m *host.Manager) func(context.Context) (host.Authorization, error) {
		rejected := ask(t, m)
		w.authority.ExpireTask(rejected.TaskID)
		return func(ctx context.Context) (host.Authorization, error) { return m.Recover(ctx, rejected, nil) }
	}, 2},
	{"first turn", func(_ *testing.T, _ *world, m *host.Manager) func(context.Context) (host.Authorization, error) {
		thread := m.Thread("thread-1")
		return func(ctx context.Context) (host.Authorization, error) {
			return thread.Authorization(ctx, core.SurfaceResponses)
		}
	}, 1},
}

// stepsOf returns how many operations a registration takes.
func stepsOf(t *testing.T, r registering) int {
	t.Helper()
	w := newWorld()
	s, m := w.steppedManager(t, false)
	do := r.prepare(t, w, m)
	s.follow(nil)
	if _, err := do(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s.count()
}

func (w *world) steppedManager(t *testing.T, strict bool) (*steps, *host.Manager) {
	t.Helper()
	s := &steps{Store: w.store, network: w.network, strict: strict}
	c := w.config()
	c.Store, c.HTTPClient = s, &http.Client{Transport: s}
	return s, manager(t, c)
}

func checkLockFree(t *testing.T, s host.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	unlock, err := s.Lock(ctx, wire.SlotIdentity)
	if err != nil {
		t.Fatalf("the store's lock is not free: %v", err)
	}
	unlock()
}

// A caller can break off at every step: it gets an error with a code at once, and
// what it has begun is finished for the next.
func TestCanceledAtEveryStep(t *testing.T) {
	for _, r := range registrations {
		for i := range stepsOf(t, r) {
			t.Run(fmt.Sprintf("%s/step %d", r.name, i), func(t *testing.T) {
				before := goleak.IgnoreCurrent()
				w := newWorld()
				s, m := w.steppedManager(t, true)
				do := r.prepare(t, w, m)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				returned := make(chan struct{})
				s.follow(func(n int) {
					if n == i {
						cancel()
						<-returned
					}
				})
				_, err := do(ctx)
				close(returned)
				checkCode(t, err, host.CodeCanceled)

				a, err := do(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				w.checkVerified(t, a)
				checkCounts(t, w.authority, 1, r.tasks)
				closeManager(t, m)
				checkLockFree(t, w.store)
				goleak.VerifyNone(t, before)
			})
		}
	}
}

// A manager can be closed at every step: its callers get an answer with a code,
// nothing is left behind, and whoever comes next goes on from there.
func TestClosedAtEveryStep(t *testing.T) {
	for _, r := range registrations {
		for i := range stepsOf(t, r) {
			for name, strict := range map[string]bool{"file": false, "database": true} {
				t.Run(fmt.Sprintf("%s/step %d/%s", r.name, i, name), func(t *testing.T) {
					testClosedAtStep(t, r, i, strict)
				})
			}
		}
	}
}

func testClosedAtStep(t *testing.T, r registering, i int, strict bool) {
	before := goleak.IgnoreCurrent()
	w := newWorld()
	s, m := w.steppedManager(t, strict)
	do := r.prepare(t, w, m)
	closed := make(chan struct{})
	s.follow(func(n int) {
		if n == i {
			go func() {
				closeManager(t, m)
				close(closed)
			}()
			<-s.flow.Done()
		}
	})
	a, err := do(context.Background())
	<-closed
	cause := err
	if err == nil {
		cause = a.Cause
	}
	if code := core.Code(cause); code == core.CodeInternal || code == "" && a.Mode != core.ModeAgentAssertion {
		t.Errorf("got %v, cause %v, error %v; want an assertion or a code", a, a.Cause, err)
	}
	_, err = do(context.Background())
	checkCode(t, err, host.CodeClosed)
	checkLockFree(t, w.store)
	goleak.VerifyNone(t, before)

	fresh := manager(t, w.config())
	if r.name == "first turn" {
		if a, err = fresh.Thread("thread-1").Authorization(context.Background(), ""); err != nil {
			t.Fatal(err)
		}
	} else if a = ask(t, fresh); a.Mode == core.ModeAgentAssertion {
		if status, _ := w.call(t, a); status == http.StatusUnauthorized { // the task is still the rejected one
			if a, err = fresh.Recover(context.Background(), a, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.checkVerified(t, a)
	checkCounts(t, w.authority, 1, r.tasks)
}

// brokenServer is a server that does to each connection what the handler says.
func brokenServer(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	return silentServer(t, handler, (*httptest.Server).Start)
}

// resetting breaks a connection off in the middle of a response.
func resetting(t *testing.T) string {
	t.Helper()
	return brokenServer(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, buffer, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = buffer.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
		_ = buffer.Flush()
		_ = conn.(*net.TCPConn).SetLinger(0) // so that Close sends a reset
		_ = conn.Close()
	})
}

// gigabyte sends 1 GB, or as much of it as is taken, and counts.
func gigabyte(t *testing.T, status int, sent *atomic.Int64) string {
	t.Helper()
	return brokenServer(t, func(w http.ResponseWriter, _ *http.Request) {
		const size, chunk = 1 << 30, 64 << 10
		w.Header().Set("Content-Length", fmt.Sprint(size))
		w.WriteHeader(status)
		for range size / chunk {
			n, err := w.Write(make([]byte, chunk))
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
}

// maxInFlight is more than what connections buffer on the way of what nobody
// reads, and far less than 1 GB.
const maxInFlight = 32 << 20

// Registrations over connections that break, in ways that need real ones.
func TestRegistrationOverBrokenConnections(t *testing.T) {
	var sent atomic.Int64
	for _, f := range []failure{
		{"reset", elsewhere(resetting(t)), core.CodeRequestFailed, "connect", nil},
		{"not HTTP", elsewhere(brokenServer(t, hijacked(t, func(*http.Request) string { return "\x00\x01 garbage\n" }))),
			core.CodeRequestFailed, "connect", nil},
		{"1 GB", elsewhere(gigabyte(t, http.StatusOK, &sent)), core.CodeRequestFailed, "too-large", nil},
	} {
		for n, name := range requestNames {
			t.Run(f.name+"/"+name, func(t *testing.T) { testRegistrationFails(t, f, n) })
		}
	}
	if got := sent.Load(); got > int64(len(requestNames))*maxInFlight {
		t.Errorf("%d bytes were sent, want no more than buffers hold", got)
	}
}

// What a response is does not depend on the type that it claims to have.
func TestRegistrationWithWrongContentType(t *testing.T) {
	w := newWorld()
	c := w.config()
	c.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		response, err := w.network.RoundTrip(r)
		if err == nil {
			response.Header.Set("Content-Type", "image/png")
		}
		return response, err
	})}
	w.checkVerified(t, ask(t, manager(t, c)))
}

// transported is a client whose calls are authorized, and answered by base.
func (w *world) transported(t *testing.T, base answer) *http.Client {
	t.Helper()
	return &http.Client{Transport: &host.Transport{Manager: manager(t, w.config()), Base: roundTripper(base)}}
}

func get(t *testing.T, ctx context.Context, client *http.Client) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL+"/codex/models", nil)
	if err != nil {
		t.Fatal(err)
	}
	return client.Do(r)
}

// A call that gets no response says nothing about its task: its error goes to the
// caller, and nothing is registered.
func TestCallWithoutResponse(t *testing.T) {
	arrived := make(chan struct{}, 1)
	for name, tt := range map[string]struct {
		url  string
		want error // nil for any
	}{
		"hangs": {brokenServer(t, func(_ http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			<-r.Context().Done()
		}), context.Canceled},
		"refuses connections": {closedPort(t), nil},
		"is not HTTP":         {brokenServer(t, hijacked(t, func(*http.Request) string { return "\x00\x01 garbage\n" })), nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			sent := 0
			client := w.transported(t, func(r *http.Request) (*http.Response, error) {
				sent++
				return elsewhere(tt.url)(r)
			})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			go func() {
				select {
				case <-arrived:
					cancel()
				case <-ctx.Done():
				}
			}()
			response, err := get(t, ctx, client)
			if err == nil {
				response.Body.Close()
				t.Fatalf("got %s, want an error", response.Status)
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			checkCount(t, "times that the call was sent", sent, 1)
			checkCounts(t, w.authority, 1, 1)
		})
	}
}

// A response's body is the caller's: the transport reads none of it.
func TestCallLeavesTheBodyAlone(t *testing.T) {
	w, body := newWorld(), &endless{}
	response, err := get(t, context.Background(), w.transported(t, func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: body}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if body.read != 0 || body.closed {
		t.Errorf("%d bytes were read, closed %t; want neither", body.read, body.closed)
	}
	if response.Body.Close(); !body.closed {
		t.Error("the body is not the one that was sent")
	}

	var sent atomic.Int64
	url := gigabyte(t, http.StatusOK, &sent)
	if response, err = get(t, context.Background(), w.transported(t, elsewhere(url))); err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := sent.Load(); got > maxInFlight {
		t.Errorf("%d bytes were sent of a body that nobody read", got)
	}
}

// A rejection that is 1 GB large is not read to its end, and its type is of no
// interest.
func TestRejectionThatNeverEnds(t *testing.T) {
	for _, contentType := range []string{"application/json", "text/html", ""} {
		w, body := newWorld(), &endless{}
		rejected := false
		response, err := get(t, context.Background(), w.transported(t, func(r *http.Request) (*http.Response, error) {
			if rejected {
				return w.network.RoundTrip(r)
			}
			rejected = true
			header := http.Header{"Content-Type": {contentType}}
			return &http.Response{StatusCode: http.StatusUnauthorized, Header: header, Body: body}, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		checkCount(t, "status", response.StatusCode, http.StatusOK)
		if body.read > 128<<10 || !body.closed {
			t.Errorf("read %d bytes, closed %t; want 128 KiB at most, closed", body.read, body.closed)
		}
		checkCounts(t, w.authority, 1, 2)
	}
}

// A redirect to another host takes no authorization along, whatever its status.
func TestCallRedirectedToAnotherHost(t *testing.T) {
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		w := newWorld()
		var hosts []string
		response, err := get(t, context.Background(), w.transported(t, func(r *http.Request) (*http.Response, error) {
			hosts = append(hosts, r.URL.Host)
			authorized := r.Header.Get("Authorization") != "" && r.Header.Get("ChatGPT-Account-ID") != ""
			if r.URL.Host == "chatgpt.com" {
				if !authorized {
					t.Error("the first request has no authorization")
				}
				return respond(status, http.Header{"Location": {"https://elsewhere.example/steal"}}, http.NoBody), nil
			}
			for name := range r.Header {
				if name != "Referer" {
					t.Errorf("%s gets %s: %s", r.URL.Host, name, r.Header.Get(name))
				}
			}
			// Not even when it asks for one.
			return respond(http.StatusUnauthorized, nil, http.NoBody), nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		checkCount(t, "status", response.StatusCode, http.StatusUnauthorized)
		if got := fmt.Sprint(hosts); got != "[chatgpt.com elsewhere.example]" {
			t.Errorf("the requests went to %s", got)
		}
		checkCounts(t, w.authority, 1, 1)
	}
}

// taskAttempts is how many task registrations were asked for.
func (w *world) taskAttempts() int {
	w.network.mu.Lock()
	defer w.network.mu.Unlock()
	n := 0
	for _, r := range w.network.requests {
		if strings.HasSuffix(r.URL.Path, "/task/register") {
			n++
		}
	}
	return n
}

// A clock that is an hour off gets assertions refused. It costs no task and no
// attempt: background calls go on with the bearer token, and the agent comes back as
// soon as the time is right.
func TestClockOneHourOff(t *testing.T) {
	for _, off := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			w := newWorld()
			var skew atomic.Int64
			c := w.config()
			c.Now = func() time.Time { return w.clock.Now().Add(time.Duration(skew.Load())) }
			client := &http.Client{Transport: &host.Transport{Manager: manager(t, c), Base: w.network}}
			call := func() (scheme string) {
				t.Helper()
				response, err := get(t, context.Background(), client)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				body, err := io.ReadAll(response.Body)
				if err != nil || response.StatusCode != http.StatusOK {
					t.Fatalf("got %s %s, %v", response.Status, body, err)
				}
				if strings.Contains(string(body), authority.SchemeAgentAssertion) {
					return core.ModeAgentAssertion
				}
				return core.ModeBearer
			}
			if got := call(); got != core.ModeAgentAssertion {
				t.Fatalf("with the right time: got %s", got)
			}
			skew.Store(int64(off))
			const hours = 3
			for range hours * 60 {
				w.clock.advance(time.Minute)
				if got := call(); got != core.ModeBearer {
					t.Fatalf("with the wrong time: got %s", got)
				}
			}
			checkCount(t, "task registrations", w.taskAttempts(), 1)
			skew.Store(0)
			w.clock.advance(time.Second)
			if got := call(); got != core.ModeAgentAssertion {
				t.Errorf("with the right time again: got %s", got)
			}
			if got := w.authority.Accepted(); got != (authority.Counts{Identities: 1, Tasks: 1}) {
				t.Errorf("the authority accepted %+v, want one of each", got)
			}
		})
	}
}

// A turn with a wrong clock is an error that names it: at once where the backend's
// answer is at hand, and without it after one attempt.
func TestTurnWithClockOneHourOff(t *testing.T) {
	for name, hasAnswer := range map[string]bool{"with the answer": true, "without the answer": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			skew := time.Duration(0)
			c := w.config()
			c.Now = func() time.Time { return w.clock.Now().Add(skew) }
			m := manager(t, c)
			thread := m.Thread("thread-1")
			good := askThread(t, thread)
			skew = time.Hour
			for turn := range 3 {
				w.clock.advance(time.Second)
				// The task is still there, and its assertion is refused.
				a, err := thread.Authorization(context.Background(), "")
				checkCode(t, err, "")
				answer := w.answer(t, a)
				checkCount(t, "status", answer.StatusCode, http.StatusUnauthorized)
				if !hasAnswer {
					answer = nil
				}
				_, err = m.Recover(context.Background(), a, answer)
				checkCode(t, err, host.CodeThreadFailed)
				if !errors.Is(errors.Unwrap(err), &core.Error{Code: core.CodeClockSkew}) {
					t.Errorf("turn %d: got %v, want %s in its chain", turn, err, core.CodeClockSkew)
				}
				attempts := 1
				if !hasAnswer {
					attempts += 1 + turn
				}
				checkCount(t, "attempts", w.taskAttempts(), attempts)
			}
			skew = 0
			w.clock.advance(time.Second)
			a := askThread(t, thread)
			w.checkVerified(t, a)
			checkCounts(t, w.authority, 1, 1)
			if a.AgentRuntimeID != good.AgentRuntimeID {
				t.Errorf("got agent %s, want the first one, %s", a.AgentRuntimeID, good.AgentRuntimeID)
			}
		})
	}
}

// A clock that jumps backwards registers nothing anew, and makes nobody wait
// longer than the jump and the pause together.
func TestClockJumpsBackwards(t *testing.T) {
	t.Run("with a task", func(t *testing.T) {
		w := newWorld()
		m := manager(t, w.config())
		first := ask(t, m)
		for _, jump := range []time.Duration{time.Second, time.Hour, 48 * time.Hour} {
			w.clock.advance(-jump)
			a := ask(t, m)
			w.checkVerified(t, a)
			if a.TaskID != first.TaskID || a.Header() == first.Header() {
				t.Errorf("back by %v: got the task %s, and the same header: %t", jump, a.TaskID, a.Header() == first.Header())
			}
		}
		checkCount(t, "requests", w.network.count(), requestsPerRegistration)
	})
	for jump, waits := range map[time.Duration]bool{time.Hour: true, 48 * time.Hour: false} {
		t.Run(fmt.Sprintf("during a pause, by %v", jump), func(t *testing.T) {
			w := newWorld()
			m := manager(t, w.config())
			w.authority.RefuseRegistration(http.StatusInternalServerError)
			retryAt := ask(t, m).RetryAt
			w.authority.RefuseRegistration(0)
			w.clock.advance(-jump)
			if waits {
				check(t, ask(t, m), core.ModeBearer, core.ReasonRegistrationFailed, core.CodeBackingOff)
				w.clock.set(retryAt)
			}
			w.checkVerified(t, ask(t, m))
			checkCounts(t, w.authority, 1, 1)
		})
	}
}

// newAuthFile is an auth.json of a signed-in user, and a manager's configuration
// that uses it.
func (w *world) newAuthFile(t *testing.T) (*authfile.File, host.ManagerConfig) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(path, append(w.session.AuthJSON(), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	file := authfile.New(path)
	c := w.config()
	c.Store, c.Credentials = file, file
	return file, c
}

// A file that cannot be written, or that another process holds: nothing is asked
// of the backend, and all is well once the file can be had.
func TestAuthFileCannotBeHad(t *testing.T) {
	for name, tt := range map[string]struct {
		take func(*testing.T, *authfile.File) (giveBack func())
		// cause is the core's code, code that of the file's own error behind it.
		cause, code string
	}{
		"read-only": {func(t *testing.T, f *authfile.File) func() {
			chmod := func(mode os.FileMode) {
				if err := os.Chmod(f.Path(), mode); err != nil {
					t.Fatal(err)
				}
			}
			chmod(0o400)
			return func() { chmod(0o600) }
		}, core.CodeStoreReadOnly, core.CodeStoreReadOnly},
		"locked": {func(t *testing.T, f *authfile.File) func() {
			unlock, err := authfile.New(f.Path()).Lock(context.Background(), wire.SlotIdentity)
			if err != nil {
				t.Fatal(err)
			}
			f.LockTimeout = 10 * time.Millisecond
			return func() {
				unlock()
				f.LockTimeout = time.Minute
			}
		}, core.CodeStoreFailed, core.CodeFileLocked},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			file, c := w.newAuthFile(t)
			before, err := os.ReadFile(file.Path())
			if err != nil {
				t.Fatal(err)
			}
			giveBack := tt.take(t, file)
			m := manager(t, c)
			for range 3 {
				w.clock.advance(time.Second)
				a := ask(t, m)
				check(t, a, core.ModeBearer, core.ReasonStoreFailed, tt.cause)
				if !errors.Is(errors.Unwrap(a.Cause), &core.Error{Code: tt.code}) {
					t.Errorf("got cause %v, want %s in its chain", a.Cause, tt.code)
				}
			}
			giveBack()
			checkCount(t, "requests", w.network.count(), 0)
			if after, err := os.ReadFile(file.Path()); err != nil || string(after) != string(before) {
				t.Errorf("the file has changed, or cannot be read: %v", err)
			}
			w.clock.advance(time.Second)
			w.checkVerified(t, ask(t, m))
			checkCounts(t, w.authority, 1, 1)
			checkOnlyIdentityAdded(t, file.Path(), before)
		})
	}
}
