package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host/proxy"
)

// request is one as it is sent, with the token.
func (p *running) request(line string, fields ...string) string {
	fields = append([]string{line + " HTTP/1.1", "Host: localhost", proxy.TokenHeader + ": " + p.token}, fields...)
	return strings.Join(fields, "\r\n") + "\r\n\r\n"
}

// TestProxyRefusesRegistrations: whoever gets a biscuit or registers an identity has
// something for later, however its path is written.
func TestProxyRefusesRegistrations(t *testing.T) {
	u := startUpstream(t, none)
	p := startProxy(t, u)
	before := u.count()
	for _, tt := range []struct{ path, code string }{
		{"/authenticate_app_v2", proxy.CodeForbiddenPath},
		{"/authenticate_app_v2/", proxy.CodeForbiddenPath},
		{"/authenticate_app_v2/x/y", proxy.CodeForbiddenPath},
		{"/authenticate_app_v2?x=1", proxy.CodeForbiddenPath},
		{"/Authenticate_APP_v2", proxy.CodeForbiddenPath},
		{"/%61uthenticate_app_v2", proxy.CodeForbiddenPath},
		{"/authenticate%5Fapp%5fv2", proxy.CodeForbiddenPath},
		{"/%2561uthenticate_app_v2", proxy.CodeForbiddenPath},
		{"/%25252561uthenticate_app_v2", proxy.CodeForbiddenPath},
		{"/100%25/%61uthenticate_app_v2", proxy.CodeForbiddenPath},
		{"//authenticate_app_v2", proxy.CodeForbiddenPath},
		{"/%2fauthenticate_app_v2", proxy.CodeForbiddenPath},
		{"/%5Cauthenticate_app_v2", proxy.CodeForbiddenPath},
		{`/x\authenticate_app_v2`, proxy.CodeForbiddenPath},
		{"/authenticate_app_v2;x=1", proxy.CodeForbiddenPath},
		{"/authenticate_app_v2%3Bx=1", proxy.CodeForbiddenPath},
		{"/;x/authenticate_app_v2", proxy.CodeForbiddenPath},
		{"/authenticate_app_v2%3Fx=1", proxy.CodeForbiddenPath},
		{"/authenticate_app_v2%23x", proxy.CodeForbiddenPath},
		{"/authenticate_app_v2#x", proxy.CodeForbiddenPath},
		{"/authenticate_app_v2.json", proxy.CodeForbiddenPath},
		{"/authenticate_app_v2%20", proxy.CodeForbiddenPath},
		{"/%20authenticate_app_v2", proxy.CodeForbiddenPath},
		{"/authenticate_app_v2%00", proxy.CodeForbiddenPath},
		{"/authenticate%00_app_v2", proxy.CodeInvalidPath},
		{"/x%2500y", proxy.CodeInvalidPath},
		{"/authenticate%0a_app_v2", proxy.CodeInvalidPath},
		{"/%c1%a1uthenticate_app_v2", proxy.CodeInvalidPath},
		{"/x/../authenticate_app_v2", proxy.CodeInvalidPath},
		{"/x/%252e%252e/y", proxy.CodeInvalidPath},
		{"/x/..%20/y", proxy.CodeInvalidPath},
		{"/x/..;y/z", proxy.CodeInvalidPath},
		{"/x/%2e%2e%3By/z", proxy.CodeInvalidPath},
		{"/%25252525252525252525252561", proxy.CodeInvalidPath},
		{"/api/accounts/authenticate_app_v2", proxy.CodeForbiddenPath},
		{"http://localhost/authenticate_app_v2", proxy.CodeForbiddenPath},
		{"x:authenticate_app_v2", proxy.CodeInvalidPath},
		{"/v1/agent", proxy.CodeForbiddenPath},
		{"/v1/agent/register", proxy.CodeForbiddenPath},
		{"/v1/agent/agent-1/task/register", proxy.CodeForbiddenPath},
		{"/V1/AGENT/register", proxy.CodeForbiddenPath},
		{"/v1//agent/register", proxy.CodeForbiddenPath},
		{"/v1/%20/agent/register", proxy.CodeForbiddenPath},
		{"/v1;x/agent;y/register", proxy.CodeForbiddenPath},
		{"/v1%2Fagent%2Fregister", proxy.CodeForbiddenPath},
		{"/v1%252fagent", proxy.CodeForbiddenPath},
		{"/v1%5cagent", proxy.CodeForbiddenPath},
		{"/%76%31/%61gent", proxy.CodeForbiddenPath},
		{"/api/accounts/v1/agent/register", proxy.CodeForbiddenPath},
		{"/agent/register", proxy.CodeForbiddenPath},
		{"/agent/regi%C5%BFter", proxy.CodeForbiddenPath}, // an s to who folds case by Unicode
	} {
		for _, method := range []string{"GET", "POST"} {
			_, r := p.raw(t, p.request(method+" "+tt.path, "Connection: close"))
			response := readResponse(t, r)
			var a answer
			err := json.NewDecoder(response.Body).Decode(&a)
			response.Body.Close()
			want := http.StatusForbidden
			if tt.code == proxy.CodeInvalidPath {
				want = http.StatusBadRequest
			}
			if err != nil || response.StatusCode != want || a.Error.Code != tt.code || a.Error.Message == "" {
				t.Errorf("%s %s: %d %+v, want %d %s", method, tt.path, response.StatusCode, a.Error, want, tt.code)
			}
		}
	}
	if u.count() != before {
		t.Errorf("the upstream got %d requests", u.count()-before)
	}
	for _, path := range []string{
		"/v1/agents", "/v1/x/agent", "/agent/v1", "/v10/agent", "/authenticate_app_v22", "/xauthenticate_app_v2", "/agent-1/register", "/",
		"/a%2Fb%20c%25", "/a.b/..c", "/%C3%A9", "/x?y=/v1/agent", "/codex//models",
	} {
		if status, a := p.rawAnswer(t, p.request("GET "+path, "Connection: close")); status != http.StatusOK {
			t.Errorf("%s: %d %+v", path, status, a.Error)
		}
	}
}

// TestProxyRefusesMethods: these are answered with the request's header.
func TestProxyRefusesMethods(t *testing.T) {
	u := startUpstream(t, none)
	p := startProxy(t, u)
	before := u.count()
	for _, method := range []string{"TRACE", "TRACK", "trace", "Track", "connect"} {
		if status, a := p.rawAnswer(t, p.request(method+" /codex/models")); status != http.StatusMethodNotAllowed || a.Error.Code != proxy.CodeMethodNotAllowed {
			t.Errorf("%s: %d %+v", method, status, a.Error)
		}
	}
	if u.count() != before {
		t.Errorf("the upstream got %d requests", u.count()-before)
	}
}

// TestProxyRequestFields: no field of a caller's, in any spelling, says who calls, or
// makes another request of it; and none of the proxy's own is taken away.
func TestProxyRequestFields(t *testing.T) {
	u := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		for name := range r.Trailer {
			r.Header["Trailer-"+name] = nil
		}
		if err := json.NewEncoder(w).Encode(r.Header); err != nil {
			t.Error(err)
		}
	})
	p := startProxy(t, u)
	send := func(t *testing.T, text string) http.Header {
		t.Helper()
		_, r := p.raw(t, text)
		response := readResponse(t, r)
		defer response.Body.Close()
		var seen http.Header
		if err := json.NewDecoder(response.Body).Decode(&seen); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%d %v", response.StatusCode, err)
		}
		if h := seen.Get("Authorization"); !strings.HasPrefix(h, core.Scheme+" ") || seen.Get("ChatGPT-Account-ID") != "account-1" {
			t.Errorf("the authorization is gone: %v", seen)
		}
		return seen
	}
	for _, name := range []string{
		"X_Agentassert_Token", "x-agentassert_thread", "X-Agentassert-Else", "X.Agentassert.Token", "Chatgpt_Account_Id", "ChatGPT-Account_ID",
		"X_OpenAI_Fedramp", "X-OpenAI-Fedramp", "X-OpenAI-Authorization", "X_OpenAI_Authorization", "X-OpenAI-Agent-Assertion", "Cookie2",
		"X-Original-Method", "X-Original-URL", "X_Original_Host", "X-Original-Anything", "X-Rewrite-URL", "X_Rewrite_Url",
		"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X_HTTP_Method_Override", "Http2-Settings",
		"Proxy", "Proxy-Authorization", "Proxy_Authorization", "Forwarded", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Prefix", "X_Forwarded_Host",
	} {
		t.Run(name, func(t *testing.T) {
			for seen := range send(t, p.request("GET /test/fields", name+": of-the-caller", "Connection: close")) {
				// Those that are the proxy's own have its values: send has looked.
				if spelling(seen) == spelling(name) && seen != "Chatgpt-Account-Id" || strings.HasPrefix(seen, "Cookie") {
					t.Errorf("the upstream got %s", seen)
				}
			}
		})
	}
	t.Run("Connection", func(t *testing.T) {
		seen := send(t, p.request("GET /test/fields", "Connection: close, Authorization, ChatGPT-Account-ID, X-OpenAI-Fedramp, X-Gone", "X-Gone: 1", "X-Kept: 1"))
		if seen.Get("X-Kept") == "" || seen.Get("X-Gone") != "" {
			t.Errorf("the upstream got %v", seen)
		}
	})
	t.Run("trailers", func(t *testing.T) {
		seen := send(t, p.request("POST /test/fields", "Transfer-Encoding: chunked", "Trailer: Authorization, X-Original-Method, X-Else", "Connection: close")+
			"1\r\nx\r\n0\r\nAuthorization: Bearer x\r\nX-Original-Method: DELETE\r\nX-Else: 1\r\n\r\n")
		for name := range seen {
			if strings.HasPrefix(name, "Trailer") {
				t.Errorf("the upstream got %s", name)
			}
		}
	})
}

// TestProxyOffersNoOtherProtocol: an offer of another one than WebSocket stays here,
// and what is asked for is answered with HTTP/1.1.
func TestProxyOffersNoOtherProtocol(t *testing.T) {
	u := startUpstream(t, none)
	p := startProxy(t, u)
	for _, offer := range []string{"h2c", "H2C", "TLS/1.2", "websocket, h2c", "h2c, websocket", "websocket2"} {
		status, a := p.rawAnswer(t, p.request("GET /codex/models", "Connection: Upgrade, HTTP2-Settings", "Upgrade: "+offer, "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"))
		if status != http.StatusOK || a.Scheme != core.ModeAgentAssertion {
			t.Errorf("%s: %d %+v", offer, status, a)
		}
		u.mu.Lock()
		seen := u.calls[len(u.calls)-1]
		u.mu.Unlock()
		for _, name := range []string{"Upgrade", "Connection", "Http2-Settings"} {
			if v, ok := seen[name]; ok {
				t.Errorf("%s: the upstream got %s: %q", offer, name, v)
			}
		}
	}
}

// TestProxySwitchesToNothingElse: an upstream opens no tunnel that was not asked for.
func TestProxySwitchesToNothingElse(t *testing.T) {
	const offer = "Connection: Upgrade\r\nUpgrade: "
	for _, tt := range []struct{ name, asked, answered string }{
		{"unasked, without a name", "X: y", "Connection: x\r\n"},
		{"unasked, WebSocket", "X: y", offer + "websocket\r\n"},
		{"h2c", offer + "h2c", offer + "h2c\r\n"},
		{"another than was asked for", offer + "websocket", offer + "h2c\r\n"},
		{"one without a name", offer + "websocket", "Connection: x\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				c, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\n%s\r\n", tt.answered)
				if rw.Flush() == nil {
					_, _ = io.Copy(io.Discard, c)
				}
			})
			p := startProxy(t, u)
			status, a := p.rawAnswer(t, p.request("GET /test/x", tt.asked))
			if status != http.StatusBadGateway || a.Error.Code != proxy.CodeUpstreamFailed {
				t.Errorf("%d %+v", status, a)
			}
		})
	}
}

// lasting are fields of an upstream's that a client would keep for later.
var lasting = []string{
	"Set-Cookie", "Set_Cookie", "Set-Cookie2", "X-OpenAI-Authorization", "X_OpenAI_Authorization", "X-OpenAI-Agent-Assertion", "Authorization",
	"Authentication-Info", "Proxy-Authentication-Info", "Clear-Site-Data", "Alt-Svc", "Strict-Transport-Security", proxy.TokenHeader,
}

func isLasting(name string) bool {
	return slices.ContainsFunc(lasting, func(l string) bool { return spelling(l) == spelling(name) })
}

// spelling is the same for names that some server takes for one.
func spelling(name string) string {
	return strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
}

// TestProxyResponseFields: nothing that a client keeps comes back, in the response,
// before it or after it.
func TestProxyResponseFields(t *testing.T) {
	set := func(h http.Header, prefix string) {
		for _, name := range lasting {
			h.Set(prefix+name, "kept")
		}
		h.Set(prefix+"X-Fine", "1")
	}
	u := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		set(h, "")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		h.Set("Trailer", "X-Openai-Authorization, Set-Cookie, X-Announced")
		w.WriteHeader(http.StatusOK)
		fmt.Fprint(w, "body")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		set(h, http.TrailerPrefix)
		h.Set("X-Announced", "1")
		h.Set("X-Openai-Authorization", "kept")
	})
	p := startProxy(t, u)
	check := func(where string, h http.Header, fine string) {
		t.Helper()
		if h.Get(fine) == "" {
			t.Errorf("%s: %s is gone from %v", where, fine, h)
		}
		for name := range h {
			if isLasting(name) {
				t.Errorf("%s: the caller got %s", where, name)
			}
		}
	}
	informational := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		informational++
		check(fmt.Sprint(code), http.Header(h), "X-Fine")
		return nil
	}})
	r, err := http.NewRequestWithContext(ctx, "GET", p.url+"/test/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = p.header()
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if informational != 2 {
		t.Errorf("%d informational responses", informational)
	}
	check("the header", response.Header, "X-Fine")
	for name := range response.Trailer {
		if isLasting(name) {
			t.Errorf("the trailer %s is announced", name)
		}
	}
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "body" {
		t.Errorf("%q, %v", body, err)
	}
	check("the trailer", response.Trailer, "X-Fine")
	check("the trailer", response.Trailer, "X-Announced")
}

// TestProxyUpgradeFields: the answer to a WebSocket's hand-shake is a response, too.
func TestProxyUpgradeFields(t *testing.T) {
	u := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\nSet-Cookie: a=b\r\nX_OpenAI_Authorization: x\r\n\r\n")
		if err := rw.Flush(); err != nil {
			t.Error(err)
		}
	})
	p := startProxy(t, u)
	_, r := p.raw(t, "GET /test/socket HTTP/1.1\r\n"+upgrade+proxy.TokenHeader+": "+p.token+"\r\n\r\n")
	response := readResponse(t, r)
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-WebSocket-Accept") == "" {
		t.Fatalf("%d %v", response.StatusCode, response.Header)
	}
	for name := range response.Header {
		if isLasting(name) {
			t.Errorf("the caller got %s", name)
		}
	}
}

// TestProxyLogsNoQuery: it can hold a caller's secret.
func TestProxyLogsNoQuery(t *testing.T) {
	u := startUpstream(t, none)
	p := startProxy(t, u)
	u.server.Close()
	if status, _ := p.call(t, "GET", "/codex/models?key=of-the-caller", p.header("X-Api-Key", "of-the-caller")); status != http.StatusBadGateway {
		t.Errorf("status %d", status)
	}
	if r := p.stop(); !strings.Contains(r.stderr, "path=/backend-api/codex/models ") || strings.Contains(r.stderr, "of-the-caller") {
		t.Errorf("it said %s", r.stderr)
	}
}

// TestMainQuotesNoUpstream runs the tool as it is installed: what net/http's client
// logs by itself is nothing to whoever reads standard error.
func TestMainQuotesNoUpstream(t *testing.T) {
	const variable = "AGENTASSERT_TEST_ARGUMENTS"
	if args := os.Getenv(variable); args != "" {
		os.Args = strings.Split(args, "\n")
		main()
	}
	u := startUpstream(t, none)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	closed := make(chan error, 1)
	go func() {
		c, err := listener.Accept()
		if err != nil {
			closed <- err
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		if _, err = http.ReadRequest(r); err == nil {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nX: unasked\r\n\r\n")
			_, err = r.ReadByte()
		}
		closed <- err
	}()
	dir := t.TempDir()
	tokenFile, addrFile := filepath.Join(dir, "token"), filepath.Join(dir, "addr")
	var stderr bytes.Buffer
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMainQuotesNoUpstream$")
	child.Env = append(os.Environ(), variable+"="+strings.Join([]string{"agentassert", "proxy", "--engine", "native", "--listen", "127.0.0.1:0",
		"--upstream", "http://" + listener.Addr().String(), "--auth-file", u.authFile, "--no-agent-identity", "--token-file", tokenFile, "--addr-file", addrFile}, "\n"))
	said := make(chan string, 1)
	child.Stderr = io.MultiWriter(&stderr, &notify{first: said})
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	select {
	case <-said:
	case err := <-ended:
		t.Fatalf("it ended: %v, %s", err, stderr.String())
	}
	p := &running{url: "http://" + strings.TrimSpace(string(readFile(t, addrFile))), token: strings.TrimSpace(string(readFile(t, tokenFile)))}
	if status, _ := p.call(t, "GET", "/codex/models", p.header()); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if err := <-closed; err == nil {
		t.Error("the connection goes on")
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	if strings.Contains(stderr.String(), "unasked") {
		t.Errorf("it said %s", stderr.String())
	}
}
