package proxy

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/hidden"
	"github.com/agentassert/agentassert/host"
)

// DefaultGrace is how long requests under way may go on once a proxy ends, where
// Config.Grace does not say.
const DefaultGrace = 5 * time.Second

// Config says what a proxy does.
type Config struct {
	// Setup is what Replace can change.
	Setup
	// Logger is told of events, as the package's documentation has them. The default is
	// slog.Default().
	Logger *slog.Logger
	// AccessLog, if not nil, is told of each request when its response has ended.
	AccessLog *slog.Logger
	// Observer, if not nil, is told the same, for metrics.
	Observer Observer
	// Hosts reports whether the proxy is known under a Host header field, with or without a
	// port. The default is [Hosts] without names: loopback addresses and localhost. See
	// [AnyHost].
	Hosts func(hostPort string) bool
	// Grace is how long requests may go on after the context of Serve has ended. The
	// default is DefaultGrace.
	Grace time.Duration
}

// Setup is whom a proxy serves, and with what.
type Setup struct {
	// BaseURL is the upstream's, and that of all managers. Required.
	BaseURL string
	// Tenants are those who may call. Required.
	Tenants Tenants
	// ConnectionsOfAccount bounds the connections to Serve's listeners that callers of one
	// account hold open, where each account has a token of its own, so that none keeps out
	// the others; MaxConnections/4 is a good bound. Zero is none.
	ConnectionsOfAccount int
	// Transport sends to the upstream. The default is one of NewTransport.
	Transport http.RoundTripper
	// Thread is the conversation of calls that name none. The default is one of the
	// proxy's own, another for each proxy.
	Thread string
	// Release, if not nil, is called once the setup was replaced, or the proxy has ended,
	// and no request uses the setup any more: it is where managers are closed. It is called
	// once, in a goroutine that Close and Serve wait for, and never for a setup that New or
	// Replace has refused.
	Release func()
}

// flushInterval is how long the header of a response can wait for the beginning of its body,
// where the length is known. All else goes on at once.
const flushInterval = 5 * time.Millisecond

// Proxy is a reverse proxy that authorizes what passes. It is safe for concurrent use.
type Proxy struct {
	log *slog.Logger
	// repeats are the log's, so that none is kept back at the end.
	repeats *repeats
	access  *slog.Logger
	told    Observer
	hosts   func(hostPort string) bool
	grace   time.Duration
	thread  string
	gate    *gate
	// underway is how many requests there are.
	underway atomic.Int64
	// farewell is maxFarewell.
	farewell time.Duration
	// copies are of bufferSize, and pieces of pieceSize.
	copies, pieces buffers

	// current is nil once the proxy has ended.
	current atomic.Pointer[setup]
	ending  atomic.Bool
	// mu guards changes of current, and setups, which counts those that are not released.
	// Where there are none, ended is closed.
	mu     sync.Mutex
	setups int
	ended  chan struct{}

	readiness readiness
}

// Format implements fmt.Formatter: of what is set up it can show nothing.
func (p *Proxy) Format(f fmt.State, _ rune) { hidden.Format(f, p) }

// setup is a Setup in use.
type setup struct {
	Setup
	base    *url.URL
	reverse *httputil.ReverseProxy
	// own are header fields that callers speak to this proxy with.
	own fieldSet
	// users are the requests that use it, and one more while it is the current one.
	users atomic.Int64
	// transport is the setup's own, or nil.
	transport *http.Transport
}

// New returns a proxy that is ready to serve requests, by [Proxy.Serve] or in a server of
// the caller's, who then has to Close it.
//
// The error's code is CodeInvalidConfig, core.CodeInvalidBaseURL or
// core.CodeInvalidThreadID.
func New(c Config) (*Proxy, error) {
	if c.Grace < 0 {
		return nil, invalid("the proxy's Grace cannot be negative; zero is the default")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	handler := CountRepeats(c.Logger.Handler()).(*counting)
	p := &Proxy{
		log:      slog.New(handler),
		repeats:  handler.repeats,
		access:   c.AccessLog,
		told:     c.Observer,
		hosts:    c.Hosts,
		grace:    c.Grace,
		thread:   rand.Text(),
		gate:     &gate{maxStrangers: MaxConnections, maxCallers: MaxConnections},
		farewell: maxFarewell,
		copies:   buffers{size: bufferSize},
		pieces:   buffers{size: pieceSize},
		ended:    make(chan struct{}),
	}
	if p.hosts == nil {
		p.hosts = Hosts()
	}
	if p.grace == 0 {
		p.grace = DefaultGrace
	}
	s, err := p.newSetup(c.Setup)
	if err != nil {
		return nil, err
	}
	p.setups = 1
	p.current.Store(s)
	return p, nil
}

// Replace has requests from now on served by another setup. Those under way, WebSockets and
// event streams among them, end with the one that they began with.
//
// Errors are those of New, and host.CodeClosed of a proxy that is ending: nothing changes
// then.
func (p *Proxy) Replace(next Setup) error {
	s, err := p.newSetup(next)
	if err != nil {
		return err
	}
	p.mu.Lock()
	before := p.current.Load()
	if before == nil || p.ending.Load() {
		p.mu.Unlock()
		return errEnding()
	}
	p.setups++
	p.current.Store(s)
	p.mu.Unlock()
	p.readiness.forget()
	p.leave(before)
	return nil
}

// Close refuses further requests, and waits for those under way until the context ends.
// Afterwards the setup is released. It does not end any of them: that is for the server
// that they came by. Close can be called again, to wait for the rest; after Serve it does
// nothing.
//
// The error's code is host.CodeNotClosed.
func (p *Proxy) Close(ctx context.Context) error {
	p.end()
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return &core.Error{Code: host.CodeNotClosed, Message: "requests of the proxy are still under way", Err: ctx.Err()}
	}
}

// end lets no further request begin.
func (p *Proxy) end() {
	p.ending.Store(true)
	p.mu.Lock()
	last := p.current.Swap(nil)
	p.mu.Unlock()
	if last != nil {
		p.leave(last)
	}
}

func (p *Proxy) newSetup(c Setup) (*setup, error) {
	if c.Tenants == nil {
		return nil, invalid("the proxy's setup lacks Tenants, who may call")
	}
	if c.ConnectionsOfAccount < 0 {
		return nil, invalid("the proxy's ConnectionsOfAccount cannot be negative; zero is no bound")
	}
	normalized, err := core.NormalizeBaseURL(c.BaseURL, nil)
	if err != nil {
		return nil, err
	}
	c.BaseURL = normalized.BaseURL
	if c.Thread == "" {
		c.Thread = p.thread
	}
	if err := core.CheckThreadID(c.Thread); err != nil {
		return nil, err
	}
	s := &setup{Setup: c}
	if s.base, err = url.Parse(c.BaseURL); err != nil {
		return nil, invalid("the proxy's BaseURL is no URL")
	}
	if o, ok := c.Tenants.(FieldOwner); ok {
		s.own = newFieldSet(o.Fields(), nil)
	}
	if c.Transport == nil {
		s.transport = NewTransport()
		c.Transport = s.transport
	}
	s.reverse = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { rewrite(r, s.base, s.own) },
		Transport:      authorizing{p, c.Transport, c.Thread},
		FlushInterval:  flushInterval,
		BufferPool:     &p.copies,
		ModifyResponse: checkResponse,
		ErrorHandler:   p.failed,
		// What it says there is of callers who have hung up, or told by finish, too.
		ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	s.users.Store(1)
	return s, nil
}

func errEnding() error {
	return &core.Error{Code: host.CodeClosed, Message: "the proxy is ending, or has ended"}
}

func invalid(message string) error { return &core.Error{Code: CodeInvalidConfig, Message: message} }

// enter returns the current setup, with a request more that uses it, or nil where the proxy
// has ended.
func (p *Proxy) enter() *setup {
	for {
		s := p.current.Load()
		if s == nil {
			return nil
		}
		// At zero it has been released: there is another one.
		for n := s.users.Load(); n > 0; n = s.users.Load() {
			if s.users.CompareAndSwap(n, n+1) {
				return s
			}
		}
	}
}

// leave counts a user of a setup out. The last one does not wait for its release: the end
// of a response would.
func (p *Proxy) leave(s *setup) {
	if s.users.Add(-1) == 0 {
		go p.release(s)
	}
}

func (p *Proxy) release(s *setup) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.setups--; p.setups == 0 {
			p.repeats.flush()
			close(p.ended)
		}
	}()
	if s.transport != nil {
		s.transport.CloseIdleConnections()
	}
	if s.Release != nil {
		s.Release()
	}
}
