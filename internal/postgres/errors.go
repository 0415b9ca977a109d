package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/agentassert/agentassert/core"
)

// The codes of errors, beside those of package core. The packages that use this one
// have them under names of their own, and say there what they mean.
const (
	CodeUnreachable   = "postgres_unreachable"
	CodeSchemaMissing = "postgres_schema_missing"
	CodeReadFailed    = "postgres_read_failed"
	CodeWriteFailed   = "postgres_write_failed"
	CodePooler        = "postgres_pooler"
	// CodeCanceled is host.CodeCanceled.
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

// Fail returns an error with a code, a message for people, and what is behind it, which
// may be nil.
func Fail(code, message string, err error) error {
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

// Failed returns the error of an access to PostgreSQL: with a code and a message
// where the reason tells them, else with those given.
func Failed(ctx context.Context, code, message string, err error) error {
	if ctx.Err() != nil {
		return Fail(CodeCanceled, "the caller stopped waiting for PostgreSQL", ctx.Err())
	}
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return Fail(CodeUnreachable, "PostgreSQL does not answer; check that it runs, and the address", err)
	}
	if isUnprepared(answer, err) {
		return Fail(CodePooler, "a pooler between here and PostgreSQL mixes up prepared statements; put default_query_exec_mode=exec into the connection string, or set it in the pool's configuration", err)
	}
	switch answer.Code {
	case stateUndefinedTable, stateUndefinedColumn, stateInvalidSchemaName:
		return Fail(CodeSchemaMissing, "the database has no such table; run Migrate, or check the table's name", err)
	case stateReadOnly:
		return Fail(core.CodeStoreReadOnly, "this PostgreSQL takes no changes: it is a standby, or the role may only read; connect to the primary server (target_session_attrs=read-write finds it)", err)
	}
	if isFull(err) {
		return Fail(CodeUnreachable, "PostgreSQL, or a pooler in front of it, has had no connection left for as long as one may wait for it; allow more (max_connections, max_client_conn), or have each process use fewer (pool_max_conns in the connection string)", err)
	}
	for _, class := range classesUnreachable {
		if strings.HasPrefix(answer.Code, class) {
			return Fail(CodeUnreachable, "PostgreSQL, or a pooler in front of it, refuses or ended the connection; check that both run, and the user, the password, the database, and what else the connection string sets", err)
		}
	}
	return Fail(code, message, err)
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

// IsConflict returns whether a statement failed for what others did at the same time,
// and may succeed the next time.
func IsConflict(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (answer.Code == stateSerialization || answer.Code == stateDeadlock)
}

// isFull returns whether a server, or a pooler in front of it, takes no more connections
// for now.
func isFull(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (answer.Code == stateTooManyConnections ||
		// PgBouncer has one SQLSTATE for whatever it refuses a connection for.
		answer.Code == stateProtocol && answer.Message == "no more connections allowed (max_client_conn)")
}

// isStatementPooler returns whether a pooler has refused to begin a transaction.
func isStatementPooler(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && answer.Code == stateProtocol && strings.Contains(answer.Message, "statement pooling")
}
