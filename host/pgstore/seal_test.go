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
