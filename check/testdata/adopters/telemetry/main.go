// A program whose registrations and calls are traced.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/telemetry"
)

func main() {
	ctx := context.Background()
	backend, err := authority.New(authority.Options{})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(backend)
	defer server.Close()
	session := backend.SignIn("acct-1", "user-1")
	observer, err := telemetry.New(telemetry.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer observer.Close()
	manager, err := host.NewManager(host.ManagerConfig{
		Engine: host.NewNative(), Store: &host.MemoryStore{}, Observer: observer,
		Credentials: host.CredentialFunc(func(context.Context) (host.Credentials, error) {
			return host.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: session.AccessToken, AccountID: session.AccountID, UserID: session.UserID}, nil
		}),
		BaseURL: server.URL + "/backend-api", TrustedHosts: []string{"127.0.0.1"}, AgentIdentity: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close(ctx)
	authorization, err := manager.Authorization(ctx, core.SurfaceModels)
	fmt.Println(authorization, err)
}
