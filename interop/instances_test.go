//go:build interop && unix

package interop

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// instancesOn are settings with runtime agent instances, which win over the identity.
func instancesOn(value string) string {
	return strings.Replace(featureOn, "use_agent_identity = true", "use_agent_identity = true\nruntime_agent_instances = "+value, 1)
}

// TestInstances: the authority registers the instance of 0.171 and lets in each of its
// assertions, in both header modes: none is a replay, and no call of a turn is without
// one. The client leaves nothing of it behind.
func TestInstances(t *testing.T) {
	newest.need(t)
	t.Parallel()
	for mode, tt := range map[string]struct{ value, scheme string }{
		wire.HeaderModeDual:          {"true", authority.SchemeDualHeader},
		wire.HeaderModeAssertionOnly: {`{ enabled = true, mode = "assertion_only" }`, authority.SchemeAgentAssertion},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			h := b.newHome(t, newest, instancesOn(tt.value))
			before := h.read(t)
			h.mustPrompt(t)
			log := b.since(0)
			checkAccepted(t, log)
			if n := count(log, registerInstance); n != 1 {
				t.Errorf("the client registered %d instances", n)
			}
			asserted := 0
			for _, r := range log {
				switch what := kind(r.Method, r.Path); {
				case what == registerInstance, what+" with "+r.Scheme == anonymousMCP:
				case r.Scheme != tt.scheme || r.RuntimeAgentInstance == "":
					t.Errorf("%s carries %s, instance %q", what, r.Scheme, r.RuntimeAgentInstance)
				default:
					asserted++
				}
			}
			if asserted < 5 {
				t.Errorf("%d calls carry an assertion", asserted)
			}
			if got := b.Counts(); got != (authority.Counts{Instances: 1}) {
				t.Errorf("the client registered %+v", got)
			}
			if string(before) != string(h.read(t)) {
				t.Error("the client has changed auth.json")
			}
			b.checkForeign(t)

			// As our tool does it, with the same installation.
			x := h.instance(t, mode)
			mode := core.ModeDualHeader
			if tt.scheme == authority.SchemeAgentAssertion {
				mode = core.ModeAgentAssertion
			}
			if x.Mode != mode || x.Reason != core.ReasonRuntimeInstance || x.RuntimeAgentInstance == "" {
				t.Errorf("our tool has %+v", x)
			}
			for _, want := range []int{http.StatusOK, http.StatusForbidden} { // once, and not again
				if got := b.status(t, x); got != want {
					t.Errorf("the backend answers our tool's assertion with %d, want %d", got, want)
				}
			}
		})
	}
}

// instance asks our tool for an assertion of a runtime agent instance.
func (h home) instance(t *testing.T, headerMode string) explanation {
	t.Helper()
	o, err := run(t.Context(), h.dir, []string{"HTTP_PROXY=" + h.proxy}, programs.tool,
		"header", "--auth-file", h.authFile(), "--base-url", baseURL, "--allow-http", "--cache-dir", programs.cache, "--json",
		"--profile", "instances", "--header-mode", headerMode, "--auth-api-url", "http://"+registrarHost)
	if err != nil || o.exit != 0 {
		t.Fatalf("agentassert header: %v, exit code %d, stderr %s", err, o.exit, o.stderr)
	}
	var x explanation
	if err := json.Unmarshal([]byte(o.stdout), &x); err != nil {
		t.Fatal(err)
	}
	return x
}

// status is what the backend answers to a call of ours.
func (b *backend) status(t *testing.T, x explanation) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, baseURL+"/codex/models", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", x.Header)
	if x.AgentAssertion != "" {
		r.Header.Set("X-OpenAI-Agent-Assertion", x.AgentAssertion)
	}
	r.Header.Set("ChatGPT-Account-ID", accountID)
	response, err := b.client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// TestInstanceRevoked: upon runtime_instance_revoked 0.171 ends the turn, and our
// authority says nothing else to it.
func TestInstanceRevoked(t *testing.T) {
	newest.need(t)
	t.Parallel()
	b := newBackend(t)
	h := b.newHome(t, newest, instancesOn("true"))
	b.hold = func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/codex/responses") {
			for _, seen := range b.since(0) {
				if seen.RuntimeAgentInstance != "" {
					b.RevokeInstance(seen.RuntimeAgentInstance)
				}
			}
		}
	}
	o, err := h.prompt(t)
	if err != nil || o.exit == 0 {
		t.Errorf("the client: %v, exit code %d, stdout %q", err, o.exit, o.stdout)
	}
	revoked := 0
	for _, r := range b.since(0) {
		if r.Error == authority.CodeInstanceRevoked {
			revoked++
		}
	}
	if revoked == 0 {
		t.Errorf("nothing was refused; the client:\n%s", o.stderr)
	}
}

// TestJWTIdentity: an identity that the authority issues as a JWT serves 0.155 and 0.171
// in place of a sign-in: all that they send is verified, on one task.
func TestJWTIdentity(t *testing.T) {
	for _, r := range releases {
		if r.threadTasks {
			continue // has no such thing
		}
		t.Run(r.version, func(t *testing.T) {
			r.need(t)
			t.Parallel()
			b := newBackend(t)
			token, err := b.IssueIdentityJWT(authority.User{AccountID: accountID, UserID: userID})
			if err != nil {
				t.Fatal(err)
			}
			h := b.newHome(t, r, featureOn)
			if err := os.Remove(h.authFile()); err != nil {
				t.Fatal(err)
			}
			h.more = []string{"CODEX_ACCESS_TOKEN=" + token}
			h.mustPrompt(t)
			log := b.since(0)
			tasks := map[string]bool{}
			for _, seen := range log {
				what := kind(seen.Method, seen.Path)
				switch {
				case what+" with "+seen.Scheme == anonymousMCP, strings.HasSuffix(what, "/jwks"):
				case what == registerTask:
				case seen.Scheme != authority.SchemeAgentAssertion || !seen.Verified || seen.AccountID != accountID:
					t.Errorf("%s carries %s, verified %v, %s", what, seen.Scheme, seen.Verified, seen.Error)
				default:
					tasks[seen.TaskID] = true
				}
			}
			// It registers one whenever it loads the identity, of which the last is used.
			if got := b.Counts(); len(tasks) != 1 || got.Identities != 1 || count(log, registerIdentity) != 0 {
				t.Errorf("%d tasks were used, %d identities registered; the backend has %+v", len(tasks), count(log, registerIdentity), got)
			}
			b.checkForeign(t)
		})
	}
}
