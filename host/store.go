package host

import (
	"context"
	"slices"
	"sync"

	"github.com/agentassert/agentassert/core/wire"
)

// Store keeps records between runs, in slots: wire.SlotIdentity holds the agent
// identity, wire.SlotBackoff what is remembered of failed registrations. Records
// are JSON, and secret. Errors are best of type *core.Error; any other is
// reported as core.CodeStoreFailed.
//
// A store is safe for concurrent use. Packages authfile, keyringstore and pgstore
// have one each.
type Store interface {
	// Load returns the record in a slot, or nothing where there is none.
	Load(ctx context.Context, slot string) ([]byte, error)
	// Save replaces the record in a slot: whoever loads it meanwhile gets the old
	// one or the new one, whole.
	Save(ctx context.Context, slot string, record []byte) error
	// Delete empties a slot.
	Delete(ctx context.Context, slot string) error
	// Lock waits until no other process and no other caller in this one holds
	// the lock. It is held during a registration: for a minute, at the worst.
	// Loading and saving are possible without it.
	Lock(ctx context.Context) (unlock func(), err error)
}

// Credentials are the signed-in user's. Formatting them shows no secret.
type Credentials = wire.Credentials

// CredentialSource knows who is signed in. It is asked again each second in
// which an authorization is wanted, for tokens change. It is safe for concurrent
// use.
type CredentialSource interface {
	// Credentials returns the current ones: with wire.CredentialsNone for
	// their kind where nobody is signed in.
	Credentials(ctx context.Context) (Credentials, error)
}

// CredentialFunc is a CredentialSource made from a function.
type CredentialFunc func(ctx context.Context) (Credentials, error)

// Credentials calls f.
func (f CredentialFunc) Credentials(ctx context.Context) (Credentials, error) { return f(ctx) }

// MemoryStore is a store that ends with the process. The zero value is empty and
// ready for use.
type MemoryStore struct {
	mu      sync.Mutex
	records map[string][]byte

	once sync.Once
	lock chan struct{}
}

// String hides the records.
func (s *MemoryStore) String() string { return "MemoryStore(secrets hidden)" }

// GoString hides the records.
func (s *MemoryStore) GoString() string { return s.String() }

// Load implements [Store].
func (s *MemoryStore) Load(_ context.Context, slot string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.records[slot]), nil
}

// Save implements [Store].
func (s *MemoryStore) Save(_ context.Context, slot string, record []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		s.records = make(map[string][]byte)
	}
	s.records[slot] = slices.Clone(record)
	return nil
}

// Delete implements [Store].
func (s *MemoryStore) Delete(_ context.Context, slot string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, slot)
	return nil
}

// Lock implements [Store].
func (s *MemoryStore) Lock(ctx context.Context) (func(), error) {
	s.once.Do(func() { s.lock = make(chan struct{}, 1) })
	select {
	case s.lock <- struct{}{}:
		return func() { <-s.lock }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
