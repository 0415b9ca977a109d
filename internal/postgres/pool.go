package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/semaphore"
)

// Pool is the connections to a database that all share in this process who name the same
// one: by the same connection string and environment, or by the same pool of the
// caller's. So there are no more connections than one pool has, however many use it; who
// finds none free waits in a queue. It is safe for concurrent use.
type Pool struct {
	*shared
	timeout time.Duration
	close   func()
}

// shared is what the Pools of one database have in common.
type shared struct {
	pool *pgxpool.Pool
	// owned says that the pool was made here, and is closed with the last Pool.
	owned bool
	// mode is how statements with arguments are carried out.
	mode  pgx.QueryExecMode
	users int // guarded by pools.mu

	// turns are as many as the pool has connections. They are taken in the order in which
	// they were asked for.
	turns *semaphore.Weighted
	// answers counts what the server has answered.
	answers atomic.Uint64
}

// pools are those that are open.
var pools = struct {
	mu sync.Mutex
	// of are by what names them: the hash of a connection string, or a pool.
	of map[any]*shared
}{of: make(map[any]*shared)}

// Open returns a Pool for a connection string, or else for a pool of the caller's, once
// the server has answered. Each access is bounded by timeout.
//
// Errors: core.CodeInvalidConfig, which does not quote the string, CodeUnreachable,
// CodePooler, CodeCanceled.
func Open(ctx context.Context, connString string, of *pgxpool.Pool, timeout time.Duration) (*Pool, error) {
	s, name, err := share(connString, of)
	if err != nil {
		return nil, err
	}
	p := &Pool{shared: s, timeout: timeout, close: sync.OnceFunc(func() { leave(name) })}
	if err := p.check(ctx); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Format implements fmt.Formatter, and hides how the pool connects.
func (*Pool) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("postgres.Pool(secrets hidden)"))
}

// Mode returns how statements with arguments are to be carried out.
func (p *Pool) Mode() pgx.QueryExecMode { return p.mode }

// Close ends the connections that Open made, once they are idle and nobody else uses
// them.
func (p *Pool) Close() { p.close() }

// share returns the connections of a name, which is returned with them.
func share(connString string, of *pgxpool.Pool) (s *shared, name any, err error) {
	name = of
	if of == nil {
		name = hashOf(connString)
	}
	pools.mu.Lock()
	defer pools.mu.Unlock()
	s, ok := pools.of[name]
	if !ok {
		s = &shared{pool: of}
		if of == nil {
			if s.pool, err = connect(connString); err != nil {
				return nil, nil, err
			}
			s.owned = true
		}
		config := s.pool.Config()
		s.turns, s.mode = semaphore.NewWeighted(int64(config.MaxConns)), config.ConnConfig.DefaultQueryExecMode
		if !s.owned && s.mode == pgx.QueryExecModeCacheStatement {
			// That is what a pool of the caller's does where nothing was said, and no sign
			// that there is no pooler.
			s.mode = pgx.QueryExecModeExec
		}
		pools.of[name] = s
	}
	s.users++
	return s, name, nil
}

// leave takes back what share gave.
func leave(name any) {
	pools.mu.Lock()
	s := pools.of[name]
	s.users--
	last := s.users == 0
	if last {
		delete(pools.of, name)
	}
	pools.mu.Unlock()
	if last && s.owned {
		s.pool.Close()
	}
}

// hashOf returns what tells one connection string from another, with all that stands in
// for what they leave out and can be changed meanwhile.
func hashOf(connString string) [sha256.Size]byte {
	hash := sha256.New()
	write := func(text string) { fmt.Fprintf(hash, "%d:%s", len(text), text) }
	write(connString)
	for _, variable := range os.Environ() {
		if strings.HasPrefix(variable, "PG") {
			write(variable)
		}
	}
	if settings, err := pgconn.ParseConfig(connString); err == nil {
		write(settings.Password) // from a file
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

// check asks the server to begin a transaction, and to end it.
func (p *Pool) check(ctx context.Context) error {
	err := p.Do(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		return tx.Rollback(ctx)
	})
	switch {
	case err == nil:
		return nil
	case isStatementPooler(err):
		return Fail(CodePooler, "a pooler in front of PostgreSQL lets no transaction last longer than a statement (pool_mode = statement); set pool_mode = transaction for this database, or connect past the pooler", err)
	}
	return Failed(ctx, CodeUnreachable, "PostgreSQL cannot be reached", err)
}

// Do calls f with a connection, and returns its error. It waits for one in the order of
// the calls, and for as long as those before it get on: where the server answers nobody
// for as long as an access may take, it gives up. The context of f ends after that time.
func (p *Pool) Do(ctx context.Context, f func(ctx context.Context, conn *pgxpool.Conn) error) error {
	if !p.turns.TryAcquire(1) {
		waiting, end := p.whileAnswered(ctx)
		err := p.turns.Acquire(waiting, 1)
		if err != nil {
			err = context.Cause(waiting)
		}
		end()
		if err != nil {
			return err
		}
	}
	defer p.turns.Release(1)
	return p.DoFirst(ctx, f)
}

// DoFirst is Do before those who wait there: for what is not to be late, and seldom.
func (p *Pool) DoFirst(ctx context.Context, f func(ctx context.Context, conn *pgxpool.Conn) error) error {
	conn, err := p.connection(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	err = f(limited, conn)
	if _, answered := errors.AsType[*pgconn.PgError](err); err == nil || answered || errors.Is(err, pgx.ErrNoRows) {
		p.answers.Add(1)
	}
	return err
}

// Exec carries out a statement, and returns how many rows it is about.
func (p *Pool) Exec(ctx context.Context, sql string, arguments ...any) (rows int64, err error) {
	err = p.Do(ctx, p.execution(&rows, sql, arguments))
	return rows, err
}

// ExecFirst is Exec as DoFirst is Do.
func (p *Pool) ExecFirst(ctx context.Context, sql string, arguments ...any) (rows int64, err error) {
	err = p.DoFirst(ctx, p.execution(&rows, sql, arguments))
	return rows, err
}

func (p *Pool) execution(rows *int64, sql string, arguments []any) func(context.Context, *pgxpool.Conn) error {
	return func(ctx context.Context, conn *pgxpool.Conn) error {
		tag, err := conn.Exec(ctx, sql, append([]any{p.mode}, arguments...)...)
		*rows = tag.RowsAffected()
		return err
	}
}

// QueryRow carries out a query, and scans the only row of its answer. The error is
// pgx.ErrNoRows where there is none.
func (p *Pool) QueryRow(ctx context.Context, scan []any, sql string, arguments ...any) error {
	return p.Do(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, sql, append([]any{p.mode}, arguments...)...).Scan(scan...)
	})
}

// connection returns a connection of the pool's. A server that has none left is asked
// again, as long as others get on.
func (p *Pool) connection(ctx context.Context) (*pgxpool.Conn, error) {
	conn, err := p.acquire(ctx)
	if !isFull(err) {
		return conn, err
	}
	waiting, end := p.whileAnswered(ctx)
	defer end()
	for longest := MinPause; isFull(err); longest = min(2*longest, MaxPause) {
		if Pause(waiting, longest) != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, err
		}
		conn, err = p.acquire(ctx)
	}
	return conn, err
}

func (p *Pool) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return p.pool.Acquire(limited)
}

// errNoTurn ends a wait for others who do not get on.
var errNoTurn = errors.New("no connection became free, and PostgreSQL answered nobody")

// whileAnswered returns a context that ends with errNoTurn where the server answers
// nobody for as long as an access may take.
func (p *Pool) whileAnswered(ctx context.Context) (context.Context, context.CancelFunc) {
	waiting, cancel := context.WithCancelCause(ctx)
	var mu sync.Mutex
	var again *time.Timer
	answers := p.answers.Load()
	mu.Lock()
	defer mu.Unlock()
	again = time.AfterFunc(p.timeout, func() {
		mu.Lock()
		defer mu.Unlock()
		if waiting.Err() != nil {
			return
		}
		now := p.answers.Load()
		if now == answers {
			cancel(errNoTurn)
			return
		}
		answers = now
		again.Reset(p.timeout)
	})
	return waiting, func() {
		mu.Lock()
		defer mu.Unlock()
		again.Stop()
		cancel(context.Canceled)
	}
}
