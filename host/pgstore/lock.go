package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/postgres"
)

// A lock is a lease: a row beside the records that names its holder, with a time at
// which it ends unless the holder is heard of before. It needs no connection between
// one statement and the next, and that is the point:
//
//   - A pooler that gives each transaction another session keeps no lock of a session
//     together.
//   - Locks of transactions that stay open take a connection for each holder and for
//     each of those who wait. A fleet that waits would have all of a small pooler's, and
//     the holder none to load and save with; hundreds of threads would need hundreds.
//
// Clocks decide only when a lock may be taken from somebody who was not heard of, and
// that is the server's alone. Whether a change is still the holder's to make is decided
// by the row itself: see change.
const (
	// defaultLease is how long a lock outlasts a process that has crashed, and how long
	// PostgreSQL may be away without a waiter taking the lock.
	defaultLease = 15 * time.Second
	// renewals is how often a lease is renewed in its time: two may fail.
	renewals = 5
	// releaseTimeout bounds giving a lock back. Where that fails, the lease ends.
	releaseTimeout = 5 * time.Second
)

// The statements of locks. Each has the table's name at %[1]s.
//
// Trying to take a lock reads before it writes: those who wait disturb neither the
// holder nor each other.
const (
	takeLock = `INSERT INTO %[1]s AS lock (name, slot, sealed, saved_at)
		SELECT @locks::text, @slot::bytea, @token::bytea, clock_timestamp() + make_interval(secs => @seconds)
		WHERE NOT EXISTS (SELECT FROM %[1]s
			WHERE name = @locks AND slot_hash = sha256(@slot) AND saved_at > clock_timestamp())
		ON CONFLICT (name, slot_hash) DO UPDATE SET sealed = excluded.sealed, saved_at = excluded.saved_at
			WHERE lock.saved_at <= clock_timestamp()`
	renewLocks = `UPDATE %[1]s SET saved_at = clock_timestamp() + make_interval(secs => @seconds)
		WHERE name = @locks AND sealed = ANY(@tokens::bytea[])`
	releaseLock = `DELETE FROM %[1]s WHERE name = @locks AND slot_hash = sha256(@slot) AND sealed = @token`
	// Of slots that are never locked again, what a crash has left.
	sweepLocks = `DELETE FROM %[1]s WHERE name = @locks AND saved_at < clock_timestamp() - interval '1 day'`
)

// locksName is what the rows of locks have for a name. No store has such a name: it
// has a control character.
func locksName(name string) string { return name + "\nlocks" }

// Lock waits for the lock of a slot of the store's name, Config.LockTimeout at most and
// one statement. It is held until it is given back. Where the process ends before that,
// or PostgreSQL does not hear of it for 15 s, others can take it.
//
// Errors: CodeLocked, CodeSchemaMissing, CodeWriteFailed, CodeUnreachable, CodePooler,
// CodeCanceled, core.CodeStoreReadOnly.
func (s *Store) Lock(ctx context.Context, slot string) (unlock func(), err error) {
	limited, cancel := context.WithTimeout(ctx, s.lockTimeout)
	defer cancel()
	// Of those in this process that want one lock, one asks the server.
	endTurn, err := s.turns.Take(limited, slot)
	if err != nil {
		return nil, notLocked(ctx, "another call in this process holds the lock, or waits for it; wait, or give more time", err)
	}
	token, err := s.take(ctx, limited, slot)
	if err != nil {
		endTurn()
		return nil, err
	}
	s.hold(slot, token)
	return sync.OnceFunc(func() {
		s.forget(slot)
		s.release(ctx, slot, token)
		endTurn()
	}), nil
}

// take waits within limited, and returns the token of the lock.
func (s *Store) take(ctx, limited context.Context, slot string) (token []byte, err error) {
	// Each time another one: should a statement that was given up still arrive, it
	// concerns no later lock.
	token = make([]byte, 16)
	_, _ = rand.Read(token) // it never fails: see crypto/rand
	s.sweep.Do(func() {
		// Without this, the table has more rows, no more.
		_, _ = s.pool.Exec(ctx, s.sql(sweepLocks), pgx.NamedArgs{"locks": locksName(s.name)})
	})
	for longest := postgres.MinPause; ; longest = min(2*longest, postgres.MaxPause) {
		taken, err := s.pool.Exec(ctx, s.sql(takeLock), pgx.NamedArgs{
			"locks": locksName(s.name), "slot": []byte(slot), "token": token, "seconds": s.lease.Seconds(),
		})
		switch {
		case err == nil && taken == 1:
			return token, nil
		case err != nil && !postgres.IsConflict(err):
			if _, answered := errors.AsType[*pgconn.PgError](err); !answered && !pgconn.SafeToRetry(err) {
				// Perhaps it is taken. Nobody is to wait for that.
				go s.release(ctx, slot, token)
			}
			return nil, notChanged(ctx, err)
		}
		if err := postgres.Pause(limited, longest); err != nil {
			return nil, notLocked(ctx, "another process, perhaps on another machine, holds the lock; wait, or end that", err)
		}
	}
}

// hold has a lock renewed from now on.
func (s *Store) hold(slot string, token []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = make(map[string][]byte)
	}
	s.held[slot] = token
	if s.renewal == nil {
		s.renewal = time.AfterFunc(s.lease/renewals, s.renew)
	}
}

func (s *Store) forget(slot string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, slot)
}

// renew puts off the end of all locks that are held, in one statement, and has itself
// called again while there are any.
func (s *Store) renew() {
	s.mu.Lock()
	tokens := make([][]byte, 0, len(s.held))
	for _, token := range s.held {
		tokens = append(tokens, token)
	}
	if len(tokens) == 0 {
		s.renewal = nil
	}
	s.mu.Unlock()
	if len(tokens) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.lease/renewals)
	defer cancel()
	// The next time is soon enough. A lock that is lost is found to be at the change
	// for which it was taken.
	_, _ = s.pool.ExecFirst(ctx, s.sql(renewLocks), pgx.NamedArgs{"locks": locksName(s.name), "tokens": tokens, "seconds": s.lease.Seconds()})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewal.Reset(s.lease / renewals)
}

// release gives a lock back, if it is still held, whether or not the context in which it
// was taken has ended.
func (s *Store) release(ctx context.Context, slot string, token []byte) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	_, _ = s.pool.ExecFirst(ctx, s.sql(releaseLock), pgx.NamedArgs{"locks": locksName(s.name), "slot": []byte(slot), "token": token})
}

// notLocked returns the error of a wait for a lock.
func notLocked(ctx context.Context, message string, err error) error {
	if ctx.Err() != nil {
		return postgres.Failed(ctx, CodeLocked, message, err)
	}
	return postgres.Fail(CodeLocked, message, err)
}

// Probe saves a record in the slot and takes it back.
//
// Errors: CodeSchemaMissing, CodeWriteFailed, CodeUnreachable, CodePooler,
// CodeCanceled, core.CodeStoreReadOnly.
func (s *Store) Probe(ctx context.Context, slot string) error {
	sql, arguments := s.changing(saveRecord, slot, heldLock{})
	arguments["sealed"] = s.sealer.seal(slot, nil)
	err := s.pool.Do(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sql, s.pool.Mode(), arguments)
		return errors.Join(err, tx.Rollback(ctx))
	})
	// Another who writes the same is proof enough that it can be written.
	if err != nil && !postgres.IsConflict(err) {
		return notChanged(ctx, err)
	}
	return nil
}

// heldLock says which lock a change is made under. The zero value stands for none.
type heldLock struct {
	slot  string
	token []byte
}

// lockOf returns the lock that this store holds for changes of a slot. Threads have
// locks of their own; what else is stored belongs to the identity.
func (s *Store) lockOf(slot string) heldLock {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token, ok := s.held[slot]; ok {
		return heldLock{slot, token}
	}
	if token, ok := s.held[wire.SlotIdentity]; ok && !strings.HasPrefix(slot, wire.SlotThread) {
		return heldLock{wire.SlotIdentity, token}
	}
	return heldLock{}
}

// What a change is made under. FOR SHARE keeps others from taking the lock before the
// change is there for them to see: so it is safe however slow anybody is.
const (
	underLock = `held AS MATERIALIZED (SELECT FROM %[1]s
		WHERE name = @locks AND slot_hash = sha256(@locked) AND sealed = @token FOR SHARE)`
	withoutLock = `held AS (SELECT)`
)

// changing returns a statement that changes a slot under a lock, and its arguments
// except for records. It answers with two truth values: whether the lock is held still,
// and whether there was something to change.
func (s *Store) changing(statement, slot string, lock heldLock) (sql string, arguments pgx.NamedArgs) {
	arguments = pgx.NamedArgs{"name": s.name, "slot": []byte(slot)}
	held := withoutLock
	if lock.token != nil {
		held = underLock
		arguments["locks"], arguments["locked"], arguments["token"] = locksName(s.name), []byte(lock.slot), lock.token
	}
	return s.sql("WITH " + held + ", done AS (" + statement + " RETURNING 1) SELECT EXISTS (SELECT FROM held), EXISTS (SELECT FROM done)"), arguments
}

// change carries out a statement that changes a slot, and returns whether there was
// something to change. Where this store has taken the lock for it and another has it
// since, nothing changes.
//
// It ends with its context: what is left of it, a connection to be closed, is not what
// the lock depends on.
func (s *Store) change(ctx context.Context, statement, slot string, records pgx.NamedArgs) (changed bool, err error) {
	for {
		sql, arguments := s.changing(statement, slot, s.lockOf(slot))
		maps.Copy(arguments, records)
		var held bool
		err := s.pool.QueryRow(ctx, []any{&held, &changed}, sql, arguments)
		switch {
		case postgres.IsConflict(err):
			continue
		case err != nil:
			return false, notChanged(ctx, err)
		case !held:
			return false, postgres.Fail(CodeLockLost, "the lock has been taken by another process, because PostgreSQL did not hear of this one for too long; take the lock again, and load the record anew", nil)
		}
		return changed, nil
	}
}
