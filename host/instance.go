package host

import (
	"sync"

	"github.com/agentassert/agentassert/core/hidden"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/turns"
)

// InstanceConfig is what wire.ProfileInstances needs to know: how calls carry the
// assertions of the runtime agent instance, and what its registration says.
type InstanceConfig = wire.InstanceConfig

// entropySize is how much entropy an assertion's id takes, in bytes.
const entropySize = 16

// memory has the slots that are in no store: the runtime agent instance ends with the
// manager, and so does what is known of the workspace.
type memory struct {
	turns turns.Turns

	mu      sync.Mutex
	records map[string]hidden.Value[[]byte]
}

// inMemory reports whether a slot is one of these.
func inMemory(slot string) bool { return slot == wire.SlotInstance || slot == wire.SlotWorkspace }

func (m *memory) load(slot string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[slot].Get()
}

func (m *memory) save(slot string, record []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records == nil {
		m.records = make(map[string]hidden.Value[[]byte])
	}
	m.records[slot] = hidden.Of(record)
}
