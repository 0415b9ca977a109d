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
// a stored identity, and needs nothing else.
func ExampleStep() {
	const record = `{"agent_runtime_id":"agent-1","base_url":"https://chatgpt.com/backend-api",` +
		`"agent_private_key":"MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",` +
		`"account_id":"acct-1","chatgpt_user_id":"user-1","plan_type":"pro","chatgpt_account_is_fedramp":false,` +
		`"workspace_id":"acct-1","registered_at":"2026-11-24T15:16:08Z","task_id":"task-1","background_task_id":"task-1"}`
	step, err := core.Step(wire.FlowStepParams{Event: wire.Event{
		Type:        wire.EventStart,
		Now:         1795533368,
		Config:      &wire.Config{BaseURL: "https://chatgpt.com", AgentIdentity: true},
		Surface:     core.SurfaceModels,
		Credentials: &wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "token", AccountID: "acct-1"},
	}})
	fmt.Println(step.Effect.Type, step.Effect.Slot, err)

	step, err = core.Step(wire.FlowStepParams{State: step.State, Event: wire.Event{
		Type: wire.EventLoaded, Now: 1795533368, Record: []byte(record),
	}})
	a := step.Effect.Authorization
	fmt.Println(step.Effect.Type, a.Mode, a.Reason, a.TaskID, err)
	// Output:
	// load identity <nil>
	// done agent-assertion background-task task-1 <nil>
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
