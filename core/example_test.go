package core_test

import (
	"fmt"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// An agent signs, and a backend that knows its public key verifies. Keys are made
// from 32 random bytes; time is a Unix second.
func Example() {
	key, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		panic(err)
	}
	header, err := core.BuildAssertion(key, "agent-1", "task-1", 1795533368)
	if err != nil {
		panic(err)
	}
	fmt.Println(header[:40] + "…")

	const skew = 300
	seen, err := core.VerifyAssertion(key.Public(), header, 1795533370, skew)
	fmt.Println(seen.Envelope.AgentRuntimeID, seen.Envelope.TaskID, seen.Envelope.Timestamp, err)

	_, err = core.VerifyAssertion(key.Public(), header, 1795533369+skew, skew)
	fmt.Println(core.Code(err))
	// Output:
	// AgentAssertion eyJhZ2VudF9ydW50aW1lX2lkI…
	// agent-1 task-1 2026-11-24T15:16:08Z <nil>
	// timestamp_skew
}

// A flow asks for one thing at a time, and whoever runs it answers. Here it finds
// an identity that the client has stored: it notes to which backend that belongs
// from now on, adds what other versions of the client want to see in its record, and
// needs no request.
func ExampleStep() {
	const now = 1795533368
	slots := map[string][]byte{wire.SlotIdentity: []byte(`{"workspace_id":"acct-1","agent_runtime_id":"agent-1","background_task_id":"task-1",` +
		`"agent_private_key":"MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`)}
	step, err := core.Step(wire.FlowStepParams{Event: wire.Event{
		Type:        wire.EventStart,
		Now:         now,
		Config:      &wire.Config{BaseURL: "https://chatgpt.com", AgentIdentity: true},
		Surface:     core.SurfaceModels,
		Credentials: &wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "token", AccountID: "acct-1"},
	}})
	for err == nil && step.Effect.Type != wire.EffectDone {
		e := step.Effect
		fmt.Println(e.Type, e.Slot)
		answer := wire.Event{Type: wire.EventDone, Now: now}
		switch e.Type {
		case wire.EffectLoad:
			answer = wire.Event{Type: wire.EventLoaded, Now: now, Record: slots[e.Slot]}
		case wire.EffectSave, wire.EffectSwap:
			slots[e.Slot] = e.Record
		default:
			answer = wire.Event{Type: wire.EventFailed, Now: now, Failure: wire.FailureStore}
		}
		step, err = core.Step(wire.FlowStepParams{State: step.State, Event: answer})
	}
	if err != nil {
		panic(err)
	}
	a := step.Effect.Authorization
	fmt.Println(step.Effect.Type, a.Mode, a.Reason, a.TaskID)
	fmt.Println(string(slots[wire.SlotBackend]))
	// Output:
	// load identity
	// load backend
	// save backend
	// swap identity
	// done agent-assertion background-task task-1
	// {"agent-1":"https://chatgpt.com/backend-api"}
}

// A file flow asks for operations on files, by the parts that they play. Here it
// reads who is signed in, and nobody is.
func ExampleFileStep() {
	step, err := core.FileStep(wire.FileStepParams{Event: wire.FileEvent{
		Type: wire.FileEventStart, Now: 1795533368, Operation: wire.FileOperationCredentials,
	}})
	for err == nil && step.Effect.Type != wire.FileEffectDone {
		fmt.Println(step.Effect.Type, step.Effect.Name)
		step, err = core.FileStep(wire.FileStepParams{State: step.State, Event: wire.FileEvent{
			Type: wire.FileEventDone, Now: 1795533368,
		}})
	}
	if err != nil {
		panic(err)
	}
	fmt.Println(step.Effect.Type, step.Effect.Result.Credentials.Kind, step.Effect.Result.Credentials.Problem.Code)
	// Output:
	// read target
	// look journal
	// done none auth_file_missing
}

// Which authorization a call gets does not need an identity to be told.
func ExampleDecide() {
	d, err := core.Decide(wire.DecideParams{
		Config:      wire.Config{BaseURL: "https://backend.example", AgentIdentity: true},
		Surface:     core.SurfaceModels,
		Credentials: wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "token", AccountID: "acct-1"},
		Agent:       wire.AgentAvailable,
	})
	fmt.Println(d.Mode, d.Reason, err)
	// Output: bearer unsupported-host <nil>
}
