package host_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// grantedStore has an identity, and a task for every conversation, another for each.
type grantedStore struct {
	*host.MemoryStore
	agent string
}

func (s *grantedStore) Load(ctx context.Context, slot string) ([]byte, error) {
	thread, ok := strings.CutPrefix(slot, wire.SlotThread)
	if !ok {
		return s.MemoryStore.Load(ctx, slot)
	}
	return fmt.Appendf(nil, `{"agent_runtime_id":%q,"task_id":"task-of-%s","registered_at":"2026-11-24T15:16:08Z"}`, s.agent, thread), nil
}

func (s *grantedStore) Version(ctx context.Context, slot string) (string, error) {
	if strings.HasPrefix(slot, wire.SlotThread) {
		return "a version as long as that of a file", nil
	}
	return s.MemoryStore.Version(ctx, slot)
}

// grant has the world's store have a task for every conversation.
func (w *world) grant(t testing.TB) {
	t.Helper()
	checkAssertion(t, ask(t, manager(t, w.config())))
	memory, ok := w.store.(*host.MemoryStore)
	if !ok {
		t.Fatal("the world has another store")
	}
	w.store = &grantedStore{memory, w.storedIdentity(t)["agent_runtime_id"]}
}

// threadID is an id as clients have them.
func threadID(n int) string { return fmt.Sprintf("0196f7a4-3c1d-7a52-9b6e-%012x", n) }

// kept is how many bytes are in use that were not before, once the garbage is collected.
func kept(do func()) int {
	inUse := func() int {
		runtime.GC()
		runtime.GC() // what pools have goes with the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := inUse()
	do()
	return inUse() - before
}

const (
	// maxThreadBytes and maxAccountBytes are what a manager may keep of a conversation
	// that was used, and a pool of an account.
	maxThreadBytes  = 500
	maxAccountBytes = 4096
)

// useThreads has conversations make a call.
func useThreads(t testing.TB, m *host.Manager, from, to int) {
	t.Helper()
	for i := range to - from {
		id := threadID(from + i)
		if a := askThread(t, m.Thread(id)); a.TaskID != "task-of-"+id {
			t.Fatalf("the conversation %s has the task %s", id, a.TaskID)
		}
	}
}

func checkKept(t testing.TB, what string, bytes, number, most int) {
	t.Helper()
	t.Logf("%d %s: %d bytes each", number, what, bytes/number)
	if bytes/number > most {
		t.Errorf("%s: %d bytes each, want at most %d", what, bytes/number, most)
	}
}

// What is kept of a conversation is small, and of one that is only named, nothing.
func TestThreadsAreSmall(t *testing.T) {
	const number = 20_000
	w := newWorld()
	w.grant(t)
	m := manager(t, w.config())
	useThreads(t, m, 0, 1)
	checkKept(t, "conversations that were named", kept(func() {
		for i := range number {
			m.Thread(threadID(i))
		}
	}), number, 0)
	checkKept(t, "conversations that were used", kept(func() { useThreads(t, m, 0, number) }), number, maxThreadBytes)
	runtime.KeepAlive(m)
}

// BenchmarkThreads is TestThreadsAreSmall with as many as a manager keeps.
func BenchmarkThreads(b *testing.B) {
	w := newWorld()
	w.grant(b)
	for b.Loop() {
		m := manager(b, w.config())
		b.ReportMetric(float64(kept(func() { useThreads(b, m, 0, 100_000) }))/100_000, "B/thread")
		runtime.KeepAlive(m)
	}
}

// Beyond what is kept, those go that were used first, and come back whole.
func TestThreadsAreBounded(t *testing.T) {
	w := newWorld()
	w.grant(t)
	host.SetMaxConversations(t, 100)
	engine := &countingEngine{Engine: w.engine}
	w.engine = engine
	m := manager(t, w.config())
	callsOf := func(from, to int) int {
		w.clock.advance(time.Second)
		before := engine.calls.Load()
		useThreads(t, m, from, to)
		return int(engine.calls.Load() - before)
	}
	useThreads(t, m, 0, 1000)
	if got := m.Conversations(); got > 200 {
		t.Errorf("%d conversations are kept, want at most 200", got)
	}
	if got := callsOf(900, 1000); got != 100 {
		t.Errorf("the last 100 conversations took %d calls of the engine, want one each", got)
	}
	if got := callsOf(0, 10); got <= 10 {
		t.Errorf("10 conversations that went took %d calls of the engine", got)
	}
	if got := callsOf(0, 10); got != 10 {
		t.Errorf("10 conversations that came back took %d calls of the engine, want one each", got)
	}
}

// Threads with one id share what is kept, as those do that are made for each request.
func TestThreadsShareTheirAnswer(t *testing.T) {
	for _, profile := range []string{wire.ProfileBiscuit, wire.ProfileAuthAPI} {
		t.Run(profile, func(t *testing.T) {
			w := newWorld()
			engine := &countingEngine{Engine: w.engine}
			w.engine = engine
			c := w.config()
			c.Profile = profile
			m := manager(t, c)
			first := askThread(t, m.Thread("thread-1"))
			calls := engine.calls.Load()
			if again := askThread(t, m.Thread("thread-1")); again != first || engine.calls.Load() != calls {
				t.Errorf("got %v after %d calls of the engine", again, engine.calls.Load()-calls)
			}
			other := askThread(t, m.Thread("thread-2"))
			w.checkVerified(t, other)
			if shared := profile == wire.ProfileAuthAPI; (engine.calls.Load() == calls) != shared || (other.Header() == first.Header()) != shared {
				t.Errorf("another conversation: got %v after %d calls of the engine", other, engine.calls.Load()-calls)
			}
			// Each recovers for itself, in another second than the registration's: the same
			// would be a replay.
			w.clock.advance(time.Second)
			first, other = askThread(t, m.Thread("thread-1")), askThread(t, m.Thread("thread-2"))
			w.authority.ExpireTask(other.TaskID)
			recovered, err := m.Recover(context.Background(), other, nil)
			if err != nil || recovered.TaskID == other.TaskID {
				t.Fatalf("got %v, %v", recovered, err)
			}
			w.checkVerified(t, recovered)
			if now := askThread(t, m.Thread("thread-2")); now != recovered {
				t.Errorf("got %v after the recovery, want %v", now, recovered)
			}
			now := askThread(t, m.Thread("thread-1"))
			w.checkVerified(t, now)
			if want := map[bool]string{true: recovered.TaskID, false: first.TaskID}[profile == wire.ProfileAuthAPI]; now.TaskID != want {
				t.Errorf("the first conversation has the task %s, want %s", now.TaskID, want)
			}
		})
	}
}

// An id that is none has no answer that others share.
func TestThreadsThatAreNone(t *testing.T) {
	w := newWorld()
	c := w.config()
	c.Profile = wire.ProfileAuthAPI
	m := manager(t, c)
	askThread(t, m.Thread("thread-1"))
	for id, code := range map[string]string{
		"": core.CodeThreadSurface, strings.Repeat("x", 4097): core.CodeInvalidThreadID, "a\nb": core.CodeInvalidThreadID,
	} {
		_, err := m.Thread(id).Authorization(context.Background(), core.SurfaceResponses)
		checkCode(t, err, code)
	}
}

// A conversation that is over is forgotten, and one that goes on registers.
func TestForgottenThreadRegisters(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	before := w.untilItStands(t, askers["thread"], m)
	if err := m.Forget(context.Background(), "thread-1"); err != nil {
		t.Fatal(err)
	}
	if got := m.Conversations(); got != 0 {
		t.Errorf("%d conversations are kept", got)
	}
	if after := askThread(t, m.Thread("thread-1")); after.TaskID == before.TaskID {
		t.Error("the task is still the forgotten one")
	}
}

// All that a pool keeps of an account is small: its manager, and what that keeps.
func TestPooledAccountsAreSmall(t *testing.T) {
	const number = 1000
	a := newAccounts()
	p := newPool(t, host.PoolConfig{Config: a.config, Now: a.clock.Now})
	prepared := map[string]host.ManagerConfig{}
	for i := range number {
		account := fmt.Sprint("account-", i)
		c, err := a.config(context.Background(), account)
		if err != nil {
			t.Fatal(err)
		}
		checkAssertion(t, ask(t, manager(t, c)))
		prepared[account] = c
	}
	p = newPool(t, host.PoolConfig{Now: a.clock.Now, Config: func(_ context.Context, account string) (host.ManagerConfig, error) {
		return prepared[account], nil
	}})
	checkKept(t, "accounts", kept(func() {
		for account := range prepared {
			m, release, err := p.Manager(context.Background(), account)
			if err != nil {
				t.Fatal(err)
			}
			checkAssertion(t, ask(t, m))
			release()
		}
	}), number, maxAccountBytes)
	runtime.KeepAlive(p)
	runtime.KeepAlive(prepared)
}
