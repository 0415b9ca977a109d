package pgstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/internal/turns"
)

// maxRecord is the largest record, in bytes.
const maxRecord = 512 << 10

// Store is a host.Store in PostgreSQL, safe for concurrent use by goroutines,
// processes and machines. Make one with [Open].
type Store struct {
	pool     *pgxpool.Pool
	ownsPool bool
	sealer   *sealer
	name     string
	// table is quoted for SQL.
	table       string
	timeout     time.Duration
	lockTimeout time.Duration

	// turns let one caller at a time wait for a slot's lock in the database, and
	// threads so many that wait for those of threads.
	turns   turns.Turns
	threads chan struct{}
	// mu guards held, the locks that this store holds, by their slots.
	mu   sync.Mutex
	held map[string]*heldLock
}

// Format implements fmt.Formatter, and hides the keys.
func (*Store) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("pgstore.Store(secrets hidden)")) }

// Close ends the connections that Open made, once they are idle.
func (s *Store) Close() {
	if s.ownsPool {
		s.pool.Close()
	}
}

// The statements. Each has the table's name at %s.
const (
	selectRecord = `SELECT sealed FROM %s WHERE name = $1 AND slot_hash = sha256($2)`
	upsertRecord = `INSERT INTO %s (name, slot, sealed) VALUES ($1, $2, $3)
		ON CONFLICT (name, slot_hash) DO UPDATE SET sealed = excluded.sealed, saved_at = now()`
	deleteRecord = `DELETE FROM %s WHERE name = $1 AND slot_hash = sha256($2)`
	selectSlots  = `SELECT slot FROM %s WHERE name = $1 ORDER BY slot_hash`
	swapRecord   = `UPDATE %s SET sealed = $4, saved_at = now() WHERE name = $1 AND slot_hash = sha256($2) AND sealed = $3`
	insertRecord = `INSERT INTO %s (name, slot, sealed) VALUES ($1, $2, $3) ON CONFLICT (name, slot_hash) DO NOTHING`
	removeRecord = `DELETE FROM %s WHERE name = $1 AND slot_hash = sha256($2) AND sealed = $3`
)

func (s *Store) sql(statement string) string { return fmt.Sprintf(statement, s.table) }

// Load returns the record in a slot.
//
// Errors: CodeWrongKey, CodeReadFailed, CodeSchemaMissing, CodeUnreachable,
// CodeCanceled.
func (s *Store) Load(ctx context.Context, slot string) ([]byte, error) {
	sealed, err := s.load(ctx, slot)
	if err != nil || sealed == nil {
		return nil, err
	}
	record, _, err := s.sealer.open(slot, sealed)
	return record, err
}

// load returns what is in a slot, still sealed, or nil.
func (s *Store) load(ctx context.Context, slot string) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var sealed []byte
	err := s.pool.QueryRow(limited, s.sql(selectRecord), s.name, []byte(slot)).Scan(&sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, failed(ctx, CodeReadFailed, "PostgreSQL does not let the record be read; check the role's rights", err)
	}
	return sealed, nil
}

// Save replaces the record in a slot.
//
// Errors: CodeTooLarge, CodeWriteFailed, CodeLockLost, CodeSchemaMissing,
// CodeUnreachable, CodeCanceled. Load then returns the old record, or the new
// one where the connection failed after the server had saved it.
func (s *Store) Save(ctx context.Context, slot string, record []byte) error {
	if len(record) > maxRecord {
		return fail(CodeTooLarge, fmt.Sprintf("a record of %d bytes is too large: 512 KiB is the most", len(record)), nil)
	}
	_, err := s.change(ctx, slot, s.sql(upsertRecord), s.name, []byte(slot), s.sealer.seal(slot, record))
	return err
}

// Delete empties a slot. Its errors are those of Save, except CodeTooLarge.
func (s *Store) Delete(ctx context.Context, slot string) error {
	_, err := s.change(ctx, slot, s.sql(deleteRecord), s.name, []byte(slot))
	return err
}

// maxSwaps is how often a swap is tried anew, because the row has changed and the
// record in it has not: another process has sealed it with another key.
const maxSwaps = 4

// Swap replaces the record in a slot if it is still old. An empty record, as old or
// as new, stands for none.
//
// Errors: core.CodeRecordChanged, and those of Save and Load.
func (s *Store) Swap(ctx context.Context, slot string, old, new []byte) error {
	if len(new) > maxRecord {
		return fail(CodeTooLarge, fmt.Sprintf("a record of %d bytes is too large: 512 KiB is the most", len(new)), nil)
	}
	for range maxSwaps {
		sealed, err := s.load(ctx, slot)
		if err != nil {
			return err
		}
		var record []byte
		if sealed != nil {
			if record, _, err = s.sealer.open(slot, sealed); err != nil {
				return err
			}
		}
		if !bytes.Equal(record, old) {
			break
		}
		var changed int64
		switch {
		case sealed == nil && len(new) == 0:
			return nil
		case sealed == nil:
			changed, err = s.change(ctx, slot, s.sql(insertRecord), s.name, []byte(slot), s.sealer.seal(slot, new))
		case len(new) == 0:
			changed, err = s.change(ctx, slot, s.sql(removeRecord), s.name, []byte(slot), sealed)
		default:
			changed, err = s.change(ctx, slot, s.sql(swapRecord), s.name, []byte(slot), sealed, s.sealer.seal(slot, new))
		}
		if err != nil || changed == 1 {
			return err
		}
	}
	return fail(core.CodeRecordChanged, "another record has taken the place of the one to be replaced", nil)
}

// change carries out a statement that changes a slot, and returns how many rows it
// has changed. Under the slot's lock it is finished once it has begun, and refused
// once the lock is lost.
func (s *Store) change(ctx context.Context, slot, sql string, arguments ...any) (rows int64, err error) {
	if ctx.Err() != nil {
		return 0, notChanged(ctx, ctx.Err())
	}
	held, err := s.holdsStill(ctx, slot)
	if err != nil {
		return 0, err
	}
	if held {
		ctx = context.WithoutCancel(ctx)
	}
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	tag, err := s.pool.Exec(limited, sql, arguments...)
	if err != nil {
		return 0, notChanged(ctx, err)
	}
	return tag.RowsAffected(), nil
}

func notChanged(ctx context.Context, err error) error {
	return failed(ctx, CodeWriteFailed, "PostgreSQL did not save the change; check the role's rights, the space left, and that it is no standby", err)
}
