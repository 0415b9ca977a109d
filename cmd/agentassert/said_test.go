package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host/authfile"
)

// TestSaysWhatIsWrong: each kind of file that cannot be used has its own code and
// advice, in header and in status.
func TestSaysWhatIsWrong(t *testing.T) {
	noNetwork(t)
	dir := t.TempDir()
	put := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put("keyring/config.toml", "model = \"m\"\ncli_auth_credentials_store = \"keyring\"\n")
	const tokens = `{"tokens":{"access_token":"t","account_id":"acct-1"}}`
	for _, tt := range []struct {
		name, path, code, advice string
	}{
		{"missing", filepath.Join(dir, "none", "auth.json"), core.CodeFileMissing, "check the path, or sign in"},
		{"a tilde", "~/.codex/auth.json", authfile.CodeTilde, "$HOME"},
		{"keyring mode", filepath.Join(dir, "keyring", "auth.json"), authfile.CodeKeyring, "keyring"},
		{"not signed in", put("out.json", `{"auth_mode":"chatgpt","tokens":null}`), core.CodeNotSignedIn, "sign in"},
		{"an API key", put("key.json", `{"OPENAI_API_KEY":"sk-x"}`), core.CodeAPIKeySignIn, "sign in with a ChatGPT account"},
		{"another way", put("other.json", `{"auth_mode":"later"}`), core.CodeOtherSignIn, "auth_mode"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := []string{"--auth-file", tt.path, "--base-url", "https://chatgpt.com"}
			explained := tool(t, "", append([]string{"header", "--json"}, base...)...)
			var x headerReport
			if err := json.Unmarshal([]byte(explained.stdout), &x); err != nil {
				t.Fatal(err, explained)
			}
			if x.Cause == nil || x.Cause.Code != tt.code || explained.code != exitNo || !strings.Contains(explained.stderr, tt.advice) {
				t.Errorf("header: cause %+v, exit code %d, said %q", x.Cause, explained.code, explained.stderr)
			}
			r := statusJSON(t, base...)[core.SurfaceModels]
			if r.Cause == nil || r.Cause.Code != tt.code {
				t.Errorf("status: cause %+v", r.Cause)
			}
		})
	}
	for _, tt := range []struct{ name, path, advice string }{
		{"a folder", dir, "name the auth.json in it"},
		{"a byte order mark", put("bom.json", "\ufeff"+tokens), "byte order mark"},
		{"UTF-16", put("utf16.json", "\xff\xfe{\x00}\x00"), "UTF-16"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tool(t, "", "header", "--auth-file", tt.path, "--base-url", "https://chatgpt.com")
			if got.code != exitFailed || !strings.Contains(got.stderr, tt.advice) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestSaysWhyBearer: a bearer token that was not hoped for comes with a reason on
// standard error, and one that was asked for without.
func TestSaysWhyBearer(t *testing.T) {
	_, url, authFile := signedIn(t)
	got := tool(t, "", "header", "--auth-file", authFile, "--base-url", url)
	if got.code != 0 || !strings.HasPrefix(got.stdout, "Bearer ") || !strings.Contains(got.stderr, "--trust-host") {
		t.Errorf("an unsupported host: %+v", got)
	}
	got = tool(t, "", "header", "--auth-file", authFile, "--base-url", url, "--no-agent-identity")
	if got.code != 0 || got.stderr != "" {
		t.Errorf("the feature off: %+v", got)
	}
}

func TestIdentityBeside(t *testing.T) {
	_, url, authFile := signedIn(t)
	before := readFile(t, authFile)
	common := []string{"header", "--auth-file", authFile, "--base-url", url, "--trust-host", "127.0.0.1", "--identity-beside"}
	first := tool(t, "", common...)
	second := tool(t, "", common...)
	if first.code != 0 || !strings.HasPrefix(first.stdout, "AgentAssertion ") || second.code != 0 {
		t.Fatalf("%+v, %+v", first, second)
	}
	if after := readFile(t, authFile); !bytes.Equal(before, after) {
		t.Errorf("auth.json changed to %s", after)
	}
	if !bytes.Contains(readFile(t, authFile+".identity"), []byte("agent_runtime_id")) {
		t.Error("there is no identity beside auth.json")
	}
}
