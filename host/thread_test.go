package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

// requestsPerTask are those of a task alone.
const requestsPerTask = 2

// askThread asks for the authorization of a turn.
func askThread(t testing.TB, thread *host.Thread) host.Authorization {
	t.Helper()
	a, err := thread.Authorization(context.Background(), core.SurfaceResponses)
	if err != nil {
		t.Fatalf("Thread.Authorization: %v", err)
	}
	return a
}

func checkThreadAssertion(t testing.TB, got host.Authorization) {
	t.Helper()
	check(t, got, core.ModeAgentAssertion, core.ReasonThreadTask, "")
}

// useAuthFile puts an auth.json in the place of the world's store.
func (w *world) useAuthFile(t testing.TB) *authfile.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(path, w.session.AuthJSON(), 0o600); err != nil {
		t.Fatal(err)
	}
	file := authfile.New(path)
	w.store = file
	return file
}

// stores are those that keep a thread's task between two managers.
var stores = map[string]func(t testing.TB, w *world){
	"memory":   func(testing.TB, *world) {},
	"authfile": func(t testing.TB, w *world) { w.useAuthFile(t) },
}

func TestThreadRegistersOnFirstUse(t *testing.T) {
	first := map[string]func(t *testing.T, thread *host.Thread){
		"turn": func(t *testing.T, thread *host.Thread) { checkThreadAssertion(t, askThread(t, thread)) },
		"prewarm": func(t *testing.T, thread *host.Thread) {
			if err := thread.Prewarm(context.Background()); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, use := range first {
		for storeName, prepare := range stores {
			t.Run(name+"/"+storeName, func(t *testing.T) {
				w := newWorld()
				prepare(t, w)
				thread := manager(t, w.config()).Thread("a/../thread")
				checkCount(t, "requests before the first use", w.network.count(), 0)
				use(t, thread)
				checkCount(t, "requests of the first use", w.network.count(), requestsPerRegistration)
				a := askThread(t, thread)
				w.checkVerified(t, a)
				w.clock.advance(time.Second)
				w.checkVerified(t, askThread(t, thread))

				// As a program that starts again and resumes the conversation.
				resumed := askThread(t, manager(t, w.config()).Thread("a/../thread"))
				w.checkVerified(t, resumed)
				if resumed.TaskID != a.TaskID {
					t.Errorf("the resumed thread has task %s, want %s", resumed.TaskID, a.TaskID)
				}
				checkCount(t, "requests in all", w.network.count(), requestsPerRegistration)
				checkCounts(t, w.authority, 1, 1)
			})
		}
	}
}

// A thread's task is nobody else's, and is not in the identity's record.
func TestThreadTasksAreApart(t *testing.T) {
	for name, prepare := range stores {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			prepare(t, w)
			m := manager(t, w.config())
			owners := map[string]string{}
			own := func(owner string, a host.Authorization) {
				t.Helper()
				w.checkVerified(t, a)
				if other, ok := owners[a.TaskID]; ok {
					t.Errorf("%s and %s share the task %s", owner, other, a.TaskID)
				}
				owners[a.TaskID] = owner
			}
			own("thread 1", askThread(t, m.Thread("thread-1")))
			if task := w.storedIdentity(t)["background_task_id"]; task != "" {
				t.Errorf("the identity's record has the background task %s of a thread", task)
			}
			own("thread 2", askThread(t, m.Thread("thread-2")))
			own("background", ask(t, m))
			checkCounts(t, w.authority, 1, 3)

			for id, want := range map[string]string{"thread-1": "thread 1", "thread-2": "thread 2"} {
				var record map[string]string
				if err := json.Unmarshal(w.load(t, wire.SlotThread+id), &record); err != nil {
					t.Fatal(err)
				}
				if owners[record["task_id"]] != want || record["agent_runtime_id"] != w.storedIdentity(t)["agent_runtime_id"] ||
					record["registered_at"] != start.Format(time.RFC3339) || len(record) != 3 {
					t.Errorf("%s: stored %v", id, record)
				}
			}
		})
	}
}

// One task serves all of a thread's surfaces, and no other surface is a thread's.
func TestThreadSurfaces(t *testing.T) {
	w := newWorld()
	thread := manager(t, w.config()).Thread("thread-1")
	want := askThread(t, thread)
	for _, s := range core.Surfaces() {
		a, err := thread.Authorization(context.Background(), s.Name)
		if s.Scope != core.ScopeThread {
			checkCode(t, err, core.CodeThreadSurface)
		} else if err != nil || a.Header() != want.Header() || a.TaskID != want.TaskID {
			t.Errorf("%s: got %v, %v; want %v", s.Name, a, err, want)
		}
	}
	if a, err := thread.Authorization(context.Background(), ""); err != nil || a != want {
		t.Errorf("the default surface: got %v, %v; want %v", a, err, want)
	}
	_, err := thread.Authorization(context.Background(), "no-such-surface")
	checkCode(t, err, core.CodeUnknownSurface)
	if got := thread.ID(); got != "thread-1" {
		t.Errorf("got id %q", got)
	}
}

func TestThreadIDs(t *testing.T) {
	for name, id := range map[string]string{
		"empty": "", "too long": strings.Repeat("x", 4097), "control character": "a\nb", "not UTF-8": "a\xff",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			_, err := manager(t, w.config()).Thread(id).Authorization(context.Background(), core.SurfaceResponses)
			want := core.CodeInvalidThreadID
			if id == "" {
				want = core.CodeThreadSurface
			}
			if name == "not UTF-8" {
				want = core.CodeInvalidRequest // no message can hold it
			}
			checkCode(t, err, want)
			checkCount(t, "requests", w.network.count(), 0)
		})
	}
}

// A task that was granted to another identity is of no use.
func TestThreadWithAnotherIdentity(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"account changed": func(w *world) { w.session = w.authority.SignIn("acct-2", "user-1") },
		"user changed":    func(w *world) { w.session = w.authority.SignIn("acct-1", "user-2") },
		"identity lost": func(w *world) {
			if err := w.store.Delete(context.Background(), wire.SlotIdentity); err != nil {
				panic(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			before := askThread(t, manager(t, w.config()).Thread("thread-1"))
			change(w)
			after := askThread(t, manager(t, w.config()).Thread("thread-1"))
			w.checkVerified(t, after)
			if after.TaskID == before.TaskID || after.AgentRuntimeID == before.AgentRuntimeID {
				t.Errorf("got %s, %s before and after", before.AgentRuntimeID, before.TaskID)
			}
			checkCounts(t, w.authority, 2, 2)
		})
	}
}

// A registration that fails is the turn's error. The next turn tries again,
// whatever was remembered, and a background call still waits.
func TestThreadRegistrationFails(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fail   func(w *world, c *host.ManagerConfig)
		repair func(w *world)
		cause  string
	}{
		{"refused", func(w *world, _ *host.ManagerConfig) { w.authority.RefuseRegistration(http.StatusServiceUnavailable) },
			func(w *world) { w.authority.RefuseRegistration(0) }, core.CodeHTTPStatus},
		{"no connection", func(w *world, _ *host.ManagerConfig) {
			w.network.follow(func(_ int, r *http.Request) (*http.Response, error) { return nil, errDisk })
		}, func(w *world) { w.network.follow(nil) }, core.CodeRequestFailed},
		{"identity cannot be locked", func(w *world, c *host.ManagerConfig) {
			w.store = &faultyStore{Store: w.store, faults: map[string]fault{"lock identity": failing}}
			c.Store = w.store
		}, func(w *world) { w.store.(*faultyStore).repair() }, core.CodeStoreFailed},
		{"thread cannot be locked", func(w *world, c *host.ManagerConfig) {
			w.store = &faultyStore{Store: w.store, faults: map[string]fault{"lock thread/thread-1": failing}}
			c.Store = w.store
		}, func(w *world) { w.store.(*faultyStore).repair() }, core.CodeStoreFailed},
		{"task cannot be saved", func(w *world, c *host.ManagerConfig) {
			w.store = &faultyStore{Store: w.store, faults: map[string]fault{"save thread/thread-1": failing}}
			c.Store = w.store
		}, func(w *world) { w.store.(*faultyStore).repair() }, core.CodeStoreFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			c := w.config()
			tt.fail(w, &c)
			thread := manager(t, c).Thread("thread-1")
			for range 2 {
				before := w.network.count()
				a, err := thread.Authorization(context.Background(), core.SurfaceResponses)
				checkCode(t, err, host.CodeThreadFailed)
				if !errors.Is(err, &core.Error{Code: tt.cause}) {
					t.Errorf("got %v, want the code %s in its chain", err, tt.cause)
				}
				if a != (host.Authorization{}) {
					t.Errorf("%v came with the error", a)
				}
				checkHidden(t, w.secrets(t), err)
				if tt.cause != core.CodeStoreFailed && w.network.count() == before {
					t.Error("the turn did not try")
				}
				checkCode(t, thread.Prewarm(context.Background()), host.CodeThreadFailed)
				if h := a.Headers(); len(h) > 0 {
					t.Errorf("got header fields of %d names with the error", len(h))
				}
				w.clock.advance(time.Second)
			}
			tt.repair(w)
			w.checkVerified(t, askThread(t, thread))
		})
	}
}

// The gate, the account and the kind of the credentials count for a thread too,
// the host does not.
func TestThreadDecides(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*host.ManagerConfig, *host.Credentials)
		mode   string
		reason string
	}{
		{"unsupported host", func(c *host.ManagerConfig, _ *host.Credentials) { c.BaseURL = "http://127.0.0.1:8080" },
			core.ModeAgentAssertion, core.ReasonThreadTask},
		{"gate off", func(c *host.ManagerConfig, _ *host.Credentials) { c.AgentIdentity = false },
			core.ModeBearer, core.ReasonFeatureOff},
		{"no account", func(_ *host.ManagerConfig, c *host.Credentials) { c.AccountID = "" },
			core.ModeBearer, core.ReasonNoAccountID},
		{"API key", func(_ *host.ManagerConfig, c *host.Credentials) { c.Kind = wire.CredentialsAPIKey },
			core.ModeNone, core.ReasonNoChatGPTCredentials},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			config, credentials := w.config(), w.credentials()
			tt.change(&config, &credentials)
			config.Credentials = fixed(credentials)
			a := askThread(t, manager(t, config).Thread("thread-1"))
			check(t, a, tt.mode, tt.reason, "")
			checkHeaders(t, a, credentials)
		})
	}
}

func TestThreadManyTurnsOneRegistration(t *testing.T) {
	w := newWorld()
	managers := []*host.Manager{manager(t, w.config()), manager(t, w.config())} // they share a store
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			a, err := managers[i%2].Thread("thread-1").Authorization(context.Background(), core.SurfaceResponses)
			if err != nil || a.Mode != core.ModeAgentAssertion {
				t.Errorf("got %v, %v; want an assertion", a, err)
			}
		})
	}
	wg.Wait()
	checkCount(t, "requests", w.network.count(), requestsPerRegistration)
	checkCounts(t, w.authority, 1, 1)
}

func TestThreadReusesAHeaderWithinItsSecond(t *testing.T) {
	w := newWorld()
	engine := &countingEngine{Engine: w.engine}
	w.engine = engine
	thread := manager(t, w.config()).Thread("thread-1")
	first := askThread(t, thread)
	calls := engine.calls.Load()
	if again := askThread(t, thread); again != first || engine.calls.Load() != calls {
		t.Errorf("got %v after %d calls of the engine, want %v after none", again, engine.calls.Load()-calls, first)
	}
	w.clock.advance(time.Second)
	if later := askThread(t, thread); later == first {
		t.Error("the next second has the same answer")
	}
}

func TestThreadOfAClosedManager(t *testing.T) {
	m := manager(t, newWorld().config())
	thread := m.Thread("thread-1")
	checkThreadAssertion(t, askThread(t, thread))
	closeManager(t, m)
	_, err := thread.Authorization(context.Background(), core.SurfaceResponses)
	checkCode(t, err, host.CodeClosed)
}
