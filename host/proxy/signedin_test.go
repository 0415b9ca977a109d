package proxy

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// logged is a log's lines. It is safe for concurrent use.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// lines returns the lines with all of these texts.
func (l *logged) lines(texts ...string) (found []string) {
	for line := range strings.Lines(l.String()) {
		has := true
		for _, text := range texts {
			has = has && strings.Contains(line, text)
		}
		if has {
			found = append(found, line)
		}
	}
	return found
}

// signedIn is a backend that a user is signed in to, and what is logged of calls to it.
type signedIn struct {
	*authority.Authority
	url     string
	server  *httptest.Server
	session authority.Session
	store   host.MemoryStore
	log     *logged
	logger  *slog.Logger
}

// startSignedIn starts a backend, with calls of the test's own below /test, which are not
// verified.
func startSignedIn(t *testing.T, own http.HandlerFunc) *signedIn {
	t.Helper()
	a, err := authority.New(authority.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &signedIn{Authority: a, session: a.SignIn("account-1", "user-1"), log: new(logged)}
	s.logger = slog.New(CountRepeats(slog.NewTextHandler(s.log, nil)))
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/backend-api/test/") {
			own(w, r)
			return
		}
		a.ServeHTTP(w, r)
	}))
	t.Cleanup(s.server.Close)
	s.url = s.server.URL + "/backend-api"
	return s
}

// manager returns a manager of the user's.
func (s *signedIn) manager(t *testing.T, change func(*host.ManagerConfig)) *host.Manager {
	t.Helper()
	c := host.ManagerConfig{
		Engine: host.NewNative(), Store: &s.store, BaseURL: s.url, AgentIdentity: true, TrustedHosts: []string{"127.0.0.1"},
		Logger: s.logger, Observer: host.LogObserver(s.logger), HTTPClient: s.server.Client(),
		Credentials: host.CredentialFunc(func(context.Context) (host.Credentials, error) {
			return host.Credentials{
				Kind: wire.CredentialsChatGPT, AccessToken: s.session.AccessToken, AccountID: s.session.AccountID, UserID: s.session.UserID,
			}, nil
		}),
	}
	change(&c)
	m, err := host.NewManager(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

// serve serves a proxy of the user's until the test ends.
func (s *signedIn) serve(t *testing.T, changeManager func(*host.ManagerConfig), change func(*Config)) *running {
	t.Helper()
	m := s.manager(t, changeManager)
	return start(t, newPlain(t, s.url, func(c *Config) {
		c.Tenants, c.Logger, c.AccessLog = OneUser("t", m), s.logger, slog.New(slog.NewTextHandler(s.log, nil))
		change(c)
	}))
}

func asItIs[T any](*T) {}

// get makes a call with the token, and returns the status and the body.
func (p *running) get(t *testing.T, path string, fields ...string) (status int, body string) {
	t.Helper()
	return p.do(t, http.MethodGet, path, nil, append([]string{TokenHeader, p.token}, fields...)...)
}

func (p *running) do(t *testing.T, method, path string, body io.Reader, fields ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}
