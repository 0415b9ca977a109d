package keyringstore

import "context"

// Keyring is a keyring for tests.
type Keyring = keyring

// OpenOn is Open on another keyring than the system's.
func OpenOn(ctx context.Context, config Config, k Keyring) (*Store, error) {
	return open(ctx, config, k)
}

// Item is the name of a slot's head.
func (s *Store) Item(slot string) string { return s.item(slot) }
