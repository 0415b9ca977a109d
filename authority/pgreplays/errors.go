package pgreplays

import "github.com/agentassert/agentassert/internal/postgres"

// The codes of this package's errors, beside core.CodeInvalidConfig,
// core.CodeStoreReadOnly, and those of authority where a limit is reached. They are those
// of package pgstore.
const (
	// CodeUnreachable is a server that cannot be reached, does not answer in
	// time, or refuses the connection.
	CodeUnreachable = postgres.CodeUnreachable
	// CodeSchemaMissing is a database without the table: run Migrate.
	CodeSchemaMissing = postgres.CodeSchemaMissing
	// CodeWriteFailed is a statement that PostgreSQL refused.
	CodeWriteFailed = postgres.CodeWriteFailed
	// CodePooler is a pooler between here and the server that gives each transaction
	// another session, where a statement was prepared in one.
	CodePooler = postgres.CodePooler
	// CodeCanceled is a caller that stopped waiting.
	CodeCanceled = postgres.CodeCanceled
)
