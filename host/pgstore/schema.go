package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// schema is the table. Slots are too long for an index, and may hold bytes that
// text may not.
const schema = `CREATE TABLE %s (
	name text NOT NULL,
	slot bytea NOT NULL,
	slot_hash bytea NOT NULL GENERATED ALWAYS AS (sha256(slot)) STORED,
	sealed bytea NOT NULL,
	saved_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (name, slot_hash)
)`

// migrations is how often the table is looked for and made. Once more is enough, unless
// others make and remove it all the time.
const migrations = 3

// SQLSTATEs of a table that another is making at the same time: which one depends on how
// far the other has come.
const (
	stateUniqueViolation = "23505"
	stateDuplicateTable  = "42P07"
	// A table is a type, too.
	stateDuplicateObject = "42710"
)

// Migrate makes the table, where there is none yet. Any number of processes may
// call it, at any time. Where the table is there, it needs no right to make one.
//
// Errors: CodeWriteFailed, CodeSchemaMissing for a schema that does not exist,
// CodeUnreachable, CodeCanceled.
func (s *Store) Migrate(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	// Those who make it at once are told apart by the server's catalog, as whoever may
	// make tables in the schema. An advisory lock could be taken, and kept, by everybody
	// who may connect.
	var err error
	for range migrations {
		var exists bool
		if err = s.pool.QueryRow(limited, `SELECT to_regclass($1) IS NOT NULL`, s.table).Scan(&exists); err != nil || exists {
			break
		}
		if _, err = s.pool.Exec(limited, fmt.Sprintf(schema, s.table)); !isMadeByAnother(err) {
			break
		}
	}
	if err != nil {
		return failed(ctx, CodeWriteFailed, "the table cannot be made; check whether the role may create tables", err)
	}
	return nil
}

// isMadeByAnother returns whether a table could not be made because another was making
// it, which is done by now.
func isMadeByAnother(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch answer.Code {
	case stateUniqueViolation, stateDuplicateTable, stateDuplicateObject:
		return true
	}
	return isConflict(err)
}
