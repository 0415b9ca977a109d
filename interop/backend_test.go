//go:build interop && unix

package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agentassert/agentassert/authority"
)

const (
	// backendHost is one that the reference client's rules support, and that
	// nothing but the proxy of these tests knows.
	backendHost = "agent.chatgpt.com"
	// registrarHost is where 0.169 and later register runtime agent instances. It cannot
	// be configured.
	registrarHost = "auth.openai.com"
	basePath      = "/backend-api"
	authAPIPath   = "/api/accounts"
	tokenPath     = "/oauth/token"

	// baseURL and authAPIURL are where our side finds the backend: without TLS,
	// since not every system lets a program be told of another certificate authority.
	baseURL    = "http://" + backendHost + basePath
	authAPIURL = "http://" + backendHost + authAPIPath

	accountID = "acct-1"
	userID    = "user-1"
)

// backend is an authority, and the HTTP proxy by which a client reaches it, with
// TLS or without. It forwards nothing: what is for another host is refused, and
// remembered.
type backend struct {
	*authority.Authority
	url    string // of the proxy, and the backend without TLS
	secure string // the address of the backend with TLS
	// hold, if not nil, is called before a request is served. It may wait.
	hold func(*http.Request)
	// handler, if not nil, serves in place of the authority.
	handler http.Handler

	mu      sync.Mutex
	tokens  tokens // the newest
	reused  int    // refreshes with a refresh token that was used up
	warm    bool   // a WebSocket has been asked for since the last turn
	log     []authority.Request
	calls   map[string]bool // what came in, as describe says it
	foreign map[string]int  // requests for other hosts, by method and host
}

func newBackend(t *testing.T) *backend {
	b := &backend{calls: make(map[string]bool), foreign: make(map[string]int)}
	var err error
	if b.Authority, err = authority.New(authority.Options{Observe: b.observe}); err != nil {
		t.Fatal(err)
	}
	b.tokens = tokens{b.SignIn(accountID, userID), firstRefreshToken, 0}
	plain := httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(b.serve))
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{certificates().backend}}
	// A client that is ended in the middle of a hand-shake is no news.
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	b.url, b.secure = plain.URL, secure.Listener.Addr().String()
	return b
}

func (b *backend) observe(r authority.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, r)
}

// serve is the proxy.
func (b *backend) serve(w http.ResponseWriter, r *http.Request) {
	tunnel := r.Method == http.MethodConnect
	switch host := r.Host; {
	case tunnel && (host == net.JoinHostPort(backendHost, "443") || host == net.JoinHostPort(registrarHost, "443")):
		b.tunnel(w)
		return
	case tunnel || host != backendHost && (host != registrarHost || r.URL.Path != registerPath):
		b.mu.Lock()
		b.foreign[r.Method+" "+host]++
		b.mu.Unlock()
		http.Error(w, "the proxy of this test leads nowhere", http.StatusForbidden)
		return
	}
	b.mu.Lock()
	b.calls[describe(r)] = true
	b.mu.Unlock()
	if b.hold != nil {
		b.hold(r)
	}
	if r.URL.Path == tokenPath {
		b.refresh(w, r)
		return
	}
	// The authority's answer is the client's, except where the client needs
	// another one for its turn to end well: a model has to answer in a model's way.
	recorded := httptest.NewRecorder()
	if b.handler != nil {
		b.handler.ServeHTTP(recorded, r)
	} else {
		b.ServeHTTP(recorded, r)
	}
	if recorded.Code == http.StatusOK {
		if strings.HasSuffix(r.URL.Path, "/codex/responses") {
			b.answerAsModel(w, r)
			return
		}
	}
	maps.Copy(w.Header(), recorded.Header())
	w.WriteHeader(recorded.Code)
	_, _ = recorded.Body.WriteTo(w)
}

// answerAsModel answers a request that the authority has let in. 0.123 asks for a
// WebSocket twice: to warm up, with the bearer token, and for the turn, with an
// assertion. Unless the first fails without saying that there are no WebSockets
// here, the second does not come.
func (b *backend) answerAsModel(w http.ResponseWriter, r *http.Request) {
	upgrade := r.Header.Get("Upgrade") != ""
	b.mu.Lock()
	first := upgrade && !b.warm
	b.warm = upgrade
	b.mu.Unlock()
	switch bearer := strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "); {
	case first && bearer:
		w.WriteHeader(http.StatusServiceUnavailable)
	case upgrade:
		w.WriteHeader(http.StatusUpgradeRequired) // it goes on over HTTP
	default:
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, modelAnswer)
	}
}

// modelAnswer is a whole turn: the model says hello.
const modelAnswer = `event: response.created
data: {"type":"response.created","response":{"id":"resp-1"}}

event: response.output_item.done
data: {"type":"response.output_item.done","item":{"type":"message","role":"assistant","id":"msg-1","content":[{"type":"output_text","text":"hello"}]}}

event: response.completed
data: {"type":"response.completed","response":{"id":"resp-1","usage":{"input_tokens":1,"input_tokens_details":null,"output_tokens":1,"output_tokens_details":null,"total_tokens":2}}}

`

// tunnel joins a connection to the backend itself, which talks TLS in it.
func (b *backend) tunnel(w http.ResponseWriter) {
	inner, err := net.Dial("tcp", b.secure)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer inner.Close()
	outer, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer outer.Close()
	if _, err := io.WriteString(outer, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	// Either end of the connection ends the other.
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(inner, buffered)
		_ = inner.Close()
	})
	_, _ = io.Copy(outer, inner)
	_ = outer.Close()
	up.Wait()
}

// call sends a backend call with a header of ours.
func (b *backend) call(ctx context.Context, header string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL+"/codex/models", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", header)
	r.Header.Set("ChatGPT-Account-ID", accountID)
	response, err := b.client().Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New("the backend answers " + response.Status)
	}
	return nil
}

// client is an HTTP client that uses the proxy.
func (b *backend) client() *http.Client {
	proxy, err := url.Parse(b.url)
	if err != nil {
		panic(err) // the server made it
	}
	return &http.Client{Timeout: runTimeout, Transport: &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}}
}

// mark is a place in the log.
func (b *backend) mark() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.log)
}

// since returns what the log has after a mark.
func (b *backend) since(mark int) []authority.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.log[mark:])
}

// checkForeign fails the test where a request was for another host, unless the
// host is one of the expected, and says which there were.
func (b *backend) checkForeign(t *testing.T, expected ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(b.foreign)) {
		if slices.Contains(expected, name) {
			t.Logf("refused, as expected: %s (%d times)", name, b.foreign[name])
		} else {
			t.Errorf("a request for another host was refused: %s (%d times)", name, b.foreign[name])
		}
	}
}

// kind names what a request asks for, without ids, and wherever it is served.
func kind(method, path string) string {
	path = strings.TrimPrefix(strings.TrimPrefix(path, basePath), authAPIPath)
	if strings.HasSuffix(path, "/task/register") {
		path = "/v1/agent/{id}/task/register"
	}
	return method + " " + path
}

// describe says what a request asks for, and what it carries.
func describe(r *http.Request) string {
	carries := "nothing"
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); scheme != "" {
		carries = scheme
	}
	if r.Header.Get("X-OpenAI-Authorization") != "" {
		carries = "biscuit"
	}
	if r.Header.Get("X-OpenAI-Agent-Assertion") != "" {
		carries += " and assertion"
	}
	if r.Header.Get("ChatGPT-Account-ID") != "" {
		carries += " and account"
	}
	if r.Header.Get("Upgrade") != "" {
		carries += ", WebSocket"
	}
	return kind(r.Method, r.URL.EscapedPath()) + ": " + carries
}

// fromClient reports whether the reference client sent a request.
func fromClient(r *http.Request) bool { return r.Header.Get("Originator") != "" }

// registerPath is where a runtime agent instance is registered.
const registerPath = "/agent/register"

// The kinds that register something.
const (
	registerInstance = "POST " + registerPath
	registerIdentity = "POST /v1/agent/register"
	registerTask     = "POST /v1/agent/{id}/task/register"
)

// anonymousMCP is a call that is refused, and nothing comes of it: from 0.140 on
// the client gives the user's token to no MCP server but one at chatgpt.com itself.
const anonymousMCP = "POST /ps/mcp with " + authority.SchemeNone

// count counts the requests of a kind.
func count(requests []authority.Request, k string) (n int) {
	for _, r := range requests {
		if kind(r.Method, r.Path) == k {
			n++
		}
	}
	return n
}

// checkAccepted fails the test for each request that was refused or not
// verified, and says which there were.
func checkAccepted(t *testing.T, requests []authority.Request) {
	t.Helper()
	seen := make(map[string]int)
	for _, r := range requests {
		what := kind(r.Method, r.Path) + " with " + r.Scheme
		if what == anonymousMCP {
			continue
		}
		if r.Status != http.StatusOK || !r.Verified {
			t.Errorf("refused: %s, status %d %s, verified %v", what, r.Status, r.Error, r.Verified)
		} else if r.AccountID != accountID {
			t.Errorf("%s was accepted for the account %q", what, r.AccountID)
		}
		seen[what]++
	}
	for _, k := range slices.Sorted(maps.Keys(seen)) {
		t.Logf("%2d × %s", seen[k], k)
	}
}
