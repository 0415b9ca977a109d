//go:build unix

package main

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/agentassert/agentassert/host/proxy"
)

// reloadable is a proxy in a process of its own, with a configuration that tests change.
type reloadable struct {
	*process
	running
	t         *testing.T
	dir       string
	tokenFile string
	settings  map[string]string
}

// startReloadable starts it in front of an upstream.
func startReloadable(t *testing.T, u *upstream, environment ...string) *reloadable {
	t.Helper()
	dir := t.TempDir()
	r := &reloadable{t: t, dir: dir, tokenFile: filepath.Join(dir, "token")}
	r.settings = map[string]string{
		"upstream": u.url, "auth-file": u.authFile, "trust-host": "[127.0.0.1]", "listen": "127.0.0.1:0",
		"token-from": r.tokenFile, "addr-file": filepath.Join(dir, "addr"),
		"operations-listen": "127.0.0.1:0", "operations-addr-file": filepath.Join(dir, "operations"),
	}
	r.write()
	r.writeToken(rand.Text() + rand.Text())
	r.process = startProcess(t, environment, nil, "proxy", "--config", r.path())
	r.waitFor("proxy started", 1)
	r.url = "http://" + strings.TrimSpace(string(readFile(t, filepath.Join(dir, "addr"))))
	return r
}

func (r *reloadable) path() string { return filepath.Join(r.dir, "proxy.yaml") }

func (r *reloadable) write() {
	r.t.Helper()
	var text strings.Builder
	for name, v := range r.settings {
		fmt.Fprintf(&text, "%s: %s\n", name, v)
	}
	if err := os.WriteFile(r.path(), []byte(text.String()), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *reloadable) writeToken(token string) {
	r.t.Helper()
	if err := os.WriteFile(r.tokenFile, []byte(token+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.token = token
}

// hangUp sends SIGHUP, and waits until the process has said something once more.
func (r *reloadable) hangUp(what string) {
	r.t.Helper()
	before := strings.Count(r.text(), what)
	r.signal(syscall.SIGHUP)
	r.waitFor(what, before+1)
}

// gauge returns a metric's value as it is written.
func (r *reloadable) gauge(name string) string {
	r.t.Helper()
	response, err := http.Get("http://" + strings.TrimSpace(string(readFile(r.t, filepath.Join(r.dir, "operations")))) + "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return v
		}
	}
	r.t.Fatalf("there is no %s", name)
	return ""
}

// TestReload: the token changes while requests and a stream are under way, and none of them
// is lost.
func TestReload(t *testing.T) {
	more := make(chan string)
	u := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		flusher := http.NewResponseController(w)
		if flusher.Flush() != nil {
			return
		}
		for {
			select {
			case <-r.Context().Done():
				return
			case text, ok := <-more:
				if !ok {
					return
				}
				if _, err := io.WriteString(w, text+"\n"); err != nil || flusher.Flush() != nil {
					return
				}
			}
		}
	})
	p := startReloadable(t, u)
	stream := p.open(t, "GET", "/test/stream", nil)
	lines := bufio.NewReader(stream.Body)
	pass := func(text string) {
		t.Helper()
		more <- text
		if got, err := lines.ReadString('\n'); err != nil || got != text+"\n" {
			t.Fatalf("the stream has %q, %v", got, err)
		}
	}
	pass("before")

	var token atomic.Value
	token.Store(p.token)
	// Until a reload is said to be over neither token is certain.
	var changing atomic.Bool
	done := make(chan struct{})
	var callers sync.WaitGroup
	var calls atomic.Int64
	for range 4 {
		callers.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			for {
				select {
				case <-done:
					return
				default:
				}
				was := token.Load().(string)
				status, err := callWith(transport, p.url+"/codex/models", was)
				if status == http.StatusUnauthorized && (changing.Load() || token.Load() != was) {
					continue
				}
				if err != nil || status != http.StatusOK {
					t.Errorf("a call got %d, %v", status, err)
					return
				}
				calls.Add(1)
			}
		})
	}
	old := p.token
	for i := range 3 {
		before := calls.Load()
		bound := time.After(processBound)
		for calls.Load() < before+8 {
			select {
			case <-bound:
				t.Fatal("there are no calls")
			default:
				time.Sleep(time.Millisecond)
			}
		}
		changing.Store(true)
		p.writeToken(rand.Text() + rand.Text())
		p.signal(syscall.SIGHUP)
		p.waitFor("msg=reloaded", i+1)
		token.Store(p.token)
		changing.Store(false)
		pass(fmt.Sprint("after ", i))
	}
	close(done)
	callers.Wait()
	if status, _ := callWith(http.DefaultTransport, p.url+"/codex/models", old); status != http.StatusUnauthorized {
		t.Errorf("with the first token: %d", status)
	}
	p.assertion(t, "GET", "/codex/models")
	if got := u.Accepted(); got.Identities != 1 || got.Tasks != 1 {
		t.Errorf("registered %+v", got)
	}
	close(more)
	if rest, err := io.ReadAll(lines); err != nil || len(rest) != 0 {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("it ends with %d: %s", code, p.text())
	}
	for _, secret := range append(u.secrets, old, p.token) {
		if strings.Contains(p.text(), secret) {
			t.Errorf("it said a secret: %s", p.text())
		}
	}
	if !strings.Contains(p.text(), `changed="[the token]"`) {
		t.Errorf("it does not say what has changed: %s", p.text())
	}
}

func callWith(transport http.RoundTripper, url, token string) (status int, err error) {
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set(proxy.TokenHeader, token)
	response, err := transport.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, errors.Join(err, response.Body.Close())
}

// TestReloadKeeps: what cannot be used changes nothing, and is said with its place.
func TestReloadKeeps(t *testing.T) {
	u := startUpstream(t, none)
	p := startReloadable(t, u)
	p.assertion(t, "GET", "/codex/models")
	good := p.token
	for _, tt := range []struct {
		name string
		do   func()
		want string
	}{
		{"a short token", func() { p.writeToken("short") }, "the token in "},
		{"no YAML", func() {
			if err := os.WriteFile(p.path(), []byte("listen: ["), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "proxy.yaml:1: this is no YAML"},
		{"an unknown key", func() { p.settings["upstraem"] = "x"; p.write(); delete(p.settings, "upstraem") }, "upstream is meant"},
		{"a bad upstream", func() { p.settings["upstream"] = "nowhere"; p.write() }, "--upstream is from "},
		{"no file", func() { os.Remove(p.path()) }, "no such file"},
		{"accounts without a way to tell them", func() {
			p.settings["upstream"] = u.url
			p.settings["accounts"] = p.dir
			delete(p.settings, "auth-file")
			p.write()
		}, "--account-header"},
	} {
		p.token = good
		p.writeToken(good)
		p.write()
		tt.do()
		p.token = good
		p.hangUp("reload failed")
		text := p.text()
		if last := text[strings.LastIndex(text, "reload failed"):]; !strings.Contains(last, tt.want) {
			t.Errorf("%s: %s", tt.name, last)
		}
		p.assertion(t, "GET", "/codex/models")
		if got := p.gauge("agentassert_config_last_reload_successful"); got != "0" {
			t.Errorf("%s: counted as %s", tt.name, got)
		}
	}
	// And then what can be used.
	delete(p.settings, "accounts")
	p.settings["auth-file"] = u.authFile
	p.settings["no-agent-identity"] = "true"
	p.settings["listen"] = "127.0.0.1:1"
	p.settings["log-level"] = "debug"
	p.write()
	p.writeToken(good)
	p.hangUp("msg=reloaded")
	if status, a := p.call(t, "GET", "/codex/models", p.header()); status != http.StatusOK || a.Scheme != "bearer" {
		t.Errorf("with the feature off: %d, %+v", status, a)
	}
	if got := p.gauge("agentassert_config_last_reload_successful"); got != "1" {
		t.Errorf("counted as %s", got)
	}
	for _, want := range []string{"restart needed", "flags=[listen]", `changed="[log-level no-agent-identity]"`} {
		if !strings.Contains(p.text(), want) {
			t.Errorf("it did not say %q: %s", want, p.text())
		}
	}
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("it ends with %d: %s", code, p.text())
	}
}

// TestReloadMadeToken: a token that was made for the run stays, and cannot be made later.
func TestReloadMadeToken(t *testing.T) {
	u := startUpstream(t, none)
	p := startReloadable(t, u, "AGENTASSERT_TOKEN_FILE="+filepath.Join(t.TempDir(), "made"))
	made := strings.TrimSpace(string(readFile(t, strings.TrimPrefix(p.command.Env[len(p.command.Env)-1], "AGENTASSERT_TOKEN_FILE="))))
	p.token = made
	p.assertion(t, "GET", "/codex/models")
	p.hangUp("msg=reloaded")
	p.assertion(t, "GET", "/codex/models")
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("it ends with %d: %s", code, p.text())
	}
	q := startReloadable(t, u)
	delete(q.settings, "token-from")
	q.write()
	q.hangUp("reload failed")
	if !strings.Contains(q.text(), "made at the start") {
		t.Errorf("it said %s", q.text())
	}
}

// TestReloadLeavesNothing: what a reload has replaced is closed, and no goroutine is left. It
// is in this process, where startUpstream looks for those.
func TestReloadLeavesNothing(t *testing.T) {
	u := startUpstream(t, none)
	addrFile := filepath.Join(t.TempDir(), "operations")
	p := startProxy(t, u, "--operations-listen", "127.0.0.1:0", "--operations-addr-file", addrFile)
	r := &reloadable{t: t, dir: filepath.Dir(addrFile)}
	const readAt = "agentassert_config_last_reload_success_timestamp_seconds"
	for range 3 {
		p.assertion(t, "GET", "/codex/models")
		before := r.gauge(readAt)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for bound := time.Now().Add(processBound); r.gauge(readAt) == before; {
			if time.Now().After(bound) {
				t.Fatal("it does not reload")
			}
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if got := p.stop(); strings.Count(got.stderr, "msg=reloaded") != 3 {
		t.Errorf("it said %s", got.stderr)
	}
}

// TestHangupBeforeReady: a hang-up while it starts does not end it.
func TestHangupBeforeReady(t *testing.T) {
	// A database that takes the connection and says nothing keeps it from being ready.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u := startUpstream(t, none)
	p := startProcess(t, []string{"AGENTASSERT_STORE_KEY=" + strings.Repeat("QUJD", 10) + "QUI="}, nil, "proxy", "--listen", "127.0.0.1:0", "--upstream", u.url,
		"--auth-file", u.authFile, "--store", "postgres://127.0.0.1:"+portOf(l)+"/x?sslmode=disable&connect_timeout=60", "--store-name", "x")
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(processBound)); err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatalf("%v: %s", err, p.text())
	}
	defer c.Close()
	p.signal(syscall.SIGHUP)
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code == -1 {
		t.Errorf("a signal has ended it: %s", p.text())
	}
}

// TestOperations: what is served at --operations-listen, and what of it at the other address.
func TestOperations(t *testing.T) {
	u := startUpstream(t, none)
	addrFile := filepath.Join(t.TempDir(), "operations")
	p := startProxy(t, u, "--operations-listen", "127.0.0.1:0", "--operations-addr-file", addrFile, "--log-format", "json", "--access-log")
	p.assertion(t, "POST", "/codex/responses")
	at := "http://" + strings.TrimSpace(string(readFile(t, addrFile)))
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusOK, "/metrics": http.StatusOK, "/codex/models": http.StatusNotFound} {
		response, err := http.Get(at + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if status, _ := p.call(t, "GET", "/healthz", nil); status != http.StatusUnauthorized {
		t.Errorf("at the callers' address: %d", status)
	}
	got := p.stop()
	requests := 0
	for line := range strings.Lines(got.stderr) {
		var record struct{ Msg, Path, Mode string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Errorf("no JSON: %q", line)
		}
		if record.Msg == "request" && record.Path == "/codex/responses" && record.Mode == "agent-assertion" {
			requests++
		}
	}
	if requests != 1 {
		t.Errorf("%d lines of the access log in %s", requests, got.stderr)
	}
}
