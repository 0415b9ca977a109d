package authfile_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

// Who is signed in stands in auth.json, and the identity and its tasks are kept beside
// that, in the same file, for all programs that share it.
func Example() {
	backend, err := authority.New(authority.Options{}) // in place of ChatGPT's
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(backend)
	defer server.Close()
	dir, err := os.MkdirTemp("", "agentassert")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "auth.json") // the reference client's is ~/.codex/auth.json
	if err := os.WriteFile(path, backend.SignIn("acct-1", "user-1").AuthJSON(), 0o600); err != nil {
		log.Fatal(err)
	}

	for range 2 { // two programs, one after the other
		file := authfile.New(path)
		manager, err := host.NewManager(host.ManagerConfig{
			Engine:        host.NewNative(), // or host.NewSandbox, as in its example
			Store:         file,
			Credentials:   file,
			BaseURL:       server.URL + "/backend-api",
			TrustedHosts:  []string{"127.0.0.1"},
			AgentIdentity: true,
		})
		if err != nil {
			log.Fatal(err)
		}
		a, err := manager.Authorization(context.Background(), core.SurfaceModels)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(a, backend.Accepted().Identities)
		if err := manager.Close(context.Background()); err != nil {
			log.Fatal(err)
		}
	}

	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	var document map[string]json.RawMessage
	if err := json.Unmarshal(text, &document); err != nil {
		log.Fatal(err)
	}
	fmt.Println(document["tokens"] != nil, document["agent_identity"] != nil)
	// Output:
	// agent-assertion (background-task) 1
	// agent-assertion (background-task) 1
	// true true
}
