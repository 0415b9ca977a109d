//go:build unix

package pgreplays_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/agentassert/agentassert/authority/pgreplays"
	"github.com/agentassert/agentassert/internal/postgres/postgrestest"
)

// sessions is how many sessions the pooler has in the server: fewer than the tests have
// connections.
const sessions = 3

func pooler(t *testing.T, dsn string) string {
	t.Helper()
	return postgrestest.Pooler(t, dsn, postgrestest.ModeTransaction, sessions, 200)
}

// TestBehindAPooler: of many uses at once, at several servers, one is the first, though
// each statement is in whichever session is free.
func TestBehindAPooler(t *testing.T) {
	c := config(t)
	c.ConnString = pooler(t, c.ConnString)
	c.Timeout = postgrestest.Patience
	servers := []*pgreplays.Replays{migrated(t, c)}
	for i := range 2 {
		server := c
		server.ConnString += fmt.Sprint("&application_name=server-", i) // which has connections of its own
		servers = append(servers, open(t, server))
	}
	var first atomic.Int64
	var wait sync.WaitGroup
	const assertions, uses = 100, 3
	for i := range assertions * uses {
		wait.Go(func() {
			if replayed, err := servers[i%len(servers)].Replayed(t.Context(), use("a", i/uses, 0)); err != nil {
				t.Error(err)
			} else if !replayed {
				first.Add(1)
			}
		})
	}
	wait.Wait()
	if first.Load() != assertions {
		t.Errorf("%d of %d assertions were let through", first.Load(), assertions)
	}
}

// TestPreparedBehindAPooler asks for what does not work behind every pooler.
func TestPreparedBehindAPooler(t *testing.T) {
	c := config(t)
	migrated(t, c)
	c.ConnString = pooler(t, c.ConnString) + "&default_query_exec_mode=cache_statement"
	for i := range 2 * sessions {
		r := open(t, c)
		for n := range 2 * sessions {
			// Newer poolers know what is prepared where.
			if _, err := r.Replayed(t.Context(), use("a", 100*i+n, 0)); err != nil {
				checkCode(t, err, pgreplays.CodePooler)
				return
			}
		}
	}
}
