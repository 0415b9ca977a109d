package host_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// An account's identity is a row of a table, here of a map: its task is registered when it
// is first needed, and saved there.
func ExampleIdentitySource() {
	backend, err := authority.New(authority.Options{})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(backend)
	defer server.Close()
	var mu sync.Mutex
	rows := map[string]core.Identity{"account-1": registered(backend, server.URL)}

	manager, err := host.NewManager(host.ManagerConfig{
		Engine: host.NewNative(), // or host.NewSandbox, as in its example
		Identity: &host.IdentitySource{
			Load: func(context.Context) (core.Identity, error) {
				mu.Lock()
				defer mu.Unlock()
				return rows["account-1"], nil
			},
			SaveTask: func(_ context.Context, loaded core.Identity, task string) error {
				mu.Lock()
				defer mu.Unlock()
				row := rows["account-1"]
				if row.AgentRuntimeID != loaded.AgentRuntimeID || row.TaskID != loaded.TaskID {
					return &core.Error{Code: core.CodeRecordChanged, Message: "the account's row has changed"}
				}
				row.TaskID = task
				rows["account-1"] = row
				fmt.Println("saved a task")
				return nil
			},
		},
		BaseURL: server.URL + "/backend-api", AuthAPIURL: server.URL + "/api/accounts",
		TrustedHosts: []string{"127.0.0.1"}, AgentIdentity: true, Strict: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close(context.Background())

	client := &http.Client{Transport: &host.Transport{Manager: manager, Thread: manager.Thread("thread-1")}}
	for _, path := range []string{"/codex/models", "/codex/responses"} {
		response, err := client.Get(manager.BaseURL() + path)
		if err != nil {
			log.Fatal(err)
		}
		response.Body.Close()
		fmt.Println(path, response.Status)
	}
	// Output:
	// saved a task
	// /codex/models 200 OK
	// /codex/responses 200 OK
}

// A program that keeps keys and tasks itself registers a task in one call.
func ExampleRegisterTask() {
	backend, err := authority.New(authority.Options{})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(backend)
	defer server.Close()
	registration := host.TaskRegistration{
		Agent:   registered(backend, server.URL),
		Profile: wire.ProfileAuthAPI,
		BaseURL: server.URL + "/backend-api", AuthAPIURL: server.URL + "/api/accounts",
		Tries: 3,
	}
	ctx := context.Background()
	task, err := host.RegisterTask(ctx, registration)
	fmt.Println(task != "", err)

	backend.RevokeAgent(registration.Agent.AgentRuntimeID)
	_, err = host.RegisterTask(ctx, registration)
	fmt.Println(errors.Is(err, core.ErrAgentRevoked), errors.Is(err, core.ErrTemporary))
	// Output:
	// true <nil>
	// true false
}

// registered is an agent that was registered once, and has no task, as a program has it in
// its database.
func registered(backend *authority.Authority, url string) core.Identity {
	ctx := context.Background()
	session := backend.SignIn("acct-1", "user-1")
	store := &host.MemoryStore{}
	manager, err := host.NewManager(host.ManagerConfig{
		Engine: host.NewNative(), Store: store,
		Credentials: host.CredentialFunc(func(context.Context) (host.Credentials, error) {
			return host.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: session.AccessToken, AccountID: session.AccountID}, nil
		}),
		BaseURL: url + "/backend-api", AuthAPIURL: url + "/api/accounts", Profile: wire.ProfileAuthAPI, AgentIdentity: true,
		// A proof of the agent's is good for one task, and those of one second are the same.
		Now: func() time.Time { return time.Now().Add(-time.Minute) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close(ctx)
	if err := manager.Thread("thread-1").Prewarm(ctx); err != nil {
		log.Fatal(err)
	}
	record, err := store.Load(ctx, wire.SlotIdentity)
	if err != nil {
		log.Fatal(err)
	}
	identity, err := core.ImportIdentity(record)
	if err != nil {
		log.Fatal(err)
	}
	identity.TaskID = ""
	return identity
}
