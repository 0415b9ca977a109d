package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
)

// backendWithTLS starts a backend whose certificate an authority of its own has
// signed, as behind a gateway that inspects TLS. It returns its base URL, an
// auth.json of a user of its, and the authority in PEM.
func backendWithTLS(t *testing.T) (url, authFile string, ca []byte) {
	t.Helper()
	a := newBackend(t)
	server := httptest.NewUnstartedServer(a)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that do not trust it
	server.StartTLS()
	t.Cleanup(server.Close)
	authFile = filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(authFile, a.SignIn("account-1", "user-1").AuthJSON(), 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL + "/backend-api", authFile, encodePEM("CERTIFICATE", server.Certificate())
}

func encodePEM(kind string, c *x509.Certificate, more ...byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: append(bytes.Clone(c.Raw), more...)})
}

func noAuthorities(t *testing.T) {
	t.Helper()
	for _, name := range []string{"CODEX_CA_CERTIFICATE", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		t.Setenv(name, "")
	}
}

func TestCertificateAuthorities(t *testing.T) {
	const asserts, unknown = core.Scheme + " ", "name a PEM file with the authority's certificate in CODEX_CA_CERTIFICATE"
	url, authFile, ca := backendWithTLS(t)
	block, _ := pem.Decode(ca)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, gone := file("ca.pem", ca), filepath.Join(dir, "gone.pem")
	bundle := file("bundle.pem", bytes.Join([][]byte{
		[]byte("# the company's\n"), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte{1}}), ca, ca,
	}, nil))
	// OpenSSL puts what a certificate is trusted for behind it.
	trusted := file("trusted.pem", encodePEM("TRUSTED CERTIFICATE", certificate, 0x30, 0x00))
	empty, text := file("empty.pem", nil), file("text.pem", []byte("no PEM"))
	damaged := file("damaged.pem", encodePEM("CERTIFICATE", certificate, 0))
	for _, tt := range []struct {
		name, codex, ssl string
		code             int
		want             []string
	}{
		{"none", "", "", 0, []string{"Bearer ", unknown}},
		{"the client's", good, "", 0, []string{asserts}},
		{"the usual one", "", good, 0, []string{asserts}},
		{"both", good, good, 0, []string{asserts}},
		{"the client's counts", good, gone, 0, []string{asserts}},
		{"a bundle", bundle, "", 0, []string{asserts}},
		{"OpenSSL's kind", trusted, "", 0, []string{asserts}},
		{"missing", gone, good, 3, []string{"CODEX_CA_CERTIFICATE", gone}},
		{"the usual one is missing", "", gone, 3, []string{"SSL_CERT_FILE", gone}},
		{"a folder", dir, "", 3, []string{"CODEX_CA_CERTIFICATE", dir}},
		{"empty", empty, "", 3, []string{"CODEX_CA_CERTIFICATE", empty, "no certificate"}},
		{"no PEM", "", text, 3, []string{"SSL_CERT_FILE", text, "no certificate"}},
		{"damaged", damaged, "", 3, []string{"CODEX_CA_CERTIFICATE", damaged, "damaged"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			noAuthorities(t)
			t.Setenv("CODEX_CA_CERTIFICATE", tt.codex)
			t.Setenv("SSL_CERT_FILE", tt.ssl)
			// In a folder of its own, where no failure is remembered.
			path := filepath.Join(t.TempDir(), "auth.json")
			if err := os.WriteFile(path, readFile(t, authFile), 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"--auth-file", path, "--trust-host", "127.0.0.1"}
			got := tool(t, "", append([]string{"header", "--base-url", url}, args...)...)
			checkSaid(t, got, tt.code, tt.want)
			if tt.code == 0 {
				return
			}
			checkSaid(t, tool(t, "", append([]string{"status", "--base-url", url}, args...)...), tt.code, tt.want)
			checkSaid(t, tool(t, "", append([]string{"proxy", "--listen", "127.0.0.1:0", "--upstream", url}, args...)...), tt.code, tt.want)
		})
	}
}

func checkSaid(t *testing.T, got result, code int, want []string) {
	t.Helper()
	if got.code != code {
		t.Errorf("got code %d, want %d: %+v", got.code, code, got)
	}
	for _, w := range want {
		if !strings.Contains(got.stdout+got.stderr, w) {
			t.Errorf("it said %q, want %q in it", got.stdout+got.stderr, w)
		}
	}
	if code != 0 && strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("not one line: %q", got.stderr)
	}
}

// An authority that is not trusted is explained to the proxy's callers as well.
func TestProxyUntrustedUpstream(t *testing.T) {
	noAuthorities(t)
	url, authFile, ca := backendWithTLS(t)
	ask := func() (status int, body string) {
		p := startProxy(t, &upstream{url: url, authFile: authFile}, "--no-agent-identity")
		response := p.open(t, http.MethodGet, "/codex/models", nil)
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	if status, body := ask(); status != http.StatusBadGateway || !strings.Contains(body, `"tls_untrusted"`) || !strings.Contains(body, "SSL_CERT_FILE") {
		t.Errorf("got %d, %s", status, body)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CODEX_CA_CERTIFICATE", path)
	if status, body := ask(); status != http.StatusOK {
		t.Errorf("with the authority: got %d, %s", status, body)
	}
}

// What a variable can look like is tested where it is read.
func TestForwardProxyThatCannotBeUsed(t *testing.T) {
	noAuthorities(t)
	_, url, authFile := signedIn(t)
	for name, value := range map[string]string{
		"HTTP_PROXY":  "http://user:S3cret%zz@proxy.test:9",
		"https_proxy": "http://user:12#S3cret@proxy.test:9",
		"all_proxy":   "socks5://user:S3cret?@proxy.test:9",
	} {
		t.Run(name, func(t *testing.T) {
			useProxy(t, "")
			t.Setenv(name, value)
			for _, command := range [][]string{
				{"header", "--base-url", url}, {"status", "--base-url", url}, {"proxy", "--listen", "127.0.0.1:0", "--upstream", url},
			} {
				got := tool(t, "", append(command, "--auth-file", authFile, "--trust-host", "127.0.0.1")...)
				checkSaid(t, got, 3, []string{"agentassert: " + name + " ", "percent-encoded"})
				if strings.Contains(got.stdout+got.stderr, "S3cret") {
					t.Errorf("it shows the password: %+v", got)
				}
			}
		})
	}
}

func TestCacheProblemIsSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := tool(t, "", "keygen", "--engine", "sandbox", "--cache-dir", filepath.Join(file, "cache"))
	if got.code != 0 || got.stdout == "" || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, "agentassert: the compilation cache cannot be used") {
		t.Errorf("got %+v", got)
	}
}
