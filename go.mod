module github.com/agentassert/agentassert

go 1.26.0

// npm packages can have Go in them.
ignore ./bindings/js/node_modules

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	github.com/coder/websocket v1.8.15
	github.com/fxamacker/cbor/v2 v2.10.0
	github.com/go-jose/go-jose/v4 v4.1.9
	github.com/gofrs/flock v0.13.2
	github.com/moby/sys/atomicwriter v0.1.0
	github.com/tetratelabs/wazero v1.12.0
	go.uber.org/goleak v1.3.0
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/net v0.62.0
	golang.org/x/sys v0.50.0
)

require (
	github.com/moby/sys/sequential v0.6.0 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	golang.org/x/text v0.44.0 // indirect
)

require github.com/agentassert/agentassert/core v0.0.0

replace github.com/agentassert/agentassert/core => ./core
