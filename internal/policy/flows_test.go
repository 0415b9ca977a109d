package policy_test

import (
	"encoding/json"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/policy"
	"github.com/agentassert/agentassert/testvectors"
)

// TestFlowsPass lets every flow of the vectors pass, whole: a policy that refuses what
// the core does is a client that does not work.
func TestFlowsPass(t *testing.T) {
	files, err := testvectors.Load()
	if err != nil {
		t.Fatal(err)
	}
	effects, answers := 0, 0
	for _, f := range files {
		if f.Area != "flows" {
			continue
		}
		for _, v := range f.Vectors {
			var flow *policy.Flow
			var last wire.Effect
			for i, s := range v.Steps {
				event := decode[wire.Event](t, s.Event)
				if event.Type == wire.EventStart && s.Effect != nil {
					c := policy.Call{Config: *event.Config, Surface: event.Surface, ThreadID: event.ThreadID, Entropy: event.Entropy, Credentials: *event.Credentials}
					base, err := core.NormalizeBaseURL(c.Config.BaseURL, c.Config.TrustedHosts)
					if err != nil {
						t.Fatalf("%s: %v", v.ID, err)
					}
					c.Config.BaseURL = base.BaseURL
					flow = policy.New(c)
				}
				if s.Effect == nil {
					continue
				}
				if event.Type == wire.EventResponse || event.Type == wire.EventEntropy {
					flow.Answered(last, event)
				}
				last = decode[wire.Effect](t, s.Effect)
				if last.Type == wire.EffectDone {
					a := *last.Authorization
					err := flow.Answer(a, event.Now)
					if event.Type == wire.EventAgain {
						err = flow.Again(a, event.TaskID, event.Entropy, event.Now)
					}
					if err != nil {
						t.Errorf("%s, step %d: %v: %s", v.ID, i, err, s.Effect)
					}
					answers++
					continue
				}
				effects++
				if err := flow.Effect(last); err != nil {
					t.Errorf("%s, step %d: %v: %s", v.ID, i, err, s.Effect)
				}
			}
		}
	}
	if effects < 4000 || answers < 700 {
		t.Errorf("the vectors have %d effects and %d answers; are all of them read?", effects, answers)
	}
}

// decode reads a message in the JSON form of the vectors. The errors in it have no
// message there.
func decode[T any](t *testing.T, value json.RawMessage) (message T) {
	t.Helper()
	encoded, err := testvectors.Encode(value)
	if err == nil {
		err = cbor.Unmarshal(encoded, &message)
	}
	if err != nil {
		t.Fatal(err)
	}
	return message
}
