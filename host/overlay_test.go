package host_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

var errReadOnly = &core.Error{Code: core.CodeStoreReadOnly, Message: "the secret is mounted read-only"}

// secretStore is like a Kubernetes secret: it can be read, and not be written until
// it is open. It counts what was tried.
type secretStore struct {
	host.Store

	mu    sync.Mutex
	open  bool
	tried map[string]int
}

// seal makes the world's store a secret.
func (w *world) seal() *secretStore {
	s := &secretStore{Store: w.store, tried: map[string]int{}}
	w.store = s
	return s
}

func (s *secretStore) setOpen(open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = open
}

func (s *secretStore) attempts(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried[operation]
}

func (s *secretStore) try(operation, slot string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried[operation+" "+slot]++
	if s.open {
		return nil
	}
	return errReadOnly
}

func (s *secretStore) Save(ctx context.Context, slot string, record []byte) error {
	if err := s.try("save", slot); err != nil {
		return err
	}
	return s.Store.Save(ctx, slot, record)
}

func (s *secretStore) Delete(ctx context.Context, slot string) error {
	if err := s.try("delete", slot); err != nil {
		return err
	}
	return s.Store.Delete(ctx, slot)
}

func (s *secretStore) Swap(ctx context.Context, slot string, old, new []byte) error {
	if err := s.try("swap", slot); err != nil {
		return err
	}
	return s.Store.Swap(ctx, slot, old, new)
}

func (s *secretStore) Lock(ctx context.Context, slot string) (func(), error) {
	if err := s.try("lock", slot); err != nil {
		return nil, err
	}
	return s.Store.Lock(ctx, slot)
}

func (s *secretStore) Probe(_ context.Context, slot string) error { return s.try("probe", slot) }

// newSecret is a world whose store has an identity, with the tasks of what was used
// before it was sealed.
func newSecret(t *testing.T, used ...use) (*world, *secretStore) {
	t.Helper()
	w := newWorld()
	m := manager(t, w.config())
	for _, use := range used {
		w.checkVerified(t, use(t, m))
	}
	return w, w.seal()
}

// use asks a manager for an authorization.
type use func(t testing.TB, m *host.Manager) host.Authorization

// turn uses a thread's task, as ask uses the background task.
func turn(t testing.TB, m *host.Manager) host.Authorization {
	t.Helper()
	return askThread(t, m.Thread("thread-1"))
}

// otherTurn is another thread's.
func otherTurn(t testing.TB, m *host.Manager) host.Authorization {
	t.Helper()
	return askThread(t, m.Thread("thread-2"))
}

func TestReadOnlyStoreServesWhatItHolds(t *testing.T) {
	w, _ := newSecret(t, ask, turn)
	before, requests := w.load(t, wire.SlotIdentity), w.network.count()
	m := manager(t, w.config())
	for range 3 {
		for _, use := range []use{ask, turn} {
			a := use(t, m)
			w.checkVerified(t, a)
			if a.Cause != nil || a.Notice != nil {
				t.Errorf("got cause %v and notice %v with what the store holds", a.Cause, a.Notice)
			}
		}
		w.clock.advance(time.Second)
	}
	checkCount(t, "requests", w.network.count(), requests)
	if after := w.load(t, wire.SlotIdentity); !bytes.Equal(after, before) {
		t.Errorf("the store has %s, had %s", after, before)
	}
}

// A task that the store does not take is registered once by each program, and so is
// one that takes the place of another.
func TestReadOnlyStoreWithoutTheTask(t *testing.T) {
	for name, use := range map[string]use{"background": ask, "thread": turn} {
		t.Run(name, func(t *testing.T) {
			w, s := newSecret(t, otherTurn)
			identity := w.load(t, wire.SlotIdentity)
			m := manager(t, w.config())
			first, requests := use(t, m), w.network.count()
			checkCount(t, "requests", requests, requestsPerRegistration+requestsPerTask)
			for range 3 {
				w.clock.advance(time.Second)
				a := use(t, m)
				w.checkVerified(t, a)
				if a.TaskID != first.TaskID {
					t.Errorf("got the task %s, had %s", a.TaskID, first.TaskID)
				}
			}
			checkStatusTask(t, m, first)

			w.authority.ExpireTask(first.TaskID)
			second := recoverFrom(t, m, first)
			w.checkVerified(t, second)
			w.clock.advance(time.Second)
			if a := use(t, m); a.TaskID != second.TaskID || a.TaskID == first.TaskID {
				t.Errorf("got the task %s, want %s in the place of %s", a.TaskID, second.TaskID, first.TaskID)
			}
			checkStatusTask(t, m, second)
			checkCount(t, "requests in all", w.network.count(), requests+requestsPerTask)
			if after := w.load(t, wire.SlotIdentity); !bytes.Equal(after, identity) {
				t.Errorf("the store has %s, had %s", after, identity)
			}

			// What is in memory ends with the program.
			third := use(t, manager(t, w.config()))
			w.checkVerified(t, third)
			if third.TaskID == second.TaskID || third.AgentRuntimeID != first.AgentRuntimeID {
				t.Errorf("another program got %s of %s", third.TaskID, third.AgentRuntimeID)
			}

			// And comes into the store as soon as that takes it.
			s.setOpen(true)
			w.authority.ExpireTask(second.TaskID)
			w.clock.advance(time.Hour)
			fourth := recoverFrom(t, m, second)
			w.checkVerified(t, fourth)
			requests = w.network.count()
			for _, m := range []*host.Manager{m, manager(t, w.config())} {
				w.clock.advance(time.Second)
				if a := use(t, m); a.TaskID != fourth.TaskID {
					t.Errorf("got the task %s, want the stored one, %s", a.TaskID, fourth.TaskID)
				}
			}
			checkCount(t, "requests once the store is open", w.network.count(), requests)
		})
	}
}

// checkStatusTask wants a manager's status to have an authorization's task.
func checkStatusTask(t *testing.T, m *host.Manager, a host.Authorization) {
	t.Helper()
	s, err := m.Status(context.Background(), "thread-1")
	if err != nil {
		t.Fatal(err)
	}
	r := row(t, s, core.SurfaceModels, "")
	if a.Reason == core.ReasonThreadTask {
		r = row(t, s, core.SurfaceResponses, "thread-1")
	}
	if r.TaskID != a.TaskID || r.Registers {
		t.Errorf("the status has %+v, want the task %s", r, a.TaskID)
	}
}

// Nothing is registered that nobody could keep: an identity outlives a program.
func TestReadOnlyStoreWithoutIdentity(t *testing.T) {
	for name, prepare := range map[string]func(w *world){
		"empty":                      func(*world) {},
		"another account's identity": func(w *world) { w.save(t, identityFor("acct-9", "user-9")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			prepare(w)
			w.seal()
			m := manager(t, w.config())
			for range 3 {
				check(t, ask(t, m), core.ModeBearer, core.ReasonStoreFailed, core.CodeStoreReadOnly)
				_, err := m.Thread("thread-1").Authorization(context.Background(), "")
				checkCode(t, err, host.CodeThreadFailed)
				if !errors.Is(err, &core.Error{Code: core.CodeStoreReadOnly}) || !errors.Is(err, errReadOnly) {
					t.Errorf("got %v, want %v in its chain", err, errReadOnly)
				}
				w.clock.advance(time.Minute)
			}
			checkCount(t, "requests", w.network.count(), 0)
		})
	}
}

// What somebody else has put into the store since counts.
func TestReadOnlyStoreThatOthersWrite(t *testing.T) {
	for name, use := range map[string]use{"background": ask, "thread": turn} {
		t.Run(name, func(t *testing.T) {
			w, s := newSecret(t, otherTurn)
			m := manager(t, w.config())
			kept := use(t, m)
			c := w.config()
			c.Store = s.Store
			stored := use(t, manager(t, c))
			w.clock.advance(time.Second)
			a := use(t, m)
			w.checkVerified(t, a)
			if a.TaskID != stored.TaskID || a.TaskID == kept.TaskID {
				t.Errorf("got the task %s, want the stored one, %s", a.TaskID, stored.TaskID)
			}
			// Not even when it is gone again does what was kept come back.
			if name == "thread" {
				if err := s.Store.Delete(context.Background(), wire.SlotThread+"thread-1"); err != nil {
					t.Fatal(err)
				}
				w.clock.advance(time.Second)
				if a := use(t, m); a.TaskID == kept.TaskID || a.TaskID == stored.TaskID {
					t.Errorf("got the task %s again", a.TaskID)
				}
			}
		})
	}
}

// A store can become read-only between two writes of one flow.
func TestStoreBecomesReadOnly(t *testing.T) {
	for name, tt := range map[string]struct {
		use       use
		operation string
	}{
		"background": {ask, "swap identity"},
		"thread":     {turn, "save thread/thread-1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			rejected := tt.use(t, manager(t, w.config()))
			w.authority.ExpireTask(rejected.TaskID)
			w.store = &faultyStore{
				Store:  w.store,
				faults: map[string]fault{tt.operation: func() error { return errReadOnly }},
			}
			m := manager(t, w.config())
			replacement := recoverFrom(t, m, tt.use(t, m))
			w.checkVerified(t, replacement)
			requests := w.network.count()
			w.clock.advance(time.Second)
			if a := tt.use(t, m); a.TaskID != replacement.TaskID {
				t.Errorf("got the task %s, want %s", a.TaskID, replacement.TaskID)
			}
			checkCount(t, "requests", w.network.count(), requests)
		})
	}
}

// An identity that the backend does not know stays where it cannot be replaced.
func TestReadOnlyStoreKeepsItsIdentity(t *testing.T) {
	w := newWorld()
	first := ask(t, manager(t, w.config()))
	w.seal()
	w.authority.RevokeAgent(first.AgentRuntimeID)
	requests := w.network.count()
	m := manager(t, w.config())
	for range 2 {
		a := ask(t, m)
		checkAssertion(t, a)
		if a.AgentRuntimeID != first.AgentRuntimeID {
			t.Fatalf("got the agent %s, want the stored one, %s", a.AgentRuntimeID, first.AgentRuntimeID)
		}
		a, err := m.Recover(context.Background(), a, w.answer(t, a))
		checkCode(t, err, "")
		if a.Mode != core.ModeBearer || a.Cause == nil {
			t.Errorf("got %v, cause %v; want bearer and a cause", a, a.Cause)
		}
		w.clock.advance(maxPauseOfTests)
	}
	checkCount(t, "requests", w.network.count(), requests)
}

// Where only the swap shows that it cannot be replaced, the new one is used from memory, and
// the old one stays in the store.
func TestStoreThatKeepsItsIdentity(t *testing.T) {
	w := newWorld()
	first := ask(t, manager(t, w.config()))
	stored := w.load(t, wire.SlotIdentity)
	w.store = &faultyStore{Store: w.store, faults: map[string]fault{"swap identity": func() error { return errReadOnly }}}
	w.authority.RevokeAgent(first.AgentRuntimeID)
	m := manager(t, w.config())
	a := ask(t, m)
	a, err := m.Recover(context.Background(), a, w.answer(t, a))
	checkCode(t, err, "")
	check(t, a, core.ModeBearer, core.ReasonStoreFailed, core.CodeStoreReadOnly)
	for range 3 {
		w.clock.advance(maxPauseOfTests)
		w.checkVerified(t, ask(t, m))
	}
	if after := w.load(t, wire.SlotIdentity); !bytes.Equal(after, stored) {
		t.Errorf("the identity was %s, and is %s", stored, after)
	}
	checkCounts(t, w.authority, 1, 1)
}

// Where the store has no locks, one registration at a time is still enough for one
// program.
func TestReadOnlyStoreManyRecoveries(t *testing.T) {
	for name, tt := range map[string]struct {
		use  use
		slot string
	}{
		"background": {ask, wire.SlotIdentity},
		"thread":     {turn, wire.SlotThread + "thread-1"},
	} {
		t.Run(name, func(t *testing.T) {
			// Flows of their own, for their answers differ.
			codes := []string{"", "invalid_task_id", "task_not_found", "task_expired", "unknown_task"}
			w, s := newSecret(t, tt.use)
			m := manager(t, w.config())
			rejected := tt.use(t, m)
			w.authority.ExpireTask(rejected.TaskID)
			tasks := w.authority.Accepted().Tasks
			w.network.follow(func(int, *http.Request) (*http.Response, error) {
				for s.attempts("lock "+tt.slot) < len(codes) { // none has come too late
					runtime.Gosched()
				}
				return nil, nil
			})
			var wg sync.WaitGroup
			for _, code := range codes {
				wg.Go(func() {
					body := fmt.Sprintf(`{"error":{"code":%q}}`, code)
					a, err := m.Recover(context.Background(), rejected, respond(http.StatusUnauthorized, nil, strings.NewReader(body)))
					if err != nil || a.Mode != core.ModeAgentAssertion || a.TaskID == rejected.TaskID {
						t.Errorf("got %v, %v", a, err)
					}
				})
			}
			wg.Wait()
			checkCount(t, "tasks", w.authority.Accepted().Tasks, tasks+1)
		})
	}
}

// However many conversations there are, memory is bounded, and what is newest and
// what is no thread's stays.
func TestReadOnlyStoreIsKeptInBoundedMemory(t *testing.T) {
	m := manager(t, newWorld().config())
	m.Keep(wire.SlotIdentity, []byte("identity"))
	last := ""
	for i := range 3 * host.MaxKept {
		last = fmt.Sprint(wire.SlotThread, i)
		m.Keep(last, []byte(last))
	}
	if record, slots := m.Kept(last); slots > host.MaxKept+1 || string(record) != last {
		t.Errorf("%d slots are kept, and %q for the last", slots, record)
	}
	if record, slots := m.Kept(fmt.Sprint(wire.SlotThread, 3*host.MaxKept-host.MaxKept/2)); len(record) == 0 || slots < host.MaxKept/2 {
		t.Errorf("%d slots are kept, and %q for one that is half as old as the oldest may be", slots, record)
	}
	if record, _ := m.Kept(wire.SlotIdentity); string(record) != "identity" {
		t.Errorf("the identity is %q", record)
	}
}

func TestForget(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(t *testing.T) *world
		code    string
		// again says that another program still has the task.
		again bool
	}{
		"stored": {func(t *testing.T) *world {
			w := newWorld()
			turn(t, manager(t, w.config()))
			return w
		}, "", false},
		"never used": {func(t *testing.T) *world { return newWorld() }, "", false},
		"in a read-only store": {func(t *testing.T) *world {
			w, _ := newSecret(t, turn)
			return w
		}, core.CodeStoreReadOnly, true},
		"beside a read-only store": {func(t *testing.T) *world {
			w, _ := newSecret(t, ask)
			return w
		}, "", false},
		"in a store that fails": {func(t *testing.T) *world {
			w := newWorld()
			turn(t, manager(t, w.config()))
			w.store = &faultyStore{Store: w.store, faults: map[string]fault{"delete thread/thread-1": failing}}
			return w
		}, core.CodeStoreFailed, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := tt.prepare(t)
			m := manager(t, w.config())
			var before host.Authorization
			if name != "never used" {
				before = turn(t, m)
			}
			checkCode(t, m.Forget(context.Background(), "thread-1"), tt.code)
			w.clock.advance(time.Second)
			if name != "in a store that fails" {
				after := turn(t, m)
				w.checkVerified(t, after)
				if after.TaskID == before.TaskID {
					t.Errorf("the task %s is not forgotten", after.TaskID)
				}
			}
			other := turn(t, manager(t, w.config()))
			if has := other.TaskID == before.TaskID; has != tt.again {
				t.Errorf("another program has the task: %t, want %t", has, tt.again)
			}
			closeManager(t, m)
			checkCode(t, m.Forget(context.Background(), "thread-1"), host.CodeClosed)
		})
	}
}

// A failure that the flow gets over is no part of another failure's cause.
func TestCauseIsItsOwn(t *testing.T) {
	w := newWorld()
	w.store = &faultyStore{Store: w.store, faults: map[string]fault{"save backend": failing}}
	w.save(t, bytes.Replace(identityFor("acct-1", "user-1"), []byte(`,"background_task_id":"task-1"`), nil, 1))
	w.authority.RefuseRegistration(http.StatusForbidden)
	a := ask(t, manager(t, w.config()))
	check(t, a, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeHTTPStatus)
	if errors.Is(a.Cause, errDisk) {
		t.Errorf("got cause %v, which has nothing to do with it", a.Cause)
	}
}
