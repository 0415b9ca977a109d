package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestEnds: requests under way may finish, but not take for ever.
func TestEnds(t *testing.T) {
	ignored := goleak.IgnoreCurrent()
	for _, tt := range []struct {
		name  string
		grace time.Duration
	}{{"in time", time.Minute}, {"late", time.Nanosecond}} {
		t.Run(tt.name, func(t *testing.T) {
			release := make(chan struct{})
			backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, "begun")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-release:
					fmt.Fprint(w, " and done")
				case <-r.Context().Done():
				}
			}))
			defer backend.Close()
			p := newPlain(t, backend.URL, func(c *Config) { c.Grace = tt.grace })
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- p.Serve(ctx, listener) }()
			caller := &running{p, "http://" + listener.Addr().String(), "t", cancel}
			body := caller.open(t, "GET", "/", nil).Body
			begun := make([]byte, len("begun"))
			if _, err := io.ReadFull(body, begun); err != nil {
				t.Fatal(err)
			}
			var slow *net.TCPConn
			var rest *bufio.Reader
			if tt.name == "late" {
				slow, rest = caller.raw(t, "GET / HTTP/1.1\r\n")
			}
			cancel()
			if tt.name == "in time" {
				// Once nobody new is let in, it is ending.
				for {
					c, err := net.Dial("tcp", listener.Addr().String())
					if err != nil {
						break
					}
					c.Close()
				}
				close(release)
				if rest, err := io.ReadAll(body); err != nil || string(rest) != " and done" {
					t.Errorf("then %q, %v", rest, err)
				}
			}
			if err := <-ended; err != nil {
				t.Errorf("it ended with %v", err)
			}
			if tt.name == "late" {
				if err := slow.SetReadDeadline(time.Now().Add(headerTimeout / 2)); err != nil {
					t.Fatal(err)
				}
				if _, err := rest.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("a request that never became one outlived the proxy: %v", err)
				}
				if _, err := io.ReadAll(body); err == nil {
					t.Error("a response that was cut off looks whole")
				}
			}
			w := httptest.NewRecorder()
			if p.ServeHTTP(w, httptest.NewRequest("GET", "/", nil)); w.Code != http.StatusServiceUnavailable {
				t.Errorf("a request after the end: %d", w.Code)
			}
		})
	}
	goleak.VerifyNone(t, ignored)
}
