package pgstore

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/agentassert/agentassert/core"
)

// The codes of this package's errors, beside core.CodeInvalidConfig.
const (
	// CodeUnreachable is a server that cannot be reached, does not answer in
	// time, or refuses the connection.
	CodeUnreachable = "postgres_unreachable"
	// CodeSchemaMissing is a database without the table: run Migrate.
	CodeSchemaMissing = "postgres_schema_missing"
	// CodeReadFailed is a query that PostgreSQL refused.
	CodeReadFailed = "postgres_read_failed"
	// CodeWriteFailed is a change that PostgreSQL refused.
	CodeWriteFailed = "postgres_write_failed"
	// CodeTooLarge is a record larger than 512 KiB, or a slot's name longer than 8
	// KiB: one to be saved, or one that somebody else has put into the table.
	CodeTooLarge = "postgres_record_too_large"
	// CodeWrongKey is a record that none of the keys opens: they are others, the row
	// was changed, or it is of another table, name or slot. A table that was renamed,
	// or moved to another schema, is another one.
	CodeWrongKey = "postgres_wrong_key"
	// CodeLocked is a lock that others have held for too long.
	CodeLocked = "postgres_locked"
	// CodePooler is a pooler between here and the server that gives each transaction
	// another session, where a statement was prepared in one.
	CodePooler = "postgres_pooler"
	// CodeLockLost is a change under a lock that another has taken since, because
	// PostgreSQL did not hear of this process for too long.
	CodeLockLost = "postgres_lock_lost"
	// CodeCanceled is a caller that stopped waiting. It is host.CodeCanceled.
	CodeCanceled = "canceled"
)

// SQLSTATEs that say more than that a statement failed.
const (
	stateUndefinedTable     = "42P01"
	stateUndefinedColumn    = "42703"
	stateInvalidSchemaName  = "3F000"
	stateTooManyConnections = "53300"
	stateReadOnly           = "25006"
	// What PostgreSQL says of statements that were prepared in another session. The
	// last one it says of other things, too, and some poolers of all things.
	stateNoSuchStatement = "26000"
	stateSuchStatement   = "42P05"
	stateProtocol        = "08P01"
	// Two that changed one row at the same time, where sessions are isolated more
	// strictly than by default, or in an order that none expected. Nothing has changed.
	stateSerialization = "40001"
	stateDeadlock      = "40P01"
)

// classesUnreachable are the first halves of SQLSTATEs that concern the
// connection, not the statement: a connection's failure, an authorization's, a
// missing database, an operator who ends sessions.
var classesUnreachable = []string{"08", "28", "3D", "57P"}

func fail(code, message string, err error) error {
	if err != nil {
		err = cause{err}
	}
	return &core.Error{Code: code, Message: message, Err: err}
}

// cause is an error of pgx. Some of those have a field with the connection's
// configuration, password included: the type keeps it from being encoded or
// printed with the fields of a core.Error.
type cause struct{ err error }

func (c cause) Error() string { return c.err.Error() }

func (c cause) Unwrap() error { return c.err }

// failed returns the error of an access to PostgreSQL: with a code and a message
// where the reason tells them, else with those given.
func failed(ctx context.Context, code, message string, err error) error {
	if ctx.Err() != nil {
		return fail(CodeCanceled, "the caller stopped waiting for PostgreSQL", ctx.Err())
	}
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return fail(CodeUnreachable, "PostgreSQL does not answer; check that it runs, and the address", err)
	}
	if isUnprepared(answer, err) {
		return fail(CodePooler, "a pooler between here and PostgreSQL mixes up prepared statements; put default_query_exec_mode=exec into the connection string, or set it in the pool's configuration", err)
	}
	switch answer.Code {
	case stateUndefinedTable, stateUndefinedColumn, stateInvalidSchemaName:
		return fail(CodeSchemaMissing, "the database has no table for records; run Migrate, or check the table's name", err)
	case stateReadOnly:
		return fail(core.CodeStoreReadOnly, "this PostgreSQL takes no changes: it is a standby, or the role may only read; connect to the primary server (target_session_attrs=read-write finds it)", err)
	case stateTooManyConnections:
		return fail(CodeUnreachable, "PostgreSQL has no connection left", err)
	}
	for _, class := range classesUnreachable {
		if strings.HasPrefix(answer.Code, class) {
			return fail(CodeUnreachable, "PostgreSQL, or a pooler in front of it, refuses or ended the connection; check that both run, and the user, the password, the database, and what else the connection string sets", err)
		}
	}
	return fail(code, message, err)
}

// isUnprepared returns whether a pooler has put a statement and its preparation into
// different sessions.
func isUnprepared(answer *pgconn.PgError, err error) bool {
	switch answer.Code {
	case stateNoSuchStatement, stateSuchStatement:
		return true
	case stateProtocol:
		// A pooler that refuses a connection, or ends it, does so with FATAL.
		_, connecting := errors.AsType[*pgconn.ConnectError](err)
		return !connecting && answer.SeverityUnlocalized == "ERROR"
	}
	return false
}

// isConflict returns whether a statement failed for what others did at the same time,
// and may succeed the next time.
func isConflict(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (answer.Code == stateSerialization || answer.Code == stateDeadlock)
}
