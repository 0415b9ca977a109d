//go:build unix

package doctor_test

import (
	"context"
	"testing"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/doctor"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/pgstore"
	"github.com/agentassert/agentassert/internal/postgres/postgrestest"
)

// TestPostgres is about a server, and about PgBouncer before it in each of its modes.
func TestPostgres(t *testing.T) {
	direct, table := postgrestest.DSN(t), postgrestest.Unique("doctor")
	postgrestest.Remove(t, "DROP TABLE IF EXISTS "+table)
	config := pgstore.Config{ConnString: direct, Keys: []pgstore.Key{{1}}, Name: "doctor", Table: table}
	subject := func(t *testing.T, dsn string) doctor.Subject {
		s := subjectOf(t, newFile(t, document))
		s.Manager.BaseURL = "nothing is to be sent there"
		s.Send = true
		c := config
		c.ConnString = dsn
		s.Store = &doctor.Store{Postgres: func() string { return dsn }, Open: func(ctx context.Context) (host.Store, func(), error) {
			store, err := pgstore.Open(ctx, c)
			if err != nil {
				return nil, nil, err
			}
			return store, store.Close, nil
		}}
		return s
	}
	note, problem, ok := doctor.Note, doctor.Problem, doctor.OK
	want{"store", problem, []string{"no table", "store migrate"}}.in(t, examine(t, subject(t, direct)))
	store, err := pgstore.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	want{"store", ok, []string{"can be reached"}}.amongProblems(t, examine(t, subject(t, direct)))
	for mode, w := range map[string]want{
		postgrestest.ModeTransaction: {"store", note, []string{"pool_mode = transaction", "rows with an end"}},
		postgrestest.ModeSession:     {"store", note, []string{"a pooler", "works"}},
		postgrestest.ModeStatement:   {"store", problem, []string{"pool_mode = statement"}},
	} {
		t.Run(mode, func(t *testing.T) {
			report := examine(t, subject(t, postgrestest.Pooler(t, direct, mode, 5, 50)))
			w.amongProblems(t, report)
		})
	}
	config.Keys = []pgstore.Key{{2}}
	if err := store.Swap(t.Context(), "identity", nil, []byte(identity(t, ""))); err != nil {
		t.Fatal(err)
	}
	want{"store", problem, []string{"key"}}.in(t, examine(t, subject(t, direct)))
}
