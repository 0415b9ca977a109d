//go:build interop && unix

package interop

import (
	"maps"
	"slices"
	"testing"

	"github.com/agentassert/agentassert/authority"
)

// flow is what 0.123 calls on its first turn, and what each call carries.
// Those that are true come on every run. What is not in here has not been seen
// yet: look at it, and then add it.
var flow = map[string]bool{
	// The first plugin warm-up is a bootstrap call.
	"GET /plugins/featured: Bearer and account": false,

	"GET /authenticate_app_v2: Bearer":           true,
	"POST /v1/agent/register: biscuit":           true,
	"POST /v1/agent/{id}/task/register: biscuit": true,

	"GET /codex/models: AgentAssertion and account":                   true,
	"POST /wham/apps: AgentAssertion and account":                     true,
	"POST /codex/analytics-events/events: AgentAssertion and account": true,
	"GET /connectors/directory/list: AgentAssertion and account":      false,

	// The model's connection is warmed up before there is a thread task. The
	// thread's own assertions travel without an account.
	"GET /codex/responses: Bearer and account, WebSocket": true,
	"GET /codex/responses: AgentAssertion, WebSocket":     true,
	"POST /codex/responses: AgentAssertion":               true,
}

// TestClient: the authority accepts all that the client's real flow sends, and
// the client all that it answers.
func TestClient(t *testing.T) {
	background.need(t)
	t.Parallel()
	b := newBackend(t)
	h := b.newHome(t, background, withPlugins)
	h.mustPrompt(t)
	log := b.since(0)
	checkAccepted(t, log)

	b.mu.Lock()
	calls := slices.Sorted(maps.Keys(b.calls))
	b.mu.Unlock()
	for _, call := range calls {
		if _, ok := flow[call]; !ok {
			t.Errorf("a call that is not known of the client: %s", call)
		}
	}
	for call, always := range flow {
		if always && !slices.Contains(calls, call) {
			t.Errorf("the client did not call %s", call)
		}
	}
	// One identity; one task for the background, one for the thread.
	if got, want := b.Counts(), (authority.Counts{Identities: 1, Tasks: 2}); got != want {
		t.Errorf("the client registered %+v, want %+v", got, want)
	}
	background.checkTurn(t, log, h.identity(t, b).Identity)

	t.Run("resume", func(t *testing.T) {
		mark := b.mark()
		h.mustPrompt(t, "resume", "--last")
		log := b.since(mark)
		checkAccepted(t, log)
		if n := count(log, registerIdentity) + count(log, registerTask); n != 0 {
			t.Errorf("a resumed thread registered %d times", n)
		}
		background.checkTurn(t, log, h.identity(t, b).Identity)
	})
	t.Run("our tool on its auth.json", func(t *testing.T) {
		before, mark := h.read(t), b.mark()
		x := h.mustHeader(t, biscuit)
		checkNoRegistration(t, b.since(mark))
		checkHeader(t, b, x, h.identity(t, b).Identity)
		checkKept(t, before, h.read(t))
	})
	// Where it looks for a list of plugins.
	b.checkForeign(t, "CONNECT github.com:443", "CONNECT api.github.com:443", "CONNECT chatgpt.com:443")
}
