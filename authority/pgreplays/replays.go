package pgreplays

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/internal/postgres"
)

const (
	// grace is how long an assertion is remembered after it has expired: for a request
	// whose look-up took long, and for a server whose clock is behind.
	grace = time.Minute
	// slice is the time that an account's assertions are counted by.
	slice = time.Minute
	// sweepEvery is in uses, sweepRows in rows. A use adds two rows at the most, so what
	// has expired goes at twice the rate at which it can come.
	sweepEvery = 100
	sweepRows  = 4 * sweepEvery
	// attempts is how often a use is tried that is neither added nor known. Another one at
	// the same time takes two.
	attempts = 3
)

// Replays remembers used assertions in PostgreSQL. It is safe for concurrent use by
// goroutines, and by any number of processes and machines on one table. Make one with
// [Open].
type Replays struct {
	pool *postgres.Pool
	// table is quoted for SQL.
	table      string
	timeout    time.Duration
	reuse      time.Duration
	perAccount int
	room       *room
	uses       atomic.Uint64
}

// Format implements fmt.Formatter, and hides how it connects.
func (*Replays) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("pgreplays.Replays(secrets hidden)"))
}

// Close ends the connections that Open made, once they are idle, unless others use them.
func (r *Replays) Close() { r.pool.Close() }

// The statements, each with the table's name at %[1]s.
const (
	// One that another is about to add is waited for by ON CONFLICT, and then it is neither
	// known, because the statement began before, nor added. The assertion comes before the
	// count, so that nothing is counted that was not added, and so that all take locks in
	// the same order.
	use = `WITH known AS (
			SELECT first_used FROM %[1]s WHERE id = @digest::bytea
		), held AS (
			SELECT coalesce(sum(uses), 0)::bigint AS uses FROM %[1]s WHERE id BETWEEN @first::bytea AND @last::bytea
		), added AS (
			INSERT INTO %[1]s (id, first_used, expires)
			SELECT @digest::bytea, @now::timestamptz, @expires::timestamptz FROM held
			WHERE held.uses < @most::bigint AND @room::boolean
			ON CONFLICT (id) DO NOTHING RETURNING id
		), counted AS (
			INSERT INTO %[1]s AS t (id, uses, expires) SELECT @counter::bytea, 1, @counter_expires::timestamptz FROM added
			ON CONFLICT (id) DO UPDATE SET uses = t.uses + 1
		)
		SELECT (SELECT first_used FROM known), (SELECT held.uses FROM held), EXISTS (SELECT FROM added)`
	count = `SELECT count(*) FROM %[1]s WHERE expires > $1 AND first_used IS NOT NULL`
	// Rows that another is deleting are left to it. An array is made once, where a
	// subquery could be carried out for each row.
	sweep = `DELETE FROM %[1]s WHERE id = ANY (ARRAY(
		SELECT id FROM %[1]s WHERE expires <= least($1::timestamptz, now()) ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED))`
)

func (r *Replays) sql(statement string) string { return fmt.Sprintf(statement, r.table) }

// Replayed reports whether an assertion was used before, at whichever server, so long ago
// that this use is a replay, and remembers it. With an error, nobody knows, and the use is
// to be refused, as a verifier does.
//
// Errors: an *authority.Error with authority.CodeQuotaExceeded or
// authority.CodeCapacityExceeded; CodeUnreachable, CodeSchemaMissing, CodeWriteFailed,
// CodePooler, CodeCanceled, core.CodeStoreReadOnly.
func (r *Replays) Replayed(ctx context.Context, u authority.Use) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	now := u.Time.Truncate(time.Microsecond) // as PostgreSQL has it
	if err := r.keepHouse(limited, now); err != nil {
		return false, notUsed(ctx, err)
	}
	hasRoom, added := r.room.take(), false
	if hasRoom {
		defer func() { r.room.done(added) }()
	}
	first, last, counter, ends := counters(u, now)
	arguments := pgx.NamedArgs{
		"digest": u.Digest[:], "now": now, "expires": u.Expires.Add(grace),
		"first": first, "last": last, "counter": counter, "counter_expires": ends,
		"most": r.perAccount, "room": hasRoom,
	}
	var firstUsed *time.Time
	var held int
	for attempt := 0; attempt < attempts; {
		err := r.pool.QueryRow(limited, []any{&firstUsed, &held, &added}, r.sql(use), arguments)
		switch {
		case postgres.IsConflict(err):
			continue
		case err != nil:
			added = true // perhaps
			return false, notUsed(ctx, err)
		case added && firstUsed == nil: // else it was being deleted, and was known still
			return false, nil
		}
		if firstUsed != nil || held >= r.perAccount || !hasRoom {
			break
		}
		attempt++
	}
	switch {
	case firstUsed != nil:
		// A clock that was set back, or is behind, counts as no time.
		return u.Once || r.reuse == 0 || now.Sub(*firstUsed) > r.reuse, nil
	case held >= r.perAccount:
		return false, &authority.Error{Status: http.StatusTooManyRequests, Code: authority.CodeQuotaExceeded,
			Message: "the account has used as many assertions as one account may; try again later"}
	case !hasRoom:
		return false, &authority.Error{Status: http.StatusServiceUnavailable, Code: authority.CodeCapacityExceeded,
			Message: "as many assertions are remembered as may be; try again later"}
	}
	return false, postgres.Fail(CodeWriteFailed, "PostgreSQL has neither remembered the assertion nor known it; find out who else writes the table, or what keeps rows from it", nil)
}

func notUsed(ctx context.Context, err error) error {
	return postgres.Failed(ctx, CodeWriteFailed, "PostgreSQL did not remember the assertion; check the role's rights, and the space left", err)
}

// keepHouse deletes what has expired, and counts what is held, each where it is time.
func (r *Replays) keepHouse(ctx context.Context, now time.Time) error {
	if r.uses.Add(1)%sweepEvery == 1 {
		// What a conflict leaves is there the next time, here and below.
		if _, err := r.pool.Exec(ctx, r.sql(sweep), now, sweepRows); err != nil && !postgres.IsConflict(err) {
			return err
		}
	}
	if r.room.due(now) {
		var held int
		err := r.pool.QueryRow(ctx, []any{&held}, r.sql(count), now)
		r.room.set(held, err == nil)
		if err != nil && !postgres.IsConflict(err) {
			return err
		}
	}
	return nil
}

// counters returns the ids that rows which count an account's assertions have from now on,
// the id of the one that counts this use, and when that one expires: at the end of its
// slice. An id is the account's hash, and the end. It is longer than a digest, so that it
// is none; and one agent of nobody's is not to use up what another has.
func counters(u authority.Use, now time.Time) (first, last, counter []byte, expires time.Time) {
	account := sha256.Sum256([]byte("account:" + u.AccountID))
	if u.AccountID == "" {
		account = sha256.Sum256([]byte("agent:" + u.AgentRuntimeID + u.RuntimeAgentInstance))
	}
	id := func(end uint64) []byte { return binary.BigEndian.AppendUint64(bytes.Clone(account[:]), end) }
	expires = u.Expires.Add(grace + slice - 1).Truncate(slice)
	return id(uint64(now.Truncate(slice).Add(slice).Unix())), id(math.MaxUint64), id(uint64(expires.Unix())), expires
}
