package host_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

// timed is a store that saves at the last moment, or not at all, and measures how long
// its lock is held.
type timed struct {
	host.MemoryStore
	never bool
	held  time.Duration
}

// linger returns just before the context ends or, if it never saves, when it has ended.
func (s *timed) linger(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && !s.never {
		time.Sleep(time.Until(deadline) - time.Millisecond)
		return ctx.Err()
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *timed) Save(ctx context.Context, slot string, record []byte) error {
	if err := s.linger(ctx); err != nil {
		return err
	}
	return s.MemoryStore.Save(ctx, slot, record)
}

func (s *timed) Swap(ctx context.Context, slot string, old, new []byte) error {
	if err := s.linger(ctx); err != nil {
		return err
	}
	return s.MemoryStore.Swap(ctx, slot, old, new)
}

func (s *timed) Lock(ctx context.Context, slot string) (func(), error) {
	unlock, err := s.MemoryStore.Lock(ctx, slot)
	begin := time.Now()
	return sync.OnceFunc(func() {
		s.held = max(s.held, time.Since(begin))
		unlock()
	}), err
}

// lastMoment is a backend that answers just before a request times out: twice with 503
// and the longest Retry-After that is heeded, then with what the next gives.
type lastMoment struct {
	next  http.RoundTripper
	tries map[string]int
}

func (l *lastMoment) RoundTrip(r *http.Request) (*http.Response, error) {
	if deadline, ok := r.Context().Deadline(); ok {
		time.Sleep(time.Until(deadline) - time.Millisecond)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if l.tries[r.URL.Path]++; l.tries[r.URL.Path]%3 != 0 {
		header := http.Header{"Retry-After": {"5"}}
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: header, Body: io.NopCloser(strings.NewReader(""))}, nil
	}
	return l.next.RoundTrip(r)
}

// No lock is held longer than MaxLockTime, whatever store and backend do within their
// contexts; and a registration that succeeds at last is not cut off.
func TestNoLockIsHeldLongerThanSaid(t *testing.T) {
	unknown := roundTripper(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/task/register") {
			return &http.Response{StatusCode: http.StatusNotFound, Header: http.Header{}, Body: http.NoBody}, nil
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"agent_runtime_id":"agent-1"}`))}, nil
	})
	for _, tt := range []struct {
		name     string
		next     http.RoundTripper // nil is the authority
		never    bool
		least    time.Duration
		most     time.Duration
		succeeds bool
	}{
		{"succeeds at the last moment", nil, false, 170 * time.Second, 3*time.Minute + 6*time.Second, true},
		{"the backend knows no agent", unknown, false, 3*time.Minute + 59*time.Second, host.MaxLockTime, false},
		{"the store never saves", unknown, true, time.Minute, host.MaxLockTime, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, s := newAuthAPIWorld(authority.Options{}, authAPIUser), &timed{never: tt.never}
				next := tt.next
				if next == nil {
					next = w.network
				}
				c := w.config()
				c.Store, c.HTTPClient = s, &http.Client{Transport: &lastMoment{next, map[string]int{}}}
				if a := ask(t, manager(t, c)); (a.Mode == core.ModeAgentAssertion) != tt.succeeds {
					t.Errorf("got %v, %v; want an assertion: %t", a, a.Cause, tt.succeeds)
				}
				if s.held > tt.most || s.held < tt.least {
					t.Errorf("the lock was held for %v, want %v to %v", s.held, tt.least, tt.most)
				}
			})
		})
	}
}

// Who waits for a lock waits longer than it can be held.
func TestLocksAreWaitedForLongEnough(t *testing.T) {
	if wait := authfile.New("auth.json").LockTimeout; wait <= host.MaxLockTime {
		t.Errorf("authfile waits %v, want more than %v", wait, host.MaxLockTime)
	}
}
