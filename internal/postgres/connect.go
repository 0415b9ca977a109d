package postgres

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agentassert/agentassert/core"
)

const (
	// execModeSetting is a connection string's setting of how pgx carries out statements.
	execModeSetting = "default_query_exec_mode"
	// The connection string's settings of how many connections there are, for how long
	// those are kept that nobody uses, and how often that is looked at. By default, they
	// are few, whatever the machine has of processors, and soon given back to a server
	// that others have to share.
	connectionsSetting, defaultConnections = "pool_max_conns", 4
	idleSetting, defaultIdle               = "pool_max_conn_idle_time", 5 * time.Second
	healthSetting, defaultHealth           = "pool_health_check_period", time.Second
	// maxMessage bounds what a server can make this process hold in one message, in
	// bytes. The largest that is of use is a record in hexadecimal.
	maxMessage = 4 << 20
)

// connect returns a pool for a connection string. It connects when it is used first.
// Statements are not prepared, unless the string asks for it. What may go over a network
// has to say whether it is encrypted.
//
// Errors: core.CodeInvalidConfig. They do not quote the string.
func connect(connString string) (*pgxpool.Pool, error) {
	// What the parser says may quote any part of the string, and so of a
	// password with unescaped characters.
	settings, err := pgconn.ParseConfig(connString)
	if err != nil || isCutShort(connString) {
		return nil, notConnString()
	}
	config, err := pgxpool.ParseConfig(connString)
	if err != nil {
		return nil, notConnString()
	}
	if err := checkEncrypted(config.ConnConfig); err != nil {
		return nil, err
	}
	// Statements that are prepared for later use do not work behind a pooler that gives
	// each transaction another session, and those of this project are too few and too
	// cheap to plan to gain by it.
	says := func(setting string) bool { return settings.RuntimeParams[setting] != "" }
	if !says(execModeSetting) {
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	if !says(connectionsSetting) {
		config.MaxConns = defaultConnections
	}
	if !says(idleSetting) {
		config.MaxConnIdleTime = defaultIdle
	}
	if !says(healthSetting) {
		config.HealthCheckPeriod = defaultHealth
	}
	config.ConnConfig.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(&boundedMessages{r: r, limit: maxMessage}, w)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, Fail(core.CodeInvalidConfig, "the connection pool cannot be made", err)
	}
	return pool, nil
}

func notConnString() error {
	return Fail(core.CodeInvalidConfig, "the connection string is not one for PostgreSQL; in a URL, escape what is special in the password", nil)
}

// isCutShort returns whether a URL has an @ in the name of its database, and so a slash
// in the password. The name would hold the rest of that, and errors show it.
func isCutShort(connString string) bool {
	scheme, rest, ok := strings.Cut(connString, "://")
	if !ok || scheme != "postgres" && scheme != "postgresql" {
		return false
	}
	_, path, _ := strings.Cut(rest, "/")
	database, _, _ := strings.Cut(path, "?")
	return strings.Contains(database, "@")
}

// checkEncrypted refuses a connection over a network that is encrypted or not as whoever
// is on the way likes. That is what sslmode=prefer does, which is also taken where
// nothing is said, and sslmode=allow.
//
// It looks at what pgx makes of the connection string, the environment and the service
// file, which is what counts, and not for words in them. There, prefer is the same
// whether it was said or not.
func checkEncrypted(config *pgx.ConnConfig) error {
	attempts := append([]*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}}, config.Fallbacks...)
	encrypted, plain := false, false
	for _, attempt := range attempts {
		if !isLocal(attempt.Host, attempt.Port) {
			encrypted = encrypted || attempt.TLSConfig != nil
			plain = plain || attempt.TLSConfig == nil
		}
	}
	if encrypted && plain {
		return Fail(core.CodeInvalidConfig, "the connection to PostgreSQL leaves this machine, and nothing says that it has to be encrypted; put sslmode=verify-full into the connection string, with sslrootcert where the server's authority is not one of the system's, or sslmode=disable where everybody on that network may read and change what is sent", nil)
	}
	return nil
}

// isLocal returns whether what is sent to a host stays on this machine. A name other than
// localhost does not say so.
func isLocal(host string, port uint16) bool {
	if network, _ := pgconn.NetworkAddress(host, port); network == "unix" {
		return true
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}
