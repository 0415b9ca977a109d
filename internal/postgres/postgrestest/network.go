package postgrestest

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Network forwards connections to a server, until it freezes.
type Network struct {
	listener net.Listener
	server   string
	wait     sync.WaitGroup

	mu     sync.Mutex
	frozen bool
	conns  []net.Conn
}

// NewNetwork returns a network, and the connection string for this side of it.
func NewNetwork(t testing.TB, dsn string) (*Network, string) {
	t.Helper()
	address, err := url.Parse(dsn)
	if err != nil || address.Host == "" {
		t.Skipf("%s is not a URL, so nothing can be put before the server", Variable)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &Network{listener: listener, server: address.Host}
	n.wait.Go(n.serve)
	t.Cleanup(n.Close)
	address.Host = listener.Addr().String()
	return n, address.String()
}

func (n *Network) serve() {
	for {
		client, err := n.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", n.server)
		if err != nil {
			client.Close()
			return
		}
		n.mu.Lock()
		n.conns = append(n.conns, client, server)
		n.mu.Unlock()
		n.wait.Go(func() { n.forward(server, client) })
		n.wait.Go(func() { n.forward(client, server) })
	}
}

func (n *Network) forward(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		read, err := from.Read(buffer)
		n.mu.Lock()
		frozen := n.frozen
		n.mu.Unlock()
		if frozen {
			_, _ = io.Copy(io.Discard, from)
			return
		}
		if read > 0 {
			if _, err := to.Write(buffer[:read]); err != nil {
				return
			}
		}
		if err != nil {
			to.Close()
			return
		}
	}
}

// Freeze drops everything from now on, and tells nobody.
func (n *Network) Freeze() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.frozen = true
}

// Close ends all connections, and takes no more.
func (n *Network) Close() {
	n.listener.Close()
	n.mu.Lock()
	for _, conn := range n.conns {
		conn.Close()
	}
	n.mu.Unlock()
	n.wait.Wait()
}
