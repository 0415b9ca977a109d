package postgres

import (
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

const (
	defaultSchema = "public"
	// maxIdentifier is the longest identifier of PostgreSQL, in bytes. It cuts
	// off longer ones.
	maxIdentifier = 63
)

// Table says which table, without asking the server: who writes tables there must
// not be the one to say.
type Table struct{ Schema, Name string }

// ParseTable reads a table's name, in the schema public, or schema.table. Case counts. It
// reports whether PostgreSQL can have a table that is called so.
func ParseTable(name string) (t Table, ok bool) {
	t = Table{defaultSchema, name}
	if schema, name, ok := strings.Cut(name, "."); ok {
		t = Table{schema, name}
	}
	for _, part := range []string{t.Schema, t.Name} {
		if part == "" || len(part) > maxIdentifier || !utf8.ValidString(part) || strings.ContainsAny(part, ".\x00") {
			return Table{}, false
		}
	}
	return t, true
}

// SQL returns the table as SQL has it: quoted.
func (t Table) SQL() string { return pgx.Identifier{t.Schema, t.Name}.Sanitize() }
