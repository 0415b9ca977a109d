package pgstore_test

import (
	"fmt"
	"strings"
	"testing"

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
