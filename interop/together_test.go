//go:build interop && unix

package interop

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

const (
	// lookEvery is how often an auth.json is looked at.
	lookEvery = time.Millisecond
	// tornAtMost is how long a look may find no JSON: the client empties the file
	// and then writes it, and is suspended in between if the machine is busy.
	tornAtMost = 5 * time.Second
)

// together runs the functions again and again, all at once, until main returns.
func together(main func(), others ...func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for _, other := range others {
		wg.Go(func() {
			for {
				other()
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	main()
	close(done)
	wg.Wait()
}

// watcher looks at an auth.json. Each look has to find the user's tokens, and no
// identity or one that the backend knows.
type watcher struct {
	home
	looks, torn int
	// tornSince is when the looks began to find no JSON.
	tornSince time.Time
	ticker    *time.Ticker
}

func newWatcher(t *testing.T, h home) *watcher {
	w := &watcher{home: h, ticker: time.NewTicker(lookEvery)}
	t.Cleanup(w.ticker.Stop)
	return w
}

func (w *watcher) look(t *testing.T, b *backend) {
	now := <-w.ticker.C
	data, err := os.ReadFile(w.authFile())
	if err != nil {
		t.Error(err)
		return
	}
	w.looks++
	a, err := parseAuthJSON(data)
	if err != nil {
		w.torn++
		if w.tornSince.IsZero() {
			w.tornSince = now
		}
		if now.Sub(w.tornSince) > tornAtMost {
			t.Errorf("auth.json stays without JSON, with %d bytes: %v", len(data), err)
		}
		return
	}
	w.tornSince = time.Time{}
	checkTokens(t, a, b.newestTokens())
	if id := a.Identity.AgentRuntimeID; id != "" {
		if _, err := b.Agent(t.Context(), id); err != nil {
			t.Errorf("auth.json has the agent %q: %v", id, err)
		}
	}
}

// manage asks a manager of ours, in this process, for a header. It knows nothing
// yet but auth.json.
func manage(ctx context.Context, b *backend, h home, p profile) (host.Authorization, error) {
	engine := host.NewNative()
	file := authfile.New(h.authFile())
	config := host.ManagerConfig{
		Engine: engine, Store: file, Credentials: file,
		BaseURL: baseURL, AllowHTTP: true, AgentIdentity: true, HTTPClient: b.client(),
	}
	p.configure(&config)
	m, err := host.NewManager(config)
	if err != nil {
		return host.Authorization{}, err
	}
	defer m.Close(context.Background())
	a, err := m.Authorization(ctx, core.SurfaceModels)
	if err == nil && a.Mode != core.ModeAgentAssertion {
		err = fmt.Errorf("our manager: mode %s, reason %s: %w", a.Mode, a.Reason, a.Cause)
	}
	return a, errors.Join(err, engine.Close(ctx))
}

// manageAnew is manage after the identity has been deleted: two writes at least.
func manageAnew(ctx context.Context, b *backend, h home, p profile) error {
	file := authfile.New(h.authFile())
	identity, err := file.Load(ctx, wire.SlotIdentity)
	if err == nil {
		err = file.Swap(ctx, wire.SlotIdentity, identity, nil)
	}
	if err != nil && core.Code(err) != core.CodeRecordChanged { // by the client

		return fmt.Errorf("deleting the identity: %w", err)
	}
	_, err = manage(ctx, b, h, p)
	return err
}

// failures counts errors by what they say: a loop has the same one many times.
type failures struct {
	mu    sync.Mutex
	times map[string]int
}

func (f *failures) add(err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.times == nil {
		f.times = make(map[string]int)
	}
	f.times[err.Error()]++
}

func (f *failures) report(t *testing.T) {
	t.Helper()
	for _, message := range slices.Sorted(maps.Keys(f.times)) {
		t.Errorf("%d times: %s", f.times[message], message)
	}
}

// TestTogether: the client, our tool and managers of ours work on one auth.json
// at the same time.
func TestTogether(t *testing.T) {
	for _, r := range releases {
		for round := range 3 {
			t.Run(fmt.Sprintf("%s/%d", r, round), func(t *testing.T) {
				r.need(t)
				b := newBackend(t)
				h := b.newHome(t, r, featureOn)
				w := newWatcher(t, h)
				var headers, managed int
				var failed failures
				together(func() { h.mustPrompt(t) },
					func() { w.look(t, b) },
					func() {
						x, err := h.header(t, r.profile)
						failed.add(err)
						if err == nil {
							failed.add(b.call(t.Context(), x.Header))
						}
						headers++
					},
					func() {
						a, err := manage(t.Context(), b, h, r.profile)
						failed.add(err)
						if err == nil {
							failed.add(b.call(t.Context(), a.Header()))
						}
						managed++
					},
				)
				t.Logf("%d headers of our tool, %d of our manager, %d looks at auth.json, %d of them while the client was writing it", headers, managed, w.looks, w.torn)
				t.Logf("registered: %+v", b.Counts())
				failed.report(t)
				checkAccepted(t, b.since(0))
				checkUsable(t, b, h, r.profile)
				b.checkForeign(t)
			})
		}
	}
}

// TestOurWritesAreWhole: what TestTogether forgives the client, a look at a file
// that is being written, never comes with our writes.
func TestOurWritesAreWhole(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	h := b.newHome(t, background, featureOn)
	w := newWatcher(t, h)
	together(func() {
		for range 50 {
			if err := manageAnew(t.Context(), b, h, biscuit); err != nil {
				t.Error(err)
			}
		}
	}, func() { w.look(t, b) })
	if w.torn != 0 {
		t.Errorf("%d of %d looks found no JSON", w.torn, w.looks)
	}
	checkAccepted(t, b.since(0))
}

// gate holds one request back.
type gate struct {
	arrived, open chan struct{}
	once          sync.Once
}

func newGate() *gate { return &gate{arrived: make(chan struct{}), open: make(chan struct{})} }

// hold waits until the gate is open, or whoever sent the request gives up.
func (g *gate) hold(r *http.Request) {
	first := false
	g.once.Do(func() { first = true })
	if !first {
		return
	}
	close(g.arrived)
	select {
	case <-g.open:
	case <-r.Context().Done():
	}
}

// TestOvertaken: one of the two registers an identity, and before it has its
// answer the other one has registered and stored its own.
func TestOvertaken(t *testing.T) {
	tests := []struct {
		name string
		// slow is the one whose registration is held back.
		slow func(*http.Request) bool
		// run and overtake run the slow one and the other one.
		run, overtake func(*testing.T, home) error
	}{
		{"the client by our tool", fromClient, promptError, headerError},
		{"our tool by the client", func(r *http.Request) bool { return !fromClient(r) }, headerError, promptError},
	}
	for _, r := range releases {
		for _, test := range tests {
			t.Run(r.version+"/"+test.name, func(t *testing.T) {
				r.need(t)
				t.Parallel()
				b := newBackend(t)
				g := newGate()
				b.hold = func(r *http.Request) {
					if isRegistration(r) && test.slow(r) {
						g.hold(r)
					}
				}
				h := b.newHome(t, r, featureOn)
				ended := make(chan error, 1)
				go func() { ended <- test.run(t, h) }()
				select {
				case <-g.arrived:
				case err := <-ended:
					t.Fatalf("it ended without registering: %v", err)
				}
				err := test.overtake(t, h)
				var first authJSON
				if err == nil {
					first = h.identity(t, b)
				}
				close(g.open)
				if err := errors.Join(err, <-ended); err != nil {
					t.Fatal(err)
				}
				last := h.identity(t, b)
				t.Logf("the first one's identity stays: %v; registered: %+v", first.Identity == last.Identity, b.Counts())
				checkAccepted(t, b.since(0))
				checkUsable(t, b, h, r.profile)
				b.checkForeign(t)
			})
		}
	}
}

func headerError(t *testing.T, h home) error {
	_, err := h.header(t, h.profile)
	return err
}

func promptError(t *testing.T, h home) error {
	if o, err := h.prompt(t); err != nil || o.exit != 0 {
		return fmt.Errorf("the client: %v, exit code %d, stderr\n%s", err, o.exit, o.stderr)
	}
	return nil
}
