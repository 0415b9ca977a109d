package host_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// account is a row with an identity in somebody's database.
type account struct {
	mu       sync.Mutex
	identity core.Identity
	loads    int
	saved    []string
	// before is called before a task is saved, without the lock.
	before func()
	fails  error
}

func (r *account) load(context.Context) (core.Identity, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loads++
	return r.identity, r.fails
}

func (r *account) saveTask(_ context.Context, loaded core.Identity, task string) error {
	if before := r.before; before != nil {
		r.before = nil
		before()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.identity.AgentRuntimeID != loaded.AgentRuntimeID || r.identity.TaskID != loaded.TaskID {
		return &core.Error{Code: core.CodeRecordChanged, Message: "the row has changed"}
	}
	r.identity.TaskID = task
	r.saved = append(r.saved, task)
	return nil
}

func (r *account) source() *host.IdentitySource {
	return &host.IdentitySource{Load: r.load, SaveTask: r.saveTask}
}

// withRow is a world with an agent that is in a row, and in no store.
func withRow(t testing.TB) (*world, *account) {
	t.Helper()
	w := withAgent(t, wire.ProfileAuthAPI, authority.Options{})
	agent, err := core.ImportIdentity(w.load(t, wire.SlotIdentity))
	if err != nil {
		t.Fatal(err)
	}
	agent.TaskID, agent.BaseURL = "", ""
	return w, &account{identity: agent}
}

func (w *world) rowConfig(s *host.IdentitySource) host.ManagerConfig {
	c := w.config()
	c.Store, c.Credentials, c.Identity = nil, nil, s
	return c
}

// One task is registered for all surfaces, saved in the row, and used by whoever has it.
func TestIdentityInARow(t *testing.T) {
	for _, profile := range []string{wire.ProfileBiscuit, wire.ProfileAuthAPI} {
		t.Run(profile, func(t *testing.T) {
			w, r := withRow(t)
			requests := w.network.count()
			for range 2 {
				c := w.rowConfig(r.source())
				c.Profile = profile
				m := manager(t, c)
				for _, surface := range []string{core.SurfaceModels, core.SurfaceBootstrap} {
					a, err := m.Authorization(context.Background(), surface)
					if err != nil || a.Mode != core.ModeAgentAssertion || a.TaskID != r.identity.TaskID {
						t.Fatalf("%s: got %v (%v), %v; want an assertion of task %q", surface, a, a.Cause, err, r.identity.TaskID)
					}
					w.checkVerified(t, a)
				}
				if a := askThread(t, m.Thread("thread-1")); a.TaskID != r.identity.TaskID {
					t.Errorf("the thread has task %s, want %s", a.TaskID, r.identity.TaskID)
				}
				w.clock.advance(time.Second)
			}
			checkCount(t, "requests", w.network.count()-requests, 1)
			checkCount(t, "times that a task was saved", len(r.saved), 1)
		})
	}
}

// A row that has changed meanwhile is what counts, whoever has changed it.
func TestIdentityInARowChanges(t *testing.T) {
	w, r := withRow(t)
	m := manager(t, w.rowConfig(r.source()))
	registration := w.registration(t, wire.ProfileAuthAPI)
	others := ""
	r.before = func() {
		w.clock.advance(time.Second) // a proof is good for one task
		var err error
		if others, err = host.RegisterTask(context.Background(), registration); err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.identity.TaskID = others
	}
	a := ask(t, m)
	if a.TaskID != others || others == "" {
		t.Errorf("got %v with task %q, want %q", a, a.TaskID, others)
	}
	checkCount(t, "times that a task was saved", len(r.saved), 0)
}

// Managers in one process share a lock where they are given one, and come to one task
// where they are not.
func TestIdentityInARowManyManagers(t *testing.T) {
	for _, locked := range []bool{false, true} {
		w, r := withRow(t)
		var lock sync.Mutex
		held := 0
		source := r.source()
		if locked {
			source.Lock = func(context.Context) (func(), error) {
				lock.Lock()
				held++
				return lock.Unlock, nil
			}
		}
		var callers sync.WaitGroup
		tasks := make([]string, 10)
		for i := range tasks {
			m := manager(t, w.rowConfig(source))
			callers.Go(func() {
				a, err := m.Authorization(context.Background(), core.SurfaceModels)
				if err != nil || a.Mode != core.ModeAgentAssertion {
					t.Errorf("got %v, %v", a, err)
				}
				tasks[i] = a.TaskID
			})
		}
		callers.Wait()
		for _, task := range tasks {
			if task != r.identity.TaskID {
				t.Errorf("locked %t: a manager has task %q, the row %q", locked, task, r.identity.TaskID)
			}
		}
		if locked {
			checkCount(t, "times that a task was saved", len(r.saved), 1)
		}
	}
}

func TestIdentityInARowErrors(t *testing.T) {
	w, r := withRow(t)
	for name, tt := range map[string]struct {
		change func(*host.ManagerConfig)
		text   string
	}{
		"no Load":          {func(c *host.ManagerConfig) { c.Identity.Load = nil }, "Load"},
		"no SaveTask":      {func(c *host.ManagerConfig) { c.Identity.SaveTask = nil }, "SaveTask"},
		"a store, too":     {func(c *host.ManagerConfig) { c.Store = w.store }, "Store"},
		"credentials, too": {func(c *host.ManagerConfig) { c.Credentials = fixed(w.credentials()) }, "Credentials"},
		"instances":        {func(c *host.ManagerConfig) { c.Profile = wire.ProfileInstances }, "profile"},
	} {
		c := w.rowConfig(r.source())
		tt.change(&c)
		_, err := host.NewManager(c)
		if core.Code(err) != host.CodeInvalidManagerConfig || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: got %v, want code %s and %q", name, err, host.CodeInvalidManagerConfig, tt.text)
		}
	}
	for name, tt := range map[string]struct {
		change func(*account)
		code   string
	}{
		"the database fails":    {func(r *account) { r.fails = errDisk }, core.CodeStoreFailed},
		"no account":            {func(r *account) { r.identity.AccountID = "" }, core.CodeInvalidRecord},
		"no key":                {func(r *account) { r.identity.PrivateKey = "" }, core.CodeInvalidPrivateKey},
		"a task of two lines":   {func(r *account) { r.identity.TaskID = "a\nb" }, core.CodeInvalidTaskID},
		"an agent with a colon": {func(r *account) { r.identity.AgentRuntimeID = "a:b" }, core.CodeInvalidAgentRuntimeID},
	} {
		key, r := r.identity.PrivateKey, &account{identity: r.identity}
		tt.change(r)
		_, err := manager(t, w.rowConfig(r.source())).Authorization(context.Background(), core.SurfaceModels)
		if core.Code(err) != tt.code {
			t.Errorf("%s: got %v, want code %s", name, err, tt.code)
		}
		checkHidden(t, []string{key}, err)
	}
	// A row of another backend's is shown to none.
	other := &account{identity: r.identity}
	other.identity.BaseURL = "https://other.example/backend-api"
	a := ask(t, manager(t, w.rowConfig(other.source())))
	if a.Mode != core.ModeNone || core.Code(a.Cause) != core.CodeOtherBackend {
		t.Errorf("got %v, %v", a, a.Cause)
	}
}

// What can tell that nothing has changed is not loaded again.
func TestIdentityInARowIsVersioned(t *testing.T) {
	w, r := withRow(t)
	source := r.source()
	source.Version = func(context.Context) (string, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return "v" + r.identity.TaskID, nil
	}
	m := manager(t, w.rowConfig(source))
	first := ask(t, m)
	w.clock.advance(time.Second)
	ask(t, m) // as its task was saved, it is loaded once more
	loads := r.loads
	for range 3 {
		w.clock.advance(time.Second)
		if again := ask(t, m); again.TaskID != first.TaskID {
			t.Errorf("got task %s, then %s", first.TaskID, again.TaskID)
		}
	}
	checkCount(t, "loads while nothing changes", r.loads, loads)
	w.clock.advance(time.Second)
	r.mu.Lock()
	r.identity.TaskID = "task-of-others"
	r.mu.Unlock()
	if third := ask(t, m); third.TaskID != "task-of-others" {
		t.Errorf("got task %s, want what the row has", third.TaskID)
	}
}

// A task that is rejected is replaced in the row, and stays there if it cannot be.
func TestIdentityInARowRecovers(t *testing.T) {
	w, r := withRow(t)
	m := manager(t, w.rowConfig(r.source()))
	first := ask(t, m)
	w.authority.ExpireTask(first.TaskID)
	w.clock.advance(time.Second)
	w.authority.RefuseRegistration(http.StatusForbidden)
	refused := recoverFrom(t, m, first)
	check(t, refused, core.ModeNone, core.ReasonNoAccessToken, core.CodeHTTPStatus)
	if r.identity.TaskID != first.TaskID {
		t.Errorf("the row has task %q, want that which could not be replaced, %q", r.identity.TaskID, first.TaskID)
	}
	w.authority.RefuseRegistration(0)
	w.clock.advance(2 * maxPauseOfTests)
	again := ask(t, m)
	second := recoverFrom(t, m, again)
	w.checkVerified(t, second)
	if second.TaskID == first.TaskID || r.identity.TaskID != second.TaskID {
		t.Errorf("got task %s, the row has %s", second.TaskID, r.identity.TaskID)
	}
	for _, task := range r.saved {
		if task == "" {
			t.Error("a task was removed")
		}
	}
	// Another manager, which is told by the ids alone, finds it.
	other := manager(t, w.rowConfig(r.source()))
	late, err := other.RecoverTask(context.Background(), first.AgentRuntimeID, first.TaskID, nil)
	if err != nil || late.TaskID != second.TaskID {
		t.Errorf("got %v, %v; want task %s", late, err, second.TaskID)
	}
}

// An agent that the backend does not know is said to be revoked, and stays in its row.
func TestIdentityInARowRevoked(t *testing.T) {
	w, r := withRow(t)
	m := manager(t, w.rowConfig(r.source()))
	first := ask(t, m)
	w.authority.RevokeAgent(first.AgentRuntimeID)
	before := r.identity
	w.clock.advance(time.Second)
	a := recoverFrom(t, m, first)
	if a.Mode != core.ModeNone {
		t.Errorf("got %v, want nothing: there is no token", a)
	}
	checkMeans(t, a.Cause, "revoked")
	if r.identity != before {
		t.Error("the row has changed")
	}
}
