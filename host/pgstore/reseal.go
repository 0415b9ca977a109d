package pgstore

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/jackc/pgx/v5"
)

// Reseal seals each record of this name with the first key that another key
// sealed, and returns how many those were. A record that is saved meanwhile is
// left as it is. Once every machine seals with the first key and Reseal has
// succeeded, the other keys are needed no longer.
//
// Errors: CodeWrongKey, CodeTooLarge, CodeReadFailed, CodeWriteFailed,
// CodeSchemaMissing, CodeUnreachable, CodeCanceled. What was sealed until then stays
// so.
func (s *Store) Reseal(ctx context.Context) (int, error) {
	resealed := 0
	for last := []byte{}; ; {
		slot, old, err := s.next(ctx, last)
		if err != nil || old == nil {
			return resealed, err
		}
		hash := sha256.Sum256([]byte(slot))
		last = hash[:]
		record, key, err := s.sealer.open(slot, old)
		if err != nil {
			return resealed, err
		}
		if key == 0 {
			continue
		}
		changed, err := s.exchange(ctx, slot, old, s.sealer.seal(slot, record))
		if err != nil {
			return resealed, err
		}
		resealed += changed
	}
}

// next returns the slot that follows a hash, in the order of hashes, and what is in it,
// still sealed: nil after the last one. It is one at a time because how many there are is
// up to whoever writes the table.
func (s *Store) next(ctx context.Context, hash []byte) (slot string, sealed []byte, err error) {
	var found []byte
	err = s.pool.QueryRow(ctx, []any{&found, &sealed}, s.sql(selectNext), s.name, hash, maxSlot, maxSealed)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", nil, nil
	case err != nil:
		return "", nil, notRead(ctx, err)
	case found == nil || sealed == nil:
		return "", nil, foundTooLarge()
	}
	return string(found), sealed, nil
}

// exchange replaces what is in a slot if that is still old, and returns how many rows
// that were.
func (s *Store) exchange(ctx context.Context, slot string, old, sealed []byte) (int, error) {
	rows, err := s.pool.Exec(ctx, s.sql(resealRecord), s.name, []byte(slot), old, sealed)
	if err != nil {
		return 0, notChanged(ctx, err)
	}
	return int(rows), nil
}
