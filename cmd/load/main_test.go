package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails where a goroutine is left: of a proxy, of its callers, or of the backend.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startHere serves a role in this process until the test ends.
func startHere(t *testing.T, role, upstream, folder string) string {
	t.Helper()
	s, err := newServer(t.Context(), role, upstream, folder)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(s.stop(), <-served, s.close()); err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// TestLoads: all kinds of calls, many at once, are answered through agentassert's proxy as
// through the peer, with an assertion, and leave nothing.
func TestLoads(t *testing.T) {
	folder := t.TempDir()
	upstream := startHere(t, roleBackend, "", folder)
	for _, target := range []*target{
		{name: nameReverse, url: startHere(t, rolePeer, upstream, folder) + basePath, token: noToken},
		{name: nameProxy, url: startHere(t, roleEmbedded, upstream, folder), token: noToken, asserts: true},
	} {
		transport := &http.Transport{MaxIdleConnsPerHost: few}
		client := &http.Client{Transport: transport}
		var callers sync.WaitGroup
		for range few {
			callers.Go(func() {
				for range 3 {
					if err := target.check(t.Context(), client); err != nil {
						t.Error(err)
					}
				}
			})
		}
		callers.Wait()
		if r, err := paced(t.Context(), target, few); err != nil || r.errors > 0 || r.calls != few*pacedEach || r.p50 <= 0 || r.p99 < r.p50 {
			t.Errorf("%s: events: %+v, %v", target.name, r, err)
		}
		transport.CloseIdleConnections()
	}
	s := &stage{client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, upstream: upstream}
	if err := s.checkCounts(t.Context()); err != nil {
		t.Error(err)
	}
	// A call that ought to be authorized, and is not, is noticed.
	straight := &target{name: "none", url: upstream + basePath, asserts: true}
	if err := straight.check(t.Context(), s.client); err != nil {
		t.Error(err)
	}
	if err := s.checkCounts(t.Context()); err == nil {
		t.Error("calls without an assertion were not noticed")
	}
}

// TestPlay: a process in a role says where it is, and how, until there is nothing to read.
func TestPlay(t *testing.T) {
	folder := t.TempDir()
	upstream := startHere(t, roleBackend, "", folder)
	for _, args := range [][]string{
		{"-role", roleBackend, "-folder", t.TempDir()},
		{"-role", rolePeer, "-upstream", upstream},
		{"-role", roleEmbedded, "-upstream", upstream, "-folder", folder},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), args, strings.NewReader("\n\n"), &stdout, &stderr)
		lines := strings.Split(stdout.String(), "\n")
		if code != exitOK || len(lines) != 4 || !strings.HasPrefix(lines[0], "http://127.0.0.1:") || !strings.HasPrefix(lines[2], `{"heap":`) {
			t.Errorf("%v: %d, %q, %s", args, code, lines, &stderr)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"-tool", "x"}, {"-vegeta", "x"}, {"-tool", "x", "-vegeta", "x", "more"}, {"-unknown"}} {
		var stderr bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), io.Discard, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "load -help") {
			t.Errorf("%v: %d, %s", args, code, &stderr)
		}
	}
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"-role", "none"}, strings.NewReader(""), io.Discard, &stderr); code != exitFailed {
		t.Errorf("an unknown role: %d", code)
	}
}
