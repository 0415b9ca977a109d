package host_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
)

// recorder writes down what it is told.
type recorder struct {
	name string
	mu   sync.Mutex
	told []string
	next *recorder // writes along, if not nil
}

func (r *recorder) tell(format string, args ...any) {
	r.mu.Lock()
	r.told = append(r.told, r.name+fmt.Sprintf(format, args...))
	r.mu.Unlock()
	if r.next != nil {
		r.next.tell(r.name+format, args...)
	}
}

func (r *recorder) Decided(a host.Authorization) { r.tell("decided %v", a) }
func (r *recorder) Reused(a host.Authorization)  { r.tell("reused %v", a) }

func (r *recorder) Registering(ctx context.Context, of host.Registration) (context.Context, func(host.Authorization, error)) {
	r.tell("registering %+v in %v", of, ctx.Value(recorderKey{}))
	return context.WithValue(ctx, recorderKey{}, "registration"+r.name), func(a host.Authorization, err error) {
		if err != nil {
			r.tell("registration failed: %s", core.Code(err))
			return
		}
		r.tell("registered %v", a)
	}
}

func (r *recorder) Request(ctx context.Context, method, url string) (context.Context, func(int, error)) {
	r.tell("%s %s in %v", method, strings.TrimPrefix(url, baseURL), ctx.Value(recorderKey{}))
	return ctx, func(status int, err error) { r.tell("answered %d %v", status, err) }
}

func (r *recorder) Waited(ctx, registration context.Context) {
	r.tell("%v waited for %v", ctx.Value(recorderKey{}), registration.Value(recorderKey{}))
}

type recorderKey struct{}

func checkTold(t *testing.T, r *recorder, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.told, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(r.told, "\n"), strings.Join(want, "\n"))
	}
	r.told = nil
}

func TestObserver(t *testing.T) {
	w, r := newWorld(), &recorder{}
	c := w.config()
	c.Observer = r
	m := manager(t, c)

	a := ask(t, m)
	ask(t, m)
	checkTold(t, r,
		"registering {Surface:models ThreadID: Recovery:false} in <nil>",
		"GET /authenticate_app_v2 in registration", "answered 200 <nil>",
		"POST /v1/agent/register in registration", "answered 200 <nil>",
		"GET /authenticate_app_v2 in registration", "answered 200 <nil>",
		"POST /v1/agent/"+a.AgentRuntimeID+"/task/register in registration", "answered 200 <nil>",
		"decided agent-assertion (background-task)",
		"registered agent-assertion (background-task)",
		"reused agent-assertion (background-task)")

	// A flow that registers nothing.
	w.clock.advance(time.Second)
	ask(t, m)
	checkTold(t, r, "decided agent-assertion (background-task)")

	w.authority.RefuseRegistration(http.StatusForbidden)
	if _, err := m.Thread("thread-1").Authorization(context.Background(), core.SurfaceResponses); err == nil {
		t.Error("the turn was authorized")
	}
	recoverFrom(t, m, a)
	checkTold(t, r,
		"registering {Surface:responses ThreadID:thread-1 Recovery:false} in <nil>",
		"GET /authenticate_app_v2 in registration", "answered 403 <nil>",
		"decided none (registration-failed)", "registered none (registration-failed)",
		"decided bearer (registration-failed)")

	// Within the pause nothing is tried.
	w.clock.advance(time.Second)
	ask(t, m)
	checkTold(t, r, "decided bearer (registration-failed)")
}

// awaited is a context that says when somebody waits for its end.
type awaited struct {
	context.Context
	waiting func()
}

func newAwaited(ctx context.Context) (awaited, <-chan struct{}) {
	waits := make(chan struct{})
	return awaited{ctx, sync.OnceFunc(func() { close(waits) })}, waits
}

func (a awaited) Done() <-chan struct{} {
	a.waiting()
	return a.Context.Done()
}

// TestObserverIsToldWhoWaited: of each call that has waited for another's registration,
// whatever that came to, and of no call that needed none.
func TestObserverIsToldWhoWaited(t *testing.T) {
	for _, refuses := range []bool{false, true} {
		t.Run(fmt.Sprint("refused: ", refuses), func(t *testing.T) {
			w, r := newWorld(), &recorder{}
			c := w.config()
			c.Observer = r
			if refuses {
				w.authority.RefuseRegistration(http.StatusForbidden)
			}
			entered, release := make(chan struct{}, 10), make(chan struct{})
			c.HTTPClient = &http.Client{Transport: roundTripper(func(request *http.Request) (*http.Response, error) {
				entered <- struct{}{}
				<-release
				return w.network.RoundTrip(request)
			})}
			m := manager(t, c)
			var all sync.WaitGroup
			call := func(name string) {
				ctx, waits := newAwaited(context.WithValue(context.Background(), recorderKey{}, name))
				all.Go(func() {
					if _, err := m.Authorization(ctx, core.SurfaceModels); err != nil {
						t.Error(err)
					}
				})
				<-waits
			}
			call("first")
			<-entered
			call("second")
			call("third")
			close(release)
			all.Wait()
			w.clock.advance(time.Second)
			if _, err := m.Authorization(context.WithValue(context.Background(), recorderKey{}, "later"), core.SurfaceModels); err != nil {
				t.Fatal(err)
			}
			var waited []string
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, line := range r.told {
				if strings.Contains(line, "waited for") {
					waited = append(waited, line)
				}
			}
			slices.Sort(waited)
			if want := []string{"second waited for registration", "third waited for registration"}; !slices.Equal(waited, want) {
				t.Errorf("got %q, want %q", waited, want)
			}
			if !slices.Contains(r.told, "registering {Surface:models ThreadID: Recovery:false} in first") {
				t.Errorf("the registration has not the first call's context: %q", r.told)
			}
		})
	}
}

// However a registration ends, the observer is told.
func TestObserverIsToldOfThePanic(t *testing.T) {
	w, r := newWorld(), &recorder{}
	c := w.config()
	c.Observer = r
	c.Store = &faultyStore{Store: w.store, faults: map[string]fault{"lock identity": panicking}}
	_, err := manager(t, c).Authorization(context.Background(), core.SurfaceModels)
	checkCode(t, err, core.CodeInternal)
	checkTold(t, r, "registering {Surface:models ThreadID: Recovery:false} in <nil>", "registration failed: internal")
}

func TestObservers(t *testing.T) {
	both := &recorder{}
	one, two := &recorder{name: " 1 ", next: both}, &recorder{name: " 2 ", next: both}
	os := host.Observers{one, two}
	os.Decided(host.Authorization{Mode: "m", Reason: "r"})
	os.Reused(host.Authorization{Mode: "m", Reason: "r"})
	ctx, registered := os.Registering(context.Background(), host.Registration{Surface: "s"})
	_, done := os.Request(ctx, "GET", "/")
	done(200, nil)
	registered(host.Authorization{}, errDisk)
	os.Waited(context.Background(), ctx)
	checkTold(t, both,
		" 1 decided m (r)", " 2 decided m (r)", " 1 reused m (r)", " 2 reused m (r)",
		" 1 registering {Surface:s ThreadID: Recovery:false} in <nil>",
		" 2 registering {Surface:s ThreadID: Recovery:false} in registration 1 ",
		" 1 GET / in registration 2 ", " 2 GET / in registration 2 ",
		" 1 answered 200 <nil>", " 2 answered 200 <nil>",
		" 1 registration failed: internal", " 2 registration failed: internal",
		" 1 <nil> waited for registration 2 ", " 2 <nil> waited for registration 2 ")
}

func TestLogObserver(t *testing.T) {
	var b strings.Builder
	handler := slog.NewTextHandler(&b, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})
	w := newWorld()
	c := w.config()
	c.Observer = host.LogObserver(slog.New(handler))
	m := manager(t, c)
	check := func(what string, want ...string) {
		t.Helper()
		got := strings.Split(strings.TrimSpace(b.String()), "\n")
		b.Reset()
		if len(got) != len(want) {
			t.Fatalf("%s: got\n%s\nwant %d lines", what, strings.Join(got, "\n"), len(want))
		}
		for i, line := range got {
			if !strings.HasPrefix(line, want[i]) {
				t.Errorf("%s: got %s, want %s…", what, line, want[i])
			}
			for _, secret := range append(w.secrets(t), "AgentAssertion ") {
				if strings.Contains(line, secret) {
					t.Errorf("%s: a secret is logged: %s", what, line)
				}
			}
		}
	}

	a := ask(t, m)
	ask(t, m) // the answer of this second is no news
	answered := `level=DEBUG msg="registration request answered" method=`
	check("registration",
		answered+"GET url="+baseURL+"/authenticate_app_v2 status=200",
		answered+"POST url="+baseURL+"/v1/agent/register status=200",
		answered+"GET url="+baseURL+"/authenticate_app_v2 status=200",
		answered+"POST url="+baseURL+"/v1/agent/"+a.AgentRuntimeID+"/task/register status=200",
		`level=DEBUG msg="authorization decided" authorization.mode=agent-assertion authorization.reason=background-task`,
		`level=INFO msg=registered surface=models recovery=false authorization.mode=agent-assertion`)

	w.authority.RefuseRegistration(http.StatusForbidden)
	if _, err := m.Thread("thread-1").Authorization(context.Background(), core.SurfaceResponses); err == nil {
		t.Error("the turn was authorized")
	}
	check("refusal",
		answered+"GET url="+baseURL+"/authenticate_app_v2 status=403",
		`level=DEBUG msg="authorization decided" authorization.mode=none authorization.reason=registration-failed authorization.cause=`,
		`level=WARN msg="registration failed" surface=responses recovery=false thread_id=thread-1 code=http_status retry_at=2026-11-24T15:1`)

	w.clock.advance(time.Second) // the turn's answer of this second is that it failed
	w.network.follow(func(int, *http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	if _, err := m.Thread("thread-1").Authorization(context.Background(), core.SurfaceResponses); err == nil {
		t.Error("the turn was authorized")
	}
	check("no connection",
		`level=DEBUG msg="registration request failed" method=GET url=`+baseURL+`/authenticate_app_v2 error="unexpected EOF"`,
		`level=DEBUG msg="authorization decided"`,
		`level=WARN msg="registration failed" surface=responses recovery=false thread_id=thread-1 code=request_failed`)

	_, done := host.LogObserver(slog.New(handler)).Registering(context.Background(), host.Registration{Surface: "s"})
	done(host.Authorization{}, &core.Error{Code: "c", Message: "m"})
	check("error", `level=WARN msg="registration failed" surface=s recovery=false error=m code=c`)
}
