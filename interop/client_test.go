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

	"github.com/agentassert/agentassert/authority"
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

// home is the folder of one user: an auth.json, and the client's settings.
type home struct {
	dir   string
	proxy string
}

// newHome makes a folder for a user who has just signed in. Their client has the
// feature on, and reaches whatever it wants to reach through the proxy.
func newHome(t *testing.T, proxy string, s authority.Session, settings string) home {
	h := home{t.TempDir(), proxy}
	for _, name := range []string{"home", "work", "tmp"} {
		if err := os.Mkdir(filepath.Join(h.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h.write(t, "auth.json", string(s.AuthJSON()))
	h.write(t, "config.toml", `model = "gpt-5"
chatgpt_base_url = "`+baseURL+`"
openai_base_url = "`+baseURL+`/codex"
check_for_update_on_startup = false
`+settings)
	return h
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
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		env = append(env, name+"="+h.proxy, strings.ToLower(name)+"="+h.proxy)
	}
	return env
}

// prompt runs the reference client for one turn; args may be one of the
// subcommands of exec.
func (h home) prompt(t *testing.T, args ...string) (outcome, error) {
	args = append([]string{"exec", "--skip-git-repo-check", "--color", "never"}, args...)
	return run(t.Context(), filepath.Join(h.dir, "work"), h.env(), programs.client, append(args, "hi")...)
}

// mustPrompt is prompt for a turn that has to end well.
func (h home) mustPrompt(t *testing.T, args ...string) {
	t.Helper()
	start := time.Now()
	o, err := h.prompt(t, args...)
	if err != nil || o.exit != 0 || strings.TrimSpace(o.stdout) != "hello" {
		t.Fatalf("the client: %v, exit code %d, stdout %q, stderr\n%s", err, o.exit, o.stdout, o.stderr)
	}
	t.Logf("the client ran for %v", time.Since(start).Round(10*time.Millisecond))
}

// explanation is what "agentassert header --explain" prints.
type explanation struct {
	Mode           string `json:"mode"`
	Reason         string `json:"reason"`
	Header         string `json:"header"`
	AgentRuntimeID string `json:"agent_runtime_id"`
	TaskID         string `json:"task_id"`
}

// header asks our tool, as a process of its own, for a header.
func (h home) header(t *testing.T) (explanation, error) {
	o, err := run(t.Context(), h.dir, []string{"HTTP_PROXY=" + h.proxy}, programs.tool,
		"header", "--auth-file", h.authFile(), "--base-url", baseURL, "--cache-dir", programs.cache, "--explain")
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
func (h home) mustHeader(t *testing.T) explanation {
	t.Helper()
	x, err := h.header(t)
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

// authJSON is what these tests look at in an auth.json.
type authJSON struct {
	Tokens struct {
		IDToken      string `json:"id_token"`
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		AccountID    string `json:"account_id"`
	} `json:"tokens"`
	Identity struct {
		WorkspaceID      string `json:"workspace_id"`
		UserID           string `json:"chatgpt_user_id"`
		AgentRuntimeID   string `json:"agent_runtime_id"`
		PrivateKey       string `json:"agent_private_key"`
		BackgroundTaskID string `json:"background_task_id"`
	} `json:"agent_identity"`
}

func parseAuthJSON(document []byte) (a authJSON, err error) {
	err = json.Unmarshal(document, &a)
	return a, err
}

// identity returns the file's content, and fails the test unless the identity in
// it is one that the backend knows, whole, and beside the user's own tokens.
func (h home) identity(t *testing.T, b *backend) authJSON {
	t.Helper()
	a, err := parseAuthJSON(h.read(t))
	if err != nil {
		t.Fatalf("auth.json: %v", err)
	}
	checkTokens(t, a, b.session)
	i := a.Identity
	if i.WorkspaceID != accountID || i.UserID != userID {
		t.Fatalf("auth.json has an identity of %q, %q", i.WorkspaceID, i.UserID)
	}
	key, err := core.ParsePrivateKey(i.PrivateKey)
	if err != nil {
		t.Fatalf("the private key in auth.json: %v", err)
	}
	agent, err := b.Agent(t.Context(), i.AgentRuntimeID)
	if err != nil {
		t.Fatalf("the backend does not know the agent in auth.json: %v", err)
	}
	if got, want := agent.PublicKey.OpenSSH(), key.Public().OpenSSH(); got != want {
		t.Fatalf("the backend has the public key %s, auth.json the private one of %s", got, want)
	}
	if status, err := b.Task(t.Context(), i.AgentRuntimeID, i.BackgroundTaskID); status != authority.TaskActive || err != nil {
		t.Fatalf("the background task %q of auth.json: status %v, %v", i.BackgroundTaskID, status, err)
	}
	return a
}

// checkTokens fails the test unless the user's tokens are as they were.
func checkTokens(t *testing.T, a authJSON, s authority.Session) {
	t.Helper()
	if a.Tokens.AccessToken != s.AccessToken || a.Tokens.IDToken != s.IDToken || a.Tokens.RefreshToken != "none" || a.Tokens.AccountID != s.AccountID {
		t.Error("the user's tokens in auth.json have changed")
	}
}
