package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// ask asks a handler of operations.
func ask(h http.Handler, method, path string) (status int, body string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func checkAsked(t *testing.T, h http.Handler, path string, wantStatus int, want string) {
	t.Helper()
	if status, body := ask(h, http.MethodGet, path); status != wantStatus || body != want {
		t.Errorf("%s: %d %s, want %d %s", path, status, body, wantStatus, want)
	}
}

// TestOperations: what there is, and nothing else.
func TestOperations(t *testing.T) {
	p := newPlain(t, "http://127.0.0.1:9", asItIs)
	defer closeProxy(t, p)
	h := p.Operations(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "numbers") }))
	checkAsked(t, h, "/healthz", http.StatusOK, `{"healthy":true}`)
	checkAsked(t, h, "/metrics", http.StatusOK, "numbers")
	if status, _ := ask(p.Operations(nil), http.MethodGet, "/metrics"); status != http.StatusNotFound {
		t.Errorf("without metrics: %d", status)
	}
	for path, methods := range map[string]map[string]int{
		"/healthz":       {http.MethodHead: http.StatusOK, http.MethodPost: http.StatusMethodNotAllowed, http.MethodDelete: http.StatusMethodNotAllowed},
		"/metrics":       {http.MethodHead: http.StatusOK, http.MethodPut: http.StatusMethodNotAllowed},
		"/readyz":        {http.MethodHead: http.StatusServiceUnavailable, http.MethodPost: http.StatusMethodNotAllowed},
		"/":              {http.MethodGet: http.StatusNotFound},
		"/codex/models":  {http.MethodGet: http.StatusNotFound, http.MethodPost: http.StatusNotFound},
		"/healthz/x":     {http.MethodGet: http.StatusNotFound},
		"/debug/pprof/":  {http.MethodGet: http.StatusNotFound},
		"/authenticate_": {http.MethodGet: http.StatusNotFound},
	} {
		for method, want := range methods {
			if status, _ := ask(h, method, path); status != want {
				t.Errorf("%s %s: %d, want %d", method, path, status, want)
			}
		}
	}
}

// TestProxyForwardsOperationsPaths: on the proxy's own address they are the upstream's, and
// nothing without a token.
func TestProxyForwardsOperationsPaths(t *testing.T) {
	p := startPlain(t, asItIs, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "upstream's ", r.URL.Path) })
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if status, body := p.get(t, path); status != http.StatusOK || body != "upstream's "+path {
			t.Errorf("%s: %d %s", path, status, body)
		}
		if status, body := p.do(t, http.MethodGet, path, nil); status != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d %s", path, status, body)
		}
	}
}

// TestReadiness: whether calls can be authorized, and that to ask sends nothing.
func TestReadiness(t *testing.T) {
	s := startSignedIn(t, nil)
	var sent atomic.Int64
	counting := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		sent.Add(1)
		return http.DefaultTransport.RoundTrip(r)
	})}
	credentials := func(c host.Credentials, err error) func(*host.ManagerConfig) {
		return func(m *host.ManagerConfig) {
			m.HTTPClient = counting
			m.Credentials = host.CredentialFunc(func(context.Context) (host.Credentials, error) { return c, err })
		}
	}
	user := host.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: s.session.AccessToken, AccountID: "account-1", UserID: "user-1"}
	for _, tt := range []struct {
		name   string
		change func(*host.ManagerConfig)
		status int
		want   string
	}{
		{"an assertion", credentials(user, nil), http.StatusOK, `{"ready":true,"mode":"agent-assertion","reason":"background-task"}`},
		{"a bearer token", func(c *host.ManagerConfig) { credentials(user, nil)(c); c.TrustedHosts = nil }, http.StatusOK, `{"ready":true,"mode":"bearer","reason":"unsupported-host"}`},
		{"the feature off", func(c *host.ManagerConfig) { credentials(user, nil)(c); c.AgentIdentity = false }, http.StatusOK, `{"ready":true,"mode":"bearer","reason":"feature-off"}`},
		{"strict, and assertions in conversations only", func(c *host.ManagerConfig) { credentials(user, nil)(c); c.TrustedHosts, c.Strict = nil, true }, http.StatusOK,
			`{"ready":true,"mode":"none","reason":"unsupported-host"}`},
		{"strict, and no assertion", func(c *host.ManagerConfig) {
			credentials(host.Credentials{Kind: user.Kind, AccessToken: user.AccessToken}, nil)(c)
			c.Strict = true
		}, http.StatusServiceUnavailable, `{"ready":false,"why":"calls carry no authorization (no-account-id)","mode":"none","reason":"no-account-id"}`},
		{"nobody", credentials(host.Credentials{Kind: wire.CredentialsNone}, nil), http.StatusServiceUnavailable,
			`{"ready":false,"why":"calls carry no authorization (no-chatgpt-credentials)","mode":"none","reason":"no-chatgpt-credentials"}`},
		{"credentials that fail", credentials(host.Credentials{}, &core.Error{Code: core.CodeInvalidAuthJSON, Message: "auth.json is damaged"}), http.StatusServiceUnavailable,
			`{"ready":false,"why":"auth.json is damaged"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := s.manager(t, tt.change)
			p := newPlain(t, s.url, func(c *Config) { c.Tenants, c.Logger = OneUser("t", m), s.logger })
			defer closeProxy(t, p)
			checkAsked(t, p.Operations(nil), "/readyz", tt.status, tt.want)
		})
	}
	if n := sent.Load(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// checked are tenants that are looked at.
type checked struct {
	Tenants
	check func(ctx context.Context) (Usable, error)
}

func (c checked) Check(ctx context.Context, _ string) (Usable, error) { return c.check(ctx) }

// TestReadinessIsRemembered for a second, but not what somebody did not wait for.
func TestReadinessIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looked := 0
		var failure error
		p := newPlain(t, "http://127.0.0.1:9", func(c *Config) {
			c.Tenants = checked{c.Tenants, func(ctx context.Context) (Usable, error) {
				looked++
				return Usable{}, errors.Join(failure, ctx.Err())
			}}
		})
		defer closeProxy(t, p)
		h := p.Operations(nil)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(gone, http.MethodGet, "/readyz", nil))
		for range 3 {
			checkAsked(t, h, "/readyz", http.StatusOK, `{"ready":true}`)
		}
		failure = errors.New("lost")
		checkAsked(t, h, "/readyz", http.StatusOK, `{"ready":true}`)
		time.Sleep(readinessInterval)
		for range 3 {
			checkAsked(t, h, "/readyz", http.StatusServiceUnavailable, `{"ready":false,"why":"lost"}`)
		}
		if looked != 3 {
			t.Errorf("it looked %d times, want 3", looked)
		}
		if err := p.Replace(Setup{BaseURL: "http://127.0.0.1:9", Tenants: OneUser("t", newPlainManager(t, "http://127.0.0.1:9"))}); err != nil {
			t.Fatal(err)
		}
		if _, body := ask(h, http.MethodGet, "/readyz"); !strings.Contains(body, core.ReasonNoChatGPTCredentials) {
			t.Errorf("with another setup: %s", body)
		}
	})
}

// TestReadinessEnds when the proxy's end begins, while requests go on.
func TestReadinessEnds(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(begun)
		<-release
	}))
	defer s.Close()
	p := start(t, newPlain(t, s.URL, func(c *Config) { c.Grace = time.Minute }))
	ended := make(chan struct{})
	go func() {
		p.get(t, "/")
		close(ended)
	}()
	<-begun
	stopped := make(chan struct{})
	go func() {
		p.stop()
		close(stopped)
	}()
	h := p.Operations(nil)
	body := ""
	for deadline := time.Now().Add(time.Minute); !strings.Contains(body, "ending") && time.Now().Before(deadline); {
		_, body = ask(h, http.MethodGet, "/readyz")
	}
	checkAsked(t, h, "/readyz", http.StatusServiceUnavailable, `{"ready":false,"why":"the proxy is ending"}`)
	checkAsked(t, h, "/healthz", http.StatusOK, `{"healthy":true}`)
	close(release)
	<-ended
	<-stopped
	checkAsked(t, h, "/readyz", http.StatusServiceUnavailable, `{"ready":false,"why":"the proxy is ending"}`)
}

// TestReadinessOfAccounts: one account that can be used is enough.
func TestReadinessOfAccounts(t *testing.T) {
	folder := t.TempDir()
	accounts, err := OpenAccounts(folder)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := host.NewPool(host.PoolConfig{Config: func(context.Context, string) (host.ManagerConfig, error) {
		return host.ManagerConfig{}, errors.New("none is made")
	}})
	if err != nil {
		t.Fatal(err)
	}
	check := func(wantHeader, wantToken int) {
		t.Helper()
		for want, tenants := range map[*int]Tenants{&wantHeader: ByHeader("t", "X-Account", accounts, pool), &wantToken: ByToken(accounts, pool)} {
			p := newPlain(t, "http://127.0.0.1:9", func(c *Config) { c.Tenants = tenants })
			if status, body := ask(p.Operations(nil), http.MethodGet, "/readyz"); status != *want {
				t.Errorf("%T: %d %s, want %d", tenants, status, body, *want)
			}
			closeProxy(t, p)
		}
	}
	check(503, 503)
	for _, name := range []string{"empty", "alice"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	check(503, 503)
	if err := os.WriteFile(filepath.Join(folder, "alice", AccountAuthFile), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(200, 503)
	if err := os.WriteFile(filepath.Join(folder, "alice", AccountTokenFile), []byte("alice."+ownToken), 0o600); err != nil {
		t.Fatal(err)
	}
	check(200, 200)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	check(503, 503)
}
