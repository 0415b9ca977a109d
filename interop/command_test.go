//go:build interop && unix

package interop

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/agentassert/agentassert/authority"
)

// direct makes the client ask its model once, over HTTP.
const direct = `model_provider = "direct"

[model_providers.direct]
name = "direct"
base_url = "` + baseURL + `/codex"
wire_api = "responses"
requires_openai_auth = true
supports_websockets = false
request_max_retries = 0
stream_max_retries = 0
` + featureOn

// TestCommands: the client and our tool against "agentassert authority", as a
// user would start it. It answers with JSON where the client expects a model, so
// the client's turn fails, after all that matters here.
func TestCommands(t *testing.T) {
	background.need(t)
	t.Parallel()
	other, err := authority.New(authority.Options{})
	if err != nil {
		t.Fatal(err)
	}
	session := other.SignIn(accountID, userID)
	// The command has not issued the access token, and learns the account from
	// its claims: those of the id token.
	session.AccessToken = session.IDToken
	logFile := filepath.Join(t.TempDir(), "requests.jsonl")
	proxy, stop := startAuthority(t, "--accept-any-bearer", "--log", logFile)
	h := newHome(t, background, reach{"http", proxy}, session.AuthJSON(), direct)

	o, err := h.prompt(t)
	if err != nil || o.exit == 0 {
		t.Fatalf("the client: %v, exit code %d, stdout %q", err, o.exit, o.stdout)
	}
	a, err := parseAuthJSON(h.read(t))
	if err != nil {
		t.Fatal(err)
	}
	checkTokens(t, a, tokens{Session: session, refreshToken: firstRefreshToken})
	if x := h.mustHeader(t, biscuit); x.AgentRuntimeID != a.Identity.AgentRuntimeID || x.TaskID != a.Identity.BackgroundTaskID {
		t.Errorf("our tool asserts %s on %s, auth.json has %s on %s",
			x.AgentRuntimeID, x.TaskID, a.Identity.AgentRuntimeID, a.Identity.BackgroundTaskID)
	}
	stop()

	log := readLog(t, logFile)
	checkAccepted(t, log)
	background.checkTurn(t, log, a.Identity)
	if identities, tasks := count(log, registerIdentity), count(log, registerTask); identities != 1 || tasks != 2 {
		t.Errorf("%d identities and %d tasks were registered, not 1 and 2; the client:\n%s", identities, tasks, o.stderr)
	}
}

// TestCommandModes: each later release in each mode that it has, with "agentassert
// authority" as its backend. Between them is nothing but the TLS that they insist on,
// and the model's answer.
func TestCommandModes(t *testing.T) {
	type mode struct {
		name, settings, scheme string
		jwt                    bool
	}
	for _, r := range releases[1:] {
		modes := []mode{
			{"sign-in", featureOn, authority.SchemeAgentAssertion, false},
			{"JWT", featureOn, authority.SchemeAgentAssertion, true},
		}
		if r == newest {
			modes = append(modes,
				mode{"instances dual", instancesOn("true"), authority.SchemeDualHeader, false},
				mode{"instances only", instancesOn(`{ enabled = true, mode = "assertion_only" }`), authority.SchemeAgentAssertion, false})
		}
		for _, m := range modes {
			t.Run(r.version+" "+m.name, func(t *testing.T) {
				r.need(t)
				t.Parallel()
				b := newBackend(t)
				b.tokens.AccessToken = b.tokens.IDToken // as in TestCommands
				dir := t.TempDir()
				logFile, jwtFile := filepath.Join(dir, "requests.jsonl"), filepath.Join(dir, "identity.jwt")
				args := []string{"--accept-any-bearer", "--log", logFile}
				if m.jwt {
					args = append(args, "--jwt-out", jwtFile, "--account", accountID, "--user", userID)
				}
				command, stop := startAuthority(t, args...)
				b.handler = forwardTo(t, command)
				h := b.newHome(t, r, m.settings)
				if m.jwt {
					token, err := os.ReadFile(jwtFile)
					if err != nil {
						t.Fatal(err)
					}
					if err := os.Remove(h.authFile()); err != nil {
						t.Fatal(err)
					}
					h.more = []string{"CODEX_ACCESS_TOKEN=" + strings.TrimSpace(string(token))}
				}
				h.mustPrompt(t)
				stop()

				asserted := 0
				for _, seen := range readLog(t, logFile) {
					what := kind(seen.Method, seen.Path) + " with " + seen.Scheme
					switch {
					case what == anonymousMCP, strings.HasSuffix(seen.Path, "/jwks"):
						continue
					case seen.Status != http.StatusOK || !seen.Verified:
						t.Errorf("refused: %s, status %d %s, verified %v", what, seen.Status, seen.Error, seen.Verified)
					case seen.Scheme == m.scheme:
						asserted++
					}
				}
				if asserted == 0 {
					t.Errorf("no call was verified with %s", m.scheme)
				}
				t.Logf("%d calls with %s, all verified", asserted, m.scheme)
			})
		}
	}
}

// forwardTo passes requests to the command, for the host that the client sent them to.
func forwardTo(t *testing.T, command string) http.Handler {
	t.Helper()
	target, err := url.Parse(command)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
}

// startAuthority starts the command, and returns its URL once it serves. stop
// ends it as a user would; where the test does not, it is killed.
func startAuthority(t *testing.T, args ...string) (url string, stop func()) {
	cmd := exec.CommandContext(t.Context(), programs.tool, append([]string{"authority", "--listen", "127.0.0.1:0"}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // mostly it has ended
		_ = cmd.Wait()
	})
	lines := bufio.NewReader(stderr)
	line, err := lines.ReadString('\n')
	serving := regexp.MustCompile(`serving (http://[^/]+)/backend-api`).FindStringSubmatch(line)
	if serving == nil {
		t.Fatalf("agentassert authority says %q, %v", line, err)
	}
	return serving[1], func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(lines)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("agentassert authority: %v, stderr %s", err, rest)
		}
	}
}

// readLog reads what the command has logged.
func readLog(t *testing.T, name string) (log []authority.Request) {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for d := json.NewDecoder(f); ; {
		var r authority.Request
		if err := d.Decode(&r); err == io.EOF {
			return log
		} else if err != nil {
			t.Fatal(err)
		}
		log = append(log, r)
	}
}
