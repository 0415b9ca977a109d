package host_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// members returns a record's members.
func members(t *testing.T, record []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(record, &m); err != nil {
		t.Fatalf("%v in %s", err, record)
	}
	return m
}

// oldRecords are identities as clients have left them.
func oldRecords() map[string]string {
	key := `"agent_runtime_id":"agent-1","agent_private_key":"` + privateKey + `"`
	return map[string]string{
		"0.123":                    `{"workspace_id":"acct-1","chatgpt_user_id":"user-1",` + key + `,"registered_at":"2026-11-24T15:16:08Z","background_task_id":"task-1"}`,
		"ours of before":           `{"workspace_id":"acct-1","chatgpt_user_id":"user-1",` + key + `,"registered_at":"2026-11-24T15:16:08Z","background_task_id":"task-1","task_replaced_at":"2026-11-24T15:16:08Z"}`,
		"0.171":                    `{` + key + `,"account_id":"acct-1","chatgpt_user_id":"user-1","email":"u@example.com","plan_type":"pro","chatgpt_account_is_fedramp":false,"task_id":"task-1"}`,
		"0.171, with nobody's":     `{` + key + `,"account_id":"acct-1","chatgpt_user_id":"user-1","plan_type":"pro","chatgpt_account_is_fedramp":false,"task_id":"task-1","later":{"a":[1,2]}}`,
		"a member of another kind": `{` + key + `,"account_id":null,"workspace_id":"acct-1","chatgpt_user_id":"user-1","chatgpt_account_is_fedramp":"no","task_id":"task-1"}`,
	}
}

// A record of any client's is used as it is, and gets, once, what the others need to
// read it.
func TestOldRecordsAreCompleted(t *testing.T) {
	for name, old := range oldRecords() {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.save(t, []byte(old))
			s := w.seal()
			s.setOpen(true)
			for range 3 {
				a := ask(t, manager(t, w.config()))
				checkAssertion(t, a)
				if a.AgentRuntimeID != "agent-1" || a.TaskID != "task-1" || a.Notice != nil {
					t.Errorf("got %s, %s, notice %v", a.AgentRuntimeID, a.TaskID, a.Notice)
				}
				w.clock.advance(time.Second)
			}
			checkCount(t, "swaps", s.attempts("swap identity"), 1)
			checkCount(t, "locks", s.attempts("lock identity"), 0)
			checkCount(t, "requests", w.network.count(), 0)

			got, want := members(t, w.load(t, wire.SlotIdentity)), members(t, []byte(old))
			if want["account_id"] == nil {
				want["account_id"] = "acct-1"
			}
			if _, ok := want["chatgpt_account_is_fedramp"].(bool); !ok {
				want["chatgpt_account_is_fedramp"] = false
			}
			for member, value := range map[string]string{
				"workspace_id": "acct-1", "plan_type": "unknown", "registered_at": start.Format(time.RFC3339),
				"background_task_id": "task-1", "task_id": "task-1",
			} {
				if want[member] == nil {
					want[member] = value
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// A record that cannot be completed is used as it is. A store that is known to be
// read-only is not asked again each second.
func TestOldRecordThatCannotBeCompleted(t *testing.T) {
	for name, old := range oldRecords() {
		for how, seal := range map[string]func(w *world) func() error{
			"read-only": func(w *world) func() error {
				s := w.seal()
				return func() error {
					if got := s.attempts("swap identity"); got != 1 {
						return fmt.Errorf("%d swaps, want one", got)
					}
					return nil
				}
			},
			"failing": func(w *world) func() error {
				w.store = &faultyStore{Store: w.store, faults: map[string]fault{"swap identity": failing}}
				return func() error { return nil }
			},
			"changing": func(w *world) func() error {
				w.store = &faultyStore{Store: w.store, faults: map[string]fault{"swap identity": changing}}
				return func() error { return nil }
			},
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				w := newWorld()
				w.save(t, []byte(old))
				verify := seal(w)
				m := manager(t, w.config())
				for range 5 {
					a := ask(t, m)
					checkAssertion(t, a)
					if a.TaskID != "task-1" || a.Notice != nil {
						t.Errorf("got %s, notice %v", a.TaskID, a.Notice)
					}
					w.clock.advance(time.Second)
				}
				if err := verify(); err != nil {
					t.Error(err)
				}
				checkCount(t, "requests", w.network.count(), 0)
				if got := string(w.load(t, wire.SlotIdentity)); got != old {
					t.Errorf("stored is %s, was %s", got, old)
				}
			})
		}
	}
}

// changing is a store in which somebody else has been quicker, each time.
func changing() error {
	return &core.Error{Code: core.CodeRecordChanged, Message: "somebody else was quicker"}
}

// Whoever else has stored a good identity while ours was registered has won.
func TestTheirsIsTaken(t *testing.T) {
	for name, use := range map[string]use{"background": ask, "thread": turn} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			other := &world{clock: w.clock, authority: w.authority, session: w.session, network: &network{backend: w.authority}, store: &host.MemoryStore{}, engine: w.engine}
			theirs := use(t, manager(t, other.config()))
			w.network.follow(func(n int, _ *http.Request) (*http.Response, error) {
				if n == identityRegistration {
					w.save(t, other.load(t, wire.SlotIdentity))
				}
				return nil, nil
			})
			a := use(t, manager(t, w.config()))
			w.checkVerified(t, a)
			if a.AgentRuntimeID != theirs.AgentRuntimeID {
				t.Errorf("got the agent %s, want theirs, %s", a.AgentRuntimeID, theirs.AgentRuntimeID)
			}
			if got, want := w.storedIdentity(t)["agent_runtime_id"], theirs.AgentRuntimeID; got != want {
				t.Errorf("stored is %s, want %s", got, want)
			}
			requests := 2 // of the identity that came too late
			if name == "thread" {
				requests += requestsPerTask
			} else if a.TaskID != theirs.TaskID {
				t.Errorf("got the task %s, want theirs, %s", a.TaskID, theirs.TaskID)
			}
			checkCount(t, "requests", w.network.count(), requests)
		})
	}
}

// One that does not fit is set aside instead, and ours is stored.
func TestTheirsDoesNotFit(t *testing.T) {
	w := newWorld()
	theirs := identityFor("acct-9", "user-9")
	w.network.follow(func(n int, _ *http.Request) (*http.Response, error) {
		if n == identityRegistration {
			w.save(t, theirs)
		}
		return nil, nil
	})
	a := ask(t, manager(t, w.config()))
	w.checkVerified(t, a)
	if got := string(w.load(t, wire.SlotSetAside)); !strings.Contains(got, string(theirs)) || core.Code(a.Notice) != core.CodeIdentitySetAside {
		t.Errorf("set aside is %s, want %s; notice %v", got, theirs, a.Notice)
	}
	checkCount(t, "requests", w.network.count(), requestsPerRegistration)
	checkCounts(t, w.authority, 1, 1)
}

// What others change in the record while a task is registered for it stays, and
// costs no second registration.
func TestForeignChangeStays(t *testing.T) {
	w := newWorld()
	askThread(t, manager(t, w.config()).Thread("thread-1"))
	requests := w.network.count()
	w.network.follow(func(int, *http.Request) (*http.Response, error) { // twice: with the biscuit and with the task
		record := strings.Replace(string(w.load(t, wire.SlotIdentity)), "{", fmt.Sprintf(`{"change_%d":true,`, w.network.count()-requests), 1)
		w.save(t, []byte(record))
		return nil, nil
	})
	a := ask(t, manager(t, w.config()))
	w.checkVerified(t, a)
	got := members(t, w.load(t, wire.SlotIdentity))
	if got["change_1"] != true || got["change_2"] != true || got["background_task_id"] != a.TaskID {
		t.Errorf("stored is %v, want both changes and the task %s", got, a.TaskID)
	}
	checkCount(t, "requests", w.network.count(), requests+requestsPerTask)
}

// Where somebody keeps changing it, the flow gives up at some point, and waits.
func TestRecordThatKeepsChanging(t *testing.T) {
	for name, tt := range map[string]struct {
		spared, requests int
	}{"identity": {0, 2}, "task": {1, requestsPerRegistration}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.store = &faultyStore{
				Store:  w.store,
				faults: map[string]fault{"swap identity": changing},
				spared: map[string]int{"swap identity": tt.spared},
			}
			m := manager(t, w.config())
			a := ask(t, m)
			check(t, a, core.ModeBearer, core.ReasonStoreFailed, core.CodeStoreFailed)
			checkPause(t, a, start, firstPause)
			checkCount(t, "requests", w.network.count(), tt.requests)
			w.clock.advance(time.Second)
			check(t, ask(t, m), core.ModeBearer, core.ReasonRegistrationFailed, core.CodeBackingOff)
			checkCount(t, "requests in the pause", w.network.count(), tt.requests)
		})
	}
}

// What is stored is what every client needs to read it.
func TestStoredRecord(t *testing.T) {
	w := newWorld()
	c := w.config()
	credentials := w.credentials()
	credentials.Email, credentials.PlanType, credentials.FedRAMP = "u@example.com", "enterprise", true
	c.Credentials = fixed(credentials)
	w.session = w.authority.SignIn("acct-1", "user-1")
	a := ask(t, manager(t, c))
	got := members(t, w.load(t, wire.SlotIdentity))
	want := map[string]any{
		"agent_runtime_id": a.AgentRuntimeID, "agent_private_key": got["agent_private_key"], "base_url": baseURL,
		"account_id": "acct-1", "workspace_id": "acct-1", "chatgpt_user_id": "user-1", "email": "u@example.com",
		"plan_type": "enterprise", "chatgpt_account_is_fedramp": true, "registered_at": start.Format(time.RFC3339),
		"background_task_id": a.TaskID, "task_id": a.TaskID,
	}
	if a.TaskID == "" || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
