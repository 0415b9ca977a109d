package host_test

import (
	"bytes"
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// bareStore hides all but what a store must have: it cannot tell versions.
type bareStore struct{ host.Store }

// countingStore counts what is loaded.
type countingStore struct {
	*host.MemoryStore
	mu    sync.Mutex
	loads int
}

func (s *countingStore) Load(ctx context.Context, slot string) ([]byte, error) {
	s.mu.Lock()
	s.loads++
	s.mu.Unlock()
	return s.MemoryStore.Load(ctx, slot)
}

// secondStores are those that a new second is tried with.
var secondStores = map[string]func(t testing.TB, w *world){
	"memory":   func(testing.TB, *world) {},
	"authfile": func(t testing.TB, w *world) { w.useAuthFile(t) },
	"bare":     func(_ testing.TB, w *world) { w.store = bareStore{w.store} },
}

// askers ask for a background call and for a turn.
var askers = map[string]func(t testing.TB, m *host.Manager) host.Authorization{
	"background": func(t testing.TB, m *host.Manager) host.Authorization { return ask(t, m) },
	"thread":     func(t testing.TB, m *host.Manager) host.Authorization { return askThread(t, m.Thread("thread-1")) },
}

// until it stands on ground, a second takes more than another assertion.
func (w *world) untilItStands(t testing.TB, ask func(testing.TB, *host.Manager) host.Authorization, m *host.Manager) host.Authorization {
	t.Helper()
	for range 3 {
		ask(t, m)
		w.clock.advance(time.Second)
	}
	return ask(t, m)
}

// In a second in which nothing has changed, the engine is called once, and the store is
// asked for versions only, where it has them.
func TestNewSecondTakesOneCall(t *testing.T) {
	for name, prepare := range secondStores {
		for asker, ask := range askers {
			for _, profile := range []string{wire.ProfileBiscuit, wire.ProfileAuthAPI} {
				t.Run(name+"/"+asker+"/"+profile, func(t *testing.T) {
					w := newWorld()
					counted := &countingStore{MemoryStore: &host.MemoryStore{}}
					w.store = counted
					prepare(t, w)
					engine := &countingEngine{Engine: w.engine}
					w.engine = engine
					c := w.config()
					c.Profile, c.AllSurfaces = profile, true
					m := manager(t, c)
					before := w.untilItStands(t, ask, m)
					for range 3 {
						w.clock.advance(time.Second)
						calls, loads := engine.calls.Load(), counted.loads
						a := ask(t, m)
						w.checkVerified(t, a)
						if a.Header() == before.Header() || a.TaskID != before.TaskID || !a.ValidUntil.Equal(w.clock.Now()) {
							t.Errorf("got %v until %v after %v", a, a.ValidUntil, before)
						}
						if got := engine.calls.Load() - calls; got != 1 {
							t.Errorf("the engine was called %d times, want 1", got)
						}
						if got := counted.loads - loads; name == "memory" && got != 0 {
							t.Errorf("the store was loaded from %d times", got)
						}
						before = a
					}
				})
			}
		}
	}
}

// Whatever changes between two seconds takes effect in the later one.
func TestNewSecondSeesEachChange(t *testing.T) {
	another := func(t testing.TB, w *world) *host.Manager { return manager(t, w.config()) }
	for name, tt := range map[string]struct {
		change func(t testing.TB, w *world, c *host.Credentials, a host.Authorization, asker string)
		// check is given the answer before and after.
		check func(t testing.TB, w *world, before, after host.Authorization)
	}{
		"the account": {
			func(_ testing.TB, w *world, c *host.Credentials, _ host.Authorization, _ string) {
				w.session = w.authority.SignIn("acct-2", "user-1")
				*c = w.credentials()
			},
			func(t testing.TB, w *world, before, after host.Authorization) {
				w.checkVerified(t, after)
				if after.AccountID != "acct-2" || after.AgentRuntimeID == before.AgentRuntimeID {
					t.Errorf("got %+v", after)
				}
			},
		},
		"the user": {
			func(_ testing.TB, w *world, c *host.Credentials, _ host.Authorization, _ string) {
				w.session = w.authority.SignIn("acct-1", "user-2")
				*c = w.credentials()
			},
			func(t testing.TB, w *world, before, after host.Authorization) {
				w.checkVerified(t, after)
				if after.AgentRuntimeID == before.AgentRuntimeID {
					t.Error("another user has the agent")
				}
			},
		},
		"signed out": {
			func(_ testing.TB, _ *world, c *host.Credentials, _ host.Authorization, _ string) {
				*c = host.Credentials{Kind: wire.CredentialsNone}
			},
			func(t testing.TB, _ *world, _, after host.Authorization) {
				check(t, after, core.ModeNone, core.ReasonNoChatGPTCredentials, "")
			},
		},
		"the account's mark": {
			func(_ testing.TB, _ *world, c *host.Credentials, _ host.Authorization, _ string) { c.FedRAMP = true },
			func(t testing.TB, _ *world, _, after host.Authorization) {
				if !after.FedRAMP {
					t.Error("the call is not marked")
				}
			},
		},
		"the task, by another process": {
			func(t testing.TB, w *world, _ *host.Credentials, a host.Authorization, asker string) {
				m := another(t, w)
				rejected := askers[asker](t, m)
				if rejected.TaskID != a.TaskID {
					t.Fatalf("the other process has the task %s, want %s", rejected.TaskID, a.TaskID)
				}
				if _, err := m.Recover(context.Background(), rejected, nil); err != nil {
					t.Fatal(err)
				}
			},
			func(t testing.TB, w *world, before, after host.Authorization) {
				w.checkVerified(t, after)
				if after.TaskID == before.TaskID || after.AgentRuntimeID != before.AgentRuntimeID {
					t.Errorf("got the task %s of %s, had %s of %s", after.TaskID, after.AgentRuntimeID, before.TaskID, before.AgentRuntimeID)
				}
			},
		},
		"the identity, removed": {
			func(t testing.TB, w *world, _ *host.Credentials, _ host.Authorization, _ string) {
				if err := w.store.Swap(context.Background(), wire.SlotIdentity, w.load(t, wire.SlotIdentity), nil); err != nil {
					t.Fatal(err)
				}
			},
			func(t testing.TB, w *world, before, after host.Authorization) {
				w.checkVerified(t, after)
				if after.AgentRuntimeID == before.AgentRuntimeID {
					t.Error("the agent is still the one whose record is gone")
				}
			},
		},
		"a byte of a record": {
			func(t testing.TB, w *world, _ *host.Credentials, a host.Authorization, asker string) {
				slot := wire.SlotIdentity
				if asker == "thread" {
					slot = wire.SlotThread + "thread-1"
				}
				old := w.load(t, slot)
				changed := bytes.Replace(old, []byte(a.TaskID), []byte(sameLength(a.TaskID)), -1)
				var err error
				if slot == wire.SlotIdentity {
					err = w.store.Swap(context.Background(), slot, old, changed)
				} else {
					err = w.store.Save(context.Background(), slot, changed)
				}
				if err != nil || bytes.Equal(old, changed) {
					t.Fatal("nothing has changed", err)
				}
			},
			func(t testing.TB, _ *world, before, after host.Authorization) {
				if after.Mode != core.ModeAgentAssertion {
					t.Fatalf("got %v", after)
				}
				if after.TaskID != sameLength(before.TaskID) {
					t.Errorf("got the task %s, want %s", after.TaskID, sameLength(before.TaskID))
				}
			},
		},
		"a byte that means nothing": {
			func(t testing.TB, w *world, _ *host.Credentials, _ host.Authorization, _ string) {
				old := w.load(t, wire.SlotIdentity)
				if err := w.store.Swap(context.Background(), wire.SlotIdentity, old, append(bytes.Clone(old), 0x20)); err != nil {
					t.Fatal(err)
				}
			},
			func(t testing.TB, w *world, before, after host.Authorization) {
				w.checkVerified(t, after)
				if after.TaskID != before.TaskID {
					t.Errorf("got the task %s, want %s", after.TaskID, before.TaskID)
				}
			},
		},
	} {
		for store, prepare := range secondStores {
			for asker, ask := range askers {
				t.Run(name+"/"+store+"/"+asker, func(t *testing.T) {
					w := newWorld()
					prepare(t, w)
					c := w.config()
					credentials := w.credentials()
					c.Credentials = host.CredentialFunc(func(context.Context) (host.Credentials, error) { return credentials, nil })
					m := manager(t, c)
					before := w.untilItStands(t, ask, m)
					w.checkVerified(t, before)
					tt.change(t, w, &credentials, before, asker)
					w.clock.advance(time.Second)
					tt.check(t, w, before, ask(t, m))
					w.clock.advance(time.Second)
					tt.check(t, w, before, ask(t, m))
				})
			}
		}
	}
}

// sameLength is another id, as long.
func sameLength(id string) string { return id[:len(id)-1] + "~" }

// versions is a store with versions of a test's choice.
type versions struct {
	host.Store
	version string
	err     error
}

func (v *versions) Version(context.Context, string) (string, error) { return v.version, v.err }

// A store that cannot tell, or fails to, is loaded from; one that tells the same is
// believed.
func TestNewSecondGoesByVersions(t *testing.T) {
	for name, tt := range map[string]struct {
		store    versions
		believed bool
	}{
		"the same":    {versions{version: "1"}, true},
		"cannot tell": {versions{}, false},
		"fails":       {versions{version: "1", err: errDisk}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			memory := w.store
			tt.store.Store = bareStore{memory}
			w.store = &tt.store
			m := manager(t, w.config())
			before := w.untilItStands(t, askers["background"], m)
			record := w.load(t, wire.SlotIdentity)
			if err := memory.Save(context.Background(), wire.SlotIdentity, bytes.Replace(record, []byte(before.TaskID), []byte(sameLength(before.TaskID)), -1)); err != nil {
				t.Fatal(err)
			}
			w.clock.advance(time.Second)
			if after := ask(t, m); (after.TaskID == before.TaskID) != tt.believed {
				t.Errorf("got the task %s, had %s", after.TaskID, before.TaskID)
			}
		})
	}
}

// A task that is kept in memory, because the store is read-only, counts for as long as the
// store holds what it held then, in each second.
func TestNewSecondOfAReadOnlyStore(t *testing.T) {
	w := newWorld()
	checkAssertion(t, ask(t, manager(t, w.config())))
	open := w.config()
	w.seal()
	engine := &countingEngine{Engine: w.engine}
	w.engine = engine
	m := manager(t, w.config())
	before := w.untilItStands(t, askers["thread"], m)
	w.checkVerified(t, before)
	calls := engine.calls.Load()
	w.clock.advance(time.Second)
	if after := askers["thread"](t, m); after.TaskID != before.TaskID || engine.calls.Load()-calls != 1 {
		t.Errorf("got the task %s, had %s, after %d calls of the engine", after.TaskID, before.TaskID, engine.calls.Load()-calls)
	}
	stored := askers["thread"](t, manager(t, open))
	if stored.TaskID == before.TaskID {
		t.Fatal("the store has the task")
	}
	w.clock.advance(time.Second)
	if after := askers["thread"](t, m); after.TaskID != stored.TaskID {
		t.Errorf("got the task %s, and the store has %s by now", after.TaskID, stored.TaskID)
	}
}

// Credentials and identity come from one file, and each change of it takes effect.
func TestNewSecondOfAuthFile(t *testing.T) {
	w := newWorld()
	file := w.useAuthFile(t)
	c := w.config()
	c.Credentials = file
	m := manager(t, c)
	before := w.untilItStands(t, askers["background"], m)
	w.checkVerified(t, before)
	w.session = w.authority.SignIn("acct-2", "user-2")
	if err := os.WriteFile(file.Path(), w.session.AuthJSON(), 0o600); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(time.Second)
	after := ask(t, m)
	w.checkVerified(t, after)
	if after.AccountID != "acct-2" || after.AgentRuntimeID == before.AgentRuntimeID {
		t.Errorf("got %s of %s", after.AgentRuntimeID, after.AccountID)
	}
	if err := os.Remove(file.Path()); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(time.Second)
	check(t, ask(t, m), core.ModeNone, core.ReasonNoChatGPTCredentials, core.CodeFileMissing)
}
