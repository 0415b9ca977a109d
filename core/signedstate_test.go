package core

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
)

// The first and the last second that an assertion can be of are good for another, too.
func TestAgainAtTheEndsOfTime(t *testing.T) {
	s := goodSigned()
	for _, now := range []int64{minTime, maxTime} {
		next, err := Step(wire.FlowStepParams{State: wire.Encode(&s), Event: wire.Event{Type: wire.EventAgain, Now: now}})
		if err != nil || next.Effect.Authorization.ValidUntil != now {
			t.Errorf("at %d: %+v, %v", now, next.Effect.Authorization, err)
		}
	}
}

// A token that expired when Unix time began has expired all the same; one from before that says nothing.
func TestSignedStateKnowsExpiry(t *testing.T) {
	for exp, want := range map[int64]int64{-5: 0, 0: 1, 1: 1, 2: 2, forgedNow: forgedNow} {
		var f flow
		f.Credentials.AccessToken = "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, exp)) + ".x"
		var s wire.SignedState
		if err := wire.Decode(f.signedState(wire.Authorization{Mode: ModeDualHeader}, forgedKey()), &s); err != nil || s.Expires != want {
			t.Errorf("exp %d: %d, %v; want %d", exp, s.Expires, err, want)
		}
	}
}

// A code that the backend has sent is shown if it has the form of one.
func TestRejectedForAReasonOfItsOwn(t *testing.T) {
	for code, shown := range map[string]bool{"account_deactivated": true, "no\nform": false, "<b>": false} {
		next, err := Step(wire.FlowStepParams{Event: wire.Event{
			Type: wire.EventStart, Now: forgedNow, Surface: SurfaceModels,
			Config:      &wire.Config{BaseURL: "https://chatgpt.com/backend-api", AgentIdentity: true},
			Credentials: &wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "t", AccountID: "a"},
			Rejected:    &wire.Rejection{AgentRuntimeID: "agent-1", TaskID: "task-1", Code: code},
		}})
		if err != nil || next.Effect.Type != wire.EffectDone {
			t.Fatalf("%q: %+v, %v", code, next.Effect, err)
		}
		cause := next.Effect.Authorization.Cause
		if cause == nil || cause.Code != CodeAssertionRejected || strings.Contains(cause.Message, code) != shown {
			t.Errorf("%q: %+v", code, cause)
		}
	}
}
