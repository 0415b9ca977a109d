module github.com/agentassert/agentassert/check

go 1.26.0

require (
	github.com/agentassert/agentassert v0.0.0
	github.com/agentassert/agentassert/authority/pgreplays v0.0.0
	github.com/agentassert/agentassert/core v0.0.0
	github.com/agentassert/agentassert/host/identityjwt v0.0.0
	github.com/agentassert/agentassert/host/keyringstore v0.0.0
	github.com/agentassert/agentassert/host/pgstore v0.0.0
	github.com/agentassert/agentassert/host/telemetry v0.0.0
	github.com/agentassert/agentassert/internal/postgres v0.0.0
	github.com/fxamacker/cbor/v2 v2.10.0
	golang.org/x/crypto v0.59.0
	golang.org/x/mod v0.42.0
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	github.com/danieljoos/wincred v1.2.3 // indirect
	github.com/go-jose/go-jose/v4 v4.1.9 // indirect
	github.com/go-logr/logr v1.4.2 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/godbus/dbus/v5 v5.2.2 // indirect
	github.com/gofrs/flock v0.13.2 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/pgx/v5 v5.12.0 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/moby/sys/atomicwriter v0.1.0 // indirect
	github.com/moby/sys/sequential v0.6.0 // indirect
	github.com/tetratelabs/wazero v1.12.0 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	github.com/zalando/go-keyring v0.2.8 // indirect
	go.opentelemetry.io/otel v1.28.0 // indirect
	go.opentelemetry.io/otel/metric v1.28.0 // indirect
	go.opentelemetry.io/otel/trace v1.28.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sync v0.25.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/text v0.44.0 // indirect
)

replace (
	github.com/agentassert/agentassert => ..
	github.com/agentassert/agentassert/authority/pgreplays => ../authority/pgreplays
	github.com/agentassert/agentassert/core => ../core
	github.com/agentassert/agentassert/host/identityjwt => ../host/identityjwt
	github.com/agentassert/agentassert/host/keyringstore => ../host/keyringstore
	github.com/agentassert/agentassert/host/pgstore => ../host/pgstore
	github.com/agentassert/agentassert/host/telemetry => ../host/telemetry
	github.com/agentassert/agentassert/internal/postgres => ../internal/postgres
)
