module github.com/agentassert/agentassert/testvectors/schemacheck

go 1.26.0

require (
	github.com/agentassert/agentassert v0.0.0
	github.com/agentassert/agentassert/core v0.0.0
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	github.com/fxamacker/cbor/v2 v2.10.0 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/text v0.44.0 // indirect
)

replace (
	github.com/agentassert/agentassert => ../..
	github.com/agentassert/agentassert/core => ../../core
)
