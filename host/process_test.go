package host_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

const (
	processes        = 4
	callersOfProcess = 200
	links            = 6
)

// The children of this file's tests, and where they find what they work on.
const (
	childAsks  = "asks"
	childLocks = "locks"

	pathVariable    = "AGENTASSERT_TEST_PATH" // or several
	slotVariable    = "AGENTASSERT_TEST_SLOT"
	baseURLVariable = "AGENTASSERT_TEST_BASE_URL"
)

// runChild is the main function of a child. It returns the exit code.
func runChild(name string) int {
	var err error
	switch name {
	case childAsks:
		err = askManyTimes(filepath.SplitList(os.Getenv(pathVariable)), os.Getenv(baseURLVariable))
	case childLocks:
		err = lockForever(os.Getenv(pathVariable), os.Getenv(slotVariable))
	case childDies:
		err = callOnce(os.Getenv(pathVariable), os.Getenv(baseURLVariable), os.Getenv(pointVariable))
	case childSaves:
		err = saveForever(os.Getenv(pathVariable))
	case childCalls:
		err = callInRounds(os.Getenv(pathVariable), os.Getenv(baseURLVariable))
	default:
		err = fmt.Errorf("there is no child %q", name)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// ready tells the parent that the child got this far, and waits until the parent
// closes standard input.
func ready() error {
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// childReport is what a child that asks got: how many callers got which header.
type childReport struct {
	Headers  map[string]int `json:"headers"`
	Failures []string       `json:"failures"`
}

// askManyTimes asks for authorizations, many at once, a manager for each of the
// paths, and prints a report.
func askManyTimes(paths []string, baseURL string) error {
	managers := make([]*host.Manager, len(paths))
	for i, path := range paths {
		file := authfile.New(path)
		m, err := host.NewManager(host.ManagerConfig{
			Engine: host.NewNative(), Store: file, Credentials: file,
			BaseURL: baseURL, TrustedHosts: []string{"127.0.0.1"}, AgentIdentity: true,
		})
		if err != nil {
			return err
		}
		defer m.Close(context.Background())
		managers[i] = m
	}
	if err := ready(); err != nil {
		return err
	}
	report := childReport{Headers: map[string]int{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range callersOfProcess {
		wg.Go(func() {
			a, err := managers[i%len(managers)].Authorization(context.Background(), core.SurfaceModels)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || a.Mode != core.ModeAgentAssertion {
				report.Failures = append(report.Failures, fmt.Sprintf("%v, cause %v, error %v", a, a.Cause, err))
				return
			}
			report.Headers[a.Header()]++
		})
	}
	wg.Wait()
	return json.NewEncoder(os.Stdout).Encode(report)
}

// lockForever holds the lock of a slot until it is killed.
func lockForever(path, slot string) error {
	unlock, err := authfile.New(path).Lock(context.Background(), slot)
	if err != nil {
		return err
	}
	defer unlock()
	return ready()
}

// child is a process that has been started and is ready.
type child struct {
	*exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
}

func startChild(t *testing.T, name string, variables ...string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Far more than it takes: it only keeps a hanging child from staying.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	c := &child{Cmd: exec.CommandContext(ctx, self)}
	c.Env = append(append(os.Environ(), childVariable+"="+name), variables...)
	c.Stderr = os.Stderr
	if c.stdin, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdout = bufio.NewReader(stdout)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Of a child that has ended, both fail.
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	if line, err := c.stdout.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("child %q: got %q, %v; want ready", name, line, err)
	}
	return c
}

// Whichever of its links leads to it, a file has one identity.
func TestManyProcessesOneRegistration(t *testing.T) {
	backend := newAuthority(authority.Options{})
	server := httptest.NewServer(backend)
	defer server.Close()
	base := server.URL + "/backend-api"
	path := filepath.Join(t.TempDir(), "auth.json")
	before := append(backend.SignIn("acct-1", "user-1").AuthJSON(), '\n')
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}

	paths := linksTo(t, path)
	children := make([]*child, processes)
	for i := range children {
		children[i] = startChild(t, childAsks, pathVariable+"="+strings.Join(paths, string(filepath.ListSeparator)), baseURLVariable+"="+base)
	}
	for _, c := range children {
		if err := c.stdin.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range children {
		var report childReport
		if err := json.NewDecoder(c.stdout).Decode(&report); err != nil {
			t.Fatalf("child %d: %v", i, err)
		}
		if err := c.Wait(); err != nil {
			t.Errorf("child %d: %v", i, err)
		}
		for _, f := range report.Failures {
			t.Errorf("child %d: %s", i, f)
		}
		callers := 0
		for header, n := range report.Headers {
			callers += n
			checkHeaderVerified(t, base, header)
		}
		checkCount(t, "callers with an assertion", callers, callersOfProcess)
	}
	checkCounts(t, backend, 1, 1)
	checkOnlyIdentityAdded(t, path, before)
}

// linksTo returns links to a file, each in a folder of its own: some to the file
// itself, some to the link before, and one to a folder on the way. Where there are
// none, it returns the file.
func linksTo(t *testing.T, path string) []string {
	t.Helper()
	paths := make([]string, links)
	to := path
	for i := range paths {
		paths[i] = filepath.Join(t.TempDir(), "auth.json")
		leads, link := to, paths[i]
		if i == links-1 {
			home := filepath.Join(filepath.Dir(link), "home")
			leads, link, paths[i] = filepath.Dir(to), home, filepath.Join(home, "auth.json")
		}
		if err := os.Symlink(leads, link); err != nil {
			t.Logf("without symbolic links: %v", err)
			return []string{path}
		}
		if i%2 == 0 {
			to = paths[i]
		}
	}
	return paths
}

func checkHeaderVerified(t *testing.T, base, header string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, base+"/codex/models", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", header)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(response.Body)
		t.Errorf("the authority answers %s, %s to %s", response.Status, body, header)
	}
}

// checkOnlyIdentityAdded checks that a file, which ended in a brace on a line of
// its own, has one more member, and no other change.
func checkOnlyIdentityAdded(t *testing.T, path string, before []byte) {
	t.Helper()
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, ok := bytes.CutSuffix(before, []byte("\n}\n"))
	if !ok {
		t.Fatalf("the file ended in %q", before[len(before)-3:])
	}
	added, hasHead := bytes.CutPrefix(after, head)
	added, hasTail := bytes.CutSuffix(added, []byte("\n}\n"))
	if !hasHead || !hasTail || !strings.HasPrefix(string(added), ",\n  \"agent_identity\": {\n") {
		t.Errorf("got %s, want %s and an agent_identity", after, before)
	}
	var document struct {
		Identity map[string]any `json:"agent_identity"`
	}
	if err := json.Unmarshal(after, &document); err != nil {
		t.Fatalf("the file is no JSON any more: %v", err)
	}
	// What one client or another needs (protocol.md).
	for _, name := range []string{
		"workspace_id", "agent_runtime_id", "agent_private_key", "registered_at", "background_task_id",
		"account_id", "chatgpt_user_id", "plan_type", "task_id",
	} {
		if text, ok := document.Identity[name].(string); !ok || text == "" {
			t.Errorf("the stored identity has %v for %s", document.Identity[name], name)
		}
	}
	if _, ok := document.Identity["chatgpt_account_is_fedramp"].(bool); !ok {
		t.Error("the stored identity does not say whether the account is a FedRAMP one")
	}
}

// The lock of a process ends with it, however it ends.
func TestKilledProcessLeavesNoLock(t *testing.T) {
	for _, slot := range []string{wire.SlotIdentity, wire.SlotThread + "thread-1"} {
		t.Run(slot, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "auth.json")
			c := startChild(t, childLocks, pathVariable+"="+path, slotVariable+"="+slot)
			file := authfile.New(path)
			file.LockTimeout = 50 * time.Millisecond
			_, err := file.Lock(context.Background(), slot)
			checkCode(t, err, core.CodeFileLocked)

			if err := c.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := c.Wait(); err == nil {
				t.Error("the child ended well, want it killed")
			}
			file.LockTimeout = time.Minute
			unlock, err := file.Lock(context.Background(), slot)
			if err != nil {
				t.Fatalf("Lock, after its holder was killed: %v", err)
			}
			unlock()
		})
	}
}
