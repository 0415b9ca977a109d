package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
	"github.com/agentassert/agentassert/host/proxy"
)

// Calls that begin to carry the bearer token are said once, and so is that they assert
// again, each time for the account that they are of.
func TestProxySaysFallbackOnce(t *testing.T) {
	const begun, over = "carry the user's own token", "carry assertions again"
	u := startUpstream(t, none)
	folder := t.TempDir()
	u.addAccount(t, folder, "alice")
	u.addAccount(t, folder, "bob")
	p := startProxyFor(t, u, []string{"--accounts", folder, "--account-header", "X-Account"})
	checkAccount(t, p, "/codex/models", "bob", p.header("X-Account", "bob"))

	u.RefuseRegistration(http.StatusForbidden)
	for range 3 {
		if status, a := p.call(t, http.MethodGet, "/codex/models", p.header("X-Account", "alice")); status != http.StatusOK || a.Scheme != core.ModeBearer {
			t.Fatalf("got %d %+v, want the bearer token", status, a)
		}
	}
	u.RefuseRegistration(0)
	// The pause after it ends early.
	if err := authfile.New(filepath.Join(folder, "alice", proxy.AccountAuthFile)).Delete(t.Context(), wire.SlotBackoff); err != nil {
		t.Fatal(err)
	}
	scheme := ""
	for deadline := time.Now().Add(time.Minute); scheme != core.ModeAgentAssertion && time.Now().Before(deadline); {
		_, a := p.call(t, http.MethodGet, "/codex/models", p.header("X-Account", "alice"))
		scheme = a.Scheme
	}
	said := p.stop().stderr
	for what, want := range map[string]int{begun: 1, over: 1} {
		lines := 0
		for line := range strings.Lines(said) {
			if strings.Contains(line, what) {
				lines++
				if !strings.Contains(line, "account=alice") {
					t.Errorf("%q does not say whose calls", line)
				}
			}
		}
		if lines != want {
			t.Errorf("%q was said %d times, want %d: %s", what, lines, want, said)
		}
	}
}

// With --strict a call carries an assertion, or is none.
func TestStrict(t *testing.T) {
	u := startUpstream(t, none)
	u.RefuseRegistration(http.StatusForbidden)
	p := startProxy(t, u, "--strict")
	for range 2 {
		status, a := p.call(t, http.MethodGet, "/codex/models", p.header("X-Mark", "callers"))
		checkRefused(t, "a call", status, a, http.StatusServiceUnavailable, host.CodeNoAssertion)
	}
	u.mu.Lock()
	for _, h := range u.calls {
		if h.Get("X-Mark") != "" {
			t.Error("a call has reached the upstream")
		}
	}
	u.mu.Unlock()
	p.stop()

	document := readFile(t, u.authFile)
	fresh := filepath.Join(t.TempDir(), "auth.json") // that remembers no failure
	if err := os.WriteFile(fresh, document, 0o600); err != nil {
		t.Fatal(err)
	}
	header := []string{"header", "--auth-file", fresh, "--base-url", u.url, "--trust-host", "127.0.0.1"}
	if got := tool(t, "", header...); got.code != 0 || !strings.HasPrefix(got.stdout, "Bearer ") {
		t.Errorf("without --strict: %+v", got)
	}
	got := tool(t, "", append(header, "--strict")...)
	checkSaid(t, got, exitNo, []string{core.ReasonRegistrationFailed})
	if got.stdout != "" {
		t.Errorf("it printed %q", got.stdout)
	}
	checkSaid(t, tool(t, "", append(header, "--strict", "--no-agent-identity")...), exitUsage, []string{"strict"})
}
