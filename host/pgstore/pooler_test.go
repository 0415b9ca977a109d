//go:build unix

package pgstore_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/pgstore"
	"github.com/agentassert/agentassert/internal/postgres/postgrestest"
)

// sessions is how many sessions the pooler has in the server: fewer than the tests have
// stores.
const sessions = 3

func pooler(t *testing.T, dsn string) string {
	t.Helper()
	return postgrestest.Pooler(t, dsn, postgrestest.ModeTransaction, sessions, 200)
}

// TestFleetBehindAPooler: of many processes one registers, and the others find what it
// has stored, though all of them wait: for few sessions, or for the pooler to take more
// connections.
func TestFleetBehindAPooler(t *testing.T) {
	const processes = 4 * sessions
	for name, test := range map[string]struct {
		mode              string
		sessions, clients int
	}{
		"transactions":            {postgrestest.ModeTransaction, sessions, 200},
		"sessions":                {postgrestest.ModeSession, 4 * processes, 200},
		"few connections for all": {postgrestest.ModeTransaction, sessions, processes - 2},
	} {
		t.Run(name, func(t *testing.T) {
			direct := config(t)
			migrated(t, direct)
			c := direct
			c.ConnString = postgrestest.Pooler(t, direct.ConnString, test.mode, test.sessions, test.clients)
			var holders, registrations atomic.Int32
			var wait sync.WaitGroup
			for process := range processes {
				wait.Go(func() {
					s, err := pgstore.Open(t.Context(), inProcess(c, process))
					if err != nil {
						t.Error(err)
						return
					}
					defer s.Close()
					unlock, err := s.Lock(t.Context(), wire.SlotIdentity)
					if err != nil {
						t.Error(err)
						return
					}
					defer unlock()
					if holders.Add(1) != 1 {
						t.Error("two hold the lock")
					}
					defer holders.Add(-1)
					record, err := s.Load(t.Context(), wire.SlotIdentity)
					if err != nil {
						t.Error(err)
					}
					if record != nil {
						return
					}
					registrations.Add(1)
					if err := s.Probe(t.Context(), wire.SlotIdentity); err != nil {
						t.Error(err)
					}
					if err := s.Swap(t.Context(), wire.SlotIdentity, nil, []byte("record")); err != nil {
						t.Error(err)
					}
				})
			}
			wait.Wait()
			if n := registrations.Load(); n != 1 {
				t.Errorf("%d have registered an identity", n)
			}
			if n := locks(t, connect(t, direct.ConnString), direct); n != 0 {
				t.Errorf("%d locks are left", n)
			}
		})
	}
}

// TestStatementPooler opens a store behind a pooler that cannot be worked with, and is
// told what to do.
func TestStatementPooler(t *testing.T) {
	c := config(t)
	c.ConnString = postgrestest.Pooler(t, c.ConnString, postgrestest.ModeStatement, sessions, 200)
	_, err := pgstore.Open(t.Context(), c)
	checkCode(t, err, pgstore.CodePooler)
	if !strings.Contains(err.Error(), "set pool_mode = transaction") {
		t.Errorf("%v does not say what to do", err)
	}
}

// TestLocksBehindAPooler holds more locks than the pooler has sessions, and has others
// wait for them no longer than they want to.
func TestLocksBehindAPooler(t *testing.T) {
	c := config(t)
	c.ConnString = pooler(t, c.ConnString)
	s := migrated(t, c)
	slots := []string{wire.SlotIdentity}
	for i := range 4 * sessions {
		slots = append(slots, fmt.Sprint("thread/", i))
	}
	var unlocks []func()
	for _, slot := range slots {
		unlocks = append(unlocks, lockSlot(t, s, slot))
	}
	for _, slot := range slots[:2] {
		checkLocked(t, c, slot)
	}
	for _, slot := range slots {
		save(t, s, slot, slot)
		checkLoad(t, s, slot, slot)
	}
	for _, unlock := range unlocks {
		unlock()
	}
	other := open(t, c)
	for _, slot := range slots {
		lockSlot(t, other, slot)
		checkLoad(t, other, slot, slot)
	}
}

// TestLockEndsWithItsProcessBehindAPooler kills the holder of a lock.
func TestLockEndsWithItsProcessBehindAPooler(t *testing.T) {
	c := config(t)
	c.ConnString = pooler(t, c.ConnString)
	s := migrated(t, c)
	killHolder(t, c)
	lock(t, s)
}

// TestPreparedBehindAPooler asks for what does not work behind every pooler.
func TestPreparedBehindAPooler(t *testing.T) {
	c := config(t)
	migrated(t, c)
	c.ConnString = pooler(t, c.ConnString)
	checkEmpty(t, open(t, c), wire.SlotIdentity)
	c.ConnString += "&default_query_exec_mode=cache_statement"
	for range 2 * sessions {
		s := open(t, c)
		for range 2 * sessions {
			// Newer poolers know what is prepared where.
			if _, err := s.Load(t.Context(), wire.SlotIdentity); err != nil {
				checkCode(t, err, pgstore.CodePooler)
				return
			}
		}
	}
}

// TestPoolOfOthersBehindAPooler has a pool that is as pgx makes it. Its statements are not
// prepared all the same.
func TestPoolOfOthersBehindAPooler(t *testing.T) {
	c := config(t)
	migrated(t, c)
	address := pooler(t, c.ConnString)
	c.ConnString = ""
	var wait sync.WaitGroup
	for range 2 * sessions {
		c.Pool, _ = pool(t, address, 2)
		s := open(t, c)
		for range 2 * sessions {
			wait.Go(func() {
				unlock, err := s.Lock(t.Context(), "thread/1")
				if err != nil {
					t.Error(err)
					return
				}
				defer unlock()
				_, loadErr := s.Load(t.Context(), "thread/1")
				if err := errors.Join(loadErr, s.Probe(t.Context(), "thread/1"), s.Save(t.Context(), "thread/1", []byte("record"))); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wait.Wait()
}

// TestUnknownToThePooler has the pooler refuse connections, each for another reason.
func TestUnknownToThePooler(t *testing.T) {
	c := config(t)
	c.ConnString = pooler(t, c.ConnString)
	for name, change := range map[string]func(*url.URL){
		"a user":     func(u *url.URL) { u.User = url.UserPassword("nobody", "hunter2") },
		"a password": func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "hunter2") },
		"a database": func(u *url.URL) { u.Path = "/" + unique("missing") },
		"a setting":  func(u *url.URL) { u.RawQuery += "&jit=off" },
	} {
		t.Run(name, func(t *testing.T) {
			address, err := url.Parse(c.ConnString)
			if err != nil {
				t.Fatal(err)
			}
			change(address)
			refused := c
			refused.ConnString = address.String()
			s, err := pgstore.Open(t.Context(), refused)
			if err == nil {
				s.Close()
			}
			if got := core.Code(err); got != pgstore.CodeUnreachable {
				t.Errorf("got %q, %v", got, err)
			}
			checkHidden(t, err, "hunter2")
		})
	}
}
