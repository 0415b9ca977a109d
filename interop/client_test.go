//go:build interop && unix

package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
)

// runTimeout is for one run of a program. A run of the reference client takes
// 3 s, and 30 s on a machine that is busy.
const runTimeout = time.Minute

// outcome is how a program ended.
type outcome struct {
	exit           int
	stdout, stderr string
}

// run runs a program to its end. It and what it started are gone when run
// returns.
func run(ctx context.Context, dir string, env []string, name string, args ...string) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = kill
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return outcome{}, err
	}
	err := cmd.Wait()
	_ = kill() // what it left behind; mostly there is nothing
	if ctx.Err() != nil {
		err = ctx.Err()
	} else if _, ok := errors.AsType[*exec.ExitError](err); ok || errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}, err
}

// The client's settings.
const (
	// withPlugins leaves the client as it is, but for its metrics, which would go
	// to another host.
	withPlugins = `
[features]
use_agent_identity = true

[otel]
metrics_exporter = "none"
`
	// featureOn also keeps it from looking for plugins elsewhere.
	featureOn = `
[features]
use_agent_identity = true
plugins = false

[otel]
metrics_exporter = "none"
`
	featureOff = `
[features]
use_agent_identity = false
plugins = false

[otel]
metrics_exporter = "none"
`
)

// home is the folder of one user: an auth.json, and the settings of the client
// that they have.
type home struct {
	*release
	reach
	dir string
	// more is what its client's environment has beside.
	more []string
}

// reach is how a client reaches its backend.
type reach struct {
	scheme string // of the backend's URLs
	proxy  string // for whatever the client wants to reach
}

func (r reach) origin() string  { return r.scheme + "://" + backendHost }
func (r reach) baseURL() string { return r.origin() + basePath }

// newHome makes a folder for a user with that auth.json.
func newHome(t *testing.T, r *release, to reach, document []byte, settings string) home {
	t.Helper()
	h := home{release: r, reach: to, dir: t.TempDir()}
	for _, name := range []string{"home", "work", "tmp"} {
		if err := os.Mkdir(filepath.Join(h.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h.write(t, "auth.json", string(document))
	h.write(t, "config.toml", `model = "gpt-5"
chatgpt_base_url = "`+to.baseURL()+`"
openai_base_url = "`+to.baseURL()+`/codex"
check_for_update_on_startup = false
`+settings)
	return h
}

// newHome is a folder for the user of this backend, who has just signed in.
func (b *backend) newHome(t *testing.T, r *release, settings string) home {
	t.Helper()
	return b.newHomeWith(t, r, b.newestTokens().AuthJSON(), settings)
}

// newHomeWith is newHome for a user who has an auth.json already. Their client
// talks TLS: 0.171 takes no backend without it.
func (b *backend) newHomeWith(t *testing.T, r *release, document []byte, settings string) home {
	t.Helper()
	return newHome(t, r, reach{"https", b.url}, document, settings)
}

func (h home) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// env is nothing of this process's: no settings, and no way round the proxy.
func (h home) env() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + filepath.Join(h.dir, "home"),
		"TMPDIR=" + filepath.Join(h.dir, "tmp"),
		"CODEX_HOME=" + h.dir,
		"RUST_LOG=warn",
		"GIT_CONFIG_NOSYSTEM=1",
		"NO_PROXY=",
		"CODEX_CA_CERTIFICATE=" + programs.certificates,
		"CODEX_REFRESH_TOKEN_URL_OVERRIDE=" + h.origin() + tokenPath,
		// From 0.132 on, for a backend that is not one of the production's. The
		// second has to be the base URL.
		"CODEX_AGENT_IDENTITY_AUTHAPI_BASE_URL=" + h.origin() + authAPIPath,
		"CODEX_AGENT_IDENTITY_JWKS_BASE_URL=" + h.baseURL(),
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		env = append(env, name+"="+h.proxy, strings.ToLower(name)+"="+h.proxy)
	}
	return append(env, h.more...)
}

// runClient runs the reference client to its end.
func (h home) runClient(t *testing.T, args ...string) (outcome, error) {
	return run(t.Context(), filepath.Join(h.dir, "work"), h.env(), h.program, args...)
}

// checkSignedIn fails the test unless the client takes auth.json for that of a
// user who is signed in, and leaves it as it is.
func (h home) checkSignedIn(t *testing.T) {
	t.Helper()
	before := h.read(t)
	o, err := h.runClient(t, "login", "status")
	if err != nil || o.exit != 0 || !strings.Contains(o.stdout+o.stderr, "Logged in using ChatGPT") {
		t.Errorf("to the client %s the user is not signed in: %v, exit code %d, stdout %q, stderr\n%s", h.release, err, o.exit, o.stdout, o.stderr)
	}
	if !bytes.Equal(h.read(t), before) {
		t.Errorf("the client %s changed auth.json when asked for its status", h.release)
	}
}

// prompt runs the reference client for one turn; args may be one of the
// subcommands of exec.
func (h home) prompt(t *testing.T, args ...string) (outcome, error) {
	args = append([]string{"exec", "--skip-git-repo-check", "--color", "never"}, args...)
	return h.runClient(t, append(args, "hi")...)
}

// mustPrompt is prompt for a turn that has to end well.
func (h home) mustPrompt(t *testing.T, args ...string) {
	t.Helper()
	start := time.Now()
	o, err := h.prompt(t, args...)
	if err != nil || o.exit != 0 || strings.TrimSpace(o.stdout) != "hello" {
		t.Fatalf("the client %s: %v, exit code %d, stdout %q, stderr\n%s", h.release, err, o.exit, o.stdout, o.stderr)
	}
	t.Logf("the client %s ran for %v", h.release, time.Since(start).Round(10*time.Millisecond))
}

// explanation is what "agentassert header --json" prints.
type explanation struct {
	Mode           string `json:"mode"`
	Reason         string `json:"reason"`
	Header         string `json:"header"`
	AgentRuntimeID string `json:"agent_runtime_id"`
	TaskID         string `json:"task_id"`
	AgentAssertion string `json:"agent_assertion"`

	RuntimeAgentInstance string `json:"runtime_agent_instance"`
}

// header asks our tool, as a process of its own, for a header.
func (h home) header(t *testing.T, p profile) (explanation, error) {
	args := []string{"header", "--auth-file", h.authFile(), "--base-url", baseURL, "--allow-http", "--cache-dir", programs.cache, "--json"}
	o, err := run(t.Context(), h.dir, []string{"HTTP_PROXY=" + h.proxy}, programs.tool, append(args, p.args()...)...)
	if err != nil || o.exit != 0 {
		return explanation{}, fmt.Errorf("agentassert header: %v, exit code %d, stderr %s", err, o.exit, o.stderr)
	}
	var x explanation
	if err := json.Unmarshal([]byte(o.stdout), &x); err != nil {
		return explanation{}, fmt.Errorf("agentassert header prints %q: %w", o.stdout, err)
	}
	if x.Mode != core.ModeAgentAssertion {
		return x, fmt.Errorf("agentassert header: mode %s, reason %s, stdout %s", x.Mode, x.Reason, o.stdout)
	}
	return x, nil
}

// mustHeader is header for a header that has to be an assertion.
func (h home) mustHeader(t *testing.T, p profile) explanation {
	t.Helper()
	x, err := h.header(t, p)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func (h home) authFile() string { return filepath.Join(h.dir, "auth.json") }

func (h home) read(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(h.authFile())
	if err != nil {
		t.Fatal(err)
	}
	return data
}
