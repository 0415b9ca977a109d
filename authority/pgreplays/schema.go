package pgreplays

import (
	"context"
	"fmt"

	"github.com/agentassert/agentassert/internal/postgres"
)

// schema is the table, and the index by which what has expired is found. A row is of an
// assertion, then its id is the digest and first_used is set; or it counts an account's
// in one minute, then its id is made by counters and uses is set.
var schema = []string{
	`CREATE TABLE %[1]s (
	id bytea PRIMARY KEY,
	first_used timestamptz,
	uses bigint,
	expires timestamptz NOT NULL
)`,
	`CREATE INDEX ON %[1]s (expires)`,
}

// Migrate makes the table, where there is none yet. Any number of processes may
// call it, at any time. Where the table is there, it needs no right to make one.
//
// Errors: CodeWriteFailed, CodeSchemaMissing for a schema that does not exist,
// CodeUnreachable, CodeCanceled, core.CodeStoreReadOnly.
func (r *Replays) Migrate(ctx context.Context) error {
	var statements []string
	for _, sql := range schema {
		statements = append(statements, fmt.Sprintf(sql, r.table))
	}
	if err := postgres.Make(ctx, r.pool, r.table, statements...); err != nil {
		return postgres.Failed(ctx, CodeWriteFailed, "the table cannot be made; check whether the role may create tables", err)
	}
	return nil
}
