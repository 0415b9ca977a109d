package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDefaultSignIn: where the sign-in is looked for that no flag names.
func TestDefaultSignIn(t *testing.T) {
	dir := t.TempDir()
	inHome, elsewhere := filepath.Join(dir, "home", ".codex"), filepath.Join(dir, "elsewhere")
	for folder, account := range map[string]string{inHome: "account-home", elsewhere: "account-elsewhere"} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "auth.json"), newBackend(t).SignIn(account, "user-1").AuthJSON(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	jwt := filepath.Join(dir, "identity.jwt")
	if err := os.WriteFile(jwt, []byte("no JWT"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, home, codex, variable string
		args                        []string
		code                        int
		want                        string
	}{
		{"home", filepath.Join(dir, "home"), "", "", nil, 0, "account-home"},
		{"the client's folder", filepath.Join(dir, "home"), elsewhere, "", nil, 0, "account-elsewhere"},
		{"a variable", filepath.Join(dir, "home"), elsewhere, filepath.Join(inHome, "auth.json"), nil, 0, "account-home"},
		{"a flag", "", filepath.Join(dir, "none"), filepath.Join(dir, "none"), []string{"--auth-file", filepath.Join(inHome, "auth.json")}, 0, "account-home"},
		{"another sign-in", filepath.Join(dir, "home"), "", filepath.Join(inHome, "auth.json"), []string{"--jwt-file", jwt}, exitFailed, "JWT"},
		{"no folder", filepath.Join(dir, "home"), filepath.Join(dir, "none"), "", nil, exitUsage, "CODEX_HOME names "},
		{"a file", filepath.Join(dir, "home"), jwt, "", nil, exitUsage, "it is no folder"},
		{"empty", filepath.Join(dir, "home"), "", "", []string{"--auth-file="}, exitUsage, "--auth-file is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, v := range map[string]string{"HOME": tt.home, "USERPROFILE": tt.home, "CODEX_HOME": tt.codex, "AGENTASSERT_AUTH_FILE": tt.variable, "AGENTASSERT_ENGINE": "native"} {
				t.Setenv(name, v)
			}
			got := tool(t, "", append([]string{"status", "--json"}, tt.args...)...)
			if got.code != tt.code || !strings.Contains(got.stdout+got.stderr, tt.want) {
				t.Errorf("%+v, want %d and %q", got, tt.code, tt.want)
			}
			if tt.code == 0 && !strings.Contains(got.stdout, defaultBaseURL) {
				t.Errorf("another backend: %s", got.stdout)
			}
		})
	}
}

// TestSettingsOfCommands: a file and variables are those of all commands, and errors say
// where a value is from.
func TestSettingsOfCommands(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	text := "# of the proxy, too\nlisten: 192.0.2.1:0\nengine: native\nauth-file: " + filepath.ToSlash(filepath.Join(dir, "auth.json")) + "\ntrust-host: [127.0.0.1]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AGENTASSERT_CONFIG", file)
	for _, tt := range []struct {
		name, variable string
		args           []string
		code           int
		want           string
	}{
		{"a file", "", []string{"proxy"}, exitUsage, "--listen is from " + file + ":2; see"},
		{"a variable", "LISTEN=192.0.2.2:0", []string{"proxy"}, exitUsage, "--listen is from AGENTASSERT_LISTEN; see"},
		{"what is refused where it is read", "PROFILE=steam", []string{"status"}, exitUsage, "--profile is from AGENTASSERT_PROFILE"},
		{"what the proxy calls otherwise", "UPSTREAM=https://backend.example/backend-api", []string{"status"}, 0, "https://backend.example/backend-api"},
		{"its own name first", "UPSTREAM=nowhere", []string{"status", "--base-url", "https://backend.example/x"}, 0, "https://backend.example/x"},
		{"another command's", "", []string{"status", "--json"}, 0, `"base_url"`},
		{"a required flag", "KEY_FILE=" + filepath.Join(dir, "none"), []string{"assert", "--runtime-id", "a", "--task-id", "b"}, exitFailed, "none"},
		{"help without the file", "CONFIG=" + filepath.Join(dir, "none"), []string{"help", "configuration"}, 0, "AGENTASSERT_"},
		{"completion without the file", "CONFIG=" + filepath.Join(dir, "none"), []string{"__complete", "proxy", "--listen", ""}, 0, ":4"},
		{"no file", "CONFIG=" + filepath.Join(dir, "none"), []string{"keygen"}, exitUsage, "the configuration "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if name, v, ok := strings.Cut(tt.variable, "="); ok {
				t.Setenv("AGENTASSERT_"+name, v)
			}
			got := tool(t, "", tt.args...)
			if got.code != tt.code || !strings.Contains(got.stdout+got.stderr, tt.want) {
				t.Errorf("%+v, want %d and %q", got, tt.code, tt.want)
			}
		})
	}
}
