package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPrintConfig: what is in force, and where each is from, but no password.
func TestPrintConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(file, []byte("trust-host: [a.example, b.example]\nlog-format: json\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]string{"CODEX_HOME": dir, "AGENTASSERT_STORE": "postgres://u:of-nobody@h/d", "AGENTASSERT_STRICT": "true"} {
		t.Setenv(name, v)
	}
	got := tool(t, "", "proxy", "--config", file, "--thread", "x", "--print-config")
	if got.code != 0 || got.stderr != "" || strings.Contains(got.stdout, "of-nobody") {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{
		"auth-file: " + filepath.Join(dir, "auth.json") + " # CODEX_HOME\n",
		"listen: 127.0.0.1:8081 # default\n",
		"log-format: json # " + file + ":2\n",
		"strict: true # AGENTASSERT_STRICT\n",
		"thread: x # the command line\n",
		"trust-host: [a.example, b.example] # " + file + ":1\n",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in %s", want, got.stdout)
		}
	}
	// What is printed means the same, read again.
	printed := filepath.Join(dir, "printed.yaml")
	text := strings.ReplaceAll(got.stdout, "(has a password, which is not shown)", "env:NAME")
	if err := os.WriteFile(printed, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AGENTASSERT_STORE", "")
	again := tool(t, "", "proxy", "--config", printed, "--print-config")
	if again.code != 0 || strings.Count(again.stdout, "\n") != strings.Count(got.stdout, "\n") {
		t.Errorf("%+v", again)
	}
}

func TestProxyLogs(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--log-format", "xml"}, "--log-format is text or json"},
		{[]string{"--log-level", "loud"}, "--log-level is one of debug, info, warn, error"},
		{[]string{"--log-level", "info+1"}, "--log-level is one of"},
		{[]string{"--log-format", "json"}, "give --token-from or --token-file"},
		{[]string{"--operations-listen", "nowhere"}, "--operations-listen: cannot listen"},
		{[]string{"--operations-listen", "unix:"}, "--operations-listen unix: names no file"},
	} {
		got := tool(t, "", append([]string{"proxy", "--listen", "127.0.0.1:0", "--auth-file", filepath.Join(t.TempDir(), "none")}, tt.args...)...)
		if got.code != exitUsage && got.code != exitFailed || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%q: %+v", tt.args, got)
		}
	}
	// With JSON, that it fails is JSON, too.
	t.Setenv("AGENTASSERT_LISTEN", "192.0.2.1:0")
	ended := tool(t, "", "proxy", "--log-format", "json", "--token-file", filepath.Join(t.TempDir(), "token"))
	var failed struct{ Msg, Error string }
	if err := json.Unmarshal([]byte(ended.stderr), &failed); err != nil || ended.code != exitUsage || failed.Msg != "failed" || !strings.HasSuffix(failed.Error, "--listen is from AGENTASSERT_LISTEN") {
		t.Errorf("%+v, %v", ended, err)
	}
	var b bytes.Buffer
	logs, err := (&proxyFlags{logFormat: "json", logLevel: "warn", accessLog: true}).newLogs(&b)
	if err != nil {
		t.Fatal(err)
	}
	logs.events.Info("quiet")
	logs.events.Warn("alike")
	logs.events.Warn("alike") // is counted
	logs.own.Warn("each")
	logs.own.Warn("each")
	logs.access.Info("always")
	logs.say([]string{"to know"})
	logs.level.Set(slog.LevelInfo)
	logs.events.Info("loud")
	var got []string
	for line := range strings.Lines(b.String()) {
		var record struct{ Msg, Notice string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		got = append(got, record.Msg+record.Notice)
	}
	if text := strings.Join(got, ", "); text != "alike, each, each, always, noticeto know, loud" {
		t.Error(text)
	}
}
