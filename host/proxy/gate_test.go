package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// startGated is startPlain with another gate.
func startGated(t *testing.T, changeGate func(*gate), change func(*Config), backend http.HandlerFunc) *running {
	t.Helper()
	s := httptest.NewServer(backend)
	t.Cleanup(s.Close)
	p := newPlain(t, s.URL, change)
	changeGate(p.gate)
	return start(t, p)
}

// checkClosed wants the other side to close a connection, sooner than the time for a
// request's header would make it.
func checkClosed(t *testing.T, name string, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(headerTimeout / 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%s is still open", name)
	}
}

// TestStrangers: however many connections are opened without the token, who has
// it gets in, and who got in stays.
func TestStrangers(t *testing.T) {
	const most = 4
	p := startGated(t, func(g *gate) { g.maxStrangers = most }, func(*Config) {}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/socket" {
			echoUpgraded(t)(w, r)
		}
	})
	get := func(name string, c net.Conn, r *bufio.Reader, more ...string) {
		t.Helper()
		if _, err := io.WriteString(c, p.request("GET /", more...)); err != nil {
			t.Fatal(err)
		}
		if response := readResponse(t, r); response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", name, response.StatusCode)
		}
	}
	socket, frames := p.raw(t, "GET /socket HTTP/1.1\r\n"+upgrade+TokenHeader+": t\r\n\r\n")
	if response := readResponse(t, frames); response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", response.StatusCode)
	}
	kept, keptReader := p.raw(t, "")
	get("a caller", kept, keptReader)
	var strangers []net.Conn
	for i := range 3 * most {
		text := ""
		if i%2 == 0 {
			text = "GET / HTTP/1.1\r\n" // and no more
		}
		c, _ := p.raw(t, text)
		strangers = append(strangers, c)
	}
	next, nextReader := p.raw(t, "")
	get("the next caller", next, nextReader)
	// It has taken a stranger's place, and given it back.
	for _, c := range strangers[:2*most+1] {
		checkClosed(t, "an early stranger's connection", c)
	}
	get("a caller from before", kept, keptReader)
	if _, err := io.WriteString(socket, "ping"); err != nil {
		t.Fatal(err)
	}
	echo := make([]byte, len("ping"))
	if _, err := io.ReadFull(frames, echo); err != nil || string(echo) != "ping" {
		t.Errorf("a WebSocket from before: %q, %v", echo, err)
	}
}

// TestTurnsAway: a request without the token is answered before its body has
// come, and its connection closed, whatever it asks for.
func TestTurnsAway(t *testing.T) {
	reached := make(chan string, 100)
	p := startPlain(t, func(*Config) {}, func(_ http.ResponseWriter, r *http.Request) { reached <- r.URL.String() })
	for _, tt := range []struct {
		name, text string
		want       int
	}{
		{"a keep-alive", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusUnauthorized},
		{"a keep-alive of HTTP/1.0", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", http.StatusUnauthorized},
		{"a body that does not come", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", http.StatusUnauthorized},
		{"one in chunks", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx", http.StatusUnauthorized},
		{"one that waits to be asked for", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n", http.StatusUnauthorized},
		{"a large one", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n", http.StatusUnauthorized},
		{"a request behind it", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n" + TokenHeader + ": t\r\n\r\n", http.StatusUnauthorized},
		{"what net/http answers", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusUnauthorized},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", http.StatusUnauthorized},
		{"a header that is too large", "GET / HTTP/1.1\r\nHost: x\r\n" + TokenHeader + ": t\r\nX: " + strings.Repeat("x", maxHeader+8<<10) + "\r\n\r\n", http.StatusRequestHeaderFieldsTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, r := p.raw(t, tt.text)
			if err := c.SetReadDeadline(time.Now().Add(headerTimeout / 2)); err != nil {
				t.Fatal(err)
			}
			response := readResponse(t, r)
			response.Body.Close()
			if response.StatusCode != tt.want || !response.Close {
				t.Errorf("status %d, want %d; it says that it closes: %t", response.StatusCode, tt.want, response.Close)
			}
			checkClosed(t, "the connection", c)
		})
	}
	if n := len(reached); n > 0 {
		t.Errorf("%d requests to the upstream", n)
	}
}

// TestCallers: those with the token are bounded, too, and told so. A place is
// free again when a connection has ended, a WebSocket's included.
func TestCallers(t *testing.T) {
	p := startGated(t, func(g *gate) { g.maxCallers = 1 }, func(*Config) {}, echoUpgraded(t))
	connect := func() (*net.TCPConn, int) {
		c, r := p.raw(t, "GET / HTTP/1.1\r\n"+upgrade+TokenHeader+": t\r\n\r\n")
		response := readResponse(t, r)
		response.Body.Close()
		return c, response.StatusCode
	}
	socket, status := connect()
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("the first: %d", status)
	}
	status, a := p.rawAnswer(t, p.request("GET /"))
	if status != http.StatusServiceUnavailable || a.Error.Code != CodeTooManyConnections || a.Error.Message == "" {
		t.Errorf("the second: %d %+v", status, a)
	}
	if err := socket.Close(); err != nil {
		t.Fatal(err)
	}
	// When the proxy has seen the end is its own affair.
	for status = 0; status != http.StatusSwitchingProtocols; {
		if _, status = connect(); status != http.StatusSwitchingProtocols && status != http.StatusServiceUnavailable {
			t.Fatalf("after the first: %d", status)
		}
	}
}

// byName are tenants whose token is their name.
type byName struct{ Tenants }

func (byName) Admit(h http.Header) (account string, ok bool) {
	account = tokenOf(h)
	return account, account != ""
}

// TestConnectionsOfAccount: an account that has opened as many connections as it may
// gets no more, and keeps no other out; where it has closed one it gets another.
func TestConnectionsOfAccount(t *testing.T) {
	const most = 2
	p := startPlain(t, func(c *Config) {
		c.ConnectionsOfAccount = most
		c.Tenants = byName{c.Tenants}
	}, echoUpgraded(t))
	open := func(account string) (status int, c net.Conn) {
		t.Helper()
		c, r := p.raw(t, "GET / HTTP/1.1\r\n"+upgrade+TokenHeader+": "+account+"\r\n\r\n")
		response := readResponse(t, r)
		response.Body.Close()
		return response.StatusCode, c
	}
	var last net.Conn
	for range most {
		status, c := open("alice")
		if last = c; status != http.StatusSwitchingProtocols {
			t.Fatalf("the first ones: %d", status)
		}
	}
	if status, _ := open("alice"); status != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", status)
	}
	if status, _ := open("bob"); status != http.StatusSwitchingProtocols {
		t.Errorf("another account's: %d", status)
	}
	if err := last.Close(); err != nil {
		t.Fatal(err)
	}
	status := 0
	for deadline := time.Now().Add(time.Minute); status != http.StatusSwitchingProtocols && time.Now().Before(deadline); {
		status, _ = open("alice") // once the proxy has noticed
	}
	if status != http.StatusSwitchingProtocols {
		t.Errorf("after one was closed: %d", status)
	}
}
