package keyringstore

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/agentassert/agentassert/core"
)

// Store is a host.Store in the system's keyring, safe for concurrent use by
// goroutines and processes. Make one with [Open].
type Store struct {
	keyring *patient
	service string
	account string
	// locks is where the lock files' names begin.
	locks       string
	lockTimeout time.Duration
}

// Load returns the record in a slot.
//
// Errors: CodeUnavailable, CodeDamaged, CodeCanceled; for a record of several
// items also CodeLocked and CodeLockFailed.
func (s *Store) Load(ctx context.Context, slot string) ([]byte, error) {
	h, err := s.head(ctx, slot)
	if err != nil || h == nil {
		return nil, err
	}
	if h.Parts == 0 {
		return s.assemble(ctx, slot, h)
	}
	// One item is read whole or not at all. Several need the writers to wait.
	w, err := s.lockItems(ctx)
	if err != nil {
		return nil, err
	}
	defer w.end()
	if h, err = s.head(ctx, slot); err != nil || h == nil {
		return nil, err
	}
	return s.assemble(ctx, slot, h)
}

// Save replaces the record in a slot. A record that is there in a form that this
// version does not know stays, and is an error.
//
// Errors: CodeTooLarge, CodeWriteFailed, CodeUnavailable, CodeDamaged,
// CodeLocked, CodeLockFailed, CodeCanceled. Load then returns the old record, or
// the new one where the keyring took it and failed to say so.
func (s *Store) Save(ctx context.Context, slot string, record []byte) error {
	if len(record) > maxRecord {
		return fail(CodeTooLarge, fmt.Sprintf("a record of %d bytes is too large for the keyring: 512 KiB is the most", len(record)), nil)
	}
	w, err := s.lockItems(ctx)
	if err != nil {
		return err
	}
	defer w.end()
	return w.save(ctx, slot, record)
}

// Swap replaces the record in a slot if it is still old. An empty record, as old or
// as new, stands for none.
//
// Errors: core.CodeRecordChanged, and those of Save.
func (s *Store) Swap(ctx context.Context, slot string, old, new []byte) error {
	if len(new) > maxRecord {
		return fail(CodeTooLarge, fmt.Sprintf("a record of %d bytes is too large for the keyring: 512 KiB is the most", len(new)), nil)
	}
	w, err := s.lockItems(ctx)
	if err != nil {
		return err
	}
	defer w.end()
	var record []byte
	h, err := s.head(ctx, slot)
	if err == nil && h != nil {
		record, err = s.assemble(ctx, slot, h)
	}
	switch {
	case err != nil:
		return err
	case !bytes.Equal(record, old):
		return fail(core.CodeRecordChanged, "another record has taken the place of the one to be replaced", nil)
	case len(new) == 0:
		return w.delete(ctx, slot)
	}
	return w.save(ctx, slot, new)
}

// save is Save under the items' lock.
func (w *writer) save(ctx context.Context, slot string, record []byte) error {
	old, err := w.head(ctx, slot)
	if err != nil {
		return err
	}
	g := generationA
	if old != nil {
		g = old.Generation.other()
	}
	h, parts := split(record, g)
	item := w.item(slot)
	for i, data := range parts {
		if err := w.set(ctx, part(item, g, i+1), base64.StdEncoding.EncodeToString(data)); err != nil {
			return err
		}
	}
	value, err := json.Marshal(h)
	if err != nil {
		return fail(CodeWriteFailed, "the record cannot be encoded", err)
	}
	if err := w.set(ctx, item, string(value)); err != nil {
		return err
	}
	// The record is saved, whatever happens now: what a failure leaves here, or a
	// context that ends, the next change of this slot removes.
	if w.sweep(ctx, item, g.other(), 0) == nil {
		_ = w.sweep(ctx, item, g, len(parts))
	}
	return nil
}

// Delete empties a slot, whatever is in it. After an error it may be empty
// already, with parts of the record left: delete it again.
//
// Errors: CodeWriteFailed, CodeUnavailable, CodeLocked, CodeLockFailed,
// CodeCanceled.
func (s *Store) Delete(ctx context.Context, slot string) error {
	w, err := s.lockItems(ctx)
	if err != nil {
		return err
	}
	defer w.end()
	return w.delete(ctx, slot)
}

// delete is Delete under the items' lock.
func (w *writer) delete(ctx context.Context, slot string) error {
	item := w.item(slot)
	if err := w.remove(ctx, item); err != nil {
		return err
	}
	if err := w.sweep(ctx, item, generationA, 0); err != nil {
		return err
	}
	return w.sweep(ctx, item, generationB, 0)
}

// head returns a slot's head, or nil where the slot is empty.
func (s *Store) head(ctx context.Context, slot string) (*head, error) {
	value, found, err := s.get(ctx, s.item(slot))
	if err != nil || !found {
		return nil, err
	}
	h := parseHead(value)
	if h == nil {
		return nil, s.damaged(slot)
	}
	return h, nil
}

// assemble returns the record that a head belongs to.
func (s *Store) assemble(ctx context.Context, slot string, h *head) ([]byte, error) {
	record := h.Data
	for n := range h.Parts {
		value, found, err := s.get(ctx, part(s.item(slot), h.Generation, n+1))
		if err != nil {
			return nil, err
		}
		data, err := base64.StdEncoding.DecodeString(value)
		if !found || err != nil {
			return nil, s.damaged(slot)
		}
		record = append(record, data...)
	}
	if !h.holds(record) {
		return nil, s.damaged(slot)
	}
	return record, nil
}

func (s *Store) damaged(slot string) error {
	return fail(CodeDamaged, fmt.Sprintf("the record in slot %.64q is damaged, or a later version wrote it; update this program, or remove the item %s of %s from the keyring",
		slot, s.item(slot), s.service), nil)
}

// sweep removes the parts of a generation above the first keep. Parts are
// written from the first to the last and removed from the last to the first, so
// that at any time the first that is missing is behind the last that is there.
func (w *writer) sweep(ctx context.Context, item string, g generation, keep int) error {
	last := keep
	for last < maxParts {
		_, found, err := w.get(ctx, part(item, g, last+1))
		if err != nil {
			return err
		}
		if !found {
			break
		}
		last++
	}
	for ; last > keep; last-- {
		if err := w.remove(ctx, part(item, g, last)); err != nil {
			return err
		}
	}
	return nil
}
