package pgstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/internal/postgres"
	"github.com/agentassert/agentassert/internal/turns"
)

const (
	// maxRecord is the largest record, in bytes.
	maxRecord = 512 << 10
	// maxSlot is the longest name of a slot, in bytes: twice that of any thread.
	maxSlot = 8 << 10
)

// Store is a host.Store in PostgreSQL, safe for concurrent use by goroutines,
// processes and machines. Make one with [Open].
type Store struct {
	pool   *postgres.Pool
	sealer *sealer
	name   string
	// table is quoted for SQL.
	table       string
	lockTimeout time.Duration
	lease       time.Duration

	// turns let one caller at a time ask the server for a slot's lock.
	turns turns.Turns
	// sweep removes what crashes have left of locks, once.
	sweep sync.Once
	// mu guards held and renewal.
	mu sync.Mutex
	// held has the tokens of the locks that this store holds, by their slots.
	held map[string][]byte
	// renewal renews those. It is nil where there were none when it came to that.
	renewal *time.Timer
}

// Format implements fmt.Formatter, and hides the keys.
func (*Store) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("pgstore.Store(secrets hidden)")) }

// Close ends the connections that Open made, once they are idle, unless other stores use
// them.
func (s *Store) Close() { s.pool.Close() }

// The statements on records. Each has the table's name at %[1]s. What changes a slot is
// made into a statement by changing.
const (
	// What is larger than anything that was saved here stays where it is.
	selectRecord = `SELECT CASE WHEN octet_length(sealed) <= $3 THEN sealed END FROM %[1]s
		WHERE name = $1 AND slot_hash = sha256($2)`
	selectNext      = selectRow + ` WHERE name = $1 AND slot_hash > $2 ORDER BY slot_hash LIMIT 1`
	selectNextOfAll = selectRow + ` WHERE (name, slot_hash) > ($1, $2) AND right(name, 6) <> E'\nlocks'
		ORDER BY name, slot_hash LIMIT 1`
	selectRow = `SELECT name, slot_hash, CASE WHEN octet_length(slot) <= $3 THEN slot END,
		CASE WHEN octet_length(sealed) <= $4 THEN sealed END FROM %[1]s`

	insertRecord = `INSERT INTO %[1]s (name, slot, sealed) SELECT @name::text, @slot::bytea, @sealed::bytea FROM held
		ON CONFLICT (name, slot_hash) DO NOTHING`
	saveRecord = `INSERT INTO %[1]s (name, slot, sealed) SELECT @name::text, @slot::bytea, @sealed::bytea FROM held
		ON CONFLICT (name, slot_hash) DO UPDATE SET sealed = excluded.sealed, saved_at = now()`
	deleteRecord  = `DELETE FROM %[1]s USING held WHERE name = @name AND slot_hash = sha256(@slot)`
	replaceRecord = `UPDATE %[1]s SET sealed = @sealed, saved_at = now() FROM held
		WHERE name = @name AND slot_hash = sha256(@slot) AND sealed = @expected`
	removeRecord = `DELETE FROM %[1]s USING held WHERE name = @name AND slot_hash = sha256(@slot) AND sealed = @expected`
	// Nothing else has changed, thus no lock is needed, and the time stays.
	resealRecord = `UPDATE %[1]s SET sealed = $4 WHERE name = $1 AND slot_hash = sha256($2) AND sealed = $3`
)

func (s *Store) sql(statement string) string { return fmt.Sprintf(statement, s.table) }

// Load returns the record in a slot.
//
// Errors: CodeWrongKey, CodeTooLarge, CodeReadFailed, CodeSchemaMissing,
// CodeUnreachable, CodeCanceled.
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
	var sealed []byte
	err := s.pool.QueryRow(ctx, []any{&sealed}, s.sql(selectRecord), s.name, []byte(slot), maxSealed)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, notRead(ctx, err)
	case sealed == nil:
		return nil, foundTooLarge()
	}
	return sealed, nil
}

func notRead(ctx context.Context, err error) error {
	return postgres.Failed(ctx, CodeReadFailed, "PostgreSQL does not let the record be read; check the role's rights", err)
}

func foundTooLarge() error {
	return postgres.Fail(CodeTooLarge, "a row is larger than any that this store writes; find out who may write the table, and delete the row", nil)
}

// Save replaces the record in a slot.
//
// Errors: CodeTooLarge, CodeWriteFailed, CodeLockLost, CodeSchemaMissing,
// CodeUnreachable, CodePooler, CodeCanceled, core.CodeStoreReadOnly. Load then returns
// the old record, or the new one where the connection failed after the server had saved
// it.
func (s *Store) Save(ctx context.Context, slot string, record []byte) error {
	if err := checkSize(slot, record); err != nil {
		return err
	}
	_, err := s.change(ctx, saveRecord, slot, pgx.NamedArgs{"sealed": s.sealer.seal(slot, record)})
	return err
}

func checkSize(slot string, record []byte) error {
	if len(record) > maxRecord {
		return postgres.Fail(CodeTooLarge, fmt.Sprintf("a record of %d bytes is too large: 512 KiB is the most", len(record)), nil)
	}
	if len(slot) > maxSlot {
		return postgres.Fail(CodeTooLarge, fmt.Sprintf("a slot's name of %d bytes is too long: 8 KiB is the most", len(slot)), nil)
	}
	return nil
}

// Delete empties a slot. Its errors are those of Save, except CodeTooLarge.
func (s *Store) Delete(ctx context.Context, slot string) error {
	_, err := s.change(ctx, deleteRecord, slot, nil)
	return err
}

// Swap replaces the record in a slot if it is still old, whoever changes it at the same
// time. An empty record, as old or as new, stands for none.
//
// Errors: core.CodeRecordChanged, and those of Load and Save.
func (s *Store) Swap(ctx context.Context, slot string, old, new []byte) error {
	if err := checkSize(slot, new); err != nil {
		return err
	}
	for {
		// The server cannot compare records. It compares what is sealed, with what was
		// found to be the old record.
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
			return postgres.Fail(core.CodeRecordChanged, "another record has taken the place of the one to be replaced", nil)
		}
		statement, records := replaceRecord, pgx.NamedArgs{"expected": sealed}
		switch {
		case sealed == nil && len(new) == 0:
			return nil
		case sealed == nil:
			statement, records = insertRecord, pgx.NamedArgs{}
		case len(new) == 0:
			statement = removeRecord
		}
		if len(new) > 0 {
			records["sealed"] = s.sealer.seal(slot, new)
		}
		if changed, err := s.change(ctx, statement, slot, records); changed || err != nil {
			return err
		}
		// The row has changed meanwhile: to another record, or to the same one in
		// another seal.
	}
}

func notChanged(ctx context.Context, err error) error {
	return postgres.Failed(ctx, CodeWriteFailed, "PostgreSQL did not save the change; check the role's rights, and the space left", err)
}
