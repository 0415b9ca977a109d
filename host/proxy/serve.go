package proxy

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
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
// The error is that of a listener which has failed, or host.CodeClosed of a proxy that has
// ended.
func (p *Proxy) Serve(ctx context.Context, listeners ...net.Listener) error {
	current := p.current.Load()
	if current == nil {
		failures := []error{errEnding()}
		for _, l := range listeners {
			failures = append(failures, l.Close())
		}
		return errors.Join(failures...)
	}
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
		ErrorLog:          log.New(serverLog{p.log}, "", 0),
		// OPTIONS * would be answered to everybody.
		DisableGeneralOptionsHandler: true,
	}
	stopped := make(chan error, len(listeners))
	addresses := make([]string, len(listeners))
	for i, l := range listeners {
		addresses[i] = l.Addr().String()
		go func() { stopped <- s.Serve(gateListener{l, p.gate}) }()
	}
	p.log.Info("proxy started", "addresses", addresses, "base_url", current.BaseURL)
	left := len(listeners)
	var failure error
	select {
	case failure = <-stopped:
		left--
	case <-ctx.Done():
		p.ending.Store(true)
		p.log.Info("proxy ending", "grace", p.grace)
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
	p.log.Info("proxy ended")
	return failure
}
