package pgstore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/pgstore"
	"github.com/agentassert/agentassert/internal/postgres/postgrestest"
)

var (
	_ host.Store  = (*pgstore.Store)(nil)
	_ host.Prober = (*pgstore.Store)(nil)
)

func newKey() pgstore.Key {
	var key pgstore.Key
	_, _ = rand.Read(key[:])
	return key
}

// What these tests have in common with those of other packages.
var (
	dsn       = postgrestest.DSN
	unique    = postgrestest.Unique
	connect   = postgrestest.Connect
	execute   = postgrestest.Execute
	newSchema = postgrestest.NewSchema
	newRole   = postgrestest.NewRole
	remove    = postgrestest.Remove
)

const (
	dsnVariable = postgrestest.Variable
	patience    = postgrestest.Patience
)

// config is of a store with a name and a table that no other test has.
func config(t *testing.T) pgstore.Config {
	t.Helper()
	c := pgstore.Config{ConnString: dsn(t), Keys: []pgstore.Key{newKey()}, Name: unique("fleet"), Table: unique("test")}
	remove(t, "DROP TABLE IF EXISTS "+pgx.Identifier{c.Table}.Sanitize())
	return c
}

// inProcess is the configuration as another process has it: its connections are its own,
// and that is what tells processes apart.
func inProcess(c pgstore.Config, process int) pgstore.Config {
	c.ConnString += fmt.Sprint("&application_name=process-", process)
	return c
}

func open(t *testing.T, c pgstore.Config) *pgstore.Store {
	t.Helper()
	s, err := pgstore.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// migrated is open, with the table made.
func migrated(t *testing.T, c pgstore.Config) *pgstore.Store {
	t.Helper()
	s := open(t, c)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// lock takes the identity's lock.
func lock(t *testing.T, s *pgstore.Store) (unlock func()) {
	t.Helper()
	return lockSlot(t, s, wire.SlotIdentity)
}

func lockSlot(t *testing.T, s *pgstore.Store, slot string) (unlock func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	unlock, err := s.Lock(ctx, slot)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
	return unlock
}

// checkLocked expects others to hold a slot's lock.
func checkLocked(t *testing.T, c pgstore.Config, slot string) {
	t.Helper()
	c.LockTimeout = 50 * time.Millisecond
	unlock, err := open(t, c).Lock(t.Context(), slot)
	if err == nil {
		unlock()
	}
	checkCode(t, err, pgstore.CodeLocked)
}

// locks returns how many rows of locks a name has.
func locks(t *testing.T, conn *pgx.Conn, c pgstore.Config) (n int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+c.Table+" WHERE name = $1", pgstore.LocksName(c.Name)).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// endLocks makes the time pass that PostgreSQL waits to hear of the holders of a name's
// locks.
func endLocks(t *testing.T, conn *pgx.Conn, c pgstore.Config) {
	t.Helper()
	if execute(t, conn, "UPDATE "+c.Table+" SET saved_at = clock_timestamp() WHERE name = $1", pgstore.LocksName(c.Name)) == 0 {
		t.Fatal("there is no lock")
	}
}

func save(t *testing.T, s *pgstore.Store, slot, record string) {
	t.Helper()
	if err := s.Save(t.Context(), slot, []byte(record)); err != nil {
		t.Fatal(err)
	}
}

func checkLoad(t *testing.T, s *pgstore.Store, slot, want string) {
	t.Helper()
	got, err := s.Load(t.Context(), slot)
	if err != nil {
		t.Fatal(err)
	}
	if got == nil || !bytes.Equal(got, []byte(want)) {
		t.Fatalf("slot %.40q: got %.40q (nil: %t), want %.40q", slot, got, got == nil, want)
	}
}

func checkEmpty(t *testing.T, s *pgstore.Store, slot string) {
	t.Helper()
	if got, err := s.Load(t.Context(), slot); got != nil || err != nil {
		t.Fatalf("slot %.40q: got %.40q, %v, want nothing", slot, got, err)
	}
}

func checkCode(t *testing.T, err error, want string) {
	t.Helper()
	if got := core.Code(err); got != want {
		t.Fatalf("got code %q (%v), want %q", got, err, want)
	}
}

// checkHidden looks for secrets in what formatting shows of a value.
func checkHidden(t *testing.T, value any, secrets ...string) {
	t.Helper()
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		text := fmt.Sprintf(format, value)
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s of a %T shows %q: %s", format, value, secret, text)
			}
		}
	}
}

// tracer calls a function before each statement.
type tracer struct {
	before atomic.Pointer[func(sql string)]
}

func (r *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if before := r.before.Load(); before != nil {
		(*before)(data.SQL)
	}
	return ctx
}

func (r *tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// pool returns a pool of at most connections, and what traces it.
func pool(t *testing.T, dsn string, connections int32) (*pgxpool.Pool, *tracer) {
	t.Helper()
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	traced := new(tracer)
	c.ConnConfig.Tracer = traced
	c.MaxConns = connections
	p, err := pgxpool.NewWithConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, traced
}
