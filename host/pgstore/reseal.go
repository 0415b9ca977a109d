package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Reseal seals each record of this name with the first key that another key
// sealed, and returns how many those were. A record that is saved meanwhile is
// left as it is. Once every machine seals with the first key and Reseal has
// succeeded, the other keys are needed no longer.
//
// Errors: CodeWrongKey, CodeReadFailed, CodeWriteFailed, CodeSchemaMissing,
// CodeUnreachable, CodeCanceled. What was sealed until then stays so.
func (s *Store) Reseal(ctx context.Context) (int, error) {
	slots, err := s.slots(ctx)
	if err != nil {
		return 0, err
	}
	resealed := 0
	for _, slot := range slots {
		old, err := s.load(ctx, slot)
		if err != nil {
			return resealed, err
		}
		if old == nil {
			continue // deleted meanwhile
		}
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
	return resealed, nil
}

func (s *Store) slots(ctx context.Context) ([]string, error) {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	rows, err := s.pool.Query(limited, s.sql(selectSlots), s.name)
	if err == nil {
		var slots []string
		slots, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
			var slot []byte
			err := row.Scan(&slot)
			return string(slot), err
		})
		if err == nil {
			return slots, nil
		}
	}
	return nil, failed(ctx, CodeReadFailed, "PostgreSQL does not let the records be listed; check the role's rights", err)
}

// exchange replaces what is in a slot if that is still old, and returns how many rows
// that were.
func (s *Store) exchange(ctx context.Context, slot string, old, sealed []byte) (int, error) {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	tag, err := s.pool.Exec(limited, s.sql(resealRecord), s.name, []byte(slot), old, sealed)
	if err != nil {
		return 0, notChanged(ctx, err)
	}
	return int(tag.RowsAffected()), nil
}
