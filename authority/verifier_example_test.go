package authority_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
)

// database is a backend's own: one agent, on one task.
type database struct{ key *core.PublicKey }

func (d database) Agent(_ context.Context, agentRuntimeID string) (authority.Agent, error) {
	if agentRuntimeID != "agent-1" {
		return authority.Agent{}, authority.ErrUnknownAgent
	}
	return authority.Agent{RuntimeID: "agent-1", PublicKey: d.key, AccountID: "acct-1"}, nil
}

func (d database) Task(_ context.Context, agentRuntimeID, taskID string) (authority.Task, error) {
	if agentRuntimeID != "agent-1" || taskID != "task-1" {
		return authority.Task{}, nil
	}
	return authority.Task{ID: "task-1", AgentRuntimeID: "agent-1", Status: authority.TaskActive}, nil
}

// A server that lets in agents on the tasks that its database has.
func ExampleVerifier() {
	key, err := core.NewPrivateKey(make([]byte, 32)) // the agent's; not a key to copy
	if err != nil {
		log.Fatal(err)
	}

	verifier, err := authority.NewVerifier(authority.VerifierOptions{Agents: database{key.Public()}})
	if err != nil {
		log.Fatal(err)
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := authority.PrincipalFromContext(r.Context())
		fmt.Fprintf(w, "hello, %s on %s\n", p.AgentRuntimeID, p.TaskID)
	})
	server := httptest.NewServer(verifier.Wrap(hello))
	defer server.Close()

	for _, task := range []string{"task-1", "task-2"} {
		header, err := core.BuildAssertion(key, "agent-1", task, time.Now().Unix())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(get(server.URL, header))
	}
	// Output:
	// hello, agent-1 on task-1
	// {"error":{"code":"unknown_task","message":"the agent was granted no such task"}}
}

// get returns the body of the answer to a request with the given authorization.
func get(url, authorization string) string {
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		log.Fatal(err)
	}
	r.Header.Set("Authorization", authorization)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	return string(body)
}
