// A backend, and a program that registers there and calls it.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

func main() {
	ctx := context.Background()
	backend, err := authority.New(authority.Options{})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(backend)
	defer server.Close()
	path := filepath.Join(os.Args[1], "auth.json")
	if err := os.WriteFile(path, backend.SignIn("acct-1", "user-1").AuthJSON(), 0o600); err != nil {
		log.Fatal(err)
	}
	sandbox, err := host.NewSandbox(ctx, host.SandboxOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer sandbox.Close(ctx)
	file := authfile.New(path)
	manager, err := host.NewManager(host.ManagerConfig{
		Engine: sandbox, Store: file, Credentials: file,
		BaseURL: server.URL + "/backend-api", TrustedHosts: []string{"127.0.0.1"}, AgentIdentity: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close(ctx)
	client := &http.Client{Transport: &host.Transport{Manager: manager}}
	request, err := http.NewRequestWithContext(host.WithSurface(ctx, core.SurfaceModels), http.MethodGet, manager.BaseURL()+"/codex/models", nil)
	if err != nil {
		log.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	response.Body.Close()
	fmt.Println(response.Status, backend.Counts())
}
