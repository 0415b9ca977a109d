package pgstore

import (
	"time"

	"github.com/jackc/pgx/v5"
)

// LocksName is what the rows of a name's locks have for a name.
func LocksName(name string) string { return locksName(name) }

// SetLease sets how long a lock lasts without its holder, before the first one.
func (s *Store) SetLease(lease time.Duration) { s.lease = lease }

// ExecMode is how the store's statements are carried out.
func (s *Store) ExecMode() pgx.QueryExecMode { return s.pool.Mode() }

// LockTimeout is how long the store waits for a lock.
func (s *Store) LockTimeout() time.Duration { return s.lockTimeout }

// Lease is how long a lock lasts without its holder.
func (s *Store) Lease() time.Duration { return s.lease }
