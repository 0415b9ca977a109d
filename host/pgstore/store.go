package pgstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
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

	// turn holds a value while somebody in this process has the lock or waits for
	// it in the database, so that each store waits on one connection at most.
	turn chan struct{}
	// mu guards session, and is held during each use of it.
	mu sync.Mutex
	// session is the connection whose session holds the lock, or nil.
	session *pgx.Conn
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
	swapRecord   = `UPDATE %s SET sealed = $4 WHERE name = $1 AND slot_hash = sha256($2) AND sealed = $3`
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
	return s.change(ctx, s.sql(upsertRecord), s.name, []byte(slot), s.sealer.seal(slot, record))
}

// Delete empties a slot. Its errors are those of Save, except CodeTooLarge.
func (s *Store) Delete(ctx context.Context, slot string) error {
	return s.change(ctx, s.sql(deleteRecord), s.name, []byte(slot))
}

// change carries out a statement: in the session that holds the lock, where this
// store holds it.
func (s *Store) change(ctx context.Context, sql string, arguments ...any) error {
	if held, err := s.changeInSession(ctx, sql, arguments...); held {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if _, err := s.pool.Exec(limited, sql, arguments...); err != nil {
		return notChanged(ctx, err)
	}
	return nil
}

func notChanged(ctx context.Context, err error) error {
	return failed(ctx, CodeWriteFailed, "PostgreSQL did not save the change; check the role's rights, the space left, and that it is no standby", err)
}
