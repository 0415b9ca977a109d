package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
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
	checkSaid(t, tool(t, "", append(trusting, "--engine", "none")...), 2, []string{"--engine is sandbox or native"})
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

// A proxy's configuration says what is to be looked at.
func TestDoctorOfAProxy(t *testing.T) {
	noAuthorities(t)
	useProxy(t, "")
	t.Setenv("PATH", t.TempDir())
	_, url, authFile := signedIn(t)
	folder := t.TempDir()
	long := time.Now().Add(-time.Hour)
	for name, content := range map[string][]byte{"alice": readFile(t, authFile), "bob": []byte("{")} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, name, "auth.json")
		if err := errors.Join(os.WriteFile(path, content, 0o600), os.Chtimes(path, long, long)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "carol"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "proxy.yaml")
	text := "listen: 127.0.0.1:0\nupstream: " + url + "\ntrust-host: [127.0.0.1]\naccounts: " + folder + "\naccount-header: X-Account\nengine: native\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := tool(t, "", "doctor", "--config", config)
	checkSaid(t, got, 1, []string{
		`problem  accounts     the account "carol" cannot be used`, "problem  sign-in      account bob: ",
		"of 3 accounts nothing is to be said of 1", "ok       base-url     " + url,
	})
	if strings.Contains(got.stdout, "alice") {
		t.Errorf("something is said of alice: %s", got.stdout)
	}
}

func TestWords(t *testing.T) {
	for _, tt := range []struct {
		text  string
		width int
		want  []string
	}{
		{"", 10, []string{""}},
		{"one two three", 100, []string{"one two three"}},
		{"one two three", 7, []string{"one two", "three"}},
		{"one two three", 6, []string{"one", "two", "three"}},
		{"a longer-than-all b", 4, []string{"a", "longer-than-all", "b"}},
		{"→ ä ö", 3, []string{"→ ä", "ö"}},
	} {
		if got := words(tt.text, tt.width); !slices.Equal(got, tt.want) {
			t.Errorf("%q in %d: got %q", tt.text, tt.width, got)
		}
	}
}
