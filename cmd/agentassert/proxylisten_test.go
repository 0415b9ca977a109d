package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// has returns a lookup that knows one name.
func has(addrs ...string) lookup {
	return func(_ context.Context, _, host string) ([]netip.Addr, error) {
		var found []netip.Addr
		for _, a := range addrs {
			found = append(found, netip.MustParseAddr(a))
		}
		if len(found) == 0 {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return found, nil
	}
}

func TestProxyEndpoints(t *testing.T) {
	for _, tt := range []struct {
		listen string
		has    lookup
		remote bool
		want   string // the hosts, or what is said
	}{
		{"127.0.0.1:1", has(), false, "127.0.0.1"},
		{"[::1]:1", has(), false, "::1"},
		{"[::ffff:127.0.0.1]:1", has(), false, "127.0.0.1"},
		{"proxy.example:1", has("127.0.0.1", "::1"), false, "127.0.0.1 ::1"},
		{"proxy.example:1", has("127.0.0.2", "::ffff:127.0.0.1", "127.0.0.1"), false, "127.0.0.1 127.0.0.2"},
		{"proxy.example:1", has("127.0.0.1", "192.0.2.1"), false, "--allow-remote"},
		{"proxy.example:1", has("127.0.0.1", "192.0.2.1"), true, "127.0.0.1 192.0.2.1"},
		{"proxy.example:1", has(), false, "no such host"},
		{"localhost:1", has("127.0.0.1"), false, "127.0.0.1 ::1"},
		{"LOCALHOST.:1", has(), false, "127.0.0.1 ::1"},
		{"x.localhost:1", has(), false, "127.0.0.1 ::1"},
		{"localhost:1", has("192.0.2.1"), false, "--allow-remote"},
		{"notlocalhost:1", has("192.0.2.1"), false, "--allow-remote"},
		{":1", has(), false, "--allow-remote"},
		{":1", has(), true, ""},
		{"unix:", has(), false, "names no file"},
	} {
		e, err := parseEndpoint(t.Context(), "listen", tt.listen, tt.remote, tt.has)
		got := strings.Join(e.hosts, " ")
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tt.want) || err == nil && got != tt.want {
			t.Errorf("--listen %s: %q, want %q", tt.listen, got, tt.want)
		}
	}
}

// fakeListener is at an address, and is closed.
type fakeListener struct {
	net.Listener
	address string
	closed  *[]string
}

func (l fakeListener) Addr() net.Addr { return addr(l.address) }

func (l fakeListener) Close() error {
	*l.closed = append(*l.closed, l.address)
	return nil
}

type addr string

func (addr) Network() string  { return "tcp" }
func (a addr) String() string { return string(a) }

// TestProxyListensEverywhere: at the same port of all addresses, or not at all.
func TestProxyListensEverywhere(t *testing.T) {
	free := map[string]string{"127.0.0.1:0": "127.0.0.1:7001"}
	for _, tt := range []struct {
		name, port string
		hosts      string
		opens      []string // in order; ! is in use, - is no address of this machine's
		want       string   // the address, or what is said
		closed     string
	}{
		{"a port", "80", "127.0.0.1 ::1", []string{"127.0.0.1:80", "[::1]:80"}, "name:80", ""},
		{"a free port", "0", "127.0.0.1 ::1", []string{"127.0.0.1:0", "[::1]:7001"}, "name:7001", ""},
		{"that is not free elsewhere, once", "0", "127.0.0.1 ::1",
			[]string{"127.0.0.1:0", "![::1]:7001", "127.0.0.1:0", "[::1]:7001"}, "name:7001", "127.0.0.1:7001"},
		{"a port that is not free", "80", "127.0.0.1 ::1", []string{"127.0.0.1:80", "![::1]:80"}, "in use", "127.0.0.1:80"},
		{"no IPv6", "0", "127.0.0.1 ::1", []string{"127.0.0.1:0", "-[::1]:7001"}, "name:7001", ""},
		{"no address", "80", "127.0.0.1 ::1", []string{"-127.0.0.1:80", "-[::1]:80"}, "cannot listen", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var opened, closed []string
			e := endpoint{name: "name", port: tt.port, hosts: strings.Fields(tt.hosts)}
			_, address, err := e.open(t.Context(), func(_ context.Context, _, address string) (net.Listener, error) {
				i := len(opened)
				if i >= len(tt.opens) {
					return nil, errors.New("not expected: " + address)
				}
				opened = append(opened, strings.TrimLeft(tt.opens[i], "!-"))
				switch tt.opens[i][0] {
				case '!':
					return nil, &net.OpError{Op: "listen", Err: addressInUse}
				case '-':
					return nil, &net.OpError{Op: "listen", Err: noAddress}
				}
				if opened[i] != address {
					t.Errorf("it opened %s, want %s", address, opened[i])
				}
				if a, ok := free[address]; ok {
					address = a
				}
				return fakeListener{address: address, closed: &closed}, nil
			})
			if err != nil {
				address = err.Error()
			}
			if !strings.Contains(address, tt.want) || len(opened) != len(tt.opens) || strings.Join(closed, " ") != tt.closed {
				t.Errorf("got %q, opened %q, closed %q", address, opened, closed)
			}
		})
	}
	t.Run("never", func(t *testing.T) {
		tries := 0
		e := endpoint{name: "name", port: "0", hosts: []string{"127.0.0.1", "::1"}}
		_, _, err := e.open(t.Context(), func(_ context.Context, _, address string) (net.Listener, error) {
			if strings.HasPrefix(address, "[") {
				tries++
				return nil, &net.OpError{Op: "listen", Err: addressInUse}
			}
			return fakeListener{address: "127.0.0.1:7001", closed: new([]string)}, nil
		})
		if err == nil || tries != maxPortTries {
			t.Errorf("%d tries, %v", tries, err)
		}
	})
}

// TestProxyLocalhost: whoever listened on the address of localhost that the proxy
// leaves out would be sent its token.
func TestProxyLocalhost(t *testing.T) {
	u := startUpstream(t, none)
	p := startProxy(t, u, "--listen", "localhost:0")
	host, port, err := net.SplitHostPort(strings.TrimPrefix(p.url, "http://"))
	if err != nil || host != "localhost" {
		t.Fatalf("it is at %s", p.url)
	}
	loopback := []string{"127.0.0.1", "::1"}
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		l.Close()
	} else {
		t.Logf("there is no IPv6 here, and nothing of it is tested: %v", err)
		loopback = loopback[:1]
	}
	for _, h := range loopback {
		p.url = "http://" + net.JoinHostPort(h, port)
		if status, a := p.call(t, "GET", "/codex/models", p.header()); status != http.StatusOK {
			t.Errorf("%s: %d %+v", p.url, status, a)
		}
	}
	if r := p.stop(); r.code != 0 || !strings.Contains(r.stderr, "http://localhost:"+port) {
		t.Errorf("%+v", r)
	}
	for _, h := range loopback {
		l, err := net.Listen("tcp", net.JoinHostPort(h, port))
		if err != nil {
			t.Errorf("it still listens: %v", err)
			continue
		}
		l.Close()
	}
}
