package policy_test

import (
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/policy"
)

// BenchmarkAnswer is what the policy adds to a header in a new second.
func BenchmarkAnswer(b *testing.B) {
	seed := make([]byte, 32)
	key, err := core.NewPrivateKey(seed)
	if err != nil {
		b.Fatal(err)
	}
	const now = 1795533368
	header, err := core.BuildAssertion(key, "agent-1", "task-1", now)
	if err != nil {
		b.Fatal(err)
	}
	c := policy.Call{
		Config:      wire.Config{BaseURL: "https://chatgpt.com/backend-api", AgentIdentity: true},
		Surface:     core.SurfaceApps,
		Credentials: wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "token", AccountID: "acct-1"},
	}
	a := wire.Authorization{
		Mode: core.ModeAgentAssertion, Reason: core.ReasonBackgroundTask, Header: header, AccountID: "acct-1",
		AgentRuntimeID: "agent-1", TaskID: "task-1", ValidUntil: now,
	}
	for b.Loop() {
		flow := policy.New(c)
		if err := flow.Effect(wire.Effect{Type: wire.EffectLoad, Slot: wire.SlotIdentity}); err != nil {
			b.Fatal(err)
		}
		if err := flow.Answer(a, now); err != nil {
			b.Fatal(err)
		}
	}
}
