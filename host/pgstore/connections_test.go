package pgstore_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/pgstore"
	"github.com/agentassert/agentassert/internal/postgres/postgrestest"
)

// TestStoresShareConnections opens more stores than a process has connections.
func TestStoresShareConnections(t *testing.T) {
	const stores = 30
	for name, test := range map[string]struct {
		setting string
		most    int
	}{
		"by default": {"", 4},
		"as said":    {"&pool_max_conns=2", 2},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			migrated(t, c)
			watch := connect(t, c.ConnString)
			application := unique("application")
			c.ConnString += test.setting + "&application_name=" + application
			connections := func() (n int) {
				t.Helper()
				if err := watch.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", application).Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			var opened []*pgstore.Store
			var wait sync.WaitGroup
			for i := range stores {
				c := c
				c.Name = fmt.Sprint("account-", i)
				s := open(t, c)
				opened = append(opened, s)
				wait.Go(func() {
					for range 5 {
						if err := s.Save(t.Context(), wire.SlotIdentity, []byte("record")); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wait.Wait()
			if n := connections(); n == 0 || n > test.most {
				t.Errorf("there are %d connections, want %d at the most", n, test.most)
			}
			for _, s := range opened[1:] {
				s.Close()
				s.Close() // which does nothing
			}
			checkLoad(t, opened[0], wire.SlotIdentity, "record")
			opened[0].Close()
			for connections() > 0 {
			}
		})
	}
}

// TestQueueLongerThanTheTimeout has so many wait for one connection that the last of them
// waits longer than an access may take.
func TestQueueLongerThanTheTimeout(t *testing.T) {
	const callers = 40
	c := config(t)
	migrated(t, c)
	conn := connect(t, c.ConnString)
	execute(t, conn, "CREATE FUNCTION "+c.Table+"_slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END'")
	remove(t, "DROP FUNCTION "+c.Table+"_slow CASCADE")
	execute(t, conn, "CREATE TRIGGER slow BEFORE INSERT ON "+c.Table+" FOR EACH ROW EXECUTE FUNCTION "+c.Table+"_slow()")
	c.ConnString += "&pool_max_conns=1"
	c.Timeout = 2 * time.Second
	s := open(t, c)
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			if err := s.Save(t.Context(), fmt.Sprint("thread/", i), []byte("record")); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
}

// TestQueueEnds: where the server answers nobody, those who wait for a connection do not
// wait for it one after the other; and who stops waiting does.
func TestQueueEnds(t *testing.T) {
	c := config(t)
	migrated(t, c)
	network, address := postgrestest.NewNetwork(t, c.ConnString)
	c.ConnString = address + "&pool_max_conns=1"
	c.Timeout = time.Second
	s := open(t, c)
	t.Cleanup(network.Close) // before the store, which waits for its connections' end
	network.Freeze()
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for range 100 {
		wait.Go(func() {
			if _, err := s.Load(t.Context(), wire.SlotIdentity); core.Code(err) != pgstore.CodeUnreachable {
				t.Errorf("got %v", err)
			}
		})
		wait.Go(func() {
			if _, err := s.Load(ctx, wire.SlotIdentity); core.Code(err) != pgstore.CodeCanceled {
				t.Errorf("got %v", err)
			}
		})
	}
	cancel()
	ended := make(chan struct{})
	go func() {
		wait.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("they wait one after the other")
	}
}

// of is the key of a context's value that says whose context it is.
type of struct{}

// contexts notes whose statements it sees.
type contexts struct {
	mu   sync.Mutex
	seen []any
}

func (c *contexts) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, ctx.Value(of{}))
	return ctx
}

func (c *contexts) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TestContextsReachTheTracer: a caller's tracer sees the values of the contexts that the
// caller has given, also where a lock is given back.
func TestContextsReachTheTracer(t *testing.T) {
	c := config(t)
	settings, err := pgxpool.ParseConfig(c.ConnString)
	if err != nil {
		t.Fatal(err)
	}
	traced := new(contexts)
	settings.ConnConfig.Tracer = traced
	if c.Pool, err = pgxpool.NewWithConfig(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Pool.Close)
	c.ConnString = ""
	s := migrated(t, c)
	for name, do := range map[string]func(context.Context) error{
		"Open": func(ctx context.Context) error {
			other, err := pgstore.Open(ctx, c)
			if err == nil {
				other.Close()
			}
			return err
		},
		"Migrate": s.Migrate,
		"Load":    func(ctx context.Context) error { _, err := s.Load(ctx, "slot"); return err },
		"Save":    func(ctx context.Context) error { return s.Save(ctx, "slot", []byte("record")) },
		"Swap":    func(ctx context.Context) error { return s.Swap(ctx, "other", nil, nil) },
		"Delete":  func(ctx context.Context) error { return s.Delete(ctx, "slot") },
		"Probe":   func(ctx context.Context) error { return s.Probe(ctx, "slot") },
		"Reseal":  func(ctx context.Context) error { _, err := s.Reseal(ctx); return err },
		"Lock": func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			unlock, err := s.Lock(ctx, "slot")
			cancel()
			if err == nil {
				unlock()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			traced.seen = nil
			if err := do(context.WithValue(t.Context(), of{}, name)); err != nil {
				t.Fatal(err)
			}
			if len(traced.seen) == 0 || slices.ContainsFunc(traced.seen, func(v any) bool { return v != name }) {
				t.Errorf("the statements' contexts are of %v", traced.seen)
			}
		})
	}
}
