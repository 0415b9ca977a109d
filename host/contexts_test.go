package host_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

type tenantKey struct{}

// tenantOf is what a context says of its tenant.
func tenantOf(ctx context.Context) string {
	tenant, _ := ctx.Value(tenantKey{}).(string)
	return tenant
}

// blocking is a store, and a source of credentials, one operation of which returns only
// when its context ends, or when it is released.
type blocking struct {
	host.MemoryStore
	credentials host.Credentials
	operation   string
	release     chan struct{}
	entered     chan struct{} // gets a value for each operation that blocks

	mu      sync.Mutex
	tenants map[string][]string
}

func newBlocking(w *world, operation string) *blocking {
	return &blocking{
		credentials: w.credentials(), operation: operation,
		release: make(chan struct{}), entered: make(chan struct{}, 100), tenants: map[string][]string{},
	}
}

func (b *blocking) do(ctx context.Context, operation string) error {
	b.mu.Lock()
	b.tenants[operation] = append(b.tenants[operation], tenantOf(ctx))
	b.mu.Unlock()
	if operation != b.operation {
		return ctx.Err()
	}
	b.entered <- struct{}{}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-b.release:
		return nil
	}
}

func (b *blocking) Credentials(ctx context.Context) (host.Credentials, error) {
	return b.credentials, b.do(ctx, "credentials")
}

func (b *blocking) Load(ctx context.Context, slot string) ([]byte, error) {
	if err := b.do(ctx, "load"); err != nil {
		return nil, err
	}
	return b.MemoryStore.Load(ctx, slot)
}

func (b *blocking) Probe(ctx context.Context, _ string) error { return b.do(ctx, "probe") }

func (b *blocking) Swap(ctx context.Context, slot string, old, new []byte) error {
	if err := b.do(ctx, "swap"); err != nil {
		return err
	}
	return b.MemoryStore.Swap(ctx, slot, old, new)
}

func (b *blocking) Lock(ctx context.Context, slot string) (func(), error) {
	if err := b.do(ctx, "lock"); err != nil {
		return nil, err
	}
	return b.MemoryStore.Lock(ctx, slot)
}

// waits are the operations that end when nobody waits for them any more.
var waits = []string{"credentials", "load", "lock", "probe"}

// What waits or reads is told when nobody waits for it any more, and only then; nothing
// is registered for nobody, and whoever comes afterwards gets an answer of its own.
func TestAbandonedFlowsEnd(t *testing.T) {
	for _, operation := range waits {
		t.Run(operation, func(t *testing.T) {
			w := newWorld()
			b := newBlocking(w, operation)
			c := w.config()
			c.Store, c.Credentials = b, b
			m := manager(t, c)
			ctx, cancel := context.WithCancel(context.Background())
			first := askInBackground(ctx, m)
			<-b.entered
			other, cancelOther := context.WithCancel(context.Background())
			second := askInBackground(other, m)
			// The second waits for the same flow, which goes on for it.
			cancel()
			checkCode(t, (<-first).err, host.CodeCanceled)
			select {
			case got := <-second:
				t.Fatalf("got %v, %v; want it to wait: somebody else has left", got.Authorization, got.err)
			default:
			}
			cancelOther()
			checkCode(t, (<-second).err, host.CodeCanceled)
			// Without the context's end, this would never return.
			closed, done := context.WithTimeout(context.Background(), time.Minute)
			defer done()
			third := askInBackground(closed, m)
			<-b.entered
			checkCount(t, "requests for nobody", w.network.count(), 0)
			close(b.release)
			got := <-third
			if got.err != nil {
				t.Fatal(got.err)
			}
			w.checkVerified(t, got.Authorization)
			checkCounts(t, w.authority, 1, 1)
		})
	}
}

// What the backend has been asked for is brought to its end, and saved, when nobody waits
// any more: the next call finds it.
func TestAbandonedRegistrationIsSaved(t *testing.T) {
	w, h := newWorld(), newHeld()
	w.network.follow(h.script)
	b := newBlocking(w, "")
	c := w.config()
	c.Store, c.Credentials = b, b
	m := manager(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	first := askInBackground(ctx, m)
	<-h.entered
	cancel()
	checkCode(t, (<-first).err, host.CodeCanceled)
	close(h.release)
	got := ask(t, m)
	checkAssertion(t, got)
	w.checkVerified(t, got)
	checkCount(t, "requests", w.network.count(), requestsPerRegistration)
	checkCounts(t, w.authority, 1, 1)
}

// The values of the first caller's context reach all that its call is for.
func TestContextValuesReachTheStore(t *testing.T) {
	w := newWorld()
	b := newBlocking(w, "")
	c := w.config()
	c.Store, c.Credentials = b, b
	m := manager(t, c)
	ctx := context.WithValue(context.Background(), tenantKey{}, "tenant-1")
	if _, err := m.Authorization(ctx, core.SurfaceModels); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Thread("thread-1").Authorization(ctx, ""); err != nil {
		t.Fatal(err)
	}
	for _, r := range w.network.requests {
		b.tenants["request"] = append(b.tenants["request"], tenantOf(r.Context()))
	}
	for _, operation := range append(slices.Clone(waits), "swap", "request") {
		got := b.tenants[operation]
		if len(got) == 0 || slices.ContainsFunc(got, func(tenant string) bool { return tenant != "tenant-1" }) {
			t.Errorf("%s: got the tenants %q, want tenant-1 each time", operation, got)
		}
	}
}

// A lock's context lives as long as the lock: in a database it can be a transaction's.
func TestLockContextLivesWithTheLock(t *testing.T) {
	w := newWorld()
	s := &transactional{t: t}
	c := w.config()
	c.Store = s
	m := manager(t, c)
	checkAssertion(t, ask(t, m))
	if _, err := m.Thread("thread-1").Authorization(context.Background(), ""); err != nil {
		t.Fatal(err)
	}
	if s.locks < 2 {
		t.Errorf("got %d locks, want 2 at least", s.locks)
	}
}

// transactional is a store whose lock is gone when its context ends.
type transactional struct {
	host.MemoryStore
	t     *testing.T
	locks int
}

func (s *transactional) Lock(ctx context.Context, slot string) (func(), error) {
	unlock, err := s.MemoryStore.Lock(ctx, slot)
	s.locks++
	return func() {
		if err := ctx.Err(); err != nil {
			s.t.Errorf("the lock's context has ended before the lock was given back: %v", err)
		}
		unlock()
	}, err
}

// A store that does not return when its context ends is said to be what Close waits
// for; Close can be called again.
func TestCloseGivesUp(t *testing.T) {
	for _, tt := range []struct {
		surface, operation, want string
	}{
		{core.SurfaceModels, wire.EffectLoad, "an authorization for calls to models, which waits for the store"},
		{core.SurfaceModels, wire.EffectLock, "an authorization for calls to models, which waits for a lock of the store"},
		{core.SurfaceBootstrap, "credentials", "an authorization for calls to bootstrap, which waits for who is signed in"},
	} {
		t.Run(tt.operation, func(t *testing.T) {
			w := newWorld()
			s := &deaf{world: w, operation: tt.operation, entered: make(chan struct{}, 10), release: make(chan struct{})}
			c := w.config()
			c.Store, c.Credentials = s, s
			m, err := host.NewManager(c)
			if err != nil {
				t.Fatal(err)
			}
			returned := make(chan error)
			go func() {
				_, err := m.Authorization(context.Background(), tt.surface)
				returned <- err
			}()
			<-s.entered
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			err = m.Close(ctx)
			checkCode(t, err, host.CodeNotClosed)
			if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
			_, err = m.Authorization(context.Background(), tt.surface)
			checkCode(t, err, host.CodeClosed)
			close(s.release)
			closeManager(t, m)
			<-returned
			if err := m.Close(ctx); err != nil {
				t.Errorf("got %v of a manager that has ended, want nothing", err)
			}
		})
	}
}

// deaf is a store and a source of credentials that does not hear of its context's end.
type deaf struct {
	host.MemoryStore
	world            *world
	operation        string
	entered, release chan struct{}
}

func (d *deaf) do(operation string) error {
	if operation != d.operation {
		return nil
	}
	d.entered <- struct{}{}
	<-d.release
	return fmt.Errorf("%s: released", operation)
}

func (d *deaf) Credentials(context.Context) (host.Credentials, error) {
	return d.world.credentials(), d.do("credentials")
}

func (d *deaf) Load(ctx context.Context, slot string) ([]byte, error) {
	if err := d.do(wire.EffectLoad); err != nil {
		return nil, err
	}
	return d.MemoryStore.Load(ctx, slot)
}

func (d *deaf) Lock(ctx context.Context, slot string) (func(), error) {
	if err := d.do(wire.EffectLock); err != nil {
		return nil, err
	}
	return d.MemoryStore.Lock(ctx, slot)
}
