package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
)

// TestReplace: requests under way end with the setup that they began with, streams and
// WebSockets among them, new ones have the other, and each is released once, when nobody
// uses it any more.
func TestReplace(t *testing.T) {
	release := make(chan struct{})
	backend := func(name string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/stream":
				fmt.Fprint(w, name)
				_ = http.NewResponseController(w).Flush()
				<-release
				fmt.Fprint(w, " and done")
			case "/socket":
				echoUpgraded(t)(w, r)
			default:
				fmt.Fprint(w, name)
			}
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	released := make(chan string, 10)
	setup := func(name, token string) Setup {
		url := backend(name)
		return Setup{BaseURL: url, Tenants: OneUser(token, newPlainManager(t, url)), Release: func() { released <- name }}
	}
	p := start(t, newPlain(t, "http://127.0.0.1:9", func(c *Config) { c.Setup = setup("first", "t") }))
	stream := p.open(t, http.MethodGet, "/stream", nil).Body
	begun := make([]byte, len("first"))
	if _, err := io.ReadFull(stream, begun); err != nil || string(begun) != "first" {
		t.Fatalf("%q, %v", begun, err)
	}
	socket, frames := p.raw(t, "GET /socket HTTP/1.1\r\n"+upgrade+TokenHeader+": t\r\n\r\n")
	if response := readResponse(t, frames); response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", response.StatusCode)
	}
	if err := p.Replace(setup("second", "u")); err != nil {
		t.Fatal(err)
	}
	if status, body := p.get(t, "/"); status != http.StatusUnauthorized {
		t.Errorf("with the first token: %d %s", status, body)
	}
	if status, body := p.do(t, http.MethodGet, "/", nil, TokenHeader, "u"); status != http.StatusOK || body != "second" {
		t.Errorf("with the second token: %d %s", status, body)
	}
	if _, err := io.WriteString(socket, "ping"); err != nil {
		t.Fatal(err)
	}
	echo := make([]byte, len("ping"))
	if _, err := io.ReadFull(frames, echo); err != nil || string(echo) != "ping" {
		t.Errorf("a WebSocket from before: %q, %v", echo, err)
	}
	close(release)
	if rest, err := io.ReadAll(stream); err != nil || string(rest) != " and done" {
		t.Errorf("a stream from before: %q, %v", rest, err)
	}
	if len(released) != 0 {
		t.Errorf("released %s, which a WebSocket uses", <-released)
	}
	// One that nobody uses goes at once.
	if err := p.Replace(setup("third", "t")); err != nil {
		t.Fatal(err)
	}
	if name := <-released; name != "second" {
		t.Errorf("released %s, want the second", name)
	}
	if err := socket.Close(); err != nil {
		t.Fatal(err)
	}
	if name := <-released; name != "first" {
		t.Errorf("released %s, want the first", name)
	}
	if status, body := p.get(t, "/"); status != http.StatusOK || body != "third" {
		t.Errorf("at last: %d %s", status, body)
	}
	p.stop()
	if name := <-released; name != "third" || len(released) != 0 {
		t.Errorf("at the end %s was released, and %d more", name, len(released))
	}
	refused := setup("fourth", "t")
	if err := p.Replace(refused); core.Code(err) != host.CodeClosed || len(released) != 0 {
		t.Errorf("after the end: %v, and %d were released", err, len(released))
	}
	if err := p.Serve(t.Context()); core.Code(err) != host.CodeClosed {
		t.Errorf("served after the end: %v", err)
	}
}

// TestReplaceUnderLoad: no request is lost to it.
func TestReplaceUnderLoad(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	m := newPlainManager(t, s.URL)
	var inUse sync.WaitGroup
	setup := func() Setup {
		inUse.Add(1)
		return Setup{BaseURL: s.URL, Tenants: OneUser("t", m), Release: inUse.Done}
	}
	p := newPlain(t, s.URL, func(c *Config) { c.Setup = setup() })
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				w := httptest.NewRecorder()
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Header.Set(TokenHeader, "t")
				if p.ServeHTTP(w, r); w.Code != http.StatusOK {
					t.Errorf("%d %s", w.Code, w.Body)
					return
				}
			}
		})
	}
	for range 50 {
		if err := p.Replace(setup()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	callers.Wait()
	closeProxy(t, p)
	inUse.Wait()
}

// TestClose waits for requests under way, as long as it is told to.
func TestClose(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(begun)
		<-release
	}))
	defer s.Close()
	p := newPlain(t, s.URL, asItIs)
	front := httptest.NewServer(p)
	defer front.Close()
	caller := &running{Proxy: p, url: front.URL, token: "t"}
	ended := make(chan int)
	go func() {
		status, _ := caller.get(t, "/")
		ended <- status
	}()
	<-begun
	short, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if err := p.Close(short); core.Code(err) != host.CodeNotClosed || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while a request is under way: %v", err)
	}
	if status, body := caller.get(t, "/"); status != http.StatusServiceUnavailable || !strings.Contains(body, host.CodeClosed) {
		t.Errorf("another request: %d %s", status, body)
	}
	close(release)
	if status := <-ended; status != http.StatusOK {
		t.Errorf("the request under way: %d", status)
	}
	closeProxy(t, p)
	closeProxy(t, p)
}

// TestNewRefuses what cannot be served.
func TestNewRefuses(t *testing.T) {
	tenants := OneUser("t", newPlainManager(t, "http://127.0.0.1:9"))
	good := Setup{BaseURL: "http://127.0.0.1:9", Tenants: tenants}
	p, err := New(Config{Setup: good})
	if err != nil {
		t.Fatal(err)
	}
	defer closeProxy(t, p)
	for _, tt := range []struct {
		name   string
		change func(*Config)
		code   string
	}{
		{"nobody", func(c *Config) { c.Tenants = nil }, CodeInvalidConfig},
		{"no upstream", func(c *Config) { c.BaseURL = "" }, core.CodeInvalidBaseURL},
		{"no URL", func(c *Config) { c.BaseURL = "ftp://x" }, core.CodeInvalidBaseURL},
		{"no thread", func(c *Config) { c.Thread = "a\nb" }, core.CodeInvalidThreadID},
		{"a negative bound", func(c *Config) { c.ConnectionsOfAccount = -1 }, CodeInvalidConfig},
		{"a negative time", func(c *Config) { c.Grace = -1 }, CodeInvalidConfig},
	} {
		c := Config{Setup: good}
		tt.change(&c)
		c.Release = func() { t.Errorf("%s: released", tt.name) }
		if _, err := New(c); core.Code(err) != tt.code {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.code)
		}
		if c.Grace == 0 {
			if err := p.Replace(c.Setup); core.Code(err) != tt.code {
				t.Errorf("%s, in place of another: %v, want %s", tt.name, err, tt.code)
			}
		}
	}
}

// TestOtherBackend: a manager that is for another backend authorizes nothing here, and so
// nothing is sent.
func TestOtherBackend(t *testing.T) {
	other := newPlainManager(t, "http://127.0.0.1:9")
	p := startPlain(t, func(c *Config) { c.Tenants = OneUser("t", other) }, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	if status, body := p.get(t, "/"); status != http.StatusBadGateway || !strings.Contains(body, CodeAccountFailed) {
		t.Errorf("%d %s", status, body)
	}
}
