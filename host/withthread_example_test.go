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

// A conversation has a task of its own: each of its requests says which one it is.
func ExampleWithThread() {
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

	turn := func(thread string) (task string) {
		ctx := host.WithThread(context.Background(), manager.Thread(thread))
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, manager.BaseURL()+"/codex/responses", strings.NewReader(`{}`))
		if err != nil {
			log.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			log.Fatal(err)
		}
		defer response.Body.Close()
		var caller struct { // what this backend answers with
			Task string `json:"task_id"`
		}
		if err := json.NewDecoder(response.Body).Decode(&caller); err != nil {
			log.Fatal(err)
		}
		return caller.Task
	}
	first, other, again := turn("thread-1"), turn("thread-2"), turn("thread-1")
	fmt.Println("two threads on one task:", first == other)
	fmt.Println("two turns of a thread on one task:", first == again)

	// A turn that belongs to no thread is not sent.
	_, err = client.Post(manager.BaseURL()+"/codex/responses", "application/json", strings.NewReader(`{}`))
	fmt.Println(err != nil)
	// Output:
	// two threads on one task: false
	// two turns of a thread on one task: true
	// true
}
