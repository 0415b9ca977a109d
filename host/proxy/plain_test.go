package proxy

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// newPlainManager returns a manager whose calls carry nothing.
func newPlainManager(t testing.TB, baseURL string) *host.Manager {
	t.Helper()
	m, err := host.NewManager(host.ManagerConfig{
		Engine: host.NewNative(), Store: new(host.MemoryStore), BaseURL: baseURL, Logger: slog.New(slog.DiscardHandler),
		Credentials: host.CredentialFunc(func(context.Context) (host.Credentials, error) {
			return host.Credentials{Kind: wire.CredentialsNone}, nil
		}),
	})
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

// newPlain returns a proxy, with the token t, that authorizes nothing, and waits for
// nobody who is turned away.
func newPlain(t testing.TB, baseURL string, change func(*Config)) *Proxy {
	t.Helper()
	c := Config{
		Setup:  Setup{BaseURL: baseURL, Tenants: OneUser("t", newPlainManager(t, baseURL))},
		Logger: slog.New(slog.DiscardHandler), Hosts: AnyHost, Grace: time.Nanosecond,
	}
	change(&c)
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	p.farewell = time.Nanosecond
	return p
}

func closeProxy(t testing.TB, p *Proxy) {
	t.Helper()
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// running is a proxy that serves.
type running struct {
	*Proxy
	url, token string
	// stop ends it.
	stop func()
}

// startPlain serves a plain proxy before a backend until the test ends.
func startPlain(t *testing.T, change func(*Config), backend http.HandlerFunc) *running {
	t.Helper()
	s := httptest.NewServer(backend)
	t.Cleanup(s.Close)
	return start(t, newPlain(t, s.URL, change))
}

// start serves a proxy until the test ends.
func start(t *testing.T, p *Proxy) *running {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx, listener) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if p.gate.callers != 0 || len(p.gate.strangers) != 0 || len(p.gate.accounts) != 0 {
			t.Errorf("the gate counts %d callers, of %v, and %d strangers who are gone", p.gate.callers, p.gate.accounts, len(p.gate.strangers))
		}
	})
	t.Cleanup(stop)
	return &running{p, "http://" + listener.Addr().String(), "t", stop}
}

// request is one as it is sent, with the token.
func (p *running) request(line string, fields ...string) string {
	fields = append([]string{line + " HTTP/1.1", "Host: localhost", TokenHeader + ": " + p.token}, fields...)
	return strings.Join(fields, "\r\n") + "\r\n\r\n"
}

// open sends a request whose response is read by the test as it comes.
func (p *running) open(t *testing.T, method, path string, body io.Reader) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(TokenHeader, p.token)
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
func (p *running) rawAnswer(t *testing.T, text string) (int, refusal) {
	t.Helper()
	_, r := p.raw(t, text)
	response := readResponse(t, r)
	defer response.Body.Close()
	var a refusal
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
