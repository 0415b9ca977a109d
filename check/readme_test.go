package check_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

// client and server are the README's Go; TestREADME compares them.

func client(ctx context.Context) (*http.Response, error) {
	sandbox, err := host.NewSandbox(ctx, host.SandboxOptions{})
	if err != nil {
		return nil, err
	}
	file := authfile.New("auth.json")
	manager, err := host.NewManager(host.ManagerConfig{
		Engine: sandbox, Store: file, Credentials: file, AgentIdentity: true,
		BaseURL: "http://127.0.0.1:8080/backend-api", TrustedHosts: []string{"127.0.0.1"},
	})
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &host.Transport{Manager: manager}}
	response, err := client.Get(manager.BaseURL() + "/codex/models")
	if err != nil {
		return nil, err
	}
	return response, sandbox.Close(ctx)
}

func server(directory authority.Directory) (*authority.Verifier, error) {
	verifier, err := authority.NewVerifier(authority.VerifierOptions{Agents: directory})
	if err != nil {
		return nil, err
	}
	http.Handle("/", verifier.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := authority.PrincipalFromContext(r.Context())
		fmt.Fprintln(w, who.AgentRuntimeID, who.TaskID)
	})))
	return verifier, nil
}

// TestREADMEClient: the call is let in by the backend that the README starts.
func TestREADMEClient(t *testing.T) {
	tool := buildTool(t)
	dir := t.TempDir()
	address := startAuthority(t, tool, dir, authorityCommand(t))
	t.Chdir(dir)
	for _, name := range []string{"XDG_CACHE_HOME", "HOME", "LocalAppData"} {
		t.Setenv(name, filepath.Join(t.TempDir(), "caches"))
	}
	// The README's port may be somebody's.
	t.Cleanup(redirect(readmeAddress, address))
	response, err := client(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(answer), `"scheme":"agent-assertion"`) {
		t.Errorf("got %s, %v", answer, err)
	}
}

// tool is the command agentassert, in a folder that lasts as long as the tests.
var tool struct {
	folder string
	build  sync.Once
	err    error
}

func TestMain(m *testing.M) {
	var err error
	if tool.folder, err = os.MkdirTemp("", "agentassert-check-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(tool.folder) // what is left of it does no harm
	os.Exit(code)
}

// buildTool returns the folder with the command agentassert.
func buildTool(t *testing.T) (bin string) {
	t.Helper()
	tool.build.Do(func() {
		build := exec.Command("go", "build", "-o", tool.folder, "./agentassert")
		build.Dir = "../cmd"
		if out, err := build.CombinedOutput(); err != nil {
			tool.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if tool.err != nil {
		t.Fatal(tool.err)
	}
	return tool.folder
}

// isAuthority reports whether a line of the README's starts a backend, which runs on.
func isAuthority(line string) bool { return strings.HasPrefix(line, "agentassert authority ") }

// authorityCommand is the README's.
func authorityCommand(t *testing.T) string {
	t.Helper()
	for _, b := range blocks(t, "sh") {
		for line := range strings.Lines(b) {
			if isAuthority(line) {
				return line
			}
		}
	}
	t.Fatal("the README starts no backend")
	return ""
}

// startAuthority runs a command in a folder until the test ends, on another port than the
// README's, and returns its address.
func startAuthority(t *testing.T, bin, dir, command string) string {
	t.Helper()
	args := strings.Fields(strings.ReplaceAll(command, readmeAddress, "127.0.0.1:0"))[1:]
	return startTool(t, bin, dir, args, "--addr-file")[0]
}

// startTool runs the command agentassert in a folder until the test ends, and returns what it has
// written to the files that these flags name once it has written all.
func startTool(t *testing.T, bin, dir string, args []string, fileFlags ...string) []string {
	t.Helper()
	files := make([]string, len(fileFlags))
	for i, flag := range fileFlags {
		files[i] = filepath.Join(t.TempDir(), "file")
		args = append(args, flag, files[i])
	}
	c := exec.Command(filepath.Join(bin, "agentassert"), args...)
	var said bytes.Buffer
	c.Dir, c.Stderr = dir, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		_ = c.Process.Kill() // it may have ended
		<-ended
	})
	var written []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(files[len(written)])
		if err == nil {
			if written = append(written, strings.TrimSpace(string(text))); len(written) == len(files) {
				return written
			}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("agentassert %s ended: %v: %s", args[0], err, said.String())
		default:
		}
	}
	t.Fatalf("agentassert %s does not listen", args[0])
	return nil
}

// readmeAddress is where the README's backend listens.
const readmeAddress = "127.0.0.1:8080"

// redirect has net/http connect to another address than that, until it is undone.
func redirect(from, to string) (undo func()) {
	before := http.DefaultTransport
	transport := before.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == from {
			address = to
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	http.DefaultTransport = transport
	return func() {
		http.DefaultTransport = before
		transport.CloseIdleConnections()
	}
}

// TestREADMEServer: without an assertion, nobody gets in.
func TestREADMEServer(t *testing.T) {
	a, err := authority.New(authority.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server(a); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusUnauthorized {
		t.Errorf("status %d", w.Code)
	}
}

// blocks returns the README's code in one language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		found = append(found, m[1])
	}
	if len(found) == 0 {
		t.Fatalf("no %s in the README", language)
	}
	return found
}

// TestREADMEGo: the README's Go is the functions above, error checks aside.
func TestREADMEGo(t *testing.T) {
	source, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	compiled := squeeze(strings.ReplaceAll(string(source), "if err != nil {\n\t\treturn nil, err\n\t}\n", ""))
	for _, b := range blocks(t, "go") {
		if !strings.Contains(compiled, squeeze(b)) {
			t.Errorf("this file does not compile the README's\n%s", b)
		}
	}
}

// TestREADMEShell runs the README's commands. Those of make are what CI runs:
// here they have to be targets.
func TestREADMEShell(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the README's commands are for a POSIX shell")
	}
	bin := buildTool(t)
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	caches := t.TempDir()
	for _, b := range blocks(t, "sh") {
		if strings.HasPrefix(b, "make ") {
			for line := range strings.Lines(b) {
				if name := strings.Fields(line)[1]; !strings.Contains(string(makefile), "\n"+name+":") {
					t.Errorf("make has no target %s", name)
				}
			}
			continue
		}
		dir := t.TempDir()
		calls := isAuthority(b)
		if calls {
			if _, err := exec.LookPath("curl"); err != nil {
				t.Log("curl is not installed; the README's call is not made")
				continue
			}
			command, rest, _ := strings.Cut(b, "\n")
			b = strings.ReplaceAll(rest, readmeAddress, startAuthority(t, bin, dir, command))
		}
		shell := exec.Command("sh", "-e", "-c", b)
		shell.Dir = dir
		shell.Env = append(os.Environ(), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"), "XDG_CACHE_HOME="+caches, "HOME="+caches)
		out, err := shell.CombinedOutput()
		if err != nil || calls && !strings.Contains(string(out), `"scheme":"agent-assertion"`) {
			t.Errorf("%v\n%s\n%s", err, b, out)
		}
	}
}

// TestREADMENode runs the README's line for Node.
func TestREADMENode(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("Node is not installed; the README's line for it is not run")
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile("`(node -e [^`]*)`").FindStringSubmatch(string(readme))
	if line == nil {
		t.Fatal("the README has no line for Node")
	}
	shell := exec.Command("sh", "-c", line[1])
	shell.Dir = ".."
	out, err := shell.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "agentassert_call") {
		t.Errorf("%v: %s", err, out)
	}
}
