// Package postgrestest is what the tests of packages that keep something in PostgreSQL
// have in common. They are skipped where there is no server.
package postgrestest

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Variable says where the server for tests is. "make test" starts one.
const Variable = "AGENTASSERT_TEST_POSTGRES"

// Patience bounds each wait for something that is sure to happen.
const Patience = 30 * time.Second

// DSN returns how to connect to the server for tests.
func DSN(t testing.TB) string {
	t.Helper()
	dsn := os.Getenv(Variable)
	if dsn == "" {
		t.Skipf("no PostgreSQL server: run make test, or set %s to the connection string of one for tests", Variable)
	}
	return dsn
}

// Unique returns a name that no other test has.
func Unique(prefix string) string { return prefix + "_" + strings.ToLower(rand.Text()[:12]) }

// Connect returns a connection past what is tested, as a superuser.
func Connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Execute carries out a statement, and returns how many rows it is about.
func Execute(t testing.TB, conn *pgx.Conn, sql string, arguments ...any) int64 {
	t.Helper()
	tag, err := conn.Exec(t.Context(), sql, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return tag.RowsAffected()
}

// NewSchema makes a schema, and removes it with all there is in it when the test ends.
func NewSchema(t testing.TB, conn *pgx.Conn, name string) string {
	t.Helper()
	Execute(t, conn, "CREATE SCHEMA "+pgx.Identifier{name}.Sanitize())
	Remove(t, "DROP SCHEMA "+pgx.Identifier{name}.Sanitize()+" CASCADE")
	return name
}

// NewRole makes a role that may connect, and no more than everybody, and returns how.
func NewRole(t testing.TB, conn *pgx.Conn) (name, dsn string) {
	t.Helper()
	name = Unique("role")
	address, err := url.Parse(os.Getenv(Variable))
	if err != nil || address.Host == "" {
		t.Skipf("%s is not a URL, so nobody else can be named in it", Variable)
	}
	address.User = url.UserPassword(name, "secret")
	Execute(t, conn, "CREATE ROLE "+name+" LOGIN PASSWORD 'secret'")
	Remove(t, "DROP OWNED BY "+name, "DROP ROLE "+name)
	return name, address.String()
}

// Remove carries out statements when the test ends.
func Remove(t testing.TB, statements ...string) {
	t.Helper()
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), os.Getenv(Variable))
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
