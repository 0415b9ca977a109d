package check_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

// client and server are the README's Go; TestREADME compares them.

func client(ctx context.Context) (*http.Client, error) {
	sandbox, err := host.NewSandbox(ctx, host.SandboxOptions{})
	if err != nil {
		return nil, err
	}
	file := authfile.New("auth.json")
	manager, err := host.NewManager(host.ManagerConfig{
		Engine: sandbox, Store: file, Credentials: file,
		BaseURL: "https://chatgpt.com/backend-api", AgentIdentity: true,
	})
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &host.Transport{Manager: manager}}
	return client, nil
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

// TestREADMEClient: a call to another backend passes as it is.
func TestREADMEClient(t *testing.T) {
	t.Chdir(t.TempDir())
	carried := make(chan http.Header, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { carried <- r.Header }))
	defer other.Close()
	c, err := client(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Get(other.URL)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if h := <-carried; h.Get("Authorization") != "" || h.Get("ChatGPT-Account-ID") != "" {
		t.Errorf("it carried %v", h)
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
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "./agentassert")
	build.Dir = "../cmd"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks(t, "sh") {
		if strings.HasPrefix(b, "make ") {
			for line := range strings.Lines(b) {
				if name := strings.Fields(line)[1]; !strings.Contains(string(makefile), "\n"+name+":") {
					t.Errorf("make has no target %s", name)
				}
			}
			continue
		}
		shell := exec.Command("sh", "-e", "-c", b)
		shell.Dir = t.TempDir()
		shell.Env = append(os.Environ(), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
		if out, err := shell.CombinedOutput(); err != nil {
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
