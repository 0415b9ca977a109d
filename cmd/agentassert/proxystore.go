package main

import (
	"context"

	"github.com/agentassert/agentassert/host"
)

// proxyStore is a store in which the task of the run's own conversation, to which
// nobody can come back, stays in memory.
type proxyStore struct {
	host.Store
	own    string
	memory host.MemoryStore
}

func (s *proxyStore) of(slot string) host.Store {
	if s.own != "" && slot == s.own {
		return &s.memory
	}
	return s.Store
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
