package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// An http.Client whose requests to the backend are authorized, and sent once more where
// the backend no longer has the task.
func ExampleTransport() {
	backend, err := authority.New(authority.Options{}) // in place of ChatGPT's
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(backend)
	defer server.Close()
	session := backend.SignIn("acct-1", "user-1")

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
	})
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close(context.Background())
	client := &http.Client{Transport: &host.Transport{Manager: manager}}

	// The first call registers an identity and a task, the second uses them, and before
	// the third the backend forgets the task.
	tasks := map[string]bool{}
	for call := range 3 {
		response, err := client.Get(manager.BaseURL() + "/codex/models")
		if err != nil {
			log.Fatal(err)
		}
		var caller struct { // what this backend answers with
			Scheme  string
			Account string `json:"account_id"`
			Task    string `json:"task_id"`
		}
		err = json.NewDecoder(response.Body).Decode(&caller)
		response.Body.Close()
		if err != nil {
			log.Fatal(err)
		}
		tasks[caller.Task] = true
		fmt.Println(response.Status, caller.Scheme, caller.Account, len(tasks))
		if call == 1 {
			backend.ExpireTask(caller.Task)
		}
	}

	// What goes elsewhere is passed on as it is.
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Printf("elsewhere: %q\n", strings.Join(r.Header["Authorization"], ""))
	}))
	defer elsewhere.Close()
	response, err := client.Get(elsewhere.URL + "/backend-api/codex/models")
	if err != nil {
		log.Fatal(err)
	}
	response.Body.Close()
	// Output:
	// 200 OK agent-assertion acct-1 1
	// 200 OK agent-assertion acct-1 1
	// 200 OK agent-assertion acct-1 2
	// elsewhere: ""
}
