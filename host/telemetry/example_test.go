package telemetry_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/telemetry"
)

// What a call has to wait for stands below its own span.
func Example() {
	backend, err := authority.New(authority.Options{}) // in place of ChatGPT's
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(backend)
	defer server.Close()
	session := backend.SignIn("acct-1", "user-1")

	spans := tracetest.NewInMemoryExporter() // in place of a collector
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	observer, err := telemetry.New(telemetry.Options{TracerProvider: tracers})
	if err != nil {
		log.Fatal(err)
	}
	defer observer.Close()
	manager, err := host.NewManager(host.ManagerConfig{
		Engine: host.NewNative(),    // or host.NewSandbox, as in its example
		Store:  &host.MemoryStore{}, // or one that lasts, such as package authfile's
		Credentials: host.CredentialFunc(func(context.Context) (host.Credentials, error) {
			return host.Credentials{
				Kind: wire.CredentialsChatGPT, AccessToken: session.AccessToken, AccountID: session.AccountID, UserID: session.UserID,
			}, nil
		}),
		BaseURL:       server.URL + "/backend-api",
		TrustedHosts:  []string{"127.0.0.1"}, // ChatGPT's own need no mention
		AgentIdentity: true,
		Observer:      observer,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close(context.Background())

	ctx, span := tracers.Tracer("program").Start(context.Background(), "fetch the models")
	if _, err := manager.Authorization(ctx, core.SurfaceModels); err != nil {
		log.Fatal(err)
	}
	span.End()

	names := map[string]string{}
	for _, s := range spans.GetSpans() {
		names[s.SpanContext.SpanID().String()] = s.Name
	}
	for _, s := range spans.GetSpans() {
		if parent := names[s.Parent.SpanID().String()]; parent != "" {
			fmt.Printf("%s, for: %s\n", s.Name, parent)
		}
	}
	// Output:
	// GET /authenticate_app_v2, for: agentassert.register
	// POST /v1/agent/register, for: agentassert.register
	// GET /authenticate_app_v2, for: agentassert.register
	// POST /v1/agent/{agent_runtime_id}/task/register, for: agentassert.register
	// agentassert.register, for: fetch the models
}
