package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHealth: what a proxy says of itself is the exit code.
func TestHealth(t *testing.T) {
	said := map[string]int{"up": http.StatusOK, "starting": http.StatusServiceUnavailable, "another": http.StatusNotFound}
	for name, status := range said {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/readyz" {
					t.Errorf("it was sent %s %s", r.Method, r.URL)
				}
				w.WriteHeader(status)
				fmt.Fprintln(w, "no usable sign-in\nin auth.json")
			}))
			defer server.Close()
			_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
			for _, address := range []string{"127.0.0.1:" + port, "localhost:" + port, "0.0.0.0:" + port} {
				r := tool(t, "", "health", "--operations-listen", address)
				want := exitNo
				if status == http.StatusOK {
					want = 0
				}
				if r.code != want || r.stdout != "" {
					t.Errorf("%s: exit code %d, not %d, and %q", address, r.code, want, r.stdout)
				}
				if want != 0 && (!strings.Contains(r.stderr, "no usable sign-in") || strings.Count(r.stderr, "\n") != 1) {
					t.Errorf("the reason is not told, in a line: %s", r.stderr)
				}
			}
		})
	}
}

func TestHealthOfASocket(t *testing.T) {
	folder, err := os.MkdirTemp("", "aa") // the test's own may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "s")
	listener, err := new(net.ListenConfig).Listen(context.Background(), "unix", path)
	if err != nil {
		t.Skip("the system has no Unix sockets: ", err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	defer server.Close()
	if r := tool(t, "", "health", "--operations-listen", "unix:"+path); r.code != 0 {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}

// TestHealthOfNobody: where nobody listens, the answer is no, too, and an address that is
// none is the caller's mistake.
func TestHealthOfNobody(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	listener.Close()
	for address, want := range map[string]int{nobody: exitNo, "unix:/nonexistent/s": exitNo, "systemd:operations": exitUsage, "unix:": exitUsage, "8082": exitUsage} {
		if r := tool(t, "", "health", "--operations-listen", address); r.code != want {
			t.Errorf("%s: exit code %d, not %d: %s", address, r.code, want, r.stderr)
		}
	}
}
