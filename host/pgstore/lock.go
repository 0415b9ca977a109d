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
)

// endTimeout bounds the good-bye of a session.
const endTimeout = 5 * time.Second

// sessionSettings prepare a session for the lock. Its wait ends in the server,
// too, in case the client is gone. It may be idle during a registration, whatever
// the server's default, which there is from version 14 on. And a client that went
// with its network is noticed.
const sessionSettings = `SELECT set_config('lock_timeout', $1, false),
	set_config('statement_timeout', '0', false),
	set_config('tcp_keepalives_idle', '10', false),
	set_config('tcp_keepalives_interval', '5', false),
	set_config('tcp_keepalives_count', '3', false),
	CASE WHEN current_setting('idle_session_timeout', true) IS NOT NULL
		THEN set_config('idle_session_timeout', '0', false) END`

// advisoryKey is the number of an advisory lock. For a store's lock, name is the
// store's alone: its table can be named in more than one way.
func advisoryKey(purpose, name string) int64 {
	sum := sha256.Sum256([]byte("agentassert " + purpose + "\x00" + name))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// Lock waits for the lock of the store's name, Config.LockTimeout at most. It
// fails early where nothing could be saved in the end.
//
// Errors: CodeLocked, CodeSchemaMissing, CodeWriteFailed, CodeUnreachable,
// CodeCanceled.
func (s *Store) Lock(ctx context.Context) (unlock func(), err error) {
	limited, cancel := context.WithTimeout(ctx, s.lockTimeout)
	defer cancel()
	select {
	case s.turn <- struct{}{}:
	case <-limited.Done():
		return nil, notLocked(ctx, limited, limited.Err())
	}
	session, err := s.lockSession(ctx, limited)
	if err != nil {
		<-s.turn
		return nil, err
	}
	s.setSession(session)
	return sync.OnceFunc(func() {
		s.setSession(nil)
		end(session)
		<-s.turn
	}), nil
}

// setSession waits for the change that is under way in the session that was.
func (s *Store) setSession(session *pgx.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session = session
}

// lockSession returns a connection whose session holds the lock. It waits for the
// lock within limited.
func (s *Store) lockSession(ctx, limited context.Context) (_ *pgx.Conn, err error) {
	session, err := s.newSession(limited)
	if err != nil {
		return nil, failed(ctx, CodeUnreachable, "PostgreSQL refuses the settings of a session for the lock", err)
	}
	defer func() {
		if err != nil {
			end(session)
		}
	}()
	if _, err := session.Exec(limited, `SELECT pg_advisory_lock($1)`, advisoryKey("lock", s.name)); err != nil {
		return nil, notLocked(ctx, limited, err)
	}
	if err := s.tryWriting(ctx, session); err != nil {
		return nil, notChanged(ctx, err)
	}
	return session, nil
}

// newSession returns a connection that is prepared for the lock, and no longer
// the pool's: those who wait for a lock must not keep the pool's connections from
// the one who has it.
func (s *Store) newSession(ctx context.Context) (*pgx.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	pooled, err := s.pool.Acquire(limited)
	if err != nil {
		return nil, err
	}
	session := pooled.Hijack()
	if _, err := session.Exec(limited, sessionSettings, milliseconds(s.lockTimeout)); err != nil {
		end(session)
		return nil, err
	}
	return session, nil
}

// milliseconds returns d as a setting has it, where 0 would mean no limit.
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(min(max(d.Milliseconds(), 1), math.MaxInt32), 10)
}

// tryWriting saves a record and takes it back.
func (s *Store) tryWriting(ctx context.Context, session *pgx.Conn) error {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	tx, err := session.Begin(limited)
	if err != nil {
		return err
	}
	_, err = tx.Exec(limited, s.sql(upsertRecord), s.name, []byte("can this table be written?"), []byte{})
	return errors.Join(err, tx.Rollback(limited))
}

// notLocked returns the error of a wait for the lock. The server, which has the
// same limit, may be the first to end it.
func notLocked(ctx, limited context.Context, err error) error {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if ctx.Err() == nil && (limited.Err() != nil || ok && answer.Code == stateLockNotAvailable) {
		return fail(CodeLocked, "another process, perhaps on another machine, holds the lock of this name; end that, or wait", err)
	}
	return failed(ctx, CodeUnreachable, "PostgreSQL does not give the lock", err)
}

// changeInSession carries out a statement in the session that holds the lock, if
// this store holds it.
func (s *Store) changeInSession(ctx context.Context, sql string, arguments ...any) (held bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == nil {
		return false, nil
	}
	if ctx.Err() != nil {
		return true, notChanged(ctx, ctx.Err())
	}
	// A context that ends would take the connection with it, and with that the
	// lock, which may serve somebody else.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	_, err = s.session.Exec(ctx, sql, arguments...)
	switch {
	case err == nil:
		return true, nil
	case s.session.IsClosed():
		return true, fail(CodeLockLost, "the connection that held the lock has ended, because PostgreSQL was restarted perhaps; take the lock again, and load the record anew", err)
	default:
		return true, notChanged(context.WithoutCancel(ctx), err)
	}
}

// end ends a session, and so its lock.
func end(session *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	_ = session.Close(ctx)
}
