package pgstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/pgstore"
)

// checkNoRight expects PostgreSQL to say that the role may not.
func checkNoRight(t *testing.T, conn *pgx.Conn, sql string, arguments ...any) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql, arguments...)
	if answer, ok := errors.AsType[*pgconn.PgError](err); !ok || answer.Code != "42501" {
		t.Errorf("%s: got %v, want that the role has no right to it", sql, err)
	}
}

// TestOthersDoNotReachLocks has roles that may not write the table, or not even read it,
// try all they can think of with its locks, and then hold what PostgreSQL lets them hold.
func TestOthersDoNotReachLocks(t *testing.T) {
	for name, test := range map[string]struct {
		grant string
		// holds is what the role does in a transaction that it does not end.
		holds []string
	}{
		"no right":       {"", []string{"SELECT FROM pg_class", "SELECT pg_advisory_lock(1)"}},
		"right to read":  {"GRANT SELECT ON $table TO $role", []string{"SELECT FROM $table", "LOCK TABLE $table IN ACCESS SHARE MODE"}},
		"right to refer": {"GRANT REFERENCES, TRIGGER ON $table TO $role", []string{"SELECT FROM pg_class"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			s := migrated(t, c)
			unlock := lock(t, s)
			conn := connect(t, c.ConnString)
			role, asRole := newRole(t, conn)
			names := strings.NewReplacer("$table", c.Table, "$role", role)
			execute(t, conn, names.Replace(test.grant))
			their := connect(t, asRole)

			locks, slot := pgstore.LocksName(c.Name), []byte("thread/1")
			checkNoRight(t, their, "INSERT INTO "+c.Table+" (name, slot, sealed, saved_at) VALUES ($1, $2, 'token', 'infinity')", locks, slot)
			checkNoRight(t, their, "UPDATE "+c.Table+" SET saved_at = 'infinity' WHERE name = $1", locks)
			checkNoRight(t, their, "UPDATE "+c.Table+" SET saved_at = '-infinity', sealed = 'token' WHERE name = $1", locks)
			checkNoRight(t, their, "DELETE FROM "+c.Table+" WHERE name = $1", locks)
			for _, sql := range []string{"TRUNCATE $table", "DROP TABLE $table", "ALTER TABLE $table ADD other text", "ALTER TABLE $table RENAME TO other"} {
				checkNoRight(t, their, names.Replace(sql))
			}
			for _, strength := range []string{"KEY SHARE", "SHARE", "NO KEY UPDATE", "UPDATE"} {
				checkNoRight(t, their, "SELECT FROM "+c.Table+" FOR "+strength)
			}
			for _, mode := range []string{"ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"} {
				checkNoRight(t, their, "DO 'BEGIN LOCK TABLE "+c.Table+" IN "+mode+" MODE; END'")
			}
			other := c
			other.ConnString = asRole
			_, err := open(t, other).Lock(t.Context(), "thread/1")
			checkCode(t, err, pgstore.CodeWriteFailed)
			checkLocked(t, c, wire.SlotIdentity)

			tx, err := their.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.Serializable})
			if err != nil {
				t.Fatal(err)
			}
			for _, sql := range test.holds {
				if _, err := tx.Exec(t.Context(), names.Replace(sql)); err != nil {
					t.Fatal(err)
				}
			}
			save(t, s, wire.SlotIdentity, "under the lock")
			unlock()
			unlock = lock(t, s)
			if err := s.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
			unlock()
			if err := tx.Rollback(t.Context()); err != nil {
				t.Error(err)
			}
			checkLoad(t, s, wire.SlotIdentity, "under the lock")
		})
	}
}

// TestNoLockIsForEverybody: nothing here takes an advisory lock. Whoever may connect may
// take those, and keep them.
func TestNoLockIsForEverybody(t *testing.T) {
	c := config(t)
	watch := connect(t, c.ConnString)
	application := unique("application")
	var traced *tracer
	c.Pool, traced = pool(t, c.ConnString+"&application_name="+application, 2)
	c.ConnString = ""
	statements := 0
	traced.before.Store(new(func(sql string) {
		statements++
		var taken bool
		row := watch.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND application_name = $1)", application)
		if err := row.Scan(&taken); err != nil {
			t.Error(err)
		}
		if taken || strings.Contains(sql, "advisory") {
			t.Errorf("before %q, or in it, an advisory lock is taken", sql)
		}
	}))
	s := migrated(t, c)
	unlock := lock(t, s)
	if err := s.Probe(t.Context(), wire.SlotIdentity); err != nil {
		t.Error(err)
	}
	save(t, s, wire.SlotIdentity, "old")
	if err := s.Swap(t.Context(), wire.SlotIdentity, []byte("old"), []byte("new")); err != nil {
		t.Error(err)
	}
	if _, err := withKeys(t, c, newKey(), c.Keys[0]).Reseal(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Delete(t.Context(), wire.SlotIdentity); err != nil {
		t.Error(err)
	}
	unlock()
	traced.before.Store(nil)
	if statements < 10 {
		t.Errorf("only %d statements were looked at", statements)
	}
}
