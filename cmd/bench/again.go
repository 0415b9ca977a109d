package main

import (
	"context"
	"fmt"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// again measures another assertion of a flow that has ended with one, which is what the
// engine has to do for a header in a new second where nothing has changed.
func (b *bench) again(ctx context.Context) ([]row, error) {
	now := time.Now().Unix()
	start := wire.Event{
		Type: wire.EventStart, Now: now, Surface: core.SurfaceModels,
		Config:      &wire.Config{BaseURL: "https://chatgpt.com/backend-api", AgentIdentity: true, ABOM: abom},
		Credentials: &wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "t", AccountID: "a"},
	}
	begun, err := core.Step(wire.FlowStepParams{Event: start})
	if err != nil {
		return nil, err
	}
	ended, err := core.Step(wire.FlowStepParams{State: begun.State, Event: wire.Event{Type: wire.EventLoaded, Now: now, Record: record(b.key)}})
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, m := range []struct {
		what   string
		engine host.Engine
	}{{"native", host.NewNative()}, {"in wazero", b.sandbox}} {
		another := func() error {
			now++
			_, err := host.Call[wire.FlowStep](ctx, m.engine, wire.MethodFlowStep,
				wire.FlowStepParams{State: ended.State, Event: wire.Event{Type: wire.EventAgain, Now: now}})
			return err
		}
		times, err := inTurns(another, b.signer(ctx, m.engine))
		if err != nil {
			return nil, err
		}
		bytes, _, err := allocated(1000, another)
		if err != nil {
			return nil, err
		}
		const most = 1.4
		ratio := times[0] / times[1]
		rows = append(rows, row{
			what:     "another assertion of a flow, " + m.what,
			budget:   fmt.Sprintf("≤ %.1f × an assertion", most),
			measured: fmt.Sprintf("%s, %.2f × the assertion, %s", rounded(times[0]), ratio, kib(bytes)),
			peer:     "one assertion, same engine: " + rounded(times[1]),
			missed:   ratio > most,
		})
	}
	return rows, nil
}
