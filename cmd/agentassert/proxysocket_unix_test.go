//go:build unix

package main

import (
	"context"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shortDir returns a folder whose name leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "aa")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// names returns what is in a folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func TestProxySocket(t *testing.T) {
	u := startUpstream(t, none)
	dir := shortDir(t)
	path := filepath.Join(dir, "s.sock")
	p := startProxy(t, u, "--listen", "unix:"+path)
	if got := strings.TrimPrefix(p.url, "http://"); got != "unix:"+path {
		t.Errorf("it is at %s", got)
	}
	if !strings.Contains(p.said, " at unix:"+path+";") {
		t.Errorf("it said %q", p.said)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 || names(t, dir) != "s.sock" {
		t.Fatalf("%v, %v; in its folder are %q", info.Mode(), err, names(t, dir))
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}
	for _, tt := range []struct {
		header http.Header
		host   string
		want   int
	}{
		{nil, "localhost", http.StatusUnauthorized}, // the mode alone does not suffice
		{p.header(), "localhost", http.StatusOK},
		{p.header(), "any.example", http.StatusOK}, // no web page is there
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+tt.host+"/codex/models", nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.header != nil {
			r.Header = tt.header
		}
		response, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d", tt.host, response.StatusCode, tt.want)
		}
	}
	// While it listens, nobody takes its place.
	got := tool(t, "", "proxy", "--listen", "unix:"+path, "--upstream", u.url, "--auth-file", u.authFile)
	if got.code != exitFailed || !strings.Contains(got.stderr, "another program listens there") {
		t.Errorf("a second one: %+v", got)
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(now, info) {
		t.Errorf("the socket is another one: %v", err)
	}
	p.stop()
	if left := names(t, dir); left != "" {
		t.Errorf("it left %q", left)
	}
}
