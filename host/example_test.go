package host_test

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
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

func ExampleManager() {
	// A backend, and an auth.json as signing in leaves it.
	backend, err := authority.New(authority.Options{})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(backend)
	defer server.Close()
	path, remove := signIn(backend)
	defer remove()

	engine := host.NewNative() // or host.NewSandbox, as in its example
	file := authfile.New(path)
	manager, err := host.NewManager(host.ManagerConfig{
		Engine:        engine,
		Store:         file,
		Credentials:   file,
		BaseURL:       server.URL + "/backend-api",
		TrustedHosts:  []string{"127.0.0.1"},
		AgentIdentity: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close(context.Background())

	for _, surface := range []string{core.SurfaceBootstrap, core.SurfaceModels} {
		authorization, err := manager.Authorization(context.Background(), surface)
		if err != nil {
			log.Fatal(err)
		}
		request, err := http.NewRequest(http.MethodGet, manager.BaseURL()+"/codex/models", nil)
		if err != nil {
			log.Fatal(err)
		}
		authorization.SetHeaders(request.Header)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			log.Fatal(err)
		}
		response.Body.Close()
		fmt.Println(authorization, response.Status)
	}
	// Output:
	// bearer (bearer-only-surface) 200 OK
	// agent-assertion (background-task) 200 OK
}

// signIn writes a temporary auth.json.
func signIn(backend *authority.Authority) (path string, remove func()) {
	dir, err := os.MkdirTemp("", "agentassert")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(dir, "auth.json")
	if err := os.WriteFile(path, backend.SignIn("acct-1", "user-1").AuthJSON(), 0o600); err != nil {
		log.Fatal(err)
	}
	return path, func() { os.RemoveAll(dir) }
}

func ExampleCall() {
	ctx := context.Background()
	engine := host.NewNative()
	key, err := host.Call[wire.KeyPair](ctx, engine, wire.MethodKeyGenerate, wire.KeyGenerateParams{
		Entropy: make([]byte, 32), // a real key takes them from crypto/rand
	})
	if err != nil {
		log.Fatal(err)
	}
	const now = 1795533368
	signed, err := host.Call[wire.Assertion](ctx, engine, wire.MethodAssertionBuild, wire.AssertionBuildParams{
		PrivateKey: key.PrivateKey, AgentRuntimeID: "agent-1", TaskID: "task-1", Now: now,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, at := range []int64{now + 60, now + 600} {
		verified, err := host.Call[wire.Inspection](ctx, engine, wire.MethodAssertionVerify, wire.AssertionVerifyParams{
			PublicKey: key.PublicKey, Header: signed.Header, Now: at, Skew: 300,
		})
		if err != nil {
			fmt.Println("refused:", core.Code(err))
			continue
		}
		fmt.Println("signed by the agent:", verified.Envelope.TaskID, verified.Envelope.Timestamp)
	}
	// Output:
	// signed by the agent: task-1 2026-11-24T15:16:08Z
	// refused: timestamp_skew
}

func ExampleNewSandbox() {
	ctx := context.Background()
	sandbox, err := host.NewSandbox(ctx, host.SandboxOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer sandbox.Close(ctx)

	base, err := host.Call[wire.BaseURL](ctx, sandbox, wire.MethodBaseURLNormalize, wire.BaseURLNormalizeParams{
		URL: "https://chatgpt.com/codex",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(base.BaseURL, base.Supported)
	fmt.Println("imports:", sandbox.Imports())
	// Output:
	// https://chatgpt.com/backend-api true
	// imports: 0
}
