package authority_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
)

// oneAgent is a backend's own database: one agent, on one task.
type oneAgent struct{ key *core.PublicKey }

func (d oneAgent) Agent(_ context.Context, agentRuntimeID string) (authority.Agent, error) {
	if agentRuntimeID != "agent-1" {
		return authority.Agent{}, authority.ErrUnknownAgent
	}
	return authority.Agent{RuntimeID: "agent-1", PublicKey: d.key, AccountID: "acct-1"}, nil
}

func (d oneAgent) Task(_ context.Context, agentRuntimeID, taskID string) (authority.Task, error) {
	if agentRuntimeID != "agent-1" || taskID != "task-1" {
		return authority.Task{}, nil
	}
	return authority.Task{ID: "task-1", AgentRuntimeID: "agent-1", Status: authority.TaskActive}, nil
}

type userKey struct{}

// users is the middleware that the server has had before, for bearer tokens.
func users(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token-1" {
			http.Error(w, "sign in", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, "acct-1")))
	})
}

// A server that lets in users with a bearer token, as before, and agents.
func ExampleVerifier_WrapWithBearer() {
	key, err := core.NewPrivateKey(make([]byte, 32)) // the agent's; not a key to copy
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := authority.NewVerifier(authority.VerifierOptions{Agents: oneAgent{key.Public()}})
	if err != nil {
		log.Fatal(err)
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := authority.PrincipalFromContext(r.Context()); ok {
			fmt.Println("hello, agent", p.AgentRuntimeID, "of", p.AccountID)
			return
		}
		fmt.Println("hello, user of", r.Context().Value(userKey{}))
	})
	server := httptest.NewServer(verifier.WrapWithBearer(hello, authority.Bearer{
		Wrap: users,
		AccountID: func(r *http.Request) string {
			account, _ := r.Context().Value(userKey{}).(string)
			return account
		},
	}))
	defer server.Close()

	assertion, err := core.BuildAssertion(key, "agent-1", "task-1", time.Now().Unix())
	if err != nil {
		log.Fatal(err)
	}
	for _, authorization := range []string{assertion, "Bearer token-1", "Bearer token-2", "AgentAssertion token-1"} {
		request, err := http.NewRequest(http.MethodGet, server.URL, nil)
		if err != nil {
			log.Fatal(err)
		}
		request.Header.Set("Authorization", authorization)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			log.Fatal(err)
		}
		response.Body.Close()
		fmt.Println(response.Status)
	}
	// Output:
	// hello, agent agent-1 of acct-1
	// 200 OK
	// hello, user of acct-1
	// 200 OK
	// 401 Unauthorized
	// 401 Unauthorized
}
