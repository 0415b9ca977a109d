package pgstore

import "github.com/agentassert/agentassert/internal/postgres"

// The codes of this package's errors, beside core.CodeInvalidConfig.
const (
	// CodeUnreachable is a server that cannot be reached, does not answer in
	// time, or refuses the connection.
	CodeUnreachable = postgres.CodeUnreachable
	// CodeSchemaMissing is a database without the table: run Migrate.
	CodeSchemaMissing = postgres.CodeSchemaMissing
	// CodeReadFailed is a query that PostgreSQL refused.
	CodeReadFailed = postgres.CodeReadFailed
	// CodeWriteFailed is a change that PostgreSQL refused.
	CodeWriteFailed = postgres.CodeWriteFailed
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
	// another session, where a statement was prepared in one; or each statement, which
	// is refused when a store is opened.
	CodePooler = postgres.CodePooler
	// CodeLockLost is a change under a lock that another has taken since, because
	// PostgreSQL did not hear of this process for too long.
	CodeLockLost = "postgres_lock_lost"
	// CodeCanceled is a caller that stopped waiting. It is host.CodeCanceled.
	CodeCanceled = postgres.CodeCanceled
)
