package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

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

// Make makes a table, which is named as SQL has it, by statements that take effect
// together, where there is none yet. Any number of processes may call it, at any time.
// Where the table is there, it needs no right to make one. The error is PostgreSQL's.
func Make(ctx context.Context, pool *Pool, table string, statements ...string) error {
	// Those who make it at once are told apart by the server's catalog, as whoever may
	// make tables in the schema. An advisory lock could be taken, and kept, by everybody
	// who may connect.
	var err error
	for range migrations {
		var exists bool
		if err = pool.QueryRow(ctx, []any{&exists}, `SELECT to_regclass($1) IS NOT NULL`, table); err != nil || exists {
			return err
		}
		err = pool.Do(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
			return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
				for _, sql := range statements {
					if _, err := tx.Exec(ctx, sql); err != nil {
						return err
					}
				}
				return nil
			})
		})
		if !isMadeByAnother(err) {
			return err
		}
	}
	return err
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
	return IsConflict(err)
}
