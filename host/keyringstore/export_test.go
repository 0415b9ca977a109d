package keyringstore

import (
	"context"
	"time"
)

// Keyring is a keyring for tests.
type Keyring = keyring

// OpenOn is Open on another keyring than the system's.
func OpenOn(ctx context.Context, config Config, k Keyring) (*Store, error) {
	return open(ctx, config, k, make(places, maxAccesses))
}

// LockTimeout is how long the store waits for a lock.
func (s *Store) LockTimeout() time.Duration { return s.lockTimeout }

// Item is the name of a slot's head.
func (s *Store) Item(slot string) string { return s.item(slot) }

// ClientAccount is the account of a home folder's entry.
var (
	ClientAccount = clientAccount
	// Verbatim is a canonical path on Windows.
	Verbatim = verbatim
)

// NewClientCredentialsOn is NewClientCredentials on another keyring than the system's.
func NewClientCredentialsOn(home string, timeout time.Duration, k Keyring) (*ClientCredentials, error) {
	return newClientCredentials(home, timeout, k, make(places, 1))
}
