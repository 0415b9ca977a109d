package pgreplays

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/hidden"
	"github.com/agentassert/agentassert/internal/postgres"
)

const (
	defaultTable = "agentassert_replays"
	// defaultTimeout is shorter than a store's: a request waits for it.
	defaultTimeout = 5 * time.Second
)

// Config says where assertions are remembered, and how many. Formatting it shows no
// secret.
type Config struct {
	// ConnString says how to connect, as a URL or in keywords and values. The
	// standard environment variables stand in for what it does not say. To a host
	// that is not this machine, it has to say sslmode: verify-full, or whether less
	// will do; prefer and allow are refused, for they leave that to the network.
	// Statements are not prepared, unless default_query_exec_mode asks for it.
	//
	// Those who open the same string in one process share its connections: 4 at the
	// most, unless it has pool_max_conns.
	ConnString string
	// Pool is used in place of ConnString where there is one already. It stays
	// the caller's to close. How it connects is the caller's to say, too: whether
	// that is encrypted is not looked at. Statements are prepared only where its
	// default_query_exec_mode is another one than pgx's, which prepares them.
	Pool *pgxpool.Pool
	// Table is the table's name, in the schema public, or schema.table. Case
	// counts, and a session's search_path does not. Servers with the same one share
	// what they remember. The default is agentassert_replays.
	Table string
	// Timeout bounds each use, and what waits for it is a request. The default is 5 s.
	Timeout time.Duration
	// Max bounds how many assertions are remembered, about: the package's
	// documentation says how closely. What is zero in it is
	// authority.DefaultMaxReplays and authority.DefaultMaxReplaysPerAccount. An
	// assertion is remembered for up to twice the verifier's skew, and a minute.
	Max authority.Limit
	// Reuse is for how long from its first use an assertion can be used again, to the
	// microsecond. Zero is for one use alone, which clients of this protocol do not
	// expect: see authority.MemoryReplaysOptions.
	Reuse time.Duration
}

// Format implements fmt.Formatter, and hides the connection's password.
func (c Config) Format(f fmt.State, _ rune) { hidden.Format(f, c) }

// MarshalText implements encoding.TextMarshaler, and hides the same.
func (c Config) MarshalText() ([]byte, error) { return hidden.Text(c) }

// GobEncode implements gob.GobEncoder, and fails.
func (c Config) GobEncode() ([]byte, error) { return hidden.Gob(c) }

// Open returns the Replays that config describes, once the database has answered. The
// table need not exist yet: see [Replays.Migrate].
//
// Errors: CodeUnreachable, CodePooler, CodeCanceled, core.CodeInvalidConfig.
func Open(ctx context.Context, config Config) (*Replays, error) {
	config.Table = cmp.Or(config.Table, defaultTable)
	config.Timeout = cmp.Or(config.Timeout, defaultTimeout)
	config.Max.Total = cmp.Or(config.Max.Total, authority.DefaultMaxReplays)
	config.Max.PerAccount = cmp.Or(config.Max.PerAccount, authority.DefaultMaxReplaysPerAccount)
	table, err := config.check()
	if err != nil {
		return nil, err
	}
	pool, err := postgres.Open(ctx, config.ConnString, config.Pool, config.Timeout)
	if err != nil {
		return nil, err
	}
	return &Replays{
		pool:       pool,
		table:      table.SQL(),
		timeout:    config.Timeout,
		reuse:      config.Reuse,
		perAccount: config.Max.PerAccount,
		room:       newRoom(config.Max.Total),
	}, nil
}

// check returns the table, or what is wrong with the configuration.
func (c Config) check() (postgres.Table, error) {
	invalid := func(message string) (postgres.Table, error) {
		return postgres.Table{}, postgres.Fail(core.CodeInvalidConfig, message, nil)
	}
	switch {
	case (c.ConnString == "") == (c.Pool == nil):
		return invalid("the memory of used assertions needs either a connection string or a pool")
	case c.Timeout < 0 || c.Reuse < 0 || c.Max.Total < 0 || c.Max.PerAccount < 0:
		return invalid("a time or a limit of the memory of used assertions is negative; use zero for the default")
	}
	table, ok := postgres.ParseTable(c.Table)
	if !ok {
		return invalid("the table of used assertions must be a name of 63 bytes at most, or two with a dot between")
	}
	return table, nil
}
