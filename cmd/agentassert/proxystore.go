package main

import (
	"context"

	"github.com/agentassert/agentassert/host"
)

// proxyStore is a store in which the task of the run's own conversation, to which
// nobody can come back, stays in memory.
type proxyStore struct {
	below  host.Store
	own    string
	memory host.MemoryStore
}

func (s *proxyStore) of(slot string) host.Store {
	if s.own != "" && slot == s.own {
		return &s.memory
	}
	return s.below
}

func (s *proxyStore) Load(ctx context.Context, slot string) ([]byte, error) {
	return s.of(slot).Load(ctx, slot)
}

func (s *proxyStore) Save(ctx context.Context, slot string, record []byte) error {
	return s.of(slot).Save(ctx, slot, record)
}

func (s *proxyStore) Delete(ctx context.Context, slot string) error {
	return s.of(slot).Delete(ctx, slot)
}

func (s *proxyStore) Swap(ctx context.Context, slot string, old, new []byte) error {
	return s.of(slot).Swap(ctx, slot, old, new)
}

// Lock takes no lock of a file for what is in memory.
func (s *proxyStore) Lock(ctx context.Context, slot string) (unlock func(), err error) {
	return s.of(slot).Lock(ctx, slot)
}

func (s *proxyStore) Probe(ctx context.Context, slot string) error {
	if p, ok := s.of(slot).(host.Prober); ok {
		return p.Probe(ctx, slot)
	}
	return nil
}

// Version is what the store says of what is in it, and of what is in memory.
func (s *proxyStore) Version(ctx context.Context, slot string) (string, error) {
	if v, ok := s.of(slot).(host.Versioned); ok {
		return v.Version(ctx, slot)
	}
	return "", nil
}
