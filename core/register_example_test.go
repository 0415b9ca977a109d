package core_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// A program with an HTTP client of its own sends the request as it is, and hands the
// answer back. For the whole of it, against a backend, see the example
// RegisterWithCore of package authority.
func ExampleTaskRegistration() {
	key, err := core.NewPrivateKey(make([]byte, 32)) // the agent's; not a key to copy
	if err != nil {
		panic(err)
	}
	request, err := core.TaskRegistration(core.TaskRegistrationParams{
		Profile: wire.ProfileAuthAPI, BaseURL: "https://chatgpt.com", AgentRuntimeID: "agent-1", Key: key, Now: 1795533368,
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(request.Method, request.URL)
	for _, h := range request.Headers {
		fmt.Println(h.Name+":", h.Value)
	}
	fmt.Println(string(request.Body[:30]) + "…")

	task, err := core.ReadTask(key, core.Answer{Status: 200, Body: []byte(`{"taskId":"task-1"}`), Now: 1795533369})
	fmt.Println(task, err)
	// Output:
	// POST https://auth.openai.com/api/accounts/v1/agent/agent-1/task/register
	// content-type: application/json
	// {"signature":"Tp+aXc1yBD2hpnaY…
	// task-1 <nil>
}

// The forms of an identity that are around become one.
func ExampleImportIdentity() {
	identity, err := core.ImportIdentity([]byte(`{
	  "type": "codex",
	  "credentials": {
	    "agentRuntimeId": "agent-1",
	    "agentPrivateKey": "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAA\nAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n-----END PRIVATE KEY-----\n",
	    "taskId": "",
	    "chatgptAccountId": "acct-1"
	  }
	}`))
	if err != nil {
		panic(err)
	}
	fmt.Println(identity.AgentRuntimeID, identity.AccountID)
	fmt.Println(identity) // logs show nothing of it
	record, err := identity.Record()
	fmt.Println(string(record[:36])+"…", err) // what is to be stored

	_, err = core.ImportIdentity([]byte(`{"agent_runtime_id": "agent-1", "metadata": {"agent_runtime_id": "agent-2"}, "agent_private_key": "?"}`))
	fmt.Println(core.Code(err), err)
	// Output:
	// agent-1 acct-1
	// core.Identity(secret hidden)
	// {"agent_runtime_id":"agent-1","agent… <nil>
	// invalid_record the identity has two of agent_runtime_id that differ, in agent_runtime_id and in metadata.agent_runtime_id; remove the wrong one
}

// Who has to go on asks what a refusal amounts to.
func ExampleRefusal() {
	next := func(err error) string {
		var refusal *core.Refusal
		switch {
		case errors.Is(err, core.ErrAgentRevoked):
			return "register another agent"
		case errors.Is(err, core.ErrTaskExpired):
			return "register another task"
		case errors.Is(err, core.ErrTemporary):
			if errors.As(err, &refusal) && refusal.RetryAfter > 0 {
				return fmt.Sprint("try again in ", time.Duration(refusal.RetryAfter)*time.Second)
			}
			return "try again later"
		}
		return "tell the user"
	}
	for _, a := range []core.Answer{
		{Status: 401, Body: []byte(`{"error":{"code":"task_expired"}}`)},
		{Status: 401, Body: []byte(`{"error":{"code":"unknown_agent"}}`)},
		{Status: 401, Body: []byte(`{"error":{"code":"account_deactivated"}}`)},
		{Status: 429, Header: map[string][]string{"Retry-After": {"30"}}},
		{Status: 503},
	} {
		refusal := core.NewRefusal(a)
		fmt.Printf("%v: %s\n", refusal, next(refusal))
	}
	// Output:
	// the backend answered 401 (task_expired): register another task
	// the backend answered 401 (unknown_agent): register another agent
	// the backend answered 401 (account_deactivated): tell the user
	// the backend answered 429; it asks to be left alone for 30 s: try again in 30s
	// the backend answered 503: try again later
}
