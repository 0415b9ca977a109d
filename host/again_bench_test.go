package host_test

import (
	"context"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/internal/policy"
)

// BenchmarkAgain is what a header in a new second costs the engine, and the policy, where
// nothing but the time has changed. Compare it with BenchmarkAssertion.
func BenchmarkAgain(b *testing.B) {
	call := policy.Call{
		Config: wire.Config{
			BaseURL: "https://chatgpt.com/backend-api", AgentIdentity: true,
			ABOM: wire.ABOM{AgentVersion: "1", AgentHarnessID: "bench", RunningLocation: "bench"},
		},
		Surface:     core.SurfaceModels,
		Credentials: wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "token", AccountID: "acct-1", UserID: "user-1"},
	}
	now := start.Unix()
	e := engines(b)
	for _, name := range []string{"native", "sandbox"} {
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			checks := policy.New(call)
			step := func(state []byte, event wire.Event) wire.FlowStep {
				event.Now = now
				s, err := host.Call[wire.FlowStep](ctx, e[name], wire.MethodFlowStep, wire.FlowStepParams{State: state, Event: event})
				if err != nil {
					b.Fatal(err)
				}
				return s
			}
			s := step(nil, wire.Event{Type: wire.EventStart, Config: &call.Config, Surface: call.Surface, Credentials: &call.Credentials})
			s = step(s.State, wire.Event{Type: wire.EventLoaded, Record: signedRecord})
			if s.Effect.Type != wire.EffectDone {
				b.Fatal(s.Effect.Type)
			}
			if err := checks.Answer(*s.Effect.Authorization, now); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				now++
				again := step(s.State, wire.Event{Type: wire.EventAgain})
				if err := checks.Again(*again.Effect.Authorization, "", nil, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

var signedRecord = []byte(`{"agent_runtime_id":"agent-rt-2","agent_private_key":"` + privateKey + `","base_url":"https://chatgpt.com/backend-api",` +
	`"account_id":"acct-1","chatgpt_user_id":"user-1","plan_type":"pro","chatgpt_account_is_fedramp":false,"workspace_id":"acct-1",` +
	`"registered_at":"2026-11-24T15:16:08Z","task_id":"task-4","background_task_id":"task-4"}`)
