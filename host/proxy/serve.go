package proxy

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	// headerTimeout and idleTimeout keep a caller from holding a connection for nothing.
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	// maxHeader bounds the header of a request, in bytes.
	maxHeader = 64 << 10
)

// Serve serves HTTP/1.1 on the listeners until the context ends. Then it lets requests under
// way finish for as long as Config.Grace, and ends those that are left: WebSockets and event
// streams do not end by themselves. When it returns the listeners are closed, the setup is
// released, and no goroutine is left. It can be called once.
//
// Connections are bounded: callers without a token are cut off, and cannot keep the others
// out, however many connections they open.
//
// The error is that of a listener which has failed.
func (p *Proxy) Serve(ctx context.Context, listeners ...net.Listener) error {
	requests, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s := &http.Server{
		Handler:           p,
		Protocols:         &protocols,
		ReadHeaderTimeout: headerTimeout, // and no ReadTimeout: it would end streams
		IdleTimeout:       idleTimeout,   // strangers are never idle
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ConnContext:       withConnection,
		ErrorLog:          log.New(serverLog{p.events}, "", 0),
		// OPTIONS * would be answered to everybody.
		DisableGeneralOptionsHandler: true,
	}
	stopped := make(chan error, len(listeners))
	addresses := make([]string, len(listeners))
	for i, l := range listeners {
		addresses[i] = l.Addr().String()
		go func() { stopped <- s.Serve(gateListener{l, p.gate}) }()
	}
	p.events.info("proxy started", slog.Any("addresses", addresses))
	left := len(listeners)
	var failure error
	select {
	case failure = <-stopped:
		left--
	case <-ctx.Done():
		p.ending.Store(true)
		p.events.info("proxy ending", slog.Duration("grace", p.grace))
		limited, cancel := context.WithTimeout(requests, p.grace)
		defer cancel()
		// What is not idle in time is closed below, and no failure.
		_ = s.Shutdown(limited)
	}
	p.end()
	end()
	failure = errors.Join(failure, s.Close())
	for range left {
		if err := <-stopped; !errors.Is(err, http.ErrServerClosed) {
			failure = errors.Join(failure, err)
		}
	}
	<-p.ended
	p.events.info("proxy ended")
	return failure
}

// serverLog is where net/http's server says what it has nobody to tell.
type serverLog struct{ events *events }

// Write implements io.Writer. What begins alike is alike.
func (l serverLog) Write(p []byte) (int, error) {
	const kind = 24
	text := strings.TrimSpace(string(p))
	l.events.warn("server "+text[:min(kind, len(text))], "server", slog.String("error", text))
	return len(p), nil
}
