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

// Some seconds are for clients that make several calls with one assertion.
func ExampleMemoryReplays() {
	key, err := core.NewPrivateKey(make([]byte, 32)) // the agent's; not a key to copy
	if err != nil {
		log.Fatal(err)
	}
	replays, err := authority.NewMemoryReplays(authority.MemoryReplaysOptions{Reuse: 5 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	now := time.Now()
	verifier, err := authority.NewVerifier(authority.VerifierOptions{
		Agents:   database{key.Public()},
		Now:      func() time.Time { return now },
		Replayed: replays.Replayed,
		Decided: func(_ context.Context, d authority.Decision) {
			fmt.Printf("%s %q\n", d.ClaimedAgentRuntimeID, authority.Reason(d.Err))
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	header, err := core.BuildAssertion(key, "agent-1", "task-1", now.Unix())
	if err != nil {
		log.Fatal(err)
	}
	for range 4 {
		// The error is the decision's.
		_, _ = verifier.Verify(&http.Request{Header: http.Header{"Authorization": {header}}})
		now = now.Add(2 * time.Second)
	}
	// Output:
	// agent-1 ""
	// agent-1 ""
	// agent-1 ""
	// agent-1 "replayed_assertion"
}

func ExampleNew() {
	backend, err := authority.New(authority.Options{
		Observe: func(r authority.Request) { fmt.Println(r.Method, r.Path, r.Scheme, r.Verified, r.Status) },
	})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(backend)
	defer server.Close()

	session := backend.SignIn("acct-1", "user-1")
	// A client finds its tokens in session.AuthJSON(), and the backend at
	// server.URL + "/backend-api".
	fmt.Print(get(server.URL+"/backend-api/codex/models", "Bearer "+session.AccessToken))
	fmt.Print(get(server.URL+"/backend-api/codex/models", "Bearer stolen"))
	fmt.Println(backend.Counts())
	// Output:
	// GET /backend-api/codex/models bearer true 200
	// {"scheme":"bearer","account_id":"acct-1"}
	// GET /backend-api/codex/models bearer false 401
	// {"error":{"code":"invalid_token","message":"the access token is not one of this authority's, or has expired"}}
	// {0 0 0}
}
