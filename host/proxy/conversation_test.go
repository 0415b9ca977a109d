package proxy

import (
	"testing"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

var (
	_ host.Prober    = (*ownConversation)(nil)
	_ host.Versioned = (*ownConversation)(nil)
)

// The run's own conversation is in memory, and all else in the store, whatever is done
// with it.
func TestInMemory(t *testing.T) {
	ctx := t.Context()
	var below host.MemoryStore
	own := wire.SlotThread + "own"
	s := InMemory(&below, "own").(*ownConversation)
	for slot, isBelow := range map[string]bool{own: false, wire.SlotThread + "another": true, wire.SlotIdentity: true} {
		version := func() string {
			t.Helper()
			v, err := s.Version(ctx, slot)
			if err != nil || v == "" {
				t.Fatalf("%s: version %q, %v", slot, v, err)
			}
			return v
		}
		if err := s.Save(ctx, slot, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		before := version()
		if err := s.Swap(ctx, slot, []byte("{}"), []byte("[]")); err != nil || version() == before {
			t.Errorf("%s: swapped, %v, it has the version %s, and before %s", slot, err, version(), before)
		}
		if got, err := s.Load(ctx, slot); err != nil || string(got) != "[]" {
			t.Errorf("%s: got %q, %v", slot, got, err)
		}
		if got, err := below.Load(ctx, slot); err != nil || (got != nil) != isBelow {
			t.Errorf("%s: the store below has %q, %v", slot, got, err)
		}
		unlock, err := s.Lock(ctx, slot)
		if err != nil {
			t.Fatal(err)
		}
		unlock()
		if err := s.Delete(ctx, slot); err != nil || s.Probe(ctx, slot) != nil {
			t.Errorf("%s: %v", slot, err)
		}
	}
}
