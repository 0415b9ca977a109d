package pgstore

import (
	"context"
	"fmt"

	"github.com/agentassert/agentassert/internal/postgres"
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
	if err := postgres.Make(ctx, s.pool, s.table, fmt.Sprintf(schema, s.table)); err != nil {
		return postgres.Failed(ctx, CodeWriteFailed, "the table cannot be made; check whether the role may create tables", err)
	}
	return nil
}
