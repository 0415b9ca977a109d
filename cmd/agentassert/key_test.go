package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestKey: what others have made is read, and what is printed others read.
func TestKey(t *testing.T) {
	dir := t.TempDir()
	theirs := ed25519.NewKeyFromSeed([]byte("a seed of 32 bytes for the tests"))
	der, err := x509.MarshalPKCS8PrivateKey(theirs)
	if err != nil {
		t.Fatal(err)
	}
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	file := filepath.Join(dir, "theirs.pem")
	if err := os.WriteFile(file, inPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	public := tool(t, "", "key", file)
	if public.code != 0 || !strings.HasPrefix(public.stdout, "ssh-ed25519 ") || public.stderr != "" {
		t.Fatalf("%+v", public)
	}
	for _, format := range privateKeyFormats {
		got := tool(t, string(inPEM), "key", "--format", format, "-")
		if got.code != 0 || got.stdout == "" {
			t.Errorf("%s: %+v", format, got)
		}
		// Each is a key file for all that takes one.
		if again := tool(t, got.stdout, "key", "-"); again.stdout != public.stdout {
			t.Errorf("%s is another key: %+v", format, again)
		}
		header := tool(t, got.stdout, "assert", "--key-file", "-", "--runtime-id", "a", "--task-id", "b")
		if header.code != 0 || tool(t, header.stdout, "verify", "--public-key", strings.TrimSpace(public.stdout), "-").code != 0 {
			t.Errorf("%s: %+v", format, header)
		}
		out := filepath.Join(dir, format)
		written := tool(t, "", "key", "--format", format, "--out", out, file)
		if written.stdout != public.stdout || string(readFile(t, out)) != got.stdout {
			t.Errorf("%s, to a file: %+v", format, written)
		}
		if info, err := os.Stat(out); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if again := tool(t, "", "key", "--format", format, "--out", out, file); again.code != exitFailed || !strings.Contains(again.stderr, "already") {
			t.Errorf("%s, a second time: %+v", format, again)
		}
		// A private key is none that is given to others.
		if format != "raw" {
			if got := tool(t, got.stdout, "key", "--public", "-"); got.code != exitFailed || !strings.Contains(got.stderr, "is a private key") {
				t.Errorf("%s: %+v", format, got)
			}
		}
	}
	if got := tool(t, "", "key", "--format", "pem", file); got.stdout != string(inPEM) {
		t.Errorf("%s", got.stdout)
	}
	if got := tool(t, "", "key", "--format", "raw", file); got.stdout != string(theirs.Seed()) {
		t.Errorf("%q", got.stdout)
	}
	for _, format := range publicKeyFormats {
		got := tool(t, public.stdout, "key", "--public", "--format", format, "-")
		if again := tool(t, got.stdout, "key", "--public", "-"); got.code != 0 || again.stdout != public.stdout {
			t.Errorf("%s: %+v, %+v", format, got, again)
		}
	}
	header := tool(t, "", "assert", "--key-file", file, "--runtime-id", "a", "--task-id", "b")
	inPEM = []byte(tool(t, public.stdout, "key", "--public", "--format", "pem", "-").stdout)
	if got := tool(t, header.stdout, "verify", "--public-key", string(inPEM), "-"); got.code != 0 {
		t.Errorf("%+v", got)
	}
}

func TestKeyJSON(t *testing.T) {
	made := tool(t, "", "keygen").stdout
	public := strings.TrimSpace(tool(t, made, "key", "-").stdout)
	private := strings.Split(strings.TrimSpace(made), "\n")[1]
	type printed struct {
		PublicKey  string          `json:"public_key"`
		Key        json.RawMessage `json:"key"`
		PrivateKey json.RawMessage `json:"private_key"`
	}
	for format, check := range map[string]func(key []byte) bool{
		"":         func(key []byte) bool { return key == nil },
		"key-file": func(key []byte) bool { return string(key) == `"`+private+`"` },
		"jwk": func(key []byte) bool {
			return bytes.HasPrefix(key, []byte(`{"crv":"Ed25519"`)) || bytes.Contains(key, []byte("OKP"))
		},
		"raw": func(key []byte) bool {
			var seed []byte
			der, err := base64.StdEncoding.DecodeString(private)
			return err == nil && json.Unmarshal(key, &seed) == nil && bytes.Equal(seed, der[16:48])
		},
		"pem": func(key []byte) bool { return bytes.HasPrefix(key, []byte(`"-----BEGIN PRIVATE KEY-----\n`)) },
	} {
		got := tool(t, made, "key", "--json", "--format", format, "-")
		var p printed
		if err := json.Unmarshal([]byte(got.stdout), &p); err != nil || p.PublicKey != public || !check(p.Key) {
			t.Errorf("%s: %v, %+v", format, err, got)
		}
	}
	for _, format := range privateKeyFormats {
		var p printed
		got := tool(t, "", "keygen", "--json", "--format", format)
		if err := json.Unmarshal([]byte(got.stdout), &p); err != nil || p.PublicKey == "" || len(p.PrivateKey) == 0 {
			t.Errorf("%s: %v, %+v", format, err, got)
		}
		made := tool(t, "", "keygen", "--format", format)
		if got := tool(t, made.stdout, "key", "-"); got.code != 0 {
			t.Errorf("keygen --format %s: %+v", format, got)
		}
	}
}

func TestKeyRefuses(t *testing.T) {
	made := tool(t, "", "keygen").stdout
	for _, tt := range []struct {
		stdin string
		args  []string
		code  int
		says  string
	}{
		{"", []string{"key"}, exitUsage, "needs one argument"},
		{"", []string{"key", "a", "b"}, exitUsage, "needs one argument"},
		{"", []string{"key", "-"}, exitFailed, "is empty"},
		{"", []string{"key", filepath.Join(t.TempDir(), "none")}, exitFailed, "keygen --out FILE"},
		{made, []string{"key", "--format", "der", "-"}, exitUsage, "pkcs8-v1"},
		{made, []string{"key", "--format", "spki", "-"}, exitUsage, "--format is key-file"},
		{made, []string{"key", "--public", "--format", "pkcs8-v1", "-"}, exitUsage, "--format is openssh"},
		{made, []string{"key", "--out", "x", "-"}, exitUsage, "--out goes with --format"},
		{made, []string{"keygen", "--format", "spki"}, exitUsage, "--format is key-file"},
		{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop", []string{"key", "-"}, exitFailed, "is a public key"},
		{"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n-----END ENCRYPTED PRIVATE KEY-----\n", []string{"key", "-"}, exitFailed, "openssl pkey -in FILE -out OTHER"},
	} {
		got := tool(t, tt.stdin, tt.args...)
		if got.code != tt.code || got.stdout != "" || !strings.Contains(got.stderr, tt.says) {
			t.Errorf("%v: %+v", tt.args, got)
		}
	}
}
