package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// answerer is a transport that answers each registration of an instance.
type answerer struct{}

func (answerer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(`{"runtime_agent_instance_id":"instance-1"}`)),
	}, nil
}

// requests measures what each request costs in the profile instances, within one second:
// nothing of an assertion is used twice. Its budget is a signature.
func (b *bench) requests(ctx context.Context) ([]row, error) {
	now := time.Now()
	var rows []row
	for _, m := range []struct {
		what   string
		engine host.Engine
	}{{"native", host.NewNative()}, {"in wazero", b.sandbox}} {
		manager, err := host.NewManager(host.ManagerConfig{
			Engine: m.engine, Store: new(host.MemoryStore), BaseURL: "https://chatgpt.com", AgentIdentity: true, ABOM: abom,
			Profile:     wire.ProfileInstances,
			Instance:    &host.InstanceConfig{HeaderMode: wire.HeaderModeDual, InstallationID: "i", Harness: "bench", Role: "orchestrator"},
			HTTPClient:  &http.Client{Transport: answerer{}},
			Credentials: signedIn,
			Now:         func() time.Time { return now },
		})
		if err != nil {
			return nil, err
		}
		times, err := inTurns(
			func() error {
				a, err := manager.Authorization(ctx, core.SurfaceModels)
				if err == nil && a.Mode != core.ModeDualHeader {
					return fmt.Errorf("%s: %w", a.Reason, a.Cause)
				}
				return err
			},
			b.signer(ctx, m.engine),
		)
		manager.Close(ctx)
		if err != nil {
			return nil, err
		}
		took, bare := times[0], times[1]
		ratio := took / bare
		rows = append(rows, row{
			what:     "a request of a runtime agent instance, " + m.what,
			budget:   "≤ 2 × an assertion",
			measured: fmt.Sprintf("%s, %.1f × the assertion", rounded(took), ratio),
			peer:     "one assertion, same engine: " + rounded(bare),
			missed:   ratio > 2,
		})
	}
	return rows, nil
}
