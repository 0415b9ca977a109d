package pgreplays_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/authority/pgreplays"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/internal/postgres/postgrestest"
)

// TestDatabaseAway: without PostgreSQL nobody is let in, and it is said why.
func TestDatabaseAway(t *testing.T) {
	for name, leave := range map[string]func(*postgrestest.Network){
		"gone":   (*postgrestest.Network).Close,
		"silent": (*postgrestest.Network).Freeze,
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			direct := migrated(t, c)
			network, address := postgrestest.NewNetwork(t, c.ConnString)
			through := c
			through.ConnString, through.Timeout = address, 200*time.Millisecond
			r := open(t, through)
			t.Cleanup(network.Close) // before the pool, which waits for its connections' end
			check(t, r, use("a", 1, 0), false, "")
			leave(network)
			check(t, r, use("a", 1, 0), false, pgreplays.CodeUnreachable)
			check(t, r, use("a", 2, 0), false, pgreplays.CodeUnreachable)
			checkCode(t, r.Migrate(t.Context()), pgreplays.CodeUnreachable)

			key := newKey(t)
			w, request := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
			request.Header.Set("Authorization", sign(t, key))
			verifier(t, key, r).Wrap(http.NotFoundHandler()).ServeHTTP(w, request)
			if w.Code != http.StatusServiceUnavailable {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			_, err := verifier(t, key, r).Verify(request)
			if authority.Reason(err) != authority.CodeReplayCheckFailed || core.Code(errors.Unwrap(err)) != pgreplays.CodeUnreachable {
				t.Errorf("got %v, because of %v", err, errors.Unwrap(err))
			}
			check(t, direct, use("a", 1, 0), true, "")
		})
	}
}

func TestCanceled(t *testing.T) {
	r := migrated(t, config(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.Replayed(ctx, use("a", 1, 0))
	checkCode(t, err, pgreplays.CodeCanceled)
	check(t, r, use("a", 1, 0), false, "")
}

// TestWaitIsBounded: a row that somebody keeps locked costs the time-out.
func TestWaitIsBounded(t *testing.T) {
	c := config(t)
	migrated(t, c)
	conn := postgrestest.Connect(t, c.ConnString)
	c.Timeout = 200 * time.Millisecond
	r := open(t, c)
	check(t, r, use("a", 1, 0), false, "")
	postgrestest.Execute(t, conn, "BEGIN")
	postgrestest.Execute(t, conn, "UPDATE "+c.Table+" SET uses = uses")
	check(t, r, use("a", 2, 0), false, pgreplays.CodeUnreachable)
	postgrestest.Execute(t, conn, "ROLLBACK")
	check(t, r, use("a", 3, 0), false, "")
}

// TestSchemaMissing has no table, then another program's, then no schema.
func TestSchemaMissing(t *testing.T) {
	c := config(t)
	r := open(t, c)
	check(t, r, use("a", 1, 0), false, pgreplays.CodeSchemaMissing)
	postgrestest.Execute(t, postgrestest.Connect(t, c.ConnString), "CREATE TABLE "+c.Table+" (name text PRIMARY KEY)")
	check(t, r, use("a", 1, 0), false, pgreplays.CodeSchemaMissing)
	c.Table = postgrestest.Unique("schema") + ".replays"
	r = open(t, c)
	check(t, r, use("a", 1, 0), false, pgreplays.CodeSchemaMissing)
	checkCode(t, r.Migrate(t.Context()), pgreplays.CodeSchemaMissing)
}

func TestMigrateAtOnce(t *testing.T) {
	c := config(t)
	var wait sync.WaitGroup
	for range 8 {
		r := open(t, c)
		wait.Go(func() {
			for range 2 {
				if err := r.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	check(t, open(t, c), use("a", 1, 0), false, "")
}

// TestRights has a role do what doc.go says of its rights, and less.
func TestRights(t *testing.T) {
	c := config(t)
	conn := postgrestest.Connect(t, c.ConnString)
	schema := postgrestest.NewSchema(t, conn, postgrestest.Unique("schema"))
	role, asRole := postgrestest.NewRole(t, conn)
	postgrestest.Execute(t, conn, "GRANT USAGE ON SCHEMA "+schema+" TO "+role)
	c.Table = schema + ".replays"
	migrated(t, c)
	c.ConnString = asRole
	r := open(t, c)
	if err := r.Migrate(t.Context()); err != nil {
		t.Errorf("the table is there, and yet: %v", err)
	}
	for _, right := range []string{"SELECT", "INSERT", "UPDATE"} {
		check(t, open(t, c), use("a", 1, 0), false, pgreplays.CodeWriteFailed)
		postgrestest.Execute(t, conn, "GRANT "+right+" ON "+c.Table+" TO "+role)
	}
	check(t, open(t, c), use("a", 1, 0), false, pgreplays.CodeWriteFailed)
	postgrestest.Execute(t, conn, "GRANT DELETE ON "+c.Table+" TO "+role)
	check(t, open(t, c), use("a", 1, 0), false, "")

	other := c
	other.Table = schema + ".others"
	checkCode(t, open(t, other).Migrate(t.Context()), pgreplays.CodeWriteFailed)

	// As on a standby.
	postgrestest.Execute(t, conn, "ALTER ROLE "+role+" SET default_transaction_read_only = on")
	c.ConnString += "&application_name=another" // which has connections of its own
	check(t, open(t, c), use("a", 2, 0), false, core.CodeStoreReadOnly)
}
