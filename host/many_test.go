package host_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
)

// gathering holds those who come until a number of them is there.
type gathering struct {
	mu      sync.Mutex
	missing int
	full    chan struct{}
}

func newGathering(n int) *gathering { return &gathering{missing: n, full: make(chan struct{})} }

func (g *gathering) join(ctx context.Context) error {
	g.mu.Lock()
	if g.missing--; g.missing == 0 {
		close(g.full)
	}
	g.mu.Unlock()
	select {
	case <-g.full:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Threads that begin at once do not wait for each other: the requests for all their
// tasks are under way at the same time. One identity is registered for all.
func TestManyThreadsRegisterAtOnce(t *testing.T) {
	const threads = 600
	for name, prepare := range stores {
		t.Run(name, func(t *testing.T) {
			if name == "authfile" && testing.Short() {
				t.Skip("-short: files for 600 threads are written")
			}
			w := newWorld()
			prepare(t, w)
			// Far more than it takes: it only keeps the test from hanging.
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			all := newGathering(threads)
			c := w.config()
			c.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.Header.Get("X-Original-Url"), "/task/register") {
					// The time-out of a request is no measure of a machine that is busy.
					if err := all.join(ctx); err != nil {
						return nil, err
					}
					r = r.WithContext(context.WithoutCancel(r.Context()))
				}
				return w.network.RoundTrip(r)
			})}
			m := manager(t, c)
			var wg sync.WaitGroup
			for i := range threads {
				wg.Go(func() {
					a, err := m.Thread(fmt.Sprint("thread-", i)).Authorization(ctx, core.SurfaceResponses)
					if err != nil || a.Mode != core.ModeAgentAssertion {
						t.Errorf("thread %d: got %v, %v", i, a, err)
					}
				})
			}
			wg.Wait()
			checkCount(t, "requests", w.network.count(), 2+threads*requestsPerTask)
			checkCounts(t, w.authority, 1, threads)
		})
	}
}
