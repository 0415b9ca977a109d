package pgstore

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/hidden"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/postgres"
)

const (
	defaultTable   = "agentassert_records"
	defaultTimeout = 15 * time.Second
	// defaultLockTimeout is longer than a lock is held, and than it outlasts a crash.
	defaultLockTimeout = (wire.MaxLockSeconds + 20) * time.Second
	// maxName keeps a row's key within what an index takes, in bytes.
	maxName = 200
)

// Config says which records a store keeps, and where. Formatting it shows no
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
	// Keys seal the records. At least one; the first one seals, all open.
	Keys []Key
	// Name tells apart the identities in one table. Stores of the same name, on
	// whichever machines, share an identity. Required; 200 bytes at most.
	Name string
	// Table is the table's name, in the schema public, or schema.table. Case
	// counts, and a session's search_path does not. Records are bound to both
	// names: under others, they do not open. The default is agentassert_records.
	Table string
	// Timeout bounds each access, from when there is a connection for it, and the wait
	// for one while PostgreSQL answers nobody. The default is 15 s.
	Timeout time.Duration
	// LockTimeout bounds the wait for a lock. The default is longer than a registration
	// can take: host.MaxLockTime and 20 s.
	LockTimeout time.Duration
}

// Format implements fmt.Formatter, and hides keys and the connection's password.
func (c Config) Format(f fmt.State, _ rune) { hidden.Format(f, c) }

// MarshalText implements encoding.TextMarshaler, and hides the same.
func (c Config) MarshalText() ([]byte, error) { return hidden.Text(c) }

// GobEncode implements gob.GobEncoder, and fails.
func (c Config) GobEncode() ([]byte, error) { return hidden.Gob(c) }

// Open returns the store that config describes, once the database has answered.
// The table need not exist yet: see [Store.Migrate].
//
// Errors: CodeUnreachable, CodePooler, CodeCanceled, core.CodeInvalidConfig.
func Open(ctx context.Context, config Config) (*Store, error) {
	config.Table = cmp.Or(config.Table, defaultTable)
	config.Timeout = cmp.Or(config.Timeout, defaultTimeout)
	config.LockTimeout = cmp.Or(config.LockTimeout, defaultLockTimeout)
	table, err := config.check()
	if err != nil {
		return nil, err
	}
	seal, err := newSealer(table, config.Name, config.Keys)
	if err != nil {
		return nil, postgres.Fail(core.CodeInvalidConfig, "a key cannot be used", err)
	}
	pool, err := postgres.Open(ctx, config.ConnString, config.Pool, config.Timeout)
	if err != nil {
		return nil, err
	}
	return &Store{
		pool:        pool,
		sealer:      seal,
		name:        config.Name,
		table:       table.SQL(),
		lockTimeout: config.LockTimeout,
		lease:       defaultLease,
	}, nil
}

// check returns the table, or what is wrong with the configuration.
func (c Config) check() (postgres.Table, error) {
	invalid := func(message string) (postgres.Table, error) {
		return postgres.Table{}, postgres.Fail(core.CodeInvalidConfig, message, nil)
	}
	if (c.ConnString == "") == (c.Pool == nil) {
		return invalid("the PostgreSQL store needs either a connection string or a pool")
	}
	if len(c.Keys) == 0 {
		return invalid("the PostgreSQL store needs a key to seal records with")
	}
	for _, key := range c.Keys {
		if key == (Key{}) {
			return invalid("a key of the PostgreSQL store is all zeros, and was surely not set")
		}
	}
	if c.Name == "" || len(c.Name) > maxName || !utf8.ValidString(c.Name) || strings.ContainsFunc(c.Name, unicode.IsControl) {
		return invalid("the PostgreSQL store's name must be 1 to 200 bytes of UTF-8 without control characters")
	}
	if c.Timeout < 0 || c.LockTimeout < 0 {
		return invalid("a time-out of the PostgreSQL store is negative")
	}
	table, ok := postgres.ParseTable(c.Table)
	if !ok {
		return invalid("the table of the PostgreSQL store must be a name of 63 bytes at most, or two with a dot between")
	}
	return table, nil
}
