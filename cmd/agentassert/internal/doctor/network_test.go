package doctor_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/cmd/agentassert/internal/doctor"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
	"github.com/agentassert/agentassert/internal/egress"
)

func TestProxyVariables(t *testing.T) {
	for _, tt := range []struct {
		name, variable, value, exceptions string
		level                             string
		words                             []string
	}{
		{"none", "", "", "", doctor.OK, []string{"directly", "no proxy is set"}},
		{"a proxy", "HTTPS_PROXY", "http://proxy.test:3128", "", doctor.OK, []string{"through the proxy http://proxy.test:3128 (HTTPS_PROXY)"}},
		{"with a password", "https_proxy", "http://user:S3cr3t@proxy.test:3128", "", doctor.OK, []string{"http://proxy.test:3128 (https_proxy)", "name and password"}},
		{"for all", "ALL_PROXY", "socks5h://proxy.test:1080", "", doctor.OK, []string{"socks5h://proxy.test:1080 (ALL_PROXY)"}},
		{"for others", "HTTP_PROXY", "http://proxy.test:3128", "", doctor.OK, []string{"no proxy is set"}},
		{"around it", "HTTPS_PROXY", "http://proxy.test:3128", ".chatgpt.com,chatgpt.com", doctor.OK, []string{"directly, though HTTPS_PROXY"}},
		{"% in a password", "HTTPS_PROXY", "http://user:S3cr3t%zz@proxy.test:3128", "", doctor.Problem, []string{"HTTPS_PROXY", "percent-encoded"}},
		{"# in a password", "https_proxy", "http://user:S3cr3t#1@proxy.test:3128", "", doctor.Problem, []string{"https_proxy", "percent-encoded"}},
		{"another kind", "ALL_PROXY", "socks4://proxy.test:1080", "", doctor.Problem, []string{"ALL_PROXY", "not supported"}},
		{"an exception that is none", "HTTPS_PROXY", "http://proxy.test:3128", "a.example,10.0.0.0/99", doctor.Problem, []string{"entry 2 of NO_PROXY"}},
		{"an exception that matches nothing", "HTTPS_PROXY", "http://proxy.test:3128", "192.168.*", doctor.Note, []string{"192.168.*", "matches nothing"}},
		{"Windows' local", "HTTPS_PROXY", "http://proxy.test:3128", "<local>", doctor.Note, []string{"<local>"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := subjectOf(t, newFile(t, document))
			if tt.variable != "" {
				t.Setenv(tt.variable, tt.value)
			}
			t.Setenv("NO_PROXY", tt.exceptions)
			want{"proxy", tt.level, tt.words}.in(t, examine(t, s))
		})
	}
	t.Run("two that differ", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("needs variables whose names differ in case, which Windows does not have")
		}
		s := subjectOf(t, newFile(t, document))
		t.Setenv("HTTPS_PROXY", "http://a.test:1")
		t.Setenv("https_proxy", "http://b.test:1")
		want{"proxy", doctor.Note, []string{"HTTPS_PROXY and https_proxy differ"}}.in(t, examine(t, s))
	})
}

func TestBaseURL(t *testing.T) {
	for _, tt := range []struct {
		url   string
		level string
		words []string
	}{
		{"https://chatgpt.com/backend-api", doctor.OK, []string{"known or trusted"}},
		{"https://backend.example/api", doctor.Problem, []string{"backend.example", "--trust-host backend.example"}},
		{"http://chatgpt.com/backend-api", doctor.Problem, []string{"http to another machine", "--allow-http"}},
		{"chatgpt.com", doctor.Problem, []string{"https://"}},
	} {
		s := subjectOf(t, newFile(t, document))
		s.Manager.BaseURL = tt.url
		want{"base-url", tt.level, tt.words}.in(t, examine(t, s))
	}
}

func TestAuthorities(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, certificateOf(server))
	gone := filepath.Join(t.TempDir(), "gone.pem")
	// The certificate of net/http/httptest ends in 2084.
	ends := server.Certificate().NotAfter
	for _, tt := range []struct {
		name, variable, value string
		now                   time.Time
		level                 string
		words                 []string
	}{
		{"none", "", "", now, doctor.OK, []string{"the system's alone"}},
		{"the client's", "CODEX_CA_CERTIFICATE", file, now, doctor.OK, []string{"CODEX_CA_CERTIFICATE", file}},
		{"stale", "SSL_CERT_FILE", gone, now, doctor.Problem, []string{"SSL_CERT_FILE", gone, "unset"}},
		{"a folder", "SSL_CERT_FILE", filepath.Dir(file), now, doctor.Problem, []string{"is a folder"}},
		{"expired", "SSL_CERT_FILE", file, ends.Add(time.Hour), doctor.Note, []string{"expired", "took its place"}},
		{"near its end", "SSL_CERT_FILE", file, ends.Add(-time.Hour), doctor.Note, []string{"expires"}},
		{"ahead of its time", "SSL_CERT_FILE", file, server.Certificate().NotBefore.Add(-time.Hour), doctor.Note, []string{"not valid before"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := newFile(t, document)
			setTime(t, path, server.Certificate().NotBefore.Add(-2*time.Hour)) // always past
			s := subjectOf(t, path)
			s.Now = func() time.Time { return tt.now }
			if tt.variable != "" {
				t.Setenv(tt.variable, tt.value)
			}
			report := examine(t, s)
			want{"authorities", tt.level, tt.words}.amongProblems(t, report)
		})
	}
}

func certificateOf(server *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

func TestClock(t *testing.T) {
	for _, tt := range []struct {
		name, content string
		now           time.Time
		level         string
		words         []string
	}{
		{"right", document, now, doctor.OK, nil},
		{"behind the file", document, now.Add(-3 * time.Hour), doctor.Problem, []string{"the last write", "2 h in the future"}},
		{"behind the tokens", document, now.Add(-72 * time.Hour), doctor.Problem, []string{"renewal of the tokens"}},
		{"behind the access token", strings.Replace(document, accessToken, "x.eyJpYXQiOjE3OTU3ODIwMDB9.y", 1), now.Add(-72 * time.Hour), doctor.Problem, []string{"access token"}},
		{"behind the identity", withIdentity(t, ""), now.Add(-48 * time.Hour), doctor.Problem, []string{"registration of the identity"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := subjectOf(t, newFile(t, tt.content))
			s.Now = func() time.Time { return tt.now }
			want{"clock", tt.level, tt.words}.in(t, examine(t, s))
		})
	}
}

// backend is an authority behind TLS, and what it was asked.
type backend struct {
	*authority.Authority
	server    *httptest.Server
	requests  atomic.Int32
	bearers   atomic.Int32
	date      string
	status    int
	assertion atomic.Bool
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	a, err := authority.New(authority.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{Authority: a}
	b.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.requests.Add(1)
		field := r.Header.Get("Authorization")
		if strings.HasPrefix(field, "Bearer ") || r.Header.Get("Cookie") != "" {
			b.bearers.Add(1)
		}
		if field != "" {
			b.assertion.Store(true)
		}
		if b.date != "" {
			w.Header().Set("Date", b.date)
		}
		if b.status != 0 {
			w.WriteHeader(b.status)
			return
		}
		a.ServeHTTP(w, r)
	}))
	b.server.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that do not trust it
	b.server.StartTLS()
	t.Cleanup(b.server.Close)
	return b
}

// subject is one that asks the backend.
func (b *backend) subject(t *testing.T, content string) doctor.Subject {
	t.Helper()
	s := subjectOf(t, newFile(t, content))
	s.Now = time.Now
	setTime(t, s.AuthFile, time.Now().Add(-time.Hour))
	s.Send = true
	s.Manager.BaseURL, s.Manager.TrustedHosts = b.server.URL+"/backend-api", []string{"127.0.0.1"}
	s.Transport = func() (*http.Transport, error) {
		transport := &http.Transport{Proxy: egress.ProxyFromEnvironment}
		authorities, err := egress.AuthoritiesFromEnvironment()
		if authorities != nil {
			transport.TLSClientConfig = &tls.Config{RootCAs: authorities.Pool()}
		}
		return transport, err
	}
	return s
}

// trust has the environment name the backend's certificate.
func (b *backend) trust(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, certificateOf(b.server))
	t.Setenv("CODEX_CA_CERTIFICATE", file)
}

func (b *backend) checkSent(t *testing.T, requests int32) {
	t.Helper()
	if got := b.requests.Load(); got != requests || b.bearers.Load() != 0 {
		t.Errorf("%d requests, %d with the user's token; want %d", got, b.bearers.Load(), requests)
	}
}

func TestBackend(t *testing.T) {
	t.Run("not asked", func(t *testing.T) {
		b := newBackend(t)
		s := b.subject(t, document)
		s.Send = false
		want{"backend", doctor.OK, []string{"nothing was sent", "--send"}}.in(t, examine(t, s))
		b.checkSent(t, 0)
	})
	t.Run("untrusted", func(t *testing.T) {
		b := newBackend(t)
		want{"backend", doctor.Problem, []string{"inspects TLS", "CODEX_CA_CERTIFICATE"}}.in(t, examine(t, b.subject(t, document)))
		b.checkSent(t, 0)
	})
	t.Run("through a gateway", func(t *testing.T) {
		b := newBackend(t)
		s := b.subject(t, document)
		b.trust(t)
		report := examine(t, s)
		want{"backend", doctor.OK, []string{"answers with a certificate signed by", "401"}}.in(t, report)
		want{"backend", doctor.Note, []string{"Acme Co", "CODEX_CA_CERTIFICATE", "token included"}}.in(t, report)
		want{"clock", doctor.OK, []string{"the backend's"}}.in(t, report)
		b.checkSent(t, 1)
		if b.assertion.Load() {
			t.Error("it carried a credential")
		}
	})
	t.Run("clock", func(t *testing.T) {
		b := newBackend(t)
		b.status = http.StatusOK // without an answer of the authority's, which has a date of its own
		b.date = time.Now().Add(20 * time.Minute).UTC().Format(http.TimeFormat)
		s := b.subject(t, document)
		b.trust(t)
		want{"clock", doctor.Problem, []string{"behind the backend's", "no assertion is accepted"}}.in(t, examine(t, s))
	})
	t.Run("fails", func(t *testing.T) {
		b := newBackend(t)
		b.status = http.StatusBadGateway
		s := b.subject(t, document)
		b.trust(t)
		want{"backend", doctor.Note, []string{"HTTP 502"}}.in(t, examine(t, s))
	})
	t.Run("not there", func(t *testing.T) {
		b := newBackend(t)
		s := b.subject(t, document)
		b.server.Close()
		want{"backend", doctor.Problem, []string{"cannot be reached", "base URL"}}.in(t, examine(t, s))
	})
	t.Run("a proxy that refuses", func(t *testing.T) {
		b := newBackend(t)
		s := b.subject(t, document)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		s.Manager.BaseURL, s.Manager.TrustedHosts = "https://backend.invalid/api", []string{"backend.invalid"}
		t.Setenv("HTTPS_PROXY", "http://user:S3cr3t@"+l.Addr().String())
		want{"backend", doctor.Problem, []string{"through the proxy http://" + l.Addr().String(), "check the proxy"}}.in(t, examine(t, s))
	})
	t.Run("a proxy that wants a password", func(t *testing.T) {
		b := newBackend(t)
		s := b.subject(t, document)
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) }))
		defer proxy.Close()
		s.Manager.BaseURL, s.Manager.TrustedHosts, s.Manager.AllowHTTP = "http://backend.invalid/api", []string{"backend.invalid"}, true
		t.Setenv("HTTP_PROXY", proxy.URL)
		want{"backend", doctor.Problem, []string{"who asks", "its variable"}}.in(t, examine(t, s))
	})
	t.Run("a variable that cannot be used", func(t *testing.T) {
		b := newBackend(t)
		s := b.subject(t, document)
		t.Setenv("CODEX_CA_CERTIFICATE", filepath.Join(t.TempDir(), "gone.pem"))
		want{"backend", doctor.Note, []string{"nothing was sent"}}.amongProblems(t, examine(t, s))
		b.checkSent(t, 0)
	})
}

// A backend that no longer knows the identity is found out by an assertion, and by nothing
// else that would be sent.
func TestSendAssertion(t *testing.T) {
	b := newBackend(t)
	content := string(b.SignIn("account-1", "user-1").AuthJSON())
	s := b.subject(t, content)
	b.trust(t)
	s.SendAssertion = true
	report := examine(t, s)
	want{"backend", doctor.Note, []string{"no assertion was sent"}}.in(t, report)
	b.checkSent(t, 1)

	agent := register(t, b, s)
	bearers := b.bearers.Load() // of the registration
	want{"backend", doctor.OK, []string{"accepts the assertion", agent}}.in(t, examine(t, s))
	if !b.RevokeAgent(agent) {
		t.Fatal("there is no such agent")
	}
	want{"backend", doctor.Problem, []string{"no longer knows the agent " + agent, "make a call"}}.in(t, examine(t, s))
	if got := b.bearers.Load(); got != bearers {
		t.Errorf("%d requests carried the user's token", got-bearers)
	}
	if counts := b.Counts(); counts.Identities != 0 {
		t.Errorf("it has registered something: %+v", counts)
	}
}

// register has the agent registered, and returns its id.
func register(t *testing.T, b *backend, s doctor.Subject) string {
	t.Helper()
	file := authfile.New(s.AuthFile)
	config := s.Manager
	config.Store, config.Credentials, config.HTTPClient = file, file, b.server.Client()
	m, err := host.NewManager(config)
	if err != nil {
		t.Fatal(err)
	}
	a, err := m.Authorization(t.Context(), core.SurfaceModels)
	if err := errors.Join(err, m.Close(t.Context())); err != nil || a.Mode != core.ModeAgentAssertion {
		t.Fatalf("got %v, %v", a, err)
	}
	return a.AgentRuntimeID
}

func TestSandbox(t *testing.T) {
	s := subjectOf(t, newFile(t, document))
	s.Start = func(context.Context) error { return nil }
	want{"sandbox", doctor.OK, []string{"it starts"}}.in(t, examine(t, s))
	s.Start = func(context.Context) error { return errors.New("no code can be made executable") }
	want{"sandbox", doctor.Problem, []string{"no code can be made executable", "--engine native"}}.in(t, examine(t, s))
}

func TestCache(t *testing.T) {
	s := subjectOf(t, newFile(t, document))
	s.Sandbox = host.SandboxOptions{CacheDir: filepath.Join(t.TempDir(), "cache")}
	want{"cache", doctor.OK, []string{"nothing for this version yet"}}.in(t, examine(t, s))
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	s.Sandbox.CacheDir = file
	want{"cache", doctor.Note, []string{"no folder"}}.in(t, examine(t, s))
	if runtime.GOOS == "linux" {
		t.Setenv("HOME", "")
		t.Setenv("XDG_CACHE_HOME", "")
		s.Sandbox.CacheDir = ""
		want{"cache", doctor.Note, []string{"kept nowhere", "HOME", "--cache-dir"}}.in(t, examine(t, s))
		t.Setenv("HOME", filepath.Join(t.TempDir(), "gone"))
		want{"cache", doctor.Note, []string{"there is no folder"}}.in(t, examine(t, s))
	}
}

func TestClient(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a POSIX system: npm puts its commands elsewhere on Windows")
	}
	for version, w := range map[string]want{
		"0.123.0": {"client", doctor.OK, []string{"codex 0.123.0"}},
		"0.135.1": {"client", doctor.Problem, []string{"codex 0.135.1", "--identity-beside"}},
		"0.141.0": {"client", doctor.OK, []string{"codex 0.141.0"}},
		"":        {"client", doctor.OK, []string{"codex --version"}},
	} {
		t.Run(version, func(t *testing.T) {
			s := subjectOf(t, newFile(t, document))
			dir := t.TempDir()
			pack := filepath.Join(dir, "lib", "node_modules", "@openai", "codex")
			if err := os.MkdirAll(filepath.Join(pack, "bin"), 0o700); err != nil {
				t.Fatal(err)
			}
			if version != "" {
				write(t, filepath.Join(pack, "package.json"), `{"name":"@openai/codex","version":"`+version+`"}`)
			}
			program := filepath.Join(pack, "bin", "codex.js")
			write(t, program, "#!/bin/sh\ntouch "+filepath.Join(dir, "started")+"\n")
			if err := os.Chmod(program, 0o700); err != nil {
				t.Fatal(err)
			}
			link(t, program, filepath.Join(dir, "codex"))
			t.Setenv("PATH", dir)
			w.in(t, examine(t, s))
			if _, err := os.Stat(filepath.Join(dir, "started")); err == nil {
				t.Error("the client was started")
			}
		})
	}
}
