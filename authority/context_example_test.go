package authority_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core/wire"
)

// greet is a handler behind Verifier.Wrap.
func greet(w http.ResponseWriter, r *http.Request) {
	p, ok := authority.PrincipalFromContext(r.Context())
	if !ok {
		http.Error(w, "who are you?", http.StatusForbidden)
		return
	}
	fmt.Fprintf(w, "hello, %s of %s\n", p.AgentRuntimeID, p.AccountID)
}

// A test of a handler has no need of keys and assertions.
func ExampleContextWithPrincipal() {
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	answer := httptest.NewRecorder()
	greet(answer, request)
	fmt.Print(answer.Body)

	agent := authority.Principal{Form: wire.FormTask, AgentRuntimeID: "agent-1", TaskID: "task-1", AccountID: "acct-1"}
	answer = httptest.NewRecorder()
	greet(answer, request.WithContext(authority.ContextWithPrincipal(request.Context(), agent)))
	fmt.Print(answer.Body)
	// Output:
	// who are you?
	// hello, agent-1 of acct-1
}
