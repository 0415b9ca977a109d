package pgstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"
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

// Migrate makes the table, where there is none yet. Any number of processes may
// call it, at any time. Where the table is there, it needs no right to make one.
//
// Errors: CodeWriteFailed, CodeSchemaMissing for a schema that does not exist,
// CodeUnreachable, CodeCanceled.
func (s *Store) Migrate(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := pgx.BeginFunc(limited, s.pool, func(tx pgx.Tx) error {
		// CREATE TABLE IF NOT EXISTS fails where two run at once.
		if _, err := tx.Exec(limited, `SELECT pg_advisory_xact_lock($1)`, migrationKey(s.table)); err != nil {
			return err
		}
		var exists bool
		if err := tx.QueryRow(limited, `SELECT to_regclass($1) IS NOT NULL`, s.table).Scan(&exists); err != nil || exists {
			return err
		}
		_, err := tx.Exec(limited, fmt.Sprintf(schema, s.table))
		return err
	})
	if err != nil {
		return failed(ctx, CodeWriteFailed, "the table cannot be made; check whether the role may create tables", err)
	}
	return nil
}

// migrationKey is the number of the advisory lock under which a table is made. It ends
// with the transaction, so a pooler does not matter.
func migrationKey(table string) int64 {
	sum := sha256.Sum256([]byte("agentassert migrate\x00" + table))
	return int64(binary.BigEndian.Uint64(sum[:]))
}
