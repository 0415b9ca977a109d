package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
)

func newBackend(t *testing.T) *authority.Authority {
	t.Helper()
	a, err := authority.New(authority.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestHeaderProfiles registers in each way that the tool knows.
func TestHeaderProfiles(t *testing.T) {
	a := newBackend(t)
	backend := httptest.NewServer(a)
	defer backend.Close()
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	jwt, err := a.IssueIdentityJWT(authority.User{AccountID: "account-3", UserID: "user-3"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // in what is printed
	}{
		{"biscuit", []string{"--auth-file", write("1.json", a.SignIn("account-1", "user-1").AuthJSON())}, 0, core.ReasonBackgroundTask},
		{"auth-api", []string{"--auth-file", write("2.json", a.SignIn("account-2", "user-2").AuthJSON()), "--profile", "auth-api",
			"--all-surfaces", "--auth-api-url", backend.URL + "/api/accounts"}, 0, core.ReasonAllSurfaces},
		{"auth-api, as clients do it", []string{"--auth-file", write("3.json", a.SignIn("account-2", "user-2").AuthJSON()), "--profile", "auth-api",
			"--auth-api-url", backend.URL + "/api/accounts"}, 0, core.ReasonBearerSurface},
		{"JWT", []string{"--jwt-file", write("jwt", []byte(jwt+"\n")), "--auth-api-url", backend.URL + "/api/accounts"}, 0, core.ReasonIdentityTask},
		{"JWT in auth.json", []string{"--auth-file", write("4.json", []byte(`{"agent_identity":"`+jwt+`"}`)), "--profile", "auth-api",
			"--auth-api-url", backend.URL + "/api/accounts"}, 0, core.ReasonIdentityTask},
		{"no JWT in the file", []string{"--jwt-file", write("empty", nil)}, exitFailed, "empty"},
		{"a bad JWT", []string{"--jwt-file", write("bad", []byte(jwt[:len(jwt)-20]))}, exitFailed, "JWT"},
		{"no JWT", []string{"--jwt-file", filepath.Join(dir, "none")}, exitFailed, "JWT"},
		{"bad profile", []string{"--jwt-file", "x", "--profile", "x"}, exitUsage, "auth-api"},
		{"both", []string{"--auth-file", "x", "--jwt-file", "y"}, exitUsage, "jwt-file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tool(t, "", append([]string{"header", "--base-url", backend.URL + "/backend-api", "--trust-host", "127.0.0.1", "--json"}, tt.args...)...)
			said := got.stdout + got.stderr
			if got.code != tt.code || !strings.Contains(said, tt.want) || strings.Contains(said, jwt) {
				t.Errorf("code %d, want %d; said %q, want %q in it", got.code, tt.code, said, tt.want)
			}
		})
	}
}
