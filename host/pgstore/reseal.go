package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/internal/postgres"
)

// Reseal seals each record of this name with the first key that another key
// sealed, and returns how many those were. A record that is saved meanwhile is
// left as it is. Once every machine seals with the first key and Reseal has
// succeeded, the other keys are needed no longer.
//
// It may be interrupted, and called again: what was sealed until then stays so. Any
// number of calls can be under way at once, on whichever machines, beside whatever else
// stores do. Records that cannot be opened are passed over, and the first of them is the
// error.
//
// Errors: CodeWrongKey, CodeTooLarge, CodeReadFailed, CodeWriteFailed,
// CodeSchemaMissing, CodeUnreachable, CodeCanceled.
func (s *Store) Reseal(ctx context.Context) (int, error) {
	return s.reseal(ctx, s.sql(selectNext), row{name: s.name, hash: []byte{}})
}

// ResealAll is Reseal for the records of all names in the table. Where names have keys of
// their own, those cannot be opened.
func (s *Store) ResealAll(ctx context.Context) (int, error) {
	return s.reseal(ctx, s.sql(selectNextOfAll), row{hash: []byte{}})
}

// row is what a table has of a record.
type row struct {
	name string
	// hash is the slot's. Rows are in the order of names, and in one of hashes.
	hash []byte
	// slot and sealed are nil where they are too large.
	slot, sealed []byte
}

// reseal seals the rows that a query comes to, one after the other.
func (s *Store) reseal(ctx context.Context, query string, at row) (resealed int, err error) {
	var passed int
	var name string  // of the first record that was passed over
	var reason error // why it was
	for {
		// One at a time, because how many there are is up to whoever writes the table.
		err := s.pool.QueryRow(ctx, []any{&at.name, &at.hash, &at.slot, &at.sealed}, query, at.name, at.hash, maxSlot, maxSealed)
		switch {
		case errors.Is(err, pgx.ErrNoRows) && passed > 0:
			return resealed, postgres.Fail(core.Code(reason), fmt.Sprintf("%d records were passed over, the first one under the name %q", passed, name), reason)
		case errors.Is(err, pgx.ErrNoRows):
			return resealed, nil
		case err != nil:
			return resealed, notRead(ctx, err)
		}
		sealed, err := s.sealer.of(at.name).anew(at)
		switch {
		case err != nil:
			if passed++; passed == 1 {
				name, reason = at.name, err
			}
		case sealed != nil:
			rows, err := s.pool.Exec(ctx, s.sql(resealRecord), at.name, at.slot, at.sealed, sealed)
			if err != nil {
				return resealed, notChanged(ctx, err)
			}
			resealed += int(rows)
		}
	}
}

// anew returns a row's record as the first key seals it, or nil where that has sealed it.
func (s *sealer) anew(r row) ([]byte, error) {
	if r.slot == nil || r.sealed == nil {
		return nil, foundTooLarge()
	}
	record, key, err := s.open(string(r.slot), r.sealed)
	if err != nil || key == 0 {
		return nil, err
	}
	return s.seal(string(r.slot), record), nil
}
