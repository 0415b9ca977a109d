package pgstore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
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
)

var (
	_ host.Store  = (*pgstore.Store)(nil)
	_ host.Prober = (*pgstore.Store)(nil)
)

// dsnVariable says where the server for tests is. "make test" starts one.
const dsnVariable = "AGENTASSERT_TEST_POSTGRES"

// patience bounds each wait for something that is sure to happen.
const patience = 30 * time.Second

// dsn returns how to connect to the server for tests.
func dsn(t *testing.T) string {
	t.Helper()
	dsn := os.Getenv(dsnVariable)
	if dsn == "" {
		t.Skipf("no PostgreSQL server: run make test, or set %s to the connection string of one for tests", dsnVariable)
	}
	return dsn
}

func newKey() pgstore.Key {
	var key pgstore.Key
	_, _ = rand.Read(key[:])
	return key
}

// unique returns a name that no other test has.
func unique(prefix string) string { return prefix + "_" + strings.ToLower(rand.Text()[:12]) }

// connect returns a connection past the store, as a superuser.
func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func execute(t *testing.T, conn *pgx.Conn, sql string, arguments ...any) int64 {
	t.Helper()
	tag, err := conn.Exec(t.Context(), sql, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return tag.RowsAffected()
}

// newSchema makes a schema, and removes it with all there is in it when the test ends.
func newSchema(t *testing.T, conn *pgx.Conn, name string) string {
	t.Helper()
	execute(t, conn, "CREATE SCHEMA "+pgx.Identifier{name}.Sanitize())
	remove(t, "DROP SCHEMA "+pgx.Identifier{name}.Sanitize()+" CASCADE")
	return name
}

// newRole makes a role that may connect, and no more than everybody, and returns how.
func newRole(t *testing.T, conn *pgx.Conn) (name, dsn string) {
	t.Helper()
	name = unique("role")
	address, err := url.Parse(os.Getenv(dsnVariable))
	if err != nil || address.Host == "" {
		t.Skipf("%s is not a URL, so nobody else can be named in it", dsnVariable)
	}
	address.User = url.UserPassword(name, "secret")
	execute(t, conn, "CREATE ROLE "+name+" LOGIN PASSWORD 'secret'")
	remove(t, "DROP OWNED BY "+name, "DROP ROLE "+name)
	return name, address.String()
}

// remove carries out statements when the test ends.
func remove(t *testing.T, statements ...string) {
	t.Helper()
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), os.Getenv(dsnVariable))
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(context.Background())
		for _, sql := range statements {
			if _, err := conn.Exec(context.Background(), sql); err != nil {
				t.Error(err)
			}
		}
	})
}

// config is of a store with a name and a table that no other test has.
func config(t *testing.T) pgstore.Config {
	t.Helper()
	c := pgstore.Config{ConnString: dsn(t), Keys: []pgstore.Key{newKey()}, Name: unique("fleet"), Table: unique("test")}
	remove(t, "DROP TABLE IF EXISTS "+pgx.Identifier{c.Table}.Sanitize())
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
