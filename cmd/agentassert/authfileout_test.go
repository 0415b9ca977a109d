package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
)

// A client with the file that the authority writes is let in, also where it was left by
// an earlier run, and registering has failed since.
func TestAuthorityAuthFile(t *testing.T) {
	authFile := filepath.Join(t.TempDir(), "auth.json")
	header := func(url string) (said headerReport) {
		t.Helper()
		got := tool(t, "", "header", "--auth-file", authFile, "--base-url", url+"/backend-api", "--trust-host", "127.0.0.1", "--json")
		if got.code != 0 {
			t.Fatalf("got %+v", got)
		}
		if err := json.Unmarshal([]byte(got.stdout), &said); err != nil {
			t.Fatal(err)
		}
		return said
	}
	var ended string
	t.Run("a run that ends at once", func(t *testing.T) {
		ended = startAuthority(t, "--auth-file-out", authFile)
		if info, err := os.Stat(authFile); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
			t.Errorf("the file: %v, %v", info.Mode(), err)
		}
	})
	if said := header(ended); said.Mode != core.ModeBearer || said.RetryAt.IsZero() {
		t.Fatalf("without a backend: %+v, want the bearer token, and a pause", said)
	}
	url := startAuthority(t, "--auth-file-out", authFile)
	said := header(url)
	if said.Mode != core.ModeAgentAssertion || said.AccountID != "account-1" {
		t.Fatalf("got %+v, want an assertion for account-1", said)
	}
	var answer struct{ Scheme string }
	if status := exchange(t, "GET", url+"/backend-api/codex/models", "", map[string][]string{"Authorization": {said.Header}}, &answer); status != 200 || answer.Scheme != "agent-assertion" {
		t.Errorf("the call: %d %+v", status, answer)
	}
}

// What is not an authority's own file stays as it is, unless it may be replaced.
func TestAuthorityAuthFileReplaces(t *testing.T) {
	const unsigned = "eyJhbGciOiJub25lIn0.e30.sig" // {"alg":"none"}
	const signed = "eyJhbGciOiJSUzI1NiJ9.e30.sig"  // {"alg":"RS256"}
	of := func(id, access, refresh string) string {
		return `{"tokens":{"id_token":"` + id + `","access_token":"` + access + `","refresh_token":"` + refresh + `"}}`
	}
	for _, tt := range []struct {
		name, content string
		args          []string
		replaced      bool
	}{
		{"an earlier run's", of(unsigned, unsigned, "none"), nil, true},
		{"an earlier run's, with an identity", strings.Replace(of(unsigned, unsigned, "none"), "{", `{"agent_identity":{},`, 1), nil, true},
		{"a sign-in", of(signed, signed, "refresh"), nil, false},
		{"a sign-in without a refresh token", of(signed, signed, "none"), nil, false},
		{"a signed access token", of(unsigned, signed, "none"), nil, false},
		{"an opaque access token", of(unsigned, "opaque", "none"), nil, false},
		{"another refresh token", of(unsigned, unsigned, "refresh"), nil, false},
		{"an API key", strings.Replace(of(unsigned, unsigned, "none"), "{", `{"OPENAI_API_KEY":"sk-1",`, 1), nil, false},
		{"an identity alone", `{"agent_identity":{}}`, nil, false},
		{"nothing in it", "", nil, false},
		{"no JSON", "notes", nil, false},
		{"a sign-in that may be replaced", of(signed, signed, "refresh"), []string{"--replace-auth-file"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			authFile := filepath.Join(t.TempDir(), "auth.json")
			if err := os.WriteFile(authFile, []byte(tt.content), 0o644); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"--auth-file-out", authFile}, tt.args...)
			if tt.replaced {
				startAuthority(t, args...)
				if string(readFile(t, authFile)) == tt.content {
					t.Error("it was not replaced")
				}
				if info, err := os.Stat(authFile); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
					t.Errorf("the file: %v, %v", info.Mode(), err)
				}
				return
			}
			got := tool(t, "", append([]string{"authority", "--listen", "127.0.0.1:0"}, args...)...)
			checkSaid(t, got, exitUsage, []string{"would be lost", "--replace-auth-file"})
			if now := string(readFile(t, authFile)); now != tt.content {
				t.Errorf("the file is now %q", now)
			}
		})
	}
}

// Nothing is written where nothing can be served, nor through a link.
func TestAuthorityAuthFileFails(t *testing.T) {
	dir := t.TempDir()
	authFile := filepath.Join(dir, "auth.json")
	link := filepath.Join(dir, "link.json")
	if err := os.Symlink(authFile, link); err != nil {
		t.Skipf("needs symbolic links: %v", err)
	}
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no such address", []string{"--listen", "127.0.0.1:99999", "--auth-file-out", authFile}, exitFailed, "cannot listen"},
		{"a file that cannot be written after it", []string{"--listen", "127.0.0.1:0", "--auth-file-out", authFile, "--addr-file", filepath.Join(dir, "none", "x")}, exitFailed, "the address cannot be written"},
		{"no folder", []string{"--listen", "127.0.0.1:0", "--auth-file-out", filepath.Join(dir, "none", "auth.json")}, exitFailed, "the sign-in cannot be written"},
		{"a folder", []string{"--listen", "127.0.0.1:0", "--auth-file-out", dir}, exitUsage, "no regular file"},
		{"a link", []string{"--listen", "127.0.0.1:0", "--auth-file-out", link, "--replace-auth-file"}, exitUsage, "no regular file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkSaid(t, tool(t, "", append([]string{"authority"}, tt.args...)...), tt.code, []string{tt.want})
			if _, err := os.Lstat(authFile); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("there is a file: %v", err)
			}
		})
	}
}
