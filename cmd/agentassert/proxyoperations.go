package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// operations serve those who operate the proxy.
type operations struct {
	server  *http.Server
	stopped chan error
	count   int
}

// serveOperations begins to serve on listeners of their own. The caller stops it.
func serveOperations(listeners []net.Listener, handler http.Handler) *operations {
	o := &operations{
		server: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      30 * time.Second, // a scrape's own bound is shorter
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          log.New(io.Discard, "", 0), // of whoever hangs up
		},
		stopped: make(chan error, len(listeners)),
		count:   len(listeners),
	}
	for _, l := range listeners {
		go func() { o.stopped <- o.server.Serve(l) }()
	}
	return o
}

// stop lets requests under way finish for a moment, and ends what is left.
func (o *operations) stop() error {
	limited, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// What is not idle in time is closed below, and no failure.
	_ = o.server.Shutdown(limited)
	failure := o.server.Close()
	for range o.count {
		if err := <-o.stopped; !errors.Is(err, http.ErrServerClosed) {
			failure = errors.Join(failure, err)
		}
	}
	return failure
}
