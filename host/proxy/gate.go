package proxy

import (
	"context"
	"net"
	"slices"
	"sync"
)

// MaxConnections is the most connections of callers with a token that Serve keeps open, and
// the most of others. Callers who come all at once are strangers all at once, and none of
// them is closed for another's sake.
const MaxConnections = 1024

// gate bounds the connections that are open, so that strangers cannot keep out the
// callers who have the token, however many connections they open, and however
// slowly they send. A connection is a stranger's until a request on it has shown the
// token. Where there are too many, the one that has been one for longest is closed:
// a caller with the token shows it at once.
type gate struct {
	maxStrangers, maxCallers int

	mu        sync.Mutex
	strangers []*connection // the oldest first
	callers   int
	accounts  map[string]int // the callers of each
}

// connection is one that the gate counts until it is closed, also where it has
// become a WebSocket's.
type connection struct {
	net.Conn
	gate *gate
	// The gate's mu guards these: whether it is a caller's, and whose it was first.
	caller  bool
	account string
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.gate.leave(c)
	return c.Conn.Close()
}

// CloseWrite is for net/http, which ends a connection with it before it closes it.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// gateListener has the gate count what it accepts.
type gateListener struct {
	net.Listener
	gate *gate
}

func (l gateListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.gate.enter(c), nil
}

// enter counts a stranger's connection in, in place of the oldest one's if need be.
func (g *gate) enter(c net.Conn) *connection {
	entered := &connection{Conn: c, gate: g}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.strangers) >= g.maxStrangers {
		// Its own, which does not come back here.
		_ = g.strangers[0].Conn.Close()
		g.strangers = slices.Delete(g.strangers, 0, 1)
	}
	g.strangers = append(g.strangers, entered)
	return entered
}

// admit makes a stranger's connection an account's caller's, and reports whether there is
// room for it, of which the account has no more than most, unless that is 0.
func (g *gate) admit(c *connection, account string, most int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.caller {
		return true
	}
	i := slices.Index(g.strangers, c)
	if i < 0 || g.callers >= g.maxCallers || most > 0 && g.accounts[account] >= most {
		return false
	}
	g.strangers = slices.Delete(g.strangers, i, i+1)
	g.callers++
	if g.accounts == nil {
		g.accounts = make(map[string]int)
	}
	g.accounts[account]++
	c.caller, c.account = true, account
	return true
}

// leave counts a connection out. It may be called again.
func (g *gate) leave(c *connection) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.caller {
		c.caller = false
		g.callers--
		if g.accounts[c.account]--; g.accounts[c.account] == 0 {
			delete(g.accounts, c.account)
		}
	} else if i := slices.Index(g.strangers, c); i >= 0 {
		g.strangers = slices.Delete(g.strangers, i, i+1)
	}
}

type connectionKey struct{}

// withConnection is http.Server's ConnContext.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

// connectionOf returns the connection that a request came by, or nil.
func connectionOf(ctx context.Context) *connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	return c
}
