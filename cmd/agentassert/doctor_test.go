package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the checks find is tested where they are.
func TestDoctor(t *testing.T) {
	noAuthorities(t)
	useProxy(t, "")
	t.Setenv("PATH", t.TempDir()) // without a client
	backend, url, authFile := signedIn(t)
	args := []string{"doctor", "--engine", "native", "--cache-dir", "", "--auth-file", authFile, "--base-url", url}
	trusting := append(args, "--trust-host", "127.0.0.1")
	before := readFile(t, authFile)

	got := tool(t, "", trusting...)
	if got.code != 0 || got.stderr != "" || !strings.Contains(got.stdout, "ok    sign-in") || !strings.Contains(got.stdout, "\nno problems, ") {
		t.Errorf("got %+v", got)
	}
	if counts := backend.Counts(); counts.Identities != 0 || counts.Tasks != 0 {
		t.Errorf("it has registered something: %+v", counts)
	}
	entries, err := os.ReadDir(filepath.Dir(authFile))
	if err != nil {
		t.Fatal(err)
	}
	if after := readFile(t, authFile); string(after) != string(before) || len(entries) != 1 {
		t.Errorf("it has changed something: %v", entries)
	}

	checkSaid(t, tool(t, "", args...), 1, []string{"problem  base-url", "→ if it is a backend that knows them, say --trust-host 127.0.0.1", "\n1 problem, "})
	checkSaid(t, tool(t, "", append(trusting, "--store", "keyring:x")...), 1, []string{"--store-name"})
	checkSaid(t, tool(t, "", append(trusting, "--profile", "none")...), 2, []string{"--profile"})
	got = tool(t, "", append(trusting, "--send-assertion")...)
	if got.code != 0 || !strings.Contains(got.stdout, "answers (HTTP 401)") || !strings.Contains(got.stdout, "no assertion was sent") {
		t.Errorf("got %+v", got)
	}
}

func TestDoctorJSON(t *testing.T) {
	noAuthorities(t)
	useProxy(t, "")
	t.Setenv("HTTPS_PROXY", "http://user:S3cret%zz@proxy.test:9")
	_, url, authFile := signedIn(t)
	got := tool(t, "", "doctor", "--engine", "native", "--auth-file", authFile, "--base-url", url, "--json")
	if got.code != 1 || strings.Contains(got.stdout+got.stderr, "S3cret") {
		t.Errorf("got %+v", got)
	}
	var report struct {
		OK       *bool
		Findings []struct{ Check, Level, Message, Advice string }
	}
	d := json.NewDecoder(strings.NewReader(got.stdout))
	d.DisallowUnknownFields()
	if err := d.Decode(&report); err != nil || report.OK == nil || *report.OK {
		t.Fatalf("got %v, %s", err, got.stdout)
	}
	for _, f := range report.Findings {
		if f.Check == "proxy" && f.Level == "problem" && strings.HasPrefix(f.Message, "HTTPS_PROXY is set") && strings.Contains(f.Advice, "percent-encoded") {
			return
		}
	}
	t.Errorf("got %s", got.stdout)
}
