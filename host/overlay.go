package host

import (
	"bytes"
	"context"
	"strings"
	"sync"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// maxKept is how many threads' records are kept in memory that the store does not
// take; beyond that, those go that were kept first.
const maxKept = 10_000

// overlay keeps in memory what a store has not taken: a Kubernetes secret is
// served from all the same. What it keeps counts as long as the store holds what it
// held then: a record that somebody has put there since is newer.
type overlay struct {
	store Store

	mu sync.Mutex
	// kept has the threads' records that were kept last, earlier those before, rest all
	// others.
	kept, earlier, rest map[string]kept
}

// kept is a record, and what the store had in its place.
type kept struct{ stored, record []byte }

// find returns what is kept for a slot. Its caller has the lock.
func (o *overlay) find(slot string) (k kept, ok bool) {
	for _, m := range []map[string]kept{o.rest, o.kept, o.earlier} {
		if k, ok = m[slot]; ok {
			return k, true
		}
	}
	return kept{}, false
}

func (o *overlay) forget(slot string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.rest, slot)
	delete(o.kept, slot)
	delete(o.earlier, slot)
}

func (o *overlay) keep(slot string, stored, record []byte) {
	o.forget(slot)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !strings.HasPrefix(slot, wire.SlotThread) {
		if o.rest == nil {
			o.rest = make(map[string]kept)
		}
		o.rest[slot] = kept{stored, record}
		return
	}
	if len(o.kept) >= maxKept/2 {
		o.earlier, o.kept = o.kept, nil
	}
	if o.kept == nil {
		o.kept = make(map[string]kept)
	}
	o.kept[slot] = kept{stored, record}
}

// load returns the record in a slot, and what the store has there.
func (o *overlay) load(ctx context.Context, slot string) (record, stored []byte, err error) {
	stored, err = o.store.Load(ctx, slot)
	o.mu.Lock()
	k, ok := o.find(slot)
	o.mu.Unlock()
	switch {
	case !ok:
		return stored, stored, err
	case err != nil && slot == wire.SlotBackoff:
		return k.record, k.stored, nil // what is stored, if anything, is older
	case err != nil:
		return nil, nil, err
	case !bytes.Equal(k.stored, stored):
		o.forget(slot)
		return stored, stored, nil
	}
	return k.record, stored, nil
}

// write saves a record, or deletes it where there is none. What the store does not
// take because it is read-only is kept, and so is what is remembered of failures in
// any case. The stored record is the one that was last loaded.
func (o *overlay) write(ctx context.Context, slot string, stored, record []byte) error {
	var err error
	if len(record) == 0 {
		err = o.store.Delete(ctx, slot)
	} else {
		err = o.store.Save(ctx, slot, record)
	}
	return o.written(slot, stored, record, err)
}

// swap is write for a record that others may have replaced.
func (o *overlay) swap(ctx context.Context, slot string, stored, old, new []byte) error {
	o.mu.Lock()
	if k, ok := o.find(slot); ok && bytes.Equal(k.record, old) {
		old = k.stored
	}
	o.mu.Unlock()
	return o.written(slot, stored, new, o.store.Swap(ctx, slot, old, new))
}

func (o *overlay) written(slot string, stored, record []byte, err error) error {
	switch {
	case err == nil:
		o.forget(slot)
	case core.Code(err) == core.CodeStoreReadOnly, slot == wire.SlotBackoff:
		o.keep(slot, stored, record)
	}
	return err
}
