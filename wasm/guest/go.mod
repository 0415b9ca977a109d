module github.com/agentassert/agentassert/wasm/guest

go 1.26.0

require github.com/agentassert/agentassert/core v0.0.0

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
)

replace github.com/agentassert/agentassert/core => ../../core
