module github.com/agentassert/agentassert/internal/postgres

go 1.26.0

require (
	github.com/agentassert/agentassert/core v0.0.0
	github.com/jackc/pgx/v5 v5.7.0
	golang.org/x/sync v0.8.0
)

require (
	filippo.io/edwards25519 v1.1.1 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.1 // indirect
	golang.org/x/crypto v0.17.0 // indirect
	golang.org/x/sys v0.15.0 // indirect
	golang.org/x/text v0.14.0 // indirect
)

replace (
	github.com/agentassert/agentassert => ../..
	github.com/agentassert/agentassert/core => ../../core
)
