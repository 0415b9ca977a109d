package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/proxy"
)

// upstream is an authority with calls of the test's own below /test, which are as
// well guarded as the others.
type upstream struct {
	*authority.Authority
	url      string
	authFile string
	server   *httptest.Server
	secrets  []string

	mu    sync.Mutex
	calls []http.Header
}

// startUpstream fails the test where, after all, a goroutine is left.
func startUpstream(t *testing.T, own http.HandlerFunc) *upstream {
	t.Helper()
	ignored := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignored) })
	u := &upstream{Authority: newBackend(t), authFile: filepath.Join(t.TempDir(), "auth.json")}
	verifier, err := authority.NewVerifier(authority.VerifierOptions{Agents: u.Authority})
	if err != nil {
		t.Fatal(err)
	}
	guarded := verifier.Wrap(own)
	u.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.calls = append(u.calls, r.Header.Clone())
		u.mu.Unlock()
		if strings.HasPrefix(r.URL.Path, "/backend-api/test/") {
			guarded.ServeHTTP(w, r)
			return
		}
		u.ServeHTTP(w, r)
	}))
	t.Cleanup(u.server.Close)
	u.url = u.server.URL + "/backend-api"
	session := u.SignIn("account-1", "user-1")
	u.secrets = []string{session.AccessToken, session.IDToken}
	if err := os.WriteFile(u.authFile, session.AuthJSON(), 0o600); err != nil {
		t.Fatal(err)
	}
	return u
}

// count is how many requests there were, registrations included.
func (u *upstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.calls)
}

// running is the command while it serves.
type running struct {
	url, token string
	said       string
	stop       func() result
}

// startProxy runs the command until it is stopped or the test ends, and looks for
// secrets in what it has said.
func startProxy(t *testing.T, u *upstream, args ...string) *running {
	t.Helper()
	return startProxyFor(t, u, []string{"--auth-file", u.authFile}, args...)
}

// startProxyFor is startProxy for whom these flags are about. Where they say that accounts
// have tokens of their own, the proxy has none.
func startProxyFor(t *testing.T, u *upstream, whom []string, args ...string) *running {
	t.Helper()
	dir := t.TempDir()
	addrFile, tokenFile := filepath.Join(dir, "addr"), filepath.Join(dir, "token")
	if err := os.WriteFile(tokenFile, []byte("of an earlier run"), 0o644); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"proxy", "--engine", "native", "--listen", "127.0.0.1:0", "--upstream", u.url,
		"--trust-host", "127.0.0.1", "--addr-file", addrFile}, append(whom, args...)...)
	hasToken := !slices.Contains(whom, "--account-tokens")
	if hasToken {
		args = append(args, "--token-file", tokenFile)
	}
	ctx, cancel := context.WithCancel(t.Context())
	listening := make(chan string, 1)
	ended := make(chan result, 1)
	go func() {
		var stdout bytes.Buffer
		stderr := &notify{first: listening}
		code := execute(ctx, args, strings.NewReader(""), &stdout, stderr)
		ended <- result{code, stdout.String(), stderr.text.String()}
	}()
	p := &running{}
	select {
	case p.said = <-listening:
	case r := <-ended:
		cancel()
		t.Fatalf("it ended: %+v", r)
	}
	p.stop = sync.OnceValue(func() result {
		cancel()
		r := <-ended
		secrets := append([]string{core.Scheme + " ", "agent_private_key"}, u.secrets...)
		if hasToken {
			secrets = append(secrets, p.token)
		}
		for _, secret := range secrets {
			if strings.Contains(r.stdout+r.stderr, secret) {
				t.Errorf("it said a secret: %+v", r)
			}
		}
		return r
	})
	t.Cleanup(func() {
		if r := p.stop(); r.code != 0 {
			t.Errorf("interrupted, it ends with %+v", r)
		}
	})
	p.url = "http://" + strings.TrimSpace(string(readFile(t, addrFile)))
	if !hasToken {
		return p
	}
	if info, err := os.Stat(tokenFile); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Fatalf("the token's file: %v, %v", info, err)
	}
	p.token = strings.TrimSpace(string(readFile(t, tokenFile)))
	return p
}

// header returns the token and more header fields.
func (p *running) header(more ...string) http.Header {
	h := http.Header{proxy.TokenHeader: {p.token}}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

// answer is the authority's to a call, or a refusal.
type answer struct {
	Scheme         string `json:"scheme"`
	AgentRuntimeID string `json:"agent_runtime_id"`
	TaskID         string `json:"task_id"`
	AccountID      string `json:"account_id"`
	Error          cause  `json:"error"`
}

func (p *running) call(t *testing.T, method, path string, header http.Header) (int, answer) {
	t.Helper()
	var a answer
	status := exchange(t, method, p.url+path, "", header, &a)
	return status, a
}

// assertion makes a call that is to be authorized by an assertion, and returns its
// task.
func (p *running) assertion(t *testing.T, method, path string, more ...string) (task string) {
	t.Helper()
	status, a := p.call(t, method, path, p.header(more...))
	if status != http.StatusOK || a.Scheme != core.ModeAgentAssertion || a.AccountID != "account-1" || a.TaskID == "" {
		t.Fatalf("%s %s: %d %+v", method, path, status, a)
	}
	return a.TaskID
}

// open sends a request whose response is read by the test as it comes.
func (p *running) open(t *testing.T, method, path string, body io.Reader) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = p.header()
	// It keeps its connection alive, as callers do: net/http's server streams
	// otherwise than on one that ends with the response.
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

// raw sends bytes, and returns the connection to go on with.
func (p *running) raw(t *testing.T, text string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn), bufio.NewReader(c)
}

// rawAnswer sends bytes, and returns how they are answered. The connection is to end
// with that, or the caller does not care.
func (p *running) rawAnswer(t *testing.T, text string) (int, answer) {
	t.Helper()
	_, r := p.raw(t, text)
	response := readResponse(t, r)
	defer response.Body.Close()
	var a answer
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, a
}

func readResponse(t *testing.T, r *bufio.Reader) *http.Response {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// none is for tests without calls of their own.
func none(http.ResponseWriter, *http.Request) {}

func TestProxyAuthorizes(t *testing.T) {
	u := startUpstream(t, none)
	p := startProxy(t, u)
	background := p.assertion(t, "GET", "/codex/models?limit=1")
	if again := p.assertion(t, "POST", "/some/thing/else"); again != background {
		t.Errorf("the tasks %s and %s for two background calls", background, again)
	}
	own := p.assertion(t, "POST", "/codex/responses")
	if own == background || own != p.assertion(t, "POST", "/codex/responses") {
		t.Errorf("the run's conversation has the task %s, the background %s", own, background)
	}
	if got := u.Accepted(); got != (authority.Counts{Identities: 1, Tasks: 2}) {
		t.Errorf("registered %+v", got)
	}
	p.stop()
	p = startProxy(t, u)
	if again := p.assertion(t, "GET", "/codex/models"); again != background {
		t.Errorf("after a restart the background task is %s, not %s", again, background)
	}
	if again := p.assertion(t, "POST", "/codex/responses"); again == own {
		t.Error("after a restart the conversation is the one before")
	}
	p.stop()
	p = startProxy(t, u, "--no-agent-identity")
	if status, a := p.call(t, "GET", "/codex/models", p.header()); status != http.StatusOK || a.Scheme != core.ModeBearer {
		t.Errorf("with the feature off: %d %+v", status, a)
	}
}

// TestProxyThreads names conversations, which last.
func TestProxyThreads(t *testing.T) {
	u := startUpstream(t, none)
	p := startProxy(t, u, "--thread", "thread-1")
	one := p.assertion(t, "POST", "/codex/responses")
	two := p.assertion(t, "POST", "/codex/responses", proxy.ThreadHeader, "thread-2")
	if one == two {
		t.Errorf("two conversations have the task %s", one)
	}
	p.stop()
	p = startProxy(t, u)
	if got := p.assertion(t, "POST", "/codex/responses", proxy.ThreadHeader, "thread-1"); got != one {
		t.Errorf("resumed, the conversation has the task %s, not %s", got, one)
	}
}

// TestProxyHeaders: what is sent on, and what is not.
func TestProxyHeaders(t *testing.T) {
	u := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "session=1")
		w.Header().Set("X-Path", r.URL.EscapedPath()+"?"+r.URL.RawQuery)
		if err := json.NewEncoder(w).Encode(r.Header); err != nil {
			t.Error(err)
		}
	})
	p := startProxy(t, u)
	r, err := http.NewRequestWithContext(t.Context(), "GET", p.url+"/test/a%2Fb?q=1;2&x=%zz", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = p.header("Cookie", "session=2", "Authorization", "Bearer the caller's", "ChatGPT-Account-ID", "account-2",
		proxy.ThreadHeader, "t", "X-OpenAI-Fedramp", "true", "X-Other", "kept", "User-Agent", "test")
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var seen http.Header
	if err := json.NewDecoder(response.Body).Decode(&seen); err != nil {
		t.Fatal(err)
	}
	if got := response.Header.Get("X-Path"); got != "/backend-api/test/a%2Fb?q=1;2&x=%zz" {
		t.Errorf("the upstream got %s", got)
	}
	for _, name := range []string{proxy.TokenHeader, proxy.ThreadHeader, "Cookie", "X-Openai-Fedramp", "X-Forwarded-For"} {
		if v, ok := seen[name]; ok {
			t.Errorf("the upstream got %s: %q", name, v)
		}
	}
	for name, want := range map[string]string{"X-Other": "kept", "User-Agent": "test", "Chatgpt-Account-Id": "account-1"} {
		if seen.Get(name) != want {
			t.Errorf("the upstream got %s: %q", name, seen[name])
		}
	}
	if !strings.HasPrefix(seen.Get("Authorization"), core.Scheme+" ") {
		t.Error("the upstream got another authorization")
	}
	if got := response.Header.Get("Set-Cookie"); got != "" {
		t.Errorf("the caller got the cookie %s", got)
	}
}

func TestProxyTokens(t *testing.T) {
	u := startUpstream(t, none)
	p := startProxy(t, u)
	if first := startProxy(t, u); first.token == p.token || len(p.token) < 26 {
		t.Errorf("the tokens %q and %q", first.token, p.token)
	}
	for _, tt := range []struct {
		name   string
		header http.Header
		want   int
	}{
		{"none", nil, http.StatusUnauthorized},
		{"empty", http.Header{proxy.TokenHeader: {""}}, http.StatusUnauthorized},
		{"wrong", http.Header{proxy.TokenHeader: {p.token + "x"}}, http.StatusUnauthorized},
		{"wrong bearer", http.Header{"Authorization": {"Bearer x"}}, http.StatusUnauthorized},
		{"not a bearer", http.Header{"Authorization": {p.token}}, http.StatusUnauthorized},
		{"a bearer beside a wrong one", http.Header{proxy.TokenHeader: {"x"}, "Authorization": {"Bearer " + p.token}}, http.StatusUnauthorized},
		{"own header", http.Header{proxy.TokenHeader: {p.token}}, http.StatusOK},
		{"bearer", http.Header{"Authorization": {"bearer " + p.token}}, http.StatusOK},
		{"own header beside an API key", http.Header{proxy.TokenHeader: {p.token}, "Authorization": {"Bearer x"}}, http.StatusOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := u.count()
			status, a := p.call(t, "GET", "/codex/models", tt.header)
			if status != tt.want {
				t.Fatalf("got %d %+v", status, a)
			}
			if status == http.StatusUnauthorized && (a.Error.Code != proxy.CodeInvalidToken || a.Error.Message == "" || u.count() != before) {
				t.Errorf("refused with %+v; %d requests to the upstream", a.Error, u.count()-before)
			}
		})
	}
}

func TestProxySaysItsToken(t *testing.T) {
	u := startUpstream(t, none)
	listening := make(chan string, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, []string{"proxy", "--engine", "native", "--listen", "localhost:0", "--upstream", u.url, "--auth-file", u.authFile},
			strings.NewReader(""), io.Discard, &notify{first: listening})
	}()
	said := <-listening
	_, rest, _ := strings.Cut(said, "at http")
	address, _, _ := strings.Cut(rest, ";")
	_, token, found := strings.Cut(strings.TrimSpace(said), proxy.TokenHeader+": ")
	if !found || strings.Count(said, token) != 1 {
		t.Fatalf("it said %q", said)
	}
	p := &running{url: "http" + address, token: token}
	// Without --trust-host, rule 4.
	if status, a := p.call(t, "GET", "/codex/models", p.header()); status != http.StatusOK || a.Scheme != core.ModeBearer {
		t.Errorf("with the token it said: %d %+v", status, a)
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestProxyHosts(t *testing.T) {
	u := startUpstream(t, none)
	closed, open := startProxy(t, u), startProxy(t, u, "--allow-remote")
	send := func(p *running, host string) (int, answer) {
		_, r := p.raw(t, "GET /codex/models HTTP/1.1\r\nHost: "+host+"\r\n"+proxy.TokenHeader+": "+p.token+"\r\nConnection: close\r\n\r\n")
		response := readResponse(t, r)
		defer response.Body.Close()
		var a answer
		if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, a
	}
	for _, tt := range []struct {
		host string
		want int
	}{
		{"127.0.0.1:8081", http.StatusOK},
		{"127.0.0.1", http.StatusOK},
		{"[::1]:80", http.StatusOK},
		{"[::1]", http.StatusOK},
		{"LocalHost:1", http.StatusOK},
		{"", http.StatusForbidden},
		{"evil.example", http.StatusForbidden},
		{"evil.example:8081", http.StatusForbidden},
		{"127.0.0.1.evil.example", http.StatusForbidden},
		{"localhost.evil.example", http.StatusForbidden},
		{"192.0.2.1", http.StatusForbidden},
		{"0.0.0.0", http.StatusForbidden},
	} {
		status, a := send(closed, tt.host)
		if status != tt.want || status == http.StatusForbidden && a.Error.Code != proxy.CodeForbiddenHost {
			t.Errorf("Host %q: %d %+v, want %d", tt.host, status, a, tt.want)
		}
		if status, a := send(open, tt.host); status != http.StatusOK {
			t.Errorf("with --allow-remote, Host %q: %d %+v", tt.host, status, a)
		}
	}
}

// TestProxyRefusals: requests that no upstream sees.
func TestProxyRefusals(t *testing.T) {
	u := startUpstream(t, none)
	p := startProxy(t, u)
	before := u.count()
	refused := func(name string, status int, a answer, want int, code string) {
		t.Helper()
		if status != want || a.Error.Code != code || a.Error.Message == "" {
			t.Errorf("%s: %d %+v, want %d %s", name, status, a, want, code)
		}
	}
	for _, path := range []string{"/../admin", "/codex/..", "/a/%2e%2E/b", "/a%2f..%2fb", "/a/./b", `/a\..\b`} {
		status, a := p.call(t, "GET", path, p.header())
		refused(path, status, a, http.StatusBadRequest, proxy.CodeInvalidPath)
	}
	status, a := p.call(t, "POST", "/codex/responses", p.header(proxy.ThreadHeader, strings.Repeat("x", 4097)))
	refused("a long thread id", status, a, http.StatusBadRequest, core.CodeInvalidThreadID)
	authorized := "Host: localhost\r\n" + proxy.TokenHeader + ": " + p.token + "\r\n"
	for _, tt := range []struct {
		name, text string
		want       int
		code       string
	}{
		{"a tunnel", "CONNECT localhost:443 HTTP/1.1\r\n" + authorized + "\r\n", http.StatusMethodNotAllowed, proxy.CodeMethodNotAllowed},
		{"half a body", "POST /codex/models HTTP/1.1\r\n" + authorized + "Content-Length: 10\r\n\r\nhalf", http.StatusBadRequest, proxy.CodeInvalidBody},
	} {
		c, r := p.raw(t, tt.text)
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		response := readResponse(t, r)
		var a answer
		if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		refused(tt.name, response.StatusCode, a, tt.want, tt.code)
	}
	if u.count() != before {
		t.Errorf("the upstream got %d requests", u.count()-before)
	}
}

func TestProxyFailures(t *testing.T) {
	u := startUpstream(t, none)
	p := startProxy(t, u)
	failed := func(name, method, path string, want int, code string) {
		t.Helper()
		if status, a := p.call(t, method, path, p.header()); status != want || a.Error.Code != code || a.Error.Message == "" {
			t.Errorf("%s: %d %+v, want %d %s", name, status, a, want, code)
		}
	}
	u.RefuseRegistration(http.StatusForbidden)
	failed("no task for the conversation", "POST", "/codex/responses", http.StatusServiceUnavailable, host.CodeThreadFailed)
	if status, a := p.call(t, "GET", "/codex/models", p.header()); status != http.StatusOK || a.Scheme != core.ModeBearer {
		t.Errorf("a background call: %d %+v", status, a)
	}
	u.server.Close()
	failed("no upstream", "GET", "/codex/models", http.StatusBadGateway, proxy.CodeUpstreamFailed)
	if err := os.WriteFile(u.authFile, []byte(`{"tokens":`), 0o600); err != nil {
		t.Fatal(err)
	}
	// A conversation that nobody has asked for in this second.
	status, a := p.call(t, "POST", "/codex/responses", p.header(proxy.ThreadHeader, "another"))
	if status != http.StatusBadGateway || a.Error.Code != core.CodeInvalidAuthJSON {
		t.Errorf("a damaged auth.json: %d %+v", status, a)
	}
	if r := p.stop(); strings.Count(r.stderr, "request failed") != 3 {
		t.Errorf("it said %s", r.stderr)
	}
}

// TestProxyHidesWhatTheUpstreamSays: net/http quotes a malformed response.
func TestProxyHidesWhatTheUpstreamSays(t *testing.T) {
	u := startUpstream(t, none)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var answering sync.WaitGroup
	defer answering.Wait()
	defer listener.Close()
	answering.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			r, err := http.ReadRequest(bufio.NewReader(c))
			if err == nil {
				fmt.Fprintf(c, "%s\r\n\r\n", r.Header.Get("Authorization"))
			}
			c.Close()
		}
	})
	u.url = "http://" + listener.Addr().String()
	p := startProxy(t, u, "--no-agent-identity")
	status, a := p.call(t, "GET", "/codex/models", p.header())
	if status != http.StatusBadGateway || a.Error.Code != proxy.CodeUpstreamFailed || strings.Contains(a.Error.Message, u.secrets[0]) {
		t.Errorf("got %d %+v", status, a)
	}
}

// startEcho starts a proxy before an upstream that answers with the task and the
// body.
func startEcho(t *testing.T) (*upstream, *running, func(body string) (task, echo string)) {
	t.Helper()
	u := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		who, _ := authority.PrincipalFromContext(r.Context())
		if err := json.NewEncoder(w).Encode([]string{who.TaskID, string(body)}); err != nil {
			t.Error(err)
		}
	})
	p := startProxy(t, u)
	return u, p, func(body string) (task, echo string) {
		t.Helper()
		var got []string
		if status := exchange(t, "POST", p.url+"/test/echo", body, p.header(), &got); status != http.StatusOK || len(got) != 2 {
			t.Fatalf("got %d %q", status, got)
		}
		return got[0], got[1]
	}
}

// TestProxyRecovers: a task that has expired is replaced, and the request sent
// again.
func TestProxyRecovers(t *testing.T) {
	u, p, send := startEcho(t)
	first, _ := send("")
	u.ExpireTask(first)
	text := strings.Repeat("x", proxy.MaxReplayed)
	second, echo := send(text)
	if second == first || echo != text {
		t.Errorf("the task was %s and is %s; %d bytes came back", first, second, len(echo))
	}
	own := p.assertion(t, "POST", "/codex/responses")
	u.ExpireTask(own)
	if again := p.assertion(t, "POST", "/codex/responses"); again == own {
		t.Error("the conversation's task was not replaced")
	}
	if got := u.Accepted(); got != (authority.Counts{Identities: 1, Tasks: 4}) {
		t.Errorf("registered %+v", got)
	}
}

// TestProxyCannotReplay: where the request cannot be sent again, the next one
// works.
func TestProxyCannotReplay(t *testing.T) {
	u, p, send := startEcho(t)
	first, _ := send("")
	u.ExpireTask(first)
	response := p.open(t, "POST", "/test/echo", io.MultiReader(strings.NewReader("of unknown length")))
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("a body that cannot be replayed: %d", response.StatusCode)
	}
	if second, echo := send("next"); second == first || echo != "next" {
		t.Errorf("the next request: task %s, %q", second, echo)
	}
	if got := u.Accepted(); got != (authority.Counts{Identities: 1, Tasks: 2}) {
		t.Errorf("registered %+v", got)
	}
}

// TestProxyStreamsDown: the caller has the beginning before the upstream has
// ended, of event streams and of others.
func TestProxyStreamsDown(t *testing.T) {
	for _, contentType := range []string{"text/event-stream", "application/octet-stream"} {
		t.Run(contentType, func(t *testing.T) {
			seen := make(chan struct{})
			u := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", contentType)
				w.Header().Set("Content-Length", "18") // a length that is known makes nothing wait
				for i := range 2 {
					fmt.Fprintf(w, "data: %d\n\n", i)
					if err := http.NewResponseController(w).Flush(); err != nil {
						t.Error(err)
					}
					<-seen
				}
			})
			p := startProxy(t, u)
			body := p.open(t, "GET", "/test/events", nil).Body
			for i := range 2 {
				event := make([]byte, 9)
				if _, err := io.ReadFull(body, event); err != nil || string(event) != fmt.Sprintf("data: %d\n\n", i) {
					t.Fatalf("got %q, %v", event, err)
				}
				seen <- struct{}{}
			}
			if rest, err := io.ReadAll(body); err != nil || len(rest) != 0 {
				t.Errorf("then %q, %v", rest, err)
			}
		})
	}
}

// TestProxyStreamsBothWays: the upstream answers each part of a body before the
// caller sends the next.
func TestProxyStreamsBothWays(t *testing.T) {
	u := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if err := control.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			fmt.Fprintf(w, "%s back\n", lines.Text())
			if err := control.Flush(); err != nil {
				t.Error(err)
			}
		}
	})
	p := startProxy(t, u)
	reader, writer := io.Pipe()
	go fmt.Fprintln(writer, "first")
	lines := bufio.NewReader(p.open(t, "POST", "/test/echo", reader).Body)
	for _, next := range []string{"second", "third", ""} {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(line, " back\n") {
			t.Errorf("got %q", line)
		}
		if next != "" {
			fmt.Fprintln(writer, next)
		}
	}
	writer.Close()
	if rest, err := io.ReadAll(lines); err != nil || len(rest) != 0 {
		t.Errorf("then %q, %v", rest, err)
	}
}

// echoUpgraded switches protocols, and sends back what it gets.
func echoUpgraded(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			http.Error(w, "no upgrade", http.StatusUpgradeRequired)
			return
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if rw.Flush() == nil {
			_, _ = io.Copy(c, rw) // until either side is gone
		}
	}
}

const upgrade = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// TestProxyUpgrades makes hand-shakes of WebSockets by hand: what is in the frames
// is nothing to the proxy.
func TestProxyUpgrades(t *testing.T) {
	u := startUpstream(t, echoUpgraded(t))
	p := startProxy(t, u)
	_, r := p.raw(t, "GET /test/socket HTTP/1.1\r\n"+upgrade+"\r\n")
	if response := readResponse(t, r); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("a hand-shake without a token: %d", response.StatusCode)
	}
	authorized := upgrade + proxy.TokenHeader + ": " + p.token + "\r\n\r\n"
	for _, situation := range []string{"at first", "with an expired task"} {
		c, r := p.raw(t, "GET /test/socket HTTP/1.1\r\n"+authorized)
		response := readResponse(t, r)
		if response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%s: %d", situation, response.StatusCode)
		}
		for _, message := range []string{"ping", "pong"} {
			if _, err := io.WriteString(c, message); err != nil {
				t.Fatal(err)
			}
			echo := make([]byte, len(message))
			if _, err := io.ReadFull(r, echo); err != nil || string(echo) != message {
				t.Fatalf("%s: %q came back, %v", situation, echo, err)
			}
		}
		if situation == "at first" {
			if !u.ExpireTask(p.assertion(t, "GET", "/codex/models")) {
				t.Fatal("there is no such task")
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		// It stays open: what ends it is the proxy's end, and at once.
		if ended := p.stop(); ended.code != 0 {
			t.Errorf("it ended with %+v", ended)
		}
		if _, err := r.ReadByte(); err == nil {
			t.Error("the connection outlived the proxy")
		}
	}
	if got := u.Accepted(); got != (authority.Counts{Identities: 1, Tasks: 2}) {
		t.Errorf("registered %+v", got)
	}
}

// TestProxyLeavesNothing ends it while the upstream goes on.
func TestProxyLeavesNothing(t *testing.T) {
	u := startUpstream(t, none)
	ignored := goleak.IgnoreCurrent()
	p := startProxy(t, u)
	p.assertion(t, "GET", "/codex/models")
	p.assertion(t, "POST", "/codex/responses")
	p.stop()
	goleak.VerifyNone(t, ignored)
	files, err := filepath.Glob(u.authFile + ".threads/*")
	if err != nil || len(files) != 0 {
		t.Errorf("the run's own conversation left %q, %v", files, err)
	}
}

func TestProxyFlags(t *testing.T) {
	dir := t.TempDir()
	tokenFile, addrFile := filepath.Join(dir, "token"), filepath.Join(dir, "addr")
	damaged, missing := filepath.Join(dir, "damaged.json"), filepath.Join(dir, "none.json")
	if err := os.WriteFile(damaged, []byte(`{"tokens":`), 0o600); err != nil {
		t.Fatal(err)
	}
	all := []string{"proxy", "--listen", "127.0.0.1:0", "--upstream", "https://chatgpt.com", "--auth-file", missing,
		"--token-file", tokenFile, "--addr-file", addrFile}
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // in standard error
	}{
		{"every address", []string{"--listen", ":0"}, exitUsage, "--allow-remote"},
		{"every IPv4 address", []string{"--listen", "0.0.0.0:0"}, exitUsage, "not a loopback address"},
		{"another address", []string{"--listen", "192.0.2.1:0"}, exitUsage, "not a loopback address"},
		{"another address, allowed", []string{"--listen", "192.0.2.1:0", "--allow-remote"}, exitFailed, "cannot listen"},
		{"no port", []string{"--listen", "127.0.0.1"}, exitFailed, "cannot listen"},
		{"an impossible port", []string{"--listen", "127.0.0.1:99999"}, exitFailed, "cannot listen"},
		{"bad upstream", []string{"--upstream", "chatgpt.com"}, exitUsage, "https://"},
		{"bad trusted host", []string{"--trust-host", "a/b"}, exitUsage, "trusted host"},
		{"bad thread", []string{"--thread", "a\nb"}, exitUsage, "thread"},
		{"damaged auth.json", []string{"--auth-file", damaged}, exitFailed, "JSON"},
		{"no folder for the address", []string{"--addr-file", filepath.Join(dir, "none", "x")}, exitFailed, "the address cannot be written"},
		{"a token made and brought", []string{"--token-from", missing}, exitUsage, "token-from"},
		{"no folder for the token", []string{"--token-file", filepath.Join(dir, "none", "x")}, exitFailed, "the token cannot be written"},
		{"an argument", []string{"x"}, exitUsage, "--help"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tool(t, "", append(all, tt.args...)...)
			if got.code != tt.code || !strings.Contains(got.stderr, tt.want) || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("code %d, want %d; said %q, want one line with %q", got.code, tt.code, got.stderr, tt.want)
			}
			for _, name := range []string{tokenFile, addrFile} {
				if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("it wrote %s", filepath.Base(name))
				}
			}
		})
	}
	if got := tool(t, "", "__complete", "proxy", "--upstream", ""); !strings.HasPrefix(got.stdout, ":4\n") {
		t.Errorf("completed to %q", got.stdout)
	}
}
