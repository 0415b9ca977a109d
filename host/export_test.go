package host

import (
	"context"
	"testing"
	"time"
)

// SetHeld bounds the time for which the flows of a manager hold locks.
func (m *Manager) SetHeld(d time.Duration) { m.held = d }

// Wait is how a manager waits.
var Wait = wait

// SetWait takes the place of the manager's waiting between two tries.
func (m *Manager) SetWait(wait func(ctx context.Context, d time.Duration) error) { m.wait = wait }

// Occupy takes the place of one instance, as a call that takes its time would,
// until it is released.
func (s *Sandbox) Occupy() (release func()) {
	s.slots <- struct{}{}
	return func() { <-s.slots }
}

// ReplaceInstance makes one more instance and closes it.
func (s *Sandbox) ReplaceInstance(ctx context.Context) error {
	i, err := s.newInstance(ctx)
	if err != nil {
		return err
	}
	return i.retire(ctx)
}

// NewCompiledSandbox treats a module of a test as the embedded one: it is
// compiled, kept in the cache, and bounds itself.
func NewCompiledSandbox(ctx context.Context, o SandboxOptions) (*Sandbox, error) {
	return newSandbox(ctx, o, false)
}

// GuestMemory is the memory of the instances that are idle.
func (s *Sandbox) GuestMemory() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var memory [][]byte
	for _, i := range s.idle {
		memory = append(memory, i.linear.bytes)
	}
	return memory
}

// HasOtherNames says whether a file in the compilation cache is elsewhere, too.
var HasOtherNames = hasOtherNames

// MaxKept is how many threads' records a manager keeps in memory.
const MaxKept = maxKept

// Keep puts a record into memory that the store, which is empty, has not taken.
func (m *Manager) Keep(slot string, record []byte) { m.store.keep(slot, &kept{nil, record}) }

// Kept is what is kept in memory for a slot, and for how many slots there is
// something.
func (m *Manager) Kept(slot string) (record []byte, slots int) {
	if k := m.store.find(slot); k != nil {
		record = k.record
	}
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	return record, len(m.store.recent) + len(m.store.earlier) + len(m.store.rest)
}

// Take takes an instance as a call does, until it is put back.
func (s *Sandbox) Take(ctx context.Context) (putBack func(good bool), err error) {
	i, err := s.take(ctx)
	return func(good bool) { s.putBack(ctx, i, good) }, err
}

// Guests is where the engine has its guests.
func (n *Native) Guests() any { return n.guests.Load() }

// CacheBuild is what the cache calls this program.
func CacheBuild() string { return cacheBuild().name }

// SetCacheBuild has this program be one with a known version of wazero, until it is
// undone.
func SetCacheBuild(version string) (undo func()) {
	old := cacheBuild
	cacheBuild = func() build { return build{version, true} }
	return func() { cacheBuild = old }
}

// DefaultCacheDir is the folder for the cache where none is named.
var DefaultCacheDir = defaultCacheDir

// WazeroVersion is which wazero is among a program's modules.
var WazeroVersion = wazeroVersion

// Users is how many have an account's manager, or wait for it.
func (p *Pool) Users(account string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.accounts[account]; e != nil {
		return e.users
	}
	return 0
}

// SetMaxConversations bounds what managers remember, until the test ends.
func SetMaxConversations(t testing.TB, n int) {
	was := maxConversations
	maxConversations = n
	t.Cleanup(func() { maxConversations = was })
}

// Conversations is how many a manager remembers.
func (m *Manager) Conversations() int {
	cs := &m.answers.conversations
	cs.mu.RLock()
	defer cs.mu.RUnlock()
	return len(cs.recent) + len(cs.earlier)
}
