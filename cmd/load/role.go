package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/agentassert/agentassert/authority"
)

// The roles of this program's own processes.
const (
	roleBackend  = "backend"
	rolePeer     = "peer"
	roleEmbedded = "embedded"
)

// state is what a process of this program says of itself, after garbage collection.
type state struct {
	Heap       int64 `json:"heap"`
	Goroutines int   `json:"goroutines"`
}

// server is what serves in a role.
type server struct {
	serve func(net.Listener) error
	// stop has serve return.
	stop func() error
	// idle closes connections that nobody uses, and close all else, in the end.
	idle  func()
	close func() error
}

// play serves in a role: it prints its URL, and a state for each line that it reads,
// until there is no more.
func play(ctx context.Context, role, upstream, folder string, stdin io.Reader, stdout io.Writer) (err error) {
	s, err := newServer(ctx, role, upstream, folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.serve(l) }()
	defer func() { err = errors.Join(err, s.stop(), <-served) }()
	fmt.Fprintln(stdout, "http://"+l.Addr().String())
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		s.idle()
		if err := json.NewEncoder(stdout).Encode(stateNow()); err != nil {
			return err
		}
	}
	return lines.Err()
}

func stateNow() state {
	runtime.GC() // twice: what a pool holds goes with the second
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return state{int64(m.HeapAlloc), runtime.NumGoroutine()}
}

func newServer(ctx context.Context, role, upstream, folder string) (*server, error) {
	switch role {
	case roleBackend:
		b, err := newBackend(folder)
		if err != nil {
			return nil, err
		}
		return plainServer(b, func() {}), nil
	case rolePeer:
		u, err := url.Parse(upstream)
		if err != nil {
			return nil, err
		}
		h, t := newPeer(u)
		return plainServer(h, t.CloseIdleConnections), nil
	case roleEmbedded:
		e, err := newEmbedded(ctx, upstream, filepath.Join(folder, authFile))
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(ctx)
		return &server{
			serve: func(l net.Listener) error { return e.Serve(ctx, l) },
			stop:  func() error { cancel(); return nil },
			idle:  e.transport.CloseIdleConnections,
			close: e.close,
		}, nil
	}
	return nil, fmt.Errorf("there is no role %q", role)
}

// plainServer is net/http's, as it comes.
func plainServer(h http.Handler, idle func()) *server {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: time.Minute,
		// Clients hang up when a load is over; there is nothing to say of it.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return &server{
		serve: func(l net.Listener) error {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
		stop:  s.Close,
		idle:  idle,
		close: func() error { idle(); return nil },
	}
}

// newBackend returns the backend, and leaves a sign-in with it in the folder.
func newBackend(folder string) (*backend, error) {
	a, err := authority.New(authority.Options{})
	if err != nil {
		return nil, err
	}
	signedIn := a.SignIn("account-1", "user-1").AuthJSON()
	return &backend{authority: a}, os.WriteFile(filepath.Join(folder, authFile), signedIn, 0o600)
}

// authFile is the name of the sign-in's file.
const authFile = "auth.json"
