package proxy

import (
	"context"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// InMemory returns a store in which the task of one conversation stays in memory, and all
// else is in the store below: for a conversation of this run's own, to which nobody can
// come back. It is for one manager.
func InMemory(below host.Store, thread string) host.Store {
	return &ownConversation{below: below, own: wire.SlotThread + thread}
}

// ownConversation is what InMemory returns.
type ownConversation struct {
	below  host.Store
	own    string
	memory host.MemoryStore
}

func (s *ownConversation) of(slot string) host.Store {
	if slot == s.own {
		return &s.memory
	}
	return s.below
}

func (s *ownConversation) Load(ctx context.Context, slot string) ([]byte, error) {
	return s.of(slot).Load(ctx, slot)
}

func (s *ownConversation) Save(ctx context.Context, slot string, record []byte) error {
	return s.of(slot).Save(ctx, slot, record)
}

func (s *ownConversation) Delete(ctx context.Context, slot string) error {
	return s.of(slot).Delete(ctx, slot)
}

func (s *ownConversation) Swap(ctx context.Context, slot string, old, new []byte) error {
	return s.of(slot).Swap(ctx, slot, old, new)
}

// Lock takes no lock of a file for what is in memory.
func (s *ownConversation) Lock(ctx context.Context, slot string) (unlock func(), err error) {
	return s.of(slot).Lock(ctx, slot)
}

func (s *ownConversation) Probe(ctx context.Context, slot string) error {
	if p, ok := s.of(slot).(host.Prober); ok {
		return p.Probe(ctx, slot)
	}
	return nil
}

// Version is what the store says of what is in it, and of what is in memory.
func (s *ownConversation) Version(ctx context.Context, slot string) (string, error) {
	if v, ok := s.of(slot).(host.Versioned); ok {
		return v.Version(ctx, slot)
	}
	return "", nil
}
