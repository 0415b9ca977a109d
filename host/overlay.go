package host

import (
	"bytes"
	"context"
	"strings"
	"sync"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/hidden"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/turns"
)

// maxKept is how many threads' records are kept in memory that the store does not
// take; beyond that, those go that were kept first.
const maxKept = 10_000

// overlay keeps in memory what a store has not taken: a Kubernetes secret is
// served from all the same. What it keeps counts as long as the store holds what it
// held then: a record that somebody has put there since is newer.
type overlay struct {
	store Store
	// locks take the place of those that a store does not have because it is
	// read-only.
	locks turns.Turns

	mu sync.Mutex
	// recent has the threads' records that were kept last, earlier those before, rest
	// all others, of which there are few.
	recent, earlier, rest map[string]hidden.Value[*kept]
}

// kept is a record, and what the store had in its place. Either may be none.
type kept struct{ stored, record []byte }

// find returns what is kept for a slot, or nil.
func (o *overlay) find(slot string) *kept {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range []map[string]hidden.Value[*kept]{o.rest, o.recent, o.earlier} {
		if k, ok := m[slot]; ok {
			return k.Get()
		}
	}
	return nil
}

func (o *overlay) forget(slot string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.rest, slot)
	delete(o.recent, slot)
	delete(o.earlier, slot)
}

func (o *overlay) keep(slot string, k *kept) {
	o.forget(slot)
	o.mu.Lock()
	defer o.mu.Unlock()
	m := &o.rest
	if strings.HasPrefix(slot, wire.SlotThread) {
		m = &o.recent
		if len(o.recent) >= maxKept/2 {
			o.earlier, o.recent = o.recent, nil
		}
	}
	if *m == nil {
		*m = make(map[string]hidden.Value[*kept])
	}
	(*m)[slot] = hidden.Of(k)
}

// load returns the record in a slot, what the store has there, and what is kept in its
// place.
func (o *overlay) load(ctx context.Context, slot string) (record, stored []byte, k *kept, err error) {
	stored, err = o.store.Load(ctx, slot)
	k = o.find(slot)
	switch {
	case k == nil:
		return stored, stored, nil, err
	case err != nil && slot == wire.SlotBackoff:
		return k.record, k.stored, k, nil // what is stored, if anything, is older
	case err != nil:
		return nil, nil, k, err
	case !bytes.Equal(k.stored, stored):
		o.forget(slot)
		return stored, stored, nil, nil
	}
	return k.record, stored, k, nil
}

// version returns the store's version of a slot, if it has one.
func (o *overlay) version(ctx context.Context, slot string) string {
	v, ok := o.store.(Versioned)
	if !ok {
		return ""
	}
	version, err := v.Version(ctx, slot)
	if err != nil {
		return ""
	}
	return version
}

// holds reports whether a load would find what was found, and how that can be told the
// next time.
func (o *overlay) holds(ctx context.Context, f found) (found, bool) {
	if o.find(f.slot) != f.kept {
		return f, false
	}
	version := o.version(ctx, f.slot)
	if version != "" && version == f.version {
		return f, true
	}
	stored, err := o.store.Load(ctx, f.slot)
	if err != nil || recordSum(stored) != f.sum {
		return f, false
	}
	f.version = version
	return f, true
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
	return o.written(slot, &kept{stored, record}, err)
}

// swap is write for the identity, which others may have replaced. What is kept of it
// takes the place of what the store had then.
func (o *overlay) swap(ctx context.Context, slot string, old, new []byte) error {
	stored := old
	if k := o.find(slot); k != nil && bytes.Equal(k.record, old) {
		stored = k.stored
	}
	return o.written(slot, &kept{stored, new}, o.store.Swap(ctx, slot, stored, new))
}

// written goes by what became of a write.
func (o *overlay) written(slot string, k *kept, err error) error {
	switch {
	case err == nil:
		o.forget(slot)
	case core.Code(err) == core.CodeStoreReadOnly, slot == wire.SlotBackoff:
		o.keep(slot, k)
	}
	return err
}

// remove deletes a record. It is gone from memory in any case, and no longer counts
// where the store is read-only: the error says that it is still there.
func (o *overlay) remove(ctx context.Context, slot string) error {
	o.forget(slot)
	stored, err := o.store.Load(ctx, slot)
	if err != nil || len(stored) == 0 {
		return err
	}
	return o.write(ctx, slot, stored, nil)
}

// lock takes a slot's lock. Of a store that has none because it is read-only, the
// error is returned too, and the lock is one in this process: what is kept in memory
// is no other's.
func (o *overlay) lock(ctx context.Context, slot string) (unlock func(), err error) {
	unlock, err = o.store.Lock(ctx, slot)
	if core.Code(err) != core.CodeStoreReadOnly {
		return unlock, err
	}
	unlock, waitErr := o.locks.Take(ctx, slot)
	if waitErr != nil {
		return nil, waitErr
	}
	return unlock, err
}
