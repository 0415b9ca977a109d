package pgstore_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/pgstore"
)

// sealed returns what the table has in a store's slot.
func sealed(t *testing.T, c pgstore.Config, slot string) []byte {
	t.Helper()
	var data []byte
	row := connect(t, c.ConnString).QueryRow(t.Context(), "SELECT sealed FROM "+c.Table+" WHERE name = $1 AND slot = $2", c.Name, []byte(slot))
	if err := row.Scan(&data); err != nil {
		t.Fatal(err)
	}
	return data
}

func setSealed(t *testing.T, c pgstore.Config, slot string, data []byte) {
	t.Helper()
	conn := connect(t, c.ConnString)
	if n := execute(t, conn, "UPDATE "+c.Table+" SET sealed = $3 WHERE name = $1 AND slot = $2", c.Name, []byte(slot), data); n != 1 {
		t.Fatalf("%d rows were changed", n)
	}
}

func TestTheTableHoldsNoSecret(t *testing.T) {
	c := config(t)
	s := migrated(t, c)
	secret := strings.Repeat("the private key ", 10)
	save(t, s, wire.SlotIdentity, secret)
	first := sealed(t, c, wire.SlotIdentity)
	save(t, s, wire.SlotIdentity, secret)
	second := sealed(t, c, wire.SlotIdentity)
	if bytes.Equal(first, second) {
		t.Error("one record was sealed twice in the same way")
	}
	var row string
	if err := connect(t, c.ConnString).QueryRow(t.Context(), "SELECT t::text FROM "+c.Table+" t").Scan(&row); err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{first, second, []byte(row)} {
		if bytes.Contains(data, []byte("private")) || bytes.Contains(data, fmt.Appendf(nil, "%x", "private")) || bytes.Contains(data, c.Keys[0][:]) {
			t.Errorf("the table holds %q", data)
		}
	}
	if got, want := len(first), 1+24+len(secret)+16; got != want || first[0] != 1 {
		t.Errorf("got %d bytes of version %d, want %d of version 1", got, first[0], want)
	}
}

func TestWrongKey(t *testing.T) {
	c := config(t)
	save(t, migrated(t, c), wire.SlotIdentity, "record")
	before := sealed(t, c, wire.SlotIdentity)
	other := c
	other.Keys = []pgstore.Key{newKey(), newKey()}
	s := open(t, other)
	record, err := s.Load(t.Context(), wire.SlotIdentity)
	checkCode(t, err, pgstore.CodeWrongKey)
	if record != nil {
		t.Errorf("got %q", record)
	}
	_, err = s.Reseal(t.Context())
	checkCode(t, err, pgstore.CodeWrongKey)
	if !bytes.Equal(sealed(t, c, wire.SlotIdentity), before) {
		t.Error("a record that cannot be opened was changed")
	}
}

func TestTamperedRecords(t *testing.T) {
	c := config(t)
	s := migrated(t, c)
	save(t, s, wire.SlotIdentity, "record")
	good := sealed(t, c, wire.SlotIdentity)
	var bad [][]byte
	for i := range good { // version, nonce, ciphertext, tag
		b := bytes.Clone(good)
		b[i] ^= 1
		bad = append(bad, b)
	}
	bad = append(bad, []byte{}, good[:1], good[:24], good[:25], good[:41], good[:len(good)-1], append(bytes.Clone(good), 0))
	for _, data := range bad {
		setSealed(t, c, wire.SlotIdentity, data)
		_, err := s.Load(t.Context(), wire.SlotIdentity)
		checkCode(t, err, pgstore.CodeWrongKey)
	}
	setSealed(t, c, wire.SlotIdentity, good)
	checkLoad(t, s, wire.SlotIdentity, "record")
}

// TestExchangedRows puts what one row has into another: of another slot, and of
// another name with the same key.
func TestExchangedRows(t *testing.T) {
	a := config(t)
	b := a
	b.Name = a.Name + "s"
	storeA, storeB := migrated(t, a), open(t, b)
	// The second pair's name and slot are the first one's, cut elsewhere.
	for _, pair := range [][2]string{{"lot", "slot"}, {"slot", "lot"}} {
		save(t, storeA, pair[0], "of a")
		save(t, storeA, pair[1], "of a")
		save(t, storeB, pair[0], "of b")
		setSealed(t, a, pair[1], sealed(t, a, pair[0]))
		_, err := storeA.Load(t.Context(), pair[1])
		checkCode(t, err, pgstore.CodeWrongKey)
		setSealed(t, a, pair[1], sealed(t, b, pair[0]))
		_, err = storeA.Load(t.Context(), pair[1])
		checkCode(t, err, pgstore.CodeWrongKey)
		setSealed(t, a, pair[0], sealed(t, b, pair[0]))
		_, err = storeA.Load(t.Context(), pair[0])
		checkCode(t, err, pgstore.CodeWrongKey)
	}
}

// TestRowsAreOfTheirTable copies a row, as it is, to where the same name, slot and key
// are in use: another table, another schema, and a pair of names that is the first one's,
// cut elsewhere. It opens in none, and is opened again in its own.
func TestRowsAreOfTheirTable(t *testing.T) {
	c := config(t)
	conn := connect(t, c.ConnString)
	schema := newSchema(t, conn, unique("schema"))
	longer := newSchema(t, conn, schema+"t")
	c.Table = schema + ".tu"
	s := migrated(t, c)
	save(t, s, wire.SlotIdentity, "record")
	// The key that seals is another one, so that Reseal comes to open what is there.
	changing := c
	changing.Keys = []pgstore.Key{newKey(), c.Keys[0]}
	check := func(t *testing.T, table string) {
		t.Helper()
		there := changing
		there.Table = table
		other := open(t, there)
		record, err := other.Load(t.Context(), wire.SlotIdentity)
		checkCode(t, err, pgstore.CodeWrongKey)
		if record != nil {
			t.Errorf("got %q", record)
		}
		checkCode(t, other.Swap(t.Context(), wire.SlotIdentity, []byte("record"), []byte("new")), pgstore.CodeWrongKey)
		_, err = other.Reseal(t.Context())
		checkCode(t, err, pgstore.CodeWrongKey)
	}
	for _, table := range []string{schema + ".staging", longer + ".tu", longer + ".u"} {
		t.Run(table[len(schema):], func(t *testing.T) {
			there := c
			there.Table = table
			migrated(t, there)
			if execute(t, conn, "INSERT INTO "+table+" (name, slot, sealed) SELECT name, slot, sealed FROM "+c.Table) != 1 {
				t.Fatal("no row was copied")
			}
			check(t, table)
			if execute(t, conn, "UPDATE "+c.Table+" a SET sealed = b.sealed FROM "+table+" b WHERE a.slot = b.slot") != 1 {
				t.Fatal("no row was copied back")
			}
			checkLoad(t, s, wire.SlotIdentity, "record")
		})
	}
	t.Run("renamed", func(t *testing.T) {
		execute(t, conn, "ALTER TABLE "+c.Table+" RENAME TO renamed")
		check(t, schema+".renamed")
		execute(t, conn, "ALTER TABLE "+schema+".renamed RENAME TO tu")
		checkLoad(t, s, wire.SlotIdentity, "record")
	})
}

// TestTableWithoutSchema: a table without a schema is the one in public, whatever the
// session says of where to look.
func TestTableWithoutSchema(t *testing.T) {
	c := config(t)
	conn := connect(t, c.ConnString)
	schema := newSchema(t, conn, unique("schema"))
	save(t, migrated(t, c), wire.SlotIdentity, "record")
	decoy := c
	decoy.Table = schema + "." + c.Table
	save(t, migrated(t, decoy), wire.SlotIdentity, "decoy")

	elsewhere := c
	elsewhere.ConnString += "&search_path=" + schema
	checkLoad(t, open(t, elsewhere), wire.SlotIdentity, "record")
	both := c
	both.Table = "public." + c.Table
	checkLoad(t, open(t, both), wire.SlotIdentity, "record")

	// Sessions behind a pooler are shared, temporary tables with them.
	temporary := c
	temporary.Pool, _ = pool(t, c.ConnString, 1)
	temporary.ConnString = ""
	if _, err := temporary.Pool.Exec(t.Context(), "CREATE TEMPORARY TABLE "+c.Table+" (LIKE public."+c.Table+" INCLUDING ALL)"); err != nil {
		t.Fatal(err)
	}
	checkLoad(t, open(t, temporary), wire.SlotIdentity, "record")
}

// TestHugeRows has somebody put into the table what no store would have saved there.
func TestHugeRows(t *testing.T) {
	const overhead = 1 + 24 + 16
	c := config(t)
	s := migrated(t, c)
	changing := withKeys(t, c, newKey(), c.Keys[0])
	reseal := func(want string) {
		t.Helper()
		_, err := changing.Reseal(t.Context())
		checkCode(t, err, want)
	}
	save(t, s, wire.SlotIdentity, "record")
	for size, want := range map[int]string{
		maxRecord + overhead:     pgstore.CodeWrongKey,
		maxRecord + overhead + 1: pgstore.CodeTooLarge,
		2 << 20:                  pgstore.CodeTooLarge,
	} {
		setSealed(t, c, wire.SlotIdentity, make([]byte, size))
		_, err := s.Load(t.Context(), wire.SlotIdentity)
		checkCode(t, err, want)
		checkCode(t, s.Swap(t.Context(), wire.SlotIdentity, nil, []byte("new")), want)
		reseal(want)
	}
	if err := s.Delete(t.Context(), wire.SlotIdentity); err != nil {
		t.Fatal(err)
	}

	const longest = 8 << 10
	save(t, s, "", "record")
	save(t, s, strings.Repeat("s", longest), "record")
	reseal("")
	long := strings.Repeat("s", longest+1)
	checkCode(t, s.Save(t.Context(), long, nil), pgstore.CodeTooLarge)
	checkCode(t, s.Swap(t.Context(), long, nil, []byte("new")), pgstore.CodeTooLarge)
	execute(t, connect(t, c.ConnString), "INSERT INTO "+c.Table+" (name, slot, sealed) VALUES ($1, $2, '')", c.Name, []byte(long))
	reseal(pgstore.CodeTooLarge)
}
