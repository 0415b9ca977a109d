package host

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/hidden"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/turns"
)

// MaxLockTime is the longest for which a flow holds a lock of a [Store] that keeps to the
// context it is given. Whoever waits for a lock waits longer than that: others' would
// otherwise be called without the agent while a registration is under way.
const MaxLockTime = wire.MaxLockSeconds * time.Second

// Store keeps records between runs, in slots: wire.SlotIdentity holds the agent
// identity, wire.SlotThread and a thread's id that thread's task; the other Slot
// constants have their own. A slot's name can have any bytes, up to some 4100, because a
// thread's id can. Records are JSON, up to 512 KiB, and secret. A store preserves them
// byte for byte: whoever parses one and writes it anew, as a column of type jsonb does,
// loses what other programs have put there, and its Swap compares what was never saved.
// An empty record, and no record, are the same.
//
// Errors are best of type *core.Error; any other is reported as core.CodeStoreFailed, and
// stays in the chain. The code core.CodeStoreReadOnly says that the store can be read all
// the same: what it holds is then used, and what a call needs beside that is kept in
// memory.
//
// The contexts have the values of the context of the call that a flow began for, which
// others can wait for too, and which can return before the flow does: what is in such a
// value must not end with the call. They have no deadline of the call's. Those of Load,
// Lock and Probe are canceled when nobody waits for the flow any more, unless something
// that the backend has granted is still to be saved; those of all methods when the
// manager is closed, except that to save a record there are 10 seconds.
//
// A store is safe for concurrent use. Packages authfile, keyringstore and pgstore
// have one each.
type Store interface {
	// Load returns the record in a slot, or nothing where there is none. The caller does
	// not change it.
	Load(ctx context.Context, slot string) ([]byte, error)
	// Save replaces the record in a slot: whoever loads it meanwhile gets the old
	// one or the new one, whole. The record is the caller's again when Save returns.
	Save(ctx context.Context, slot string, record []byte) error
	// Delete empties a slot.
	Delete(ctx context.Context, slot string) error
	// Swap replaces the record in a slot if that is still old, and otherwise fails
	// with core.CodeRecordChanged and changes nothing. An empty record, as old or
	// as new, stands for none. The identity is never changed in another way: others
	// may write it, too.
	Swap(ctx context.Context, slot string, old, new []byte) error
	// Lock waits until no other process and no other caller in this one holds the
	// lock of that slot, wire.SlotIdentity or a thread's. It is held while what the
	// slot is for is registered: some seconds, three minutes with a backend that answers
	// at the last moment each time, MaxLockTime at most; so whoever bounds the wait bounds
	// it by more than that. The context goes on until unlock is called: a lock can be a
	// transaction's. Loading and saving are possible without it, also while it is held,
	// by its holder and by others. The locks of different slots do not wait for each
	// other.
	Lock(ctx context.Context, slot string) (unlock func(), err error)
}

// Prober is a [Store] that can tell beforehand, by trying, whether a record can be
// saved. It is asked before anything is registered: what cannot be kept would
// stay with the backend, and nobody would have it.
type Prober interface {
	// Probe returns the error that saving a record in the slot would end with.
	Probe(ctx context.Context, slot string) error
}

// Versioned is a [Store] that can tell cheaply that a slot has not changed. A manager
// asks it in each second in which it is asked for an authorization, and loads what it
// cannot tell; of a store that is not Versioned, everything.
type Versioned interface {
	// Version returns a version of the record in a slot, or nothing where it cannot tell.
	// Whenever the same comes back, the slot holds the same bytes, and has held them in
	// between.
	Version(ctx context.Context, slot string) (string, error)
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
	records map[string]memoryRecord
	changes uint64

	locks turns.Turns
}

// memoryRecord is a record, and which of all changes of the store has put it there.
type memoryRecord struct {
	hidden.Value[[]byte]
	change uint64
}

// Load implements [Store].
func (s *MemoryStore) Load(_ context.Context, slot string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.records[slot].Get()), nil
}

// Version implements [Versioned]. It returns no error.
func (s *MemoryStore) Version(_ context.Context, slot string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.records[slot]; ok {
		return strconv.FormatUint(r.change, 36), nil
	}
	return "", nil
}

// Save implements [Store].
func (s *MemoryStore) Save(_ context.Context, slot string, record []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(slot, record)
	return nil
}

// put replaces a record. The lock is held.
func (s *MemoryStore) put(slot string, record []byte) {
	if s.records == nil {
		s.records = make(map[string]memoryRecord)
	}
	s.changes++
	s.records[slot] = memoryRecord{hidden.Of(slices.Clone(record)), s.changes}
}

// Delete implements [Store].
func (s *MemoryStore) Delete(_ context.Context, slot string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, slot)
	return nil
}

// Swap implements [Store].
func (s *MemoryStore) Swap(_ context.Context, slot string, old, new []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !bytes.Equal(s.records[slot].Get(), old) {
		return fail(core.CodeRecordChanged, "another record has taken the place of the one to be replaced", nil)
	}
	if len(new) == 0 {
		delete(s.records, slot)
		return nil
	}
	s.put(slot, new)
	return nil
}

// Lock implements [Store].
func (s *MemoryStore) Lock(ctx context.Context, slot string) (func(), error) {
	return s.locks.Take(ctx, slot)
}
