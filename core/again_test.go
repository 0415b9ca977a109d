package core_test

import (
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// One state makes the assertions of all conversations of an agent's, of the same second
// and of others.
func TestAgainWithAnotherTask(t *testing.T) {
	key, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	record := []byte(`{"agent_runtime_id":"agent-1","agent_private_key":"` + key.PKCS8() + `","account_id":"acct-1",` +
		`"chatgpt_user_id":"user-1","base_url":"https://chatgpt.com/backend-api"}`)
	config := wire.Config{BaseURL: "https://chatgpt.com/backend-api", AgentIdentity: true}
	credentials := wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "token", AccountID: "acct-1", UserID: "user-1"}
	const now = 1_800_000_000
	step := func(state []byte, e wire.Event) wire.FlowStep {
		t.Helper()
		e.Now = now
		s, err := core.Step(wire.FlowStepParams{State: state, Event: e})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := step(nil, wire.Event{Type: wire.EventStart, Config: &config, Credentials: &credentials, Surface: core.SurfaceResponses, ThreadID: "thread-1"})
	for s.Effect.Type != wire.EffectDone {
		answer := wire.Event{Type: wire.EventDone}
		if s.Effect.Type == wire.EffectLoad {
			answer = wire.Event{Type: wire.EventLoaded}
			switch s.Effect.Slot {
			case wire.SlotIdentity:
				answer.Record = record
			case wire.SlotThread + "thread-1":
				answer.Record = []byte(`{"agent_runtime_id":"agent-1","task_id":"task-1"}`)
			}
		}
		s = step(s.State, answer)
	}
	for _, tt := range []struct {
		task, asserts, code string
		at                  int64
	}{
		{"", "task-1", "", now + 1},
		{"task-2", "task-2", "", now},
		{"task-3", "task-3", "", now + 86400},
		{"a\x00", "", core.CodeInvalidTaskID, now},
	} {
		again, err := core.Step(wire.FlowStepParams{State: s.State, Event: wire.Event{Type: wire.EventAgain, Now: tt.at, TaskID: tt.task}})
		if core.Code(err) != tt.code {
			t.Errorf("the task %q: got %v", tt.task, err)
			continue
		}
		if err != nil {
			continue
		}
		want, err := core.BuildAssertion(key, "agent-1", tt.asserts, tt.at)
		if a := again.Effect.Authorization; err != nil || a.Header != want || a.TaskID != tt.asserts || a.ValidUntil != tt.at {
			t.Errorf("the task %q: got %+v, want the header of %q", tt.task, *a, tt.asserts)
		}
	}
}

// A runtime agent instance asserts no task.
func TestAgainWithATaskOfAnInstance(t *testing.T) {
	state := wire.Encode(&wire.SignedState{Key: make([]byte, 96), Answer: wire.Authorization{Mode: core.ModeDualHeader, RuntimeAgentInstance: "instance-1"}})
	_, err := core.Step(wire.FlowStepParams{State: state, Event: wire.Event{Type: wire.EventAgain, TaskID: "task-1", Entropy: make([]byte, 16)}})
	if core.Code(err) != core.CodeUnexpectedEvent {
		t.Errorf("got %v", err)
	}
}
