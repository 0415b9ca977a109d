//go:build interop && unix

package interop

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/authority"
)

// checkUsable fails the test unless our tool and the client, with its feature on,
// both make do with an auth.json as it is, and leave in it what is there.
func checkUsable(t *testing.T, b *backend, h home, p profile) {
	t.Helper()
	before, a := h.read(t), h.identity(t, b).Identity
	mark := b.mark()
	checkHeader(t, b, h.mustHeader(t, p), a)
	checkNoRegistration(t, b.since(mark))
	checkUsableByClient(t, b, h, a)
	checkKept(t, before, h.read(t))
}

// checkUsableByClient fails the test unless the client, with its feature on, is
// signed in, and has a turn with that identity.
func checkUsableByClient(t *testing.T, b *backend, h home, a identityRecord) {
	t.Helper()
	h.checkSignedIn(t)
	mark := b.mark()
	h.mustPrompt(t)
	log := b.since(mark)
	checkAccepted(t, log)
	h.checkTurn(t, log, a)
	if n := count(log, registerIdentity); n != 0 {
		t.Errorf("the client registered %d identities beside the one in auth.json", n)
	}
	want := 0
	if h.threadTasks {
		want = 1
	}
	if n := count(log, registerTask); n != want {
		t.Errorf("the client registered %d tasks, not %d", n, want)
	}
}

// checkUsableByBearer fails the test unless the client, with its feature off, is
// signed in, and has a turn with the user's token alone.
func checkUsableByBearer(t *testing.T, b *backend, h home) {
	t.Helper()
	h.checkSignedIn(t)
	mark := b.mark()
	h.mustPrompt(t)
	log := b.since(mark)
	checkAccepted(t, log)
	checkNoRegistration(t, log)
	for _, r := range log {
		if r.Scheme == authority.SchemeAgentAssertion {
			t.Errorf("%s carries an assertion, and the feature is off", kind(r.Method, r.Path))
		}
	}
}

// checkHeader fails the test unless a header of our tool's is for the identity in
// auth.json, and its task, and the backend lets it in.
func checkHeader(t *testing.T, b *backend, x explanation, a identityRecord) {
	t.Helper()
	if x.AgentRuntimeID != a.AgentRuntimeID || x.TaskID != a.task() {
		t.Errorf("our tool asserts %s on %s, auth.json has %s on %s", x.AgentRuntimeID, x.TaskID, a.AgentRuntimeID, a.task())
	}
	if err := b.call(t.Context(), x.Header); err != nil {
		t.Error(err)
	}
}

// checkTurn fails the test unless the client's assertions in a turn are those of
// this identity, on the calls and the tasks that the release has for them.
func (r *release) checkTurn(t *testing.T, log []authority.Request, a identityRecord) {
	t.Helper()
	var tasks []string // of the model's calls
	for _, call := range log {
		if call.Scheme != authority.SchemeAgentAssertion {
			continue
		}
		model := strings.HasSuffix(call.Path, "/codex/responses")
		stored := !model
		if !r.threadTasks {
			stored = model
		}
		if call.AgentRuntimeID != a.AgentRuntimeID || stored != (call.TaskID == a.task()) {
			t.Errorf("%s asserts %s on %s, auth.json has %s on %s", kind(call.Method, call.Path),
				call.AgentRuntimeID, call.TaskID, a.AgentRuntimeID, a.task())
		}
		if model && !slices.Contains(tasks, call.TaskID) {
			tasks = append(tasks, call.TaskID)
		}
	}
	if len(tasks) != 1 {
		t.Errorf("the model's calls carried assertions on %d tasks, not one", len(tasks))
	}
}

// checkNoRegistration fails the test if something was registered.
func checkNoRegistration(t *testing.T, log []authority.Request) {
	t.Helper()
	if identities, tasks := count(log, registerIdentity), count(log, registerTask); identities+tasks != 0 {
		t.Errorf("%d identities and %d tasks were registered", identities, tasks)
	}
}

// isRegistration reports whether a request is for a new identity.
func isRegistration(r *http.Request) bool {
	return kind(r.Method, r.URL.EscapedPath()) == registerIdentity
}
