package pgstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/pgstore"
)

const maxRecord = 512 << 10

func TestRoundTrip(t *testing.T) {
	s := migrated(t, config(t))
	for _, record := range []string{`{"agent_runtime_id":"agent-1"}`, "", "\x00\xff", strings.Repeat("r", maxRecord)} {
		checkEmpty(t, s, wire.SlotIdentity)
		save(t, s, wire.SlotIdentity, "before")
		save(t, s, wire.SlotIdentity, record)
		checkLoad(t, s, wire.SlotIdentity, record)
		for range 2 { // an empty slot can be emptied
			if err := s.Delete(t.Context(), wire.SlotIdentity); err != nil {
				t.Fatal(err)
			}
		}
	}
	checkCode(t, s.Save(t.Context(), wire.SlotIdentity, make([]byte, maxRecord+1)), pgstore.CodeTooLarge)
	checkEmpty(t, s, wire.SlotIdentity)
}

func TestStoreHidesItsKeys(t *testing.T) {
	checkHidden(t, open(t, config(t)), "{", "0x", "fleet")
}

func TestSlotsAreOpaque(t *testing.T) {
	s := migrated(t, config(t))
	slots := []string{
		wire.SlotIdentity, wire.SlotBackoff, "", "Identity", "thread/", "thread/a", "thread/A", "thread/a\x00", "thread/a ",
		"thread/a\nb 'c' \"d\" \\x00", "thread/ü", "thread/u\u0308", "thread/" + strings.Repeat("ü", 2048),
		"thread/" + strings.Repeat("ü", 2047) + "u",
	}
	for _, slot := range slots {
		save(t, s, slot, "record of "+slot)
	}
	for _, slot := range slots {
		checkLoad(t, s, slot, "record of "+slot)
	}
}

func TestNamesAndTablesAreApart(t *testing.T) {
	c := config(t)
	conn := connect(t, c.ConnString)
	schema := newSchema(t, conn, unique(`odd " schema`))
	stores := []*pgstore.Store{migrated(t, c)}
	for _, name := range []string{strings.ToUpper(c.Name), c.Name + "ü", c.Name + "x", strings.Repeat("ü", 100)} {
		other := c
		other.Name = name
		stores = append(stores, open(t, other))
	}
	odd := c
	odd.Table = schema + `.Odd "@name" %s '$1' -- /* table`
	stores = append(stores, migrated(t, odd))
	for i, s := range stores {
		save(t, s, wire.SlotIdentity, strings.Repeat("i", i))
	}
	if err := stores[1].Delete(t.Context(), wire.SlotIdentity); err != nil {
		t.Fatal(err)
	}
	for i, s := range stores {
		if i == 1 {
			checkEmpty(t, s, wire.SlotIdentity)
			continue
		}
		checkLoad(t, s, wire.SlotIdentity, strings.Repeat("i", i))
	}
}

func TestStoresShareAnIdentity(t *testing.T) {
	c := config(t)
	a, b := migrated(t, c), open(t, c)
	save(t, a, wire.SlotIdentity, "record")
	checkLoad(t, b, wire.SlotIdentity, "record")
	if err := b.Delete(t.Context(), wire.SlotIdentity); err != nil {
		t.Fatal(err)
	}
	checkEmpty(t, a, wire.SlotIdentity)
}

// TestOneConnection has two stores share a pool that has a single connection.
func TestOneConnection(t *testing.T) {
	c := config(t)
	c.Pool, _ = pool(t, c.ConnString, 1)
	c.ConnString = ""
	a := migrated(t, c)
	c.Name += "x"
	b := open(t, c)
	lock(t, a)
	lock(t, b)
	for _, s := range []*pgstore.Store{a, b} {
		save(t, s, wire.SlotIdentity, "record")
		checkLoad(t, s, wire.SlotIdentity, "record")
		s.Close() // which leaves the pool alone
	}
	checkLoad(t, a, wire.SlotIdentity, "record")
}

// TestCanceledAtEveryStep ends the context before each statement in turn.
func TestCanceledAtEveryStep(t *testing.T) {
	for name, do := range map[string]func(context.Context, *pgstore.Store) error{
		"load":   func(ctx context.Context, s *pgstore.Store) error { _, err := s.Load(ctx, "slot"); return err },
		"save":   func(ctx context.Context, s *pgstore.Store) error { return s.Save(ctx, "slot", []byte("new")) },
		"delete": func(ctx context.Context, s *pgstore.Store) error { return s.Delete(ctx, "slot") },
		"reseal": func(ctx context.Context, s *pgstore.Store) error { _, err := s.Reseal(ctx); return err },
		"migrate": func(ctx context.Context, s *pgstore.Store) error {
			return s.Migrate(ctx)
		},
		"swap": func(ctx context.Context, s *pgstore.Store) error {
			return s.Swap(ctx, "slot", []byte("old"), []byte("new"))
		},
		"probe": func(ctx context.Context, s *pgstore.Store) error { return s.Probe(ctx, "slot") },
		"lock": func(ctx context.Context, s *pgstore.Store) error {
			unlock, err := s.Lock(ctx, "slot")
			if err == nil {
				t.Cleanup(unlock) // when nobody counts statements
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			completed := false
			for statements := 0; !completed; statements++ {
				c := config(t)
				old := migrated(t, c)
				save(t, old, "slot", "old")
				c.Keys = []pgstore.Key{newKey(), c.Keys[0]}
				var traced *tracer
				c.Pool, traced = pool(t, c.ConnString, 2)
				c.ConnString = ""
				s := open(t, c)
				if name == "migrate" {
					execute(t, connect(t, dsn(t)), "DROP TABLE "+c.Table)
				}

				ctx, cancel := context.WithCancel(t.Context())
				if statements == 0 {
					cancel()
				}
				n := 0
				traced.before.Store(new(func(string) {
					if n++; n == statements {
						cancel()
					}
				}))
				err := do(ctx, s)
				traced.before.Store(nil)
				completed = ctx.Err() == nil
				cancel()
				if completed && err != nil {
					t.Fatal(err)
				}
				if !completed {
					checkCode(t, err, pgstore.CodeCanceled)
					if !errors.Is(err, context.Canceled) {
						t.Errorf("the cause is missing in %v", err)
					}
				}

				if err := s.Migrate(t.Context()); err != nil {
					t.Fatal(err)
				}
				lock(t, s)()
				if record, err := s.Load(t.Context(), "slot"); err != nil || !completed && name != "migrate" && string(record) != "old" {
					t.Errorf("canceled before statement %d: got %q, %v", statements, record, err)
				}
			}
		})
	}
}

func TestRowsCanBeRead(t *testing.T) {
	c := config(t)
	s := migrated(t, c)
	save(t, s, "thread/1", "record")
	conn := connect(t, c.ConnString)
	var name, slot string
	row := conn.QueryRow(t.Context(), "SELECT name, convert_from(slot, 'UTF8') FROM "+c.Table+" WHERE saved_at > now() - interval '1 hour'")
	if err := row.Scan(&name, &slot); err != nil || name != c.Name || slot != "thread/1" {
		t.Errorf("got %q, %q, %v", name, slot, err)
	}
}
