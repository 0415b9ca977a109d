package pgstore_test

import (
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/pgstore"
)

func TestMigrateAtOnce(t *testing.T) {
	c := config(t)
	var wait sync.WaitGroup
	for range 8 {
		s := open(t, c)
		wait.Go(func() {
			for range 2 {
				if err := s.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	s := open(t, c)
	save(t, s, wire.SlotIdentity, "record")
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkLoad(t, s, wire.SlotIdentity, "record")
}

// TestMigrateBesideAnother makes the table while somebody else is about to, who does not
// ask this package, and then does or does not.
func TestMigrateBesideAnother(t *testing.T) {
	for _, end := range []string{"COMMIT", "ROLLBACK"} {
		t.Run(end, func(t *testing.T) {
			c := config(t)
			conn, watch := connect(t, c.ConnString), connect(t, c.ConnString)
			application := unique("application")
			waiting := c
			waiting.ConnString += "&application_name=" + application
			s := open(t, waiting)
			execute(t, conn, "BEGIN")
			execute(t, conn, "CREATE TABLE "+c.Table+" (name text)")
			done := make(chan error)
			go func() { done <- s.Migrate(t.Context()) }()
			for waits := false; !waits; {
				row := watch.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = $1)", application)
				if err := row.Scan(&waits); err != nil {
					t.Fatal(err)
				}
			}
			execute(t, conn, end)
			if err := <-done; err != nil {
				t.Errorf("%s: %v", end, err)
			}
			var exists bool
			if err := watch.QueryRow(t.Context(), "SELECT to_regclass($1) IS NOT NULL", c.Table).Scan(&exists); err != nil || !exists {
				t.Errorf("there is no table, %v", err)
			}
		})
	}
}

// TestMigrateInTheWay has something else of the table's name, which looks as if somebody
// was making the table all the time.
func TestMigrateInTheWay(t *testing.T) {
	c := config(t)
	conn := connect(t, c.ConnString)
	execute(t, conn, "CREATE TYPE "+c.Table+" AS ENUM ()")
	remove(t, "DROP TYPE "+c.Table)
	checkCode(t, open(t, c).Migrate(t.Context()), pgstore.CodeWriteFailed)
}

func TestSchemaMissing(t *testing.T) {
	c := config(t)
	check := func(s *pgstore.Store) {
		t.Helper()
		_, err := s.Load(t.Context(), wire.SlotIdentity)
		checkCode(t, err, pgstore.CodeSchemaMissing)
		checkCode(t, s.Save(t.Context(), wire.SlotIdentity, nil), pgstore.CodeSchemaMissing)
		checkCode(t, s.Delete(t.Context(), wire.SlotIdentity), pgstore.CodeSchemaMissing)
		checkCode(t, s.Swap(t.Context(), wire.SlotIdentity, nil, []byte("record")), pgstore.CodeSchemaMissing)
		checkCode(t, s.Probe(t.Context(), wire.SlotIdentity), pgstore.CodeSchemaMissing)
		_, err = s.Lock(t.Context(), wire.SlotIdentity)
		checkCode(t, err, pgstore.CodeSchemaMissing)
		_, err = s.Reseal(t.Context())
		checkCode(t, err, pgstore.CodeSchemaMissing)
	}
	s := open(t, c)
	check(s)
	// Another program's table.
	execute(t, connect(t, c.ConnString), "CREATE TABLE "+c.Table+" (name text PRIMARY KEY)")
	check(s)
	// A schema that Migrate does not make.
	c.Table = unique("schema") + ".records"
	s = open(t, c)
	check(s)
	checkCode(t, s.Migrate(t.Context()), pgstore.CodeSchemaMissing)
}

// TestRights has roles do what doc.go says of their rights, and less.
func TestRights(t *testing.T) {
	c := config(t)
	conn := connect(t, c.ConnString)
	schema := newSchema(t, conn, unique("schema"))
	role, asRole := newRole(t, conn)
	execute(t, conn, "GRANT USAGE ON SCHEMA "+schema+" TO "+role)
	c.Table = schema + ".records"
	owner := migrated(t, c)
	save(t, owner, wire.SlotIdentity, "record")
	c.ConnString = asRole
	s := open(t, c)

	if err := s.Migrate(t.Context()); err != nil {
		t.Errorf("the table is there, and yet: %v", err)
	}
	_, err := s.Load(t.Context(), wire.SlotIdentity)
	checkCode(t, err, pgstore.CodeReadFailed)
	execute(t, conn, "GRANT SELECT ON "+c.Table+" TO "+role)
	checkLoad(t, s, wire.SlotIdentity, "record")
	checkCode(t, s.Save(t.Context(), wire.SlotIdentity, nil), pgstore.CodeWriteFailed)
	checkCode(t, s.Delete(t.Context(), wire.SlotIdentity), pgstore.CodeWriteFailed)
	checkCode(t, s.Probe(t.Context(), wire.SlotIdentity), pgstore.CodeWriteFailed)
	_, err = s.Lock(t.Context(), wire.SlotIdentity)
	checkCode(t, err, pgstore.CodeWriteFailed)
	checkLoad(t, owner, wire.SlotIdentity, "record")

	execute(t, conn, "GRANT INSERT, UPDATE, DELETE ON "+c.Table+" TO "+role)
	unlock := lock(t, s)
	save(t, s, wire.SlotIdentity, "changed")
	unlock()
	if err := s.Delete(t.Context(), wire.SlotIdentity); err != nil {
		t.Fatal(err)
	}

	other := c
	other.Table = schema + ".others"
	checkCode(t, open(t, other).Migrate(t.Context()), pgstore.CodeWriteFailed)

	execute(t, conn, "ALTER ROLE "+role+" CONNECTION LIMIT 0")
	limited := inProcess(c, 1)
	limited.Timeout = 100 * time.Millisecond // for the wait until there is a connection
	_, err = pgstore.Open(t.Context(), limited)
	checkCode(t, err, pgstore.CodeUnreachable)
	execute(t, conn, "ALTER ROLE "+role+" CONNECTION LIMIT -1")

	// As on a standby.
	execute(t, conn, "ALTER ROLE "+role+" SET default_transaction_read_only = on")
	readOnly := open(t, inProcess(c, 2))
	checkEmpty(t, readOnly, wire.SlotIdentity)
	checkCode(t, readOnly.Save(t.Context(), wire.SlotIdentity, nil), core.CodeStoreReadOnly)
	checkCode(t, readOnly.Probe(t.Context(), wire.SlotIdentity), core.CodeStoreReadOnly)
	_, err = readOnly.Lock(t.Context(), wire.SlotIdentity)
	checkCode(t, err, core.CodeStoreReadOnly)
}
