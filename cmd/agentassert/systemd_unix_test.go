//go:build unix

package main

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// passing has a process started as systemd starts one with sockets: their names are in the
// environment, and so is the number of the process, which a shell finds out.
func passing(t *testing.T, names string, files ...*os.File) func(*exec.Cmd) {
	t.Helper()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	return func(c *exec.Cmd) {
		c.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, c.Path}, c.Args[1:]...)
		c.Path = shell
		c.ExtraFiles = files
		c.Env = append(c.Env, "LISTEN_FDS="+string(rune('0'+len(files))), "LISTEN_FDNAMES="+names)
	}
}

// socket is one that somebody else has opened.
type socket interface {
	File() (*os.File, error)
	Close() error
}

// fileOf returns a socket's file, and closes what it was made by.
func fileOf(t *testing.T, s socket, err error) *os.File {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.File()
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// passedTCP returns a socket's file, and its address.
func passedTCP(t *testing.T, at string) (f *os.File, address string) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	return fileOf(t, l.(*net.TCPListener), nil), address
}

// notifications are what systemd would be told.
func notifications(t *testing.T) (path string, next func() string) {
	t.Helper()
	path = filepath.Join(shortDir(t), "n")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return path, func() string {
		t.Helper()
		if err := c.SetReadDeadline(time.Now().Add(processBound)); err != nil {
			t.Fatal(err)
		}
		text := make([]byte, 4096)
		n, err := c.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(text[:n])
	}
}

func TestSystemd(t *testing.T) {
	u := startUpstream(t, none)
	dir := t.TempDir()
	operations, operationsAddress := passedTCP(t, "127.0.0.1:0")
	first, address := passedTCP(t, "127.0.0.1:0")
	second, secondAddress := passedTCP(t, "127.0.0.1:0")
	notify, next := notifications(t)
	token := strings.Repeat("abcdefgh", 4)
	tokenFile, addrFile := filepath.Join(dir, "token"), filepath.Join(dir, "addr")
	if err := os.WriteFile(tokenFile, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, []string{"NOTIFY_SOCKET=" + notify}, passing(t, "operations:proxy:proxy", operations, first, second),
		"proxy", "--listen", "systemd:", "--operations-listen", "systemd:operations", "--addr-file", addrFile,
		"--token-from", tokenFile, "--upstream", u.url, "--trust-host", "127.0.0.1", "--auth-file", u.authFile)
	if got := next(); got != "READY=1" {
		t.Fatalf("systemd is told %q", got)
	}
	if got := strings.TrimSpace(string(readFile(t, addrFile))); got != address {
		t.Errorf("it is at %s, and says %s", address, got)
	}
	for _, at := range []string{address, secondAddress} {
		(&running{url: "http://" + at, token: token}).assertion(t, "GET", "/codex/models")
	}
	status, _ := (&running{url: "http://" + address, token: token}).call(t, "GET", "/codex/models", (&running{token: token}).header())
	if status != http.StatusOK {
		t.Errorf("%d", status)
	}
	r, err := http.NewRequest("GET", "http://"+address+"/codex/models", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = (&running{token: token}).header()
	r.Host = "elsewhere.example"
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("under another host's name: %d", response.StatusCode)
	}
	response, err = (&http.Transport{DisableKeepAlives: true}).RoundTrip(mustRequest(t, "http://"+operationsAddress+"/readyz"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("/readyz: %d", response.StatusCode)
	}
	p.signal(syscall.SIGHUP)
	if got := next(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("systemd is told %q", got)
	}
	if got := next(); got != "READY=1" {
		t.Errorf("systemd is told %q", got)
	}
	p.signal(syscall.SIGTERM)
	if got := next(); got != "STOPPING=1" {
		t.Errorf("systemd is told %q", got)
	}
	if code := p.wait(); code != 0 {
		t.Errorf("it ends with %d: %s", code, p.text())
	}
}

func mustRequest(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSystemdSockets: which of them are taken, and what is said of others.
func TestSystemdSockets(t *testing.T) {
	u := startUpstream(t, none)
	tcp := func(at string) func(t *testing.T) *os.File {
		return func(t *testing.T) *os.File {
			f, _ := passedTCP(t, at)
			return f
		}
	}
	local, everywhere := tcp("127.0.0.1:0"), tcp("0.0.0.0:0")
	unix := func(t *testing.T) *os.File {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(shortDir(t), "s"), Net: "unix"})
		if err == nil {
			l.SetUnlinkOnClose(false)
		}
		return fileOf(t, l, err)
	}
	datagrams := func(t *testing.T) *os.File {
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		return fileOf(t, c, err)
	}
	type files = []func(*testing.T) *os.File
	for _, tt := range []struct {
		name  string
		names string
		files files
		args  []string
		want  string // what it says, or nothing where it serves
	}{
		{"the usual name", "proxy", files{local}, []string{"--listen", "systemd:"}, ""},
		{"a Unix socket", "proxy", files{unix}, []string{"--listen", "systemd:"}, ""},
		{"another name", "mine", files{local}, []string{"--listen", "systemd:mine"}, ""},
		{"without a name", "", files{local}, []string{"--listen", "systemd:"}, ""},
		{"everywhere, allowed", "proxy", files{everywhere}, []string{"--listen", "systemd:", "--allow-remote"}, ""},
		{"everywhere", "proxy", files{everywhere}, []string{"--listen", "systemd:"}, "--allow-remote"},
		{"operations everywhere", "proxy:operations", files{local, everywhere}, []string{"--listen", "systemd:", "--operations-listen", "systemd:"}, ""},
		{"none", "", nil, []string{"--listen", "systemd:"}, "has passed no socket"},
		{"no operations", "proxy", files{local}, []string{"--listen", "systemd:", "--operations-listen", "systemd:"}, `called ["proxy"]`},
		{"none of the name", "proxy", files{local}, []string{"--listen", "systemd:mine"}, `called ["proxy"]`},
		{"one for both", "x", files{local}, []string{"--listen", "systemd:x", "--operations-listen", "systemd:x"}, "both take the socket"},
		{"datagrams", "proxy", files{datagrams}, []string{"--listen", "systemd:"}, "ListenStream="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var open []*os.File
			for _, f := range tt.files {
				open = append(open, f(t))
			}
			p := startProcess(t, nil, passing(t, tt.names, open...), append([]string{"proxy", "--upstream", u.url, "--auth-file", u.authFile}, tt.args...)...)
			if tt.want == "" {
				p.waitFor("proxy started", 1)
				p.signal(syscall.SIGTERM)
				if code := p.wait(); code != 0 {
					t.Errorf("it ends with %d: %s", code, p.text())
				}
				return
			}
			if code := p.wait(); code != exitUsage && code != exitFailed || !strings.Contains(p.text(), tt.want) {
				t.Errorf("code %d, %s", code, p.text())
			}
		})
	}
	// Sockets that were passed to another process are not this one's.
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "1")
	if got := tool(t, "", "proxy", "--listen", "systemd:", "--upstream", u.url, "--auth-file", u.authFile); got.code != exitUsage || !strings.Contains(got.stderr, "has passed no socket") {
		t.Errorf("another process's: %+v", got)
	}
}
