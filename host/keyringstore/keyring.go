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

// maxAccesses is how many accesses to a keyring are under way at a time. One that
// hangs, because a collection is locked and nobody can be asked to unlock it, or
// because a daemon is stopped, cannot be told to stop: it keeps its place until it
// ends, and its caller goes on.
const maxAccesses = 4

// The places of those who access the system's keyring belong to the process, so that
// stores that are opened again and again hang no more often than one. Who reads the
// client's entry has one place: the user is not asked for it twice at a time.
var (
	storePlaces  = make(places, maxAccesses)
	clientPlaces = make(places, 1)
)

// places bound how many accesses are under way: each has put a value in.
type places chan struct{}

// patient is a keyring whose callers need not wait for it.
type patient struct {
	keyring keyring
	timeout time.Duration
	places  places
}

var (
	// errNoAnswer is a keyring that has not answered in time.
	errNoAnswer = errors.New("it does not answer; is it waiting for somebody to unlock it?")
	// errPanic is a library that gave up in its own way, as the one for the Secret
	// Service does where the bus ends while the user is asked.
	errPanic = errors.New("the keyring's connection broke")
)

// access runs one access, and returns early where the context ends or the time is
// over. The channel is closed when the access has ended, which then is later; it is
// nil where there was none.
func access[T any](ctx context.Context, p *patient, work func(keyring) (T, error)) (T, <-chan struct{}, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, nil, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, p.timeout, errNoAnswer)
	defer cancel()
	select {
	case p.places <- struct{}{}:
	case <-limited.Done():
		return none, nil, context.Cause(limited)
	}
	var value T
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { <-p.places }()
		defer func() {
			if recover() != nil {
				err = errPanic
			}
		}()
		value, err = work(p.keyring)
	}()
	select {
	case <-ended:
		return value, ended, err
	case <-limited.Done():
		return none, ended, context.Cause(limited)
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
	value, _, err = access(ctx, s.keyring, func(k keyring) (string, error) { return k.Get(s.service, item) })
	switch {
	case err == nil:
		return value, true, nil
	case errors.Is(err, system.ErrNotFound):
		return "", false, nil
	case ctx.Err() != nil:
		return "", false, canceled(ctx)
	default:
		return "", false, fail(CodeUnavailable, "the system's keyring cannot be read; unlock it or start one, or keep the identity in a file (auth.json) instead", err)
	}
}

// writer changes items, one after another.
type writer struct {
	*Store
	unlock func()
	// late is closed when a write has ended for which its caller did not wait.
	late <-chan struct{}
}

// end lets others write: at once, or when a write that hangs has ended, because that
// could still replace what they have written meanwhile.
func (w *writer) end() {
	if w.late == nil {
		w.unlock()
		return
	}
	go func() {
		<-w.late
		w.unlock()
	}()
}

// set writes an item.
func (w *writer) set(ctx context.Context, item, value string) error {
	return w.write(ctx, "the system's keyring cannot be written; unlock it, or allow this program to use it",
		func(k keyring) error { return k.Set(w.service, item, value) })
}

// remove removes an item, which need not exist.
func (w *writer) remove(ctx context.Context, item string) error {
	return w.write(ctx, "an item cannot be removed from the system's keyring; unlock it, or allow this program to use it",
		func(k keyring) error {
			if err := k.Delete(w.service, item); !errors.Is(err, system.ErrNotFound) {
				return err
			}
			return nil
		})
}

func (w *writer) write(ctx context.Context, refused string, work func(keyring) error) error {
	_, ended, err := access(ctx, w.keyring, func(k keyring) (struct{}, error) { return struct{}{}, work(k) })
	if err == nil {
		return nil
	}
	select {
	case <-ended:
	default: // it is under way, or ended is nil
		w.late = ended
	}
	switch {
	case ctx.Err() != nil:
		return canceled(ctx)
	case errors.Is(err, errNoAnswer):
		return fail(CodeUnavailable, "the system's keyring cannot be written; unlock it or start it anew", err)
	default:
		return fail(CodeWriteFailed, refused, err)
	}
}
