package pgstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/agentassert/agentassert/core/wire"
)

const (
	// endTimeout bounds the good-bye of a session.
	endTimeout = 5 * time.Second
	// maxThreadLocks is how many locks of threads one store holds or waits for in the
	// database: each has a connection. The others wait in this process.
	maxThreadLocks = 16
)

// A lock is PostgreSQL's advisory lock of a transaction that stays open. One of a
// session would not do behind a pooler that gives each transaction another session
// (PgBouncer with pool_mode = transaction): a transaction stays where it is. It has
// written nothing and read nothing, so it keeps nothing from being cleaned up.

// transactionSettings are for that transaction alone. Its wait ends in the server,
// too, in case the client is gone. It may be idle during a registration, whatever the
// server's default. And a client that went with its network is noticed.
const transactionSettings = `SELECT set_config('lock_timeout', $1, true),
	set_config('statement_timeout', '0', true),
	set_config('idle_in_transaction_session_timeout', '0', true),
	set_config('tcp_keepalives_idle', '10', true),
	set_config('tcp_keepalives_interval', '5', true),
	set_config('tcp_keepalives_count', '3', true)`

// advisoryKey is the number of an advisory lock. For a store's locks, name is the
// store's alone, and a slot: its table can be named in more than one way.
func advisoryKey(purpose, name string) int64 {
	sum := sha256.Sum256([]byte("agentassert " + purpose + "\x00" + name))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// slotKey is the number of the lock of a slot.
func slotKey(name, slot string) int64 { return advisoryKey("lock", name+"\x00"+slot) }

// heldLock is a transaction that holds a lock.
type heldLock struct {
	// mu is held during each use of the connection.
	mu   sync.Mutex
	conn *pgx.Conn
}

// Lock waits for the lock of a slot of the store's name, Config.LockTimeout at most.
// It ends with the process that holds it, as soon as the server notices.
//
// Errors: CodeLocked, CodeUnreachable, CodePooler, CodeCanceled.
func (s *Store) Lock(ctx context.Context, slot string) (unlock func(), err error) {
	limited, cancel := context.WithTimeout(ctx, s.lockTimeout)
	defer cancel()
	endTurn, err := s.turns.Take(limited, slot)
	if err != nil {
		return nil, notLocked(ctx, limited, err)
	}
	if slot != wire.SlotIdentity {
		select {
		case s.threads <- struct{}{}:
		case <-limited.Done():
			endTurn()
			return nil, notLocked(ctx, limited, limited.Err())
		}
	}
	leave := func() {
		if slot != wire.SlotIdentity {
			<-s.threads
		}
		endTurn()
	}
	held, err := s.lock(ctx, limited, slot)
	if err != nil {
		leave()
		return nil, err
	}
	s.setHeld(slot, held)
	return sync.OnceFunc(func() {
		s.setHeld(slot, nil)
		held.mu.Lock() // after the change that is under way
		defer held.mu.Unlock()
		end(held.conn)
		leave()
	}), nil
}

func (s *Store) setHeld(slot string, held *heldLock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held == nil {
		delete(s.held, slot)
		return
	}
	if s.held == nil {
		s.held = make(map[string]*heldLock)
	}
	s.held[slot] = held
}

// lock returns a transaction that holds the lock. It waits for the lock within
// limited.
func (s *Store) lock(ctx, limited context.Context, slot string) (_ *heldLock, err error) {
	conn, err := s.begin(limited)
	if err != nil {
		return nil, failed(ctx, CodeUnreachable, "PostgreSQL refuses the settings of a transaction for the lock", err)
	}
	if _, err := conn.Exec(limited, `SELECT pg_advisory_xact_lock($1)`, slotKey(s.name, slot)); err != nil {
		end(conn)
		return nil, notLocked(ctx, limited, err)
	}
	return &heldLock{conn: conn}, nil
}

// begin returns a connection in a transaction that is prepared for the lock. It is no
// longer the pool's: those who wait for a lock must not keep the pool's connections
// from the one who has it.
func (s *Store) begin(ctx context.Context) (*pgx.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	pooled, err := s.pool.Acquire(limited)
	if err != nil {
		return nil, err
	}
	conn := pooled.Hijack()
	if _, err = conn.Exec(limited, "BEGIN"); err == nil {
		_, err = conn.Exec(limited, transactionSettings, milliseconds(s.lockTimeout))
	}
	if err != nil {
		end(conn)
		return nil, err
	}
	return conn, nil
}

// milliseconds returns d as a setting has it, where 0 would mean no limit.
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(min(max(d.Milliseconds(), 1), math.MaxInt32), 10)
}

// Probe saves a record and takes it back.
//
// Errors: CodeSchemaMissing, CodeWriteFailed, CodeUnreachable, CodePooler,
// CodeCanceled, core.CodeStoreReadOnly.
func (s *Store) Probe(ctx context.Context, _ string) error {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	tx, err := s.pool.Begin(limited)
	if err != nil {
		return notChanged(ctx, err)
	}
	_, err = tx.Exec(limited, s.sql(upsertRecord), s.name, []byte("can this table be written?"), []byte{})
	if err = errors.Join(err, tx.Rollback(limited)); err != nil {
		return notChanged(ctx, err)
	}
	return nil
}

// notLocked returns the error of a wait for the lock. The server, which has the
// same limit, may be the first to end it.
func notLocked(ctx, limited context.Context, err error) error {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if ctx.Err() == nil && (limited.Err() != nil || ok && answer.Code == stateLockNotAvailable) {
		return fail(CodeLocked, "others hold the lock, in this process or another, perhaps on another machine; wait, or end those", err)
	}
	return failed(ctx, CodeUnreachable, "PostgreSQL does not give the lock", err)
}

// holdsStill returns whether this store holds the lock of a slot, and an error if it
// believes so and the server has given the lock away: whoever has it since must find
// what it has read unchanged.
func (s *Store) holdsStill(ctx context.Context, slot string) (held bool, err error) {
	s.mu.Lock()
	h := s.held[slot]
	s.mu.Unlock()
	if h == nil {
		return false, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	// A context that ends would take the connection with it, and with that the lock,
	// which may serve somebody else.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	if _, err := h.conn.Exec(ctx, "SELECT 1"); err != nil {
		return true, fail(CodeLockLost, "the connection that held the lock has ended, because PostgreSQL was restarted perhaps; take the lock again, and load the record anew", err)
	}
	return true, nil
}

// end ends a connection, and with it the transaction and its lock.
func end(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	_, _ = conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll() // for a pooler, which then keeps its session
	_ = conn.Close(ctx)
}
