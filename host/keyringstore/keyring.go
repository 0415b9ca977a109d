package keyringstore

import (
	"context"
	"errors"

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
	value, err = s.keyring.Get(s.service, item)
	if errors.Is(err, system.ErrNotFound) {
		return "", false, nil
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
	if err := s.keyring.Set(s.service, item, value); err != nil {
		return fail(CodeWriteFailed, "the system's keyring cannot be written; unlock it, or allow this program to use it", err)
	}
	return nil
}

// remove removes an item, which need not exist.
func (s *Store) remove(ctx context.Context, item string) error {
	if err := canceled(ctx); err != nil {
		return err
	}
	if err := s.keyring.Delete(s.service, item); err != nil && !errors.Is(err, system.ErrNotFound) {
		return fail(CodeWriteFailed, "an item cannot be removed from the system's keyring; unlock it, or allow this program to use it", err)
	}
	return nil
}
