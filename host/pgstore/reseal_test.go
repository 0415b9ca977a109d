package pgstore_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/pgstore"
)

// withKeys is a store with other keys.
func withKeys(t *testing.T, c pgstore.Config, keys ...pgstore.Key) *pgstore.Store {
	t.Helper()
	c.Keys = keys
	return open(t, c)
}

// TestKeyChange does what doc.go says on changing the key.
func TestKeyChange(t *testing.T) {
	c := config(t)
	before, after := c.Keys[0], newKey()
	old := migrated(t, c)
	const records = 5
	for i := range records {
		save(t, old, fmt.Sprint("thread/", i), "record")
	}
	other := c
	other.Name += "x"
	save(t, open(t, other), wire.SlotIdentity, "of another name")

	both := withKeys(t, c, before, after)
	save(t, both, "thread/0", "record")
	checkLoad(t, old, "thread/0", "record")

	changed := withKeys(t, c, after, before)
	save(t, changed, "thread/1", "record")
	for i := range records {
		checkLoad(t, both, fmt.Sprint("thread/", i), "record")
		checkLoad(t, changed, fmt.Sprint("thread/", i), "record")
	}
	for _, want := range []int{records - 1, 0} {
		if got, err := changed.Reseal(t.Context()); err != nil || got != want {
			t.Errorf("resealed %d, %v, want %d", got, err, want)
		}
	}

	alone := withKeys(t, c, after)
	for i := range records {
		checkLoad(t, alone, fmt.Sprint("thread/", i), "record")
		_, err := old.Load(t.Context(), fmt.Sprint("thread/", i))
		checkCode(t, err, pgstore.CodeWrongKey)
	}
	checkLoad(t, open(t, other), wire.SlotIdentity, "of another name")
}

// TestResealAll changes the key of many names, from several machines at once, each of which
// is interrupted. Locks are held meanwhile, and some records cannot be opened.
func TestResealAll(t *testing.T) {
	const names, records = 5, 8
	c := config(t)
	name := func(i int) pgstore.Config {
		of := c
		of.Name = fmt.Sprint("account-", i)
		return of
	}
	after := newKey()
	keys := []pgstore.Key{after, c.Keys[0]}
	migrated(t, c)
	for i := range names {
		s := open(t, name(i))
		lock(t, s)
		for n := range records {
			save(t, s, fmt.Sprint("thread/", n), fmt.Sprint("record of ", i))
		}
	}
	foreign := name(names)
	foreign.Keys = []pgstore.Key{newKey()}
	save(t, open(t, foreign), wire.SlotIdentity, "record")
	setSealed(t, name(1), "thread/1", []byte("garbage"))

	var resealed atomic.Int64
	var wait sync.WaitGroup
	for range 3 {
		of := c
		of.Keys = keys
		var traced *tracer
		of.Pool, traced = pool(t, c.ConnString, 2)
		of.ConnString = ""
		s := open(t, of)
		wait.Go(func() {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			var statements int
			traced.before.Store(new(func(sql string) {
				if strings.HasPrefix(sql, "SELECT") { // the next row
					if statements++; statements == records {
						interrupt()
					}
				}
			}))
			n, err := s.ResealAll(ctx)
			resealed.Add(int64(n))
			if core.Code(err) != pgstore.CodeCanceled {
				t.Errorf("got %v, though it was interrupted", err)
			}
			traced.before.Store(nil)
			n, err = s.ResealAll(t.Context())
			resealed.Add(int64(n))
			if core.Code(err) != pgstore.CodeWrongKey || !strings.Contains(err.Error(), `2 records were passed over, the first one under the name "account-1"`) {
				t.Errorf("got %v", err)
			}
		})
	}
	wait.Wait()
	// An update that was given up may have been made all the same.
	if n := resealed.Load(); n > names*records-1 || n < names*records-1-3 {
		t.Errorf("%d were resealed, want %d", n, names*records-1)
	}
	for i := range names {
		s := withKeys(t, name(i), after)
		for n := range records {
			if i != 1 || n != 1 {
				checkLoad(t, s, fmt.Sprint("thread/", n), fmt.Sprint("record of ", i))
			}
		}
		checkLocked(t, name(i), wire.SlotIdentity)
	}
	checkLoad(t, open(t, foreign), wire.SlotIdentity, "record")
}

// TestResealAmongChanges changes a record between its being read and its being
// sealed anew.
func TestResealAmongChanges(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*testing.T, *pgstore.Store)
		check  func(*testing.T, *pgstore.Store)
		left   int
	}{
		"saved": {
			func(t *testing.T, s *pgstore.Store) { save(t, s, "slot", "meanwhile") },
			func(t *testing.T, s *pgstore.Store) { checkLoad(t, s, "slot", "meanwhile") },
			1,
		},
		"deleted": {
			func(t *testing.T, s *pgstore.Store) {
				if err := s.Delete(t.Context(), "slot"); err != nil {
					t.Fatal(err)
				}
			},
			func(t *testing.T, s *pgstore.Store) { checkEmpty(t, s, "slot") },
			0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			old := migrated(t, c)
			save(t, old, "slot", "before")
			c.Keys = []pgstore.Key{newKey(), c.Keys[0]}
			var traced *tracer
			c.Pool, traced = pool(t, c.ConnString, 2)
			c.ConnString = ""
			s := open(t, c)
			traced.before.Store(new(func(sql string) {
				if strings.HasPrefix(sql, "UPDATE") {
					test.change(t, old)
				}
			}))
			if got, err := s.Reseal(t.Context()); got != 0 || err != nil {
				t.Errorf("resealed %d, %v, want none", got, err)
			}
			traced.before.Store(nil)
			test.check(t, s)
			if got, err := s.Reseal(t.Context()); got != test.left || err != nil {
				t.Errorf("resealed %d, %v, want %d", got, err, test.left)
			}
			test.check(t, s)
		})
	}
}
