//go:build interop && unix

package interop

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/authority"
)

// The client's settings, after those that are always there.
const (
	// withPlugins leaves the client as it is, but for its metrics, which would go
	// to another host.
	withPlugins = `
[features]
use_agent_identity = true

[otel]
metrics_exporter = "none"
`
	// plain also keeps it from looking for plugins elsewhere.
	plain = `
[features]
use_agent_identity = true
plugins = false

[otel]
metrics_exporter = "none"
`
)

// flow is what the client calls on its first turn, and what each call carries.
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
	b := newBackend(t)
	h := newHome(t, b.url, b.session, withPlugins)
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
	checkTasks(t, log, h.identity(t, b))

	t.Run("resume", func(t *testing.T) {
		mark := b.mark()
		h.mustPrompt(t, "resume", "--last")
		log := b.since(mark)
		checkAccepted(t, log)
		if n := count(log, registerIdentity) + count(log, registerTask); n != 0 {
			t.Errorf("a resumed thread registered %d times", n)
		}
		checkTasks(t, log, h.identity(t, b))
	})
	t.Run("our tool on its auth.json", func(t *testing.T) {
		before, mark := h.read(t), b.mark()
		x := h.mustHeader(t)
		if log := b.since(mark); len(log) != 0 {
			t.Errorf("our tool called the backend: %+v", log)
		}
		checkHeader(t, b, x, h.identity(t, b))
		if !bytes.Equal(h.read(t), before) {
			t.Error("our tool changed auth.json")
		}
	})
	// Where it looks for a list of plugins.
	b.checkForeign(t, "CONNECT github.com:443", "CONNECT api.github.com:443", "CONNECT chatgpt.com:443")
}

// TestClientOnOurFile: the client takes the identity and the background task that
// our tool has registered, and its requests verify against our key.
func TestClientOnOurFile(t *testing.T) {
	b := newBackend(t)
	h := newHome(t, b.url, b.session, plain)
	x := h.mustHeader(t)
	checkAccepted(t, b.since(0))
	if got, want := b.Counts(), (authority.Counts{Identities: 1, Tasks: 1}); got != want {
		t.Fatalf("our tool registered %+v, want %+v", got, want)
	}
	a := h.identity(t, b)
	checkHeader(t, b, x, a)
	checkUsable(t, b, h)
	b.checkForeign(t)
}

// checkUsable fails the test unless our tool and the client both make do with an
// auth.json as it is, and leave it so.
func checkUsable(t *testing.T, b *backend, h home) {
	t.Helper()
	before, a, mark := h.read(t), h.identity(t, b), b.mark()
	checkHeader(t, b, h.mustHeader(t), a)
	h.mustPrompt(t)
	log := b.since(mark)
	checkAccepted(t, log)
	checkTasks(t, log, a)
	if n := count(log, registerIdentity); n != 0 {
		t.Errorf("%d identities were registered beside the one in auth.json", n)
	}
	if n := count(log, registerTask); n != 1 {
		t.Errorf("%d tasks were registered, not one, for the thread", n)
	}
	if !bytes.Equal(h.read(t), before) {
		t.Error("auth.json was changed")
	}
}

// checkHeader fails the test unless a header of our tool's is for the background
// task in auth.json, and the backend lets it in.
func checkHeader(t *testing.T, b *backend, x explanation, a authJSON) {
	t.Helper()
	if x.AgentRuntimeID != a.Identity.AgentRuntimeID || x.TaskID != a.Identity.BackgroundTaskID {
		t.Errorf("our tool asserts %s on %s, auth.json has %s on %s",
			x.AgentRuntimeID, x.TaskID, a.Identity.AgentRuntimeID, a.Identity.BackgroundTaskID)
	}
	if err := b.call(t.Context(), x.Header); err != nil {
		t.Error(err)
	}
}

// checkTasks fails the test unless all assertions are those of the identity in
// auth.json: the model's calls for a task of their own, all others for the
// background task.
func checkTasks(t *testing.T, log []authority.Request, a authJSON) {
	t.Helper()
	var threads []string
	for _, r := range log {
		if r.Scheme != authority.SchemeAgentAssertion {
			continue
		}
		model := strings.HasSuffix(r.Path, "/codex/responses")
		if r.AgentRuntimeID != a.Identity.AgentRuntimeID || model == (r.TaskID == a.Identity.BackgroundTaskID) {
			t.Errorf("%s asserts %s on %s, auth.json has %s on %s", kind(r.Method, r.Path),
				r.AgentRuntimeID, r.TaskID, a.Identity.AgentRuntimeID, a.Identity.BackgroundTaskID)
		}
		if model && !slices.Contains(threads, r.TaskID) {
			threads = append(threads, r.TaskID)
		}
	}
	if len(threads) != 1 {
		t.Errorf("the turn asserted %d thread tasks, not one", len(threads))
	}
}

// isRegistration reports whether a request is for a new identity.
func isRegistration(r *http.Request) bool {
	return kind(r.Method, r.URL.EscapedPath()) == registerIdentity
}
