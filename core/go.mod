module github.com/agentassert/agentassert/core

go 1.26.0

require (
	filippo.io/edwards25519 v1.1.1
	golang.org/x/crypto v0.1.0
)

require golang.org/x/sys v0.1.0 // indirect
