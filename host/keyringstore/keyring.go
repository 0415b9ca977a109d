package keyringstore

import (
	"context"
	"errors"
	"time"

	system "github.com/zalando/go-keyring"
)

// keyring is what a store needs of a keyring. An item that is not there is
// system.ErrNotFound.
type keyring interface {
	Get(service, item string) (string, error)
	Set(service, item, value string) error
	Delete(service, item string) error
}

// systemKeyring is the operating system's.
type systemKeyring struct{}

func (systemKeyring) Get(service, item string) (string, error) { return system.Get(service, item) }

func (systemKeyring) Set(service, item, value string) error { return system.Set(service, item, value) }

func (systemKeyring) Delete(service, item string) error { return system.Delete(service, item) }

// maxAccesses is how many accesses to a keyring one store has under way. One that
// hangs, because a collection is locked and nobody can be asked to unlock it, or
// because a daemon is stopped, cannot be told to stop: it keeps its place until it
// ends, and its caller goes on.
const maxAccesses = 4

// patient is a keyring whose callers need not wait for it.
type patient struct {
	keyring keyring
	timeout time.Duration
	places  chan struct{}
}

func newPatient(k keyring, timeout time.Duration) *patient {
	return &patient{keyring: k, timeout: timeout, places: make(chan struct{}, maxAccesses)}
}

// errNoAnswer is a keyring that has not answered in time.
var errNoAnswer = errors.New("it does not answer; is it waiting for somebody to unlock it?")

// access runs one access, and returns early where the context ends or the time is
// over.
func access[T any](ctx context.Context, p *patient, work func(keyring) (T, error)) (T, error) {
	var none T
	limited, cancel := context.WithTimeoutCause(ctx, p.timeout, errNoAnswer)
	defer cancel()
	select {
	case p.places <- struct{}{}:
	case <-limited.Done():
		return none, context.Cause(limited)
	}
	type answer struct {
		value T
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		value, err := work(p.keyring)
		<-p.places
		answered <- answer{value, err}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-limited.Done():
		return none, context.Cause(limited)
	}
}

// canceled returns the error of a context that has ended.
func canceled(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail(CodeCanceled, "the caller stopped waiting for the keyring", err)
	}
	return nil
}

// get returns the value of an item, and whether there is one.
func (s *Store) get(ctx context.Context, item string) (value string, found bool, err error) {
	if err := canceled(ctx); err != nil {
		return "", false, err
	}
	value, err = access(ctx, s.keyring, func(k keyring) (string, error) { return k.Get(s.service, item) })
	if errors.Is(err, system.ErrNotFound) {
		return "", false, nil
	}
	if err != nil && ctx.Err() != nil {
		return "", false, canceled(ctx)
	}
	if err != nil {
		return "", false, fail(CodeUnavailable, "the system's keyring cannot be read; unlock it or start one, or keep the identity in a file (auth.json) instead", err)
	}
	return value, true, nil
}

// set writes an item.
func (s *Store) set(ctx context.Context, item, value string) error {
	if err := canceled(ctx); err != nil {
		return err
	}
	_, err := access(ctx, s.keyring, func(k keyring) (struct{}, error) { return struct{}{}, k.Set(s.service, item, value) })
	if err != nil && ctx.Err() != nil {
		return canceled(ctx)
	}
	if err != nil {
		return fail(CodeWriteFailed, "the system's keyring cannot be written; unlock it, or allow this program to use it", err)
	}
	return nil
}

// remove removes an item, which need not exist.
func (s *Store) remove(ctx context.Context, item string) error {
	if err := canceled(ctx); err != nil {
		return err
	}
	_, err := access(ctx, s.keyring, func(k keyring) (struct{}, error) { return struct{}{}, k.Delete(s.service, item) })
	if err != nil && ctx.Err() != nil {
		return canceled(ctx)
	}
	if err != nil && !errors.Is(err, system.ErrNotFound) {
		return fail(CodeWriteFailed, "an item cannot be removed from the system's keyring; unlock it, or allow this program to use it", err)
	}
	return nil
}
