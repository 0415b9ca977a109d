package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
)

// startAuthority runs the command until the test ends, and returns its URL.
func startAuthority(t *testing.T, args ...string) (url string) {
	t.Helper()
	addrFile := filepath.Join(t.TempDir(), "addr")
	ctx, cancel := context.WithCancel(t.Context())
	listening := make(chan string, 1)
	served := make(chan result, 1)
	go func() {
		var stdout bytes.Buffer
		stderr := &notify{first: listening}
		args := append([]string{"authority", "--listen", "127.0.0.1:0", "--addr-file", addrFile}, args...)
		code := execute(ctx, args, strings.NewReader(""), &stdout, stderr)
		served <- result{code, stdout.String(), stderr.text.String()}
	}()
	select {
	case <-listening:
	case r := <-served:
		cancel()
		t.Fatalf("it ended: %+v", r)
	}
	t.Cleanup(func() {
		cancel()
		if r := <-served; r.code != 0 {
			t.Errorf("interrupted, it ends with %+v", r)
		}
	})
	return "http://" + strings.TrimSpace(string(readFile(t, addrFile)))
}

// exchange sends a request, and decodes the answer.
func exchange(t *testing.T, method, url, body string, header http.Header, into any) (status int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// decodeJWT decodes a JWT's header or its claims. That it verifies is package
// authority's to test.
func decodeJWT(t *testing.T, part string, into any) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// TestAuthorityJWT takes the identity from the file, and uses it as a client of
// the profile auth-api does.
func TestAuthorityJWT(t *testing.T) {
	jwtFile := filepath.Join(t.TempDir(), "identity.jwt")
	if err := os.WriteFile(jwtFile, []byte("from an earlier run"), 0o644); err != nil {
		t.Fatal(err)
	}
	url := startAuthority(t, "--jwt-out", jwtFile, "--account", "account-1", "--user", "user-1", "--fedramp", "--task-response", "taskId")

	info, err := os.Stat(jwtFile)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v", info.Mode())
	}
	parts := strings.Split(strings.TrimSuffix(string(readFile(t, jwtFile)), "\n"), ".")
	if len(parts) != 3 {
		t.Fatalf("the file has %d parts", len(parts))
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	var claims struct {
		RuntimeID  string `json:"agent_runtime_id"`
		PrivateKey string `json:"agent_private_key"`
		Account    string `json:"account_id"`
		User       string `json:"chatgpt_user_id"`
		FedRAMP    bool   `json:"chatgpt_account_is_fedramp"`
	}
	decodeJWT(t, parts[0], &header)
	decodeJWT(t, parts[1], &claims)
	if claims.Account != "account-1" || claims.User != "user-1" || !claims.FedRAMP {
		t.Errorf("the identity is of %q, %q, FedRAMP %v", claims.Account, claims.User, claims.FedRAMP)
	}

	var set struct {
		Keys []struct {
			KeyID string `json:"kid"`
		} `json:"keys"`
	}
	exchange(t, "GET", url+"/backend-api/wham/agent-identities/jwks", "", nil, &set)
	if len(set.Keys) != 1 || set.Keys[0].KeyID != header.KeyID {
		t.Errorf("the JWKS has the keys %+v, the JWT is signed with %q", set.Keys, header.KeyID)
	}

	key, err := core.ParsePrivateKey(claims.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	proof, err := core.SignRegistration(key, claims.RuntimeID, now)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"signature": proof.Signature, "timestamp": proof.Timestamp})
	if err != nil {
		t.Fatal(err)
	}
	var task map[string]string
	status := exchange(t, "POST", url+"/api/accounts/v1/agent/"+claims.RuntimeID+"/task/register", string(body), nil, &task)
	if status != http.StatusOK || len(task) != 1 || task["taskId"] == "" {
		t.Fatalf("the task's registration: %d %v", status, task)
	}
	assertion, err := core.BuildAssertion(key, claims.RuntimeID, task["taskId"], now)
	if err != nil {
		t.Fatal(err)
	}
	call := http.Header{"Authorization": {assertion}}
	var answer struct {
		Account string `json:"account_id"`
		FedRAMP bool   `json:"fedramp"`
	}
	if status := exchange(t, "GET", url+"/backend-api/codex/models", "", call, &answer); status != http.StatusForbidden {
		t.Errorf("a call that does not say FedRAMP: %d", status)
	}
	call.Set("X-OpenAI-Fedramp", "true")
	status = exchange(t, "GET", url+"/backend-api/codex/models", "", call, &answer)
	if status != http.StatusOK || answer.Account != "account-1" || !answer.FedRAMP {
		t.Errorf("the call: %d %+v", status, answer)
	}
}

// TestAuthorityLogIsBounded floods it with requests that prove nothing. However fast
// they are, each is in the log or counted there.
func TestAuthorityLogIsBounded(t *testing.T) {
	logFile := filepath.Join(t.TempDir(), "log")
	const requests = 500
	t.Run("flood", func(t *testing.T) { // after which it has ended, and the log is whole
		url := startAuthority(t, "--log", logFile)
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
		defer client.CloseIdleConnections()
		for range requests {
			response, err := client.Get(url + "/" + strings.Repeat("a", 5000))
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
		}
	})
	perSecond, all := map[string]int{}, 0
	for line := range strings.Lines(string(readFile(t, logFile))) {
		var l struct {
			Time    string `json:"time"`
			LeftOut int    `json:"left_out"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil || len(line) > 2000 {
			t.Fatalf("%v in a line of %d bytes", err, len(line))
		}
		if l.LeftOut > 0 {
			all += l.LeftOut
			continue
		}
		all++
		perSecond[l.Time[:len("2026-11-24T15:16:08")]]++
	}
	if all != requests {
		t.Errorf("the log has or counts %d requests of %d", all, requests)
	}
	for second, n := range perSecond {
		if n > authority.DefaultMaxLinesPerAccount {
			t.Errorf("%d lines of %s", n, second)
		}
	}
}

// TestAuthorityGrantsOneTaskForOneProof sends what a client of the profile auth-api sent
// again, as such clients do that begin twice in a second.
func TestAuthorityGrantsOneTaskForOneProof(t *testing.T) {
	url := startAuthority(t, "--accept-any-bearer")
	key, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	var identity map[string]string
	exchange(t, "POST", url+"/api/accounts/v1/agent/register",
		`{"abom":{"agent_version":"1","agent_harness_id":"codex-cli","running_location":"cli-linux"},"agent_public_key":"`+key.Public().OpenSSH()+`","capabilities":[]}`,
		http.Header{"Authorization": {"Bearer x"}}, &identity)
	proof, err := core.SignRegistration(key, identity["agent_runtime_id"], time.Now().Unix())
	if err != nil {
		t.Fatal(err)
	}
	tasks := map[string]bool{}
	for range 3 {
		var answer map[string]string
		status := exchange(t, "POST", url+"/api/accounts/v1/agent/"+identity["agent_runtime_id"]+"/task/register",
			`{"signature":"`+proof.Signature+`","timestamp":"`+proof.Timestamp+`"}`, nil, &answer)
		task, err := core.OpenTaskID(key, answer["encrypted_task_id"])
		if status != http.StatusOK || err != nil {
			t.Fatalf("got %d %v, %v", status, answer, err)
		}
		tasks[task] = true
	}
	if len(tasks) != 1 {
		t.Errorf("one proof got the tasks %v", tasks)
	}
}

func TestAuthorityFlags(t *testing.T) {
	dir := t.TempDir()
	jwtFile, addrFile := filepath.Join(dir, "identity.jwt"), filepath.Join(dir, "addr")
	listen := []string{"authority", "--listen", "127.0.0.1:0", "--addr-file", addrFile}
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // in standard error
	}{
		{"empty account", []string{"--jwt-out", jwtFile, "--account", "", "--user", "user-1"}, exitUsage, "--account"},
		{"empty user", []string{"--jwt-out", jwtFile, "--account", "account-1", "--user", ""}, exitUsage, "--user"},
		{"account without a file", []string{"--account", "account-1"}, exitUsage, "--jwt-out"},
		{"user without a file", []string{"--user", "user-1"}, exitUsage, "--auth-file-out"},
		{"nothing to replace", []string{"--replace-auth-file"}, exitUsage, "--auth-file-out"},
		{"unknown shape", []string{"--task-response", "taskID"}, exitUsage, "encryptedTaskId"},
		{"empty shape", []string{"--task-response", ""}, exitUsage, "encryptedTaskId"},
		{"no folder", []string{"--jwt-out", filepath.Join(dir, "none", "x"), "--account", "account-1", "--user", "user-1"}, exitFailed, "the identity cannot be written"},
		{"no folder for the address", []string{"--jwt-out", jwtFile, "--account", "account-1", "--user", "user-1", "--addr-file", filepath.Join(dir, "none", "x")}, exitFailed, "the address cannot be written"},
		{"address in use", []string{"--jwt-out", jwtFile, "--account", "account-1", "--user", "user-1", "--listen", "127.0.0.1:99999"}, exitFailed, "cannot listen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tool(t, "", append(listen, tt.args...)...)
			if got.code != tt.code || !strings.Contains(got.stderr, tt.want) || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("code %d, want %d; said %q, want one line with %q", got.code, tt.code, got.stderr, tt.want)
			}
			for _, name := range []string{jwtFile, addrFile} {
				if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("it wrote %s", filepath.Base(name))
				}
			}
		})
	}
	completed := tool(t, "", "__complete", "authority", "--task-response", "")
	if !strings.HasPrefix(completed.stdout, "task_id\ntaskId\nencrypted_task_id\nencryptedTaskId\n") {
		t.Errorf("completed to %q", completed.stdout)
	}
}
