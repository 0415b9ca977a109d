package host

import (
	"context"
	"sync"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/hidden"
	"github.com/agentassert/agentassert/internal/turns"
)

// InstanceConfig is what wire.ProfileInstances needs to know: how calls carry the
// assertions of the runtime agent instance, and what its registration says.
type InstanceConfig = wire.InstanceConfig

// entropySize is how much entropy an assertion's id takes, in bytes.
const entropySize = 16

// memory is the slot wire.SlotInstance, which is in no store: the runtime agent
// instance ends with the manager.
type memory struct {
	turns turns.Turns

	mu     sync.Mutex
	record hidden.Value[[]byte]
}

func (m *memory) load() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.record.Get()
}

func (m *memory) save(record []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.record = hidden.Of(record)
}

// try carries out an effect on the slot.
func (m *memory) try(ctx context.Context, e wire.Effect) (event wire.Event, unlock func(), err error) {
	switch e.Type {
	case wire.EffectLoad:
		return wire.Event{Type: wire.EventLoaded, Record: m.load()}, nil, nil
	case wire.EffectLock:
		unlock, err = m.turns.Take(ctx, e.Slot)
	case wire.EffectSave:
		m.save(e.Record)
	}
	return wire.Event{Type: wire.EventDone}, unlock, err
}

// again makes another assertion of an answer with a runtime agent instance: each is
// for one request.
func (m *Manager) again(ctx context.Context, kept *answer) (Authorization, error) {
	entropy, err := m.entropy(entropySize)
	if err != nil {
		return Authorization{}, fail(CodeNoEntropy, "there is no entropy for an assertion's id", err)
	}
	now := m.config.Now().Unix()
	step, err := Call[wire.FlowStep](context.WithoutCancel(ctx), m.config.Engine, wire.MethodFlowStep,
		wire.FlowStepParams{State: kept.state.Get(), Event: wire.Event{Type: wire.EventAgain, Now: now, Entropy: entropy}})
	if err != nil {
		return Authorization{}, err
	}
	if step.Effect.Type != wire.EffectDone || step.Effect.Authorization == nil {
		return Authorization{}, fail(CodeSandboxFailed, "the core's flow does not end", nil)
	}
	if err := kept.policy.Again(*step.Effect.Authorization, entropy, now); err != nil {
		return Authorization{}, err
	}
	a := newAuthorization(*step.Effect.Authorization, nil)
	a.call, a.apiKey = kept.call, kept.apiKey
	return a, nil
}
