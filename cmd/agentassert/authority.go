package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/moby/sys/atomicwriter"
	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/authority"
)

const (
	// headerTimeout and idleTimeout keep a client from holding a connection for
	// nothing.
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	// shutdownTimeout is how long requests under way get when it ends.
	shutdownTimeout = 5 * time.Second
)

func newAuthority() *cobra.Command {
	var listen, logFile, addrFile string
	var anyBearer bool
	cmd := &cobra.Command{
		Use:   "authority --listen ADDR",
		Short: "Serve a backend that registers agents and verifies assertions",
		Long: `Serve the backend's side of the protocol, in memory, until interrupted: biscuits,
registrations, and every other path, which answers with what it authenticated.

The base URL is http://ADDR/backend-api. It answers absolute-form requests, so an
unmodified client can be given it as HTTP_PROXY; such a client brings its own
access token, which --accept-any-bearer accepts.`,
		Example: "  agentassert authority --listen 127.0.0.1:8080 --accept-any-bearer --log requests.jsonl",
		Args:    cobra.NoArgs,
		RunE: run(func(cmd *cobra.Command, _ []string) (err error) {
			log := &requestLog{w: io.Discard}
			if logFile != "" {
				f, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
				if err != nil {
					return fmt.Errorf("the log cannot be written: %w", err)
				}
				defer f.Close()
				log.w = f
			}
			a := authority.New(authority.Options{AcceptAnyBearer: anyBearer, Observe: log.write})
			listener, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("cannot listen: %w", err)
			}
			addr := listener.Addr().String()
			if addrFile != "" {
				if err := atomicwriter.WriteFile(addrFile, []byte(addr+"\n"), 0o644); err != nil {
					return errors.Join(fmt.Errorf("the address cannot be written: %w", err), listener.Close())
				}
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "agentassert: serving http://%s/backend-api; interrupt to end\n", addr)
			err = serve(cmd.Context(), listener, a)
			return errors.Join(err, log.err())
		}),
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "", "the address to listen on, such as 127.0.0.1:8080; port 0 takes a free one")
	f.StringVar(&logFile, "log", "", "append one JSON object per request to this file")
	f.BoolVar(&anyBearer, "accept-any-bearer", false, "accept every access token")
	f.StringVar(&addrFile, "addr-file", "", "write the address to this file once it listens")
	must(cmd.MarkFlagRequired("listen"))
	must(cmd.MarkFlagFilename("log"))
	must(cmd.MarkFlagFilename("addr-file"))
	return cmd
}

// serve serves until the context ends, and lets requests under way finish.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, IdleTimeout: idleTimeout}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Serve(l) }()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := s.Shutdown(limited); err != nil {
		return errors.Join(err, s.Close())
	}
	if err := <-stopped; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// requestLog writes one JSON object per request.
type requestLog struct {
	mu    sync.Mutex
	w     io.Writer
	first error
}

func (l *requestLog) write(r authority.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := json.NewEncoder(l.w).Encode(r); err != nil && l.first == nil {
		l.first = fmt.Errorf("the log is not complete: %w", err)
	}
}

func (l *requestLog) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}
