package proxy

import (
	"net"
	"net/url"
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	plain, named := Hosts(), Hosts("Proxy.example", "192.0.2.1", "")
	for _, tt := range []struct {
		host        string
		plain, also bool
	}{
		{"127.0.0.1", true, true},
		{"127.1.2.3:80", true, true},
		{"[::1]:80", true, true},
		{"[::ffff:127.0.0.1]", true, true},
		{"localhost", true, true},
		{"LOCALHOST:8081", true, true},
		{"proxy.example:8081", false, true},
		{"PROXY.EXAMPLE", false, true},
		{"192.0.2.1:8081", false, true},
		{"192.0.2.2", false, false},
		{"proxy.example.evil.example", false, false},
		{"evil.example", false, false},
		{"localhost.", false, false},
		{"0.0.0.0", false, false},
		{"", false, false},
		{":8081", false, false},
		{"[]", false, false},
		{"127.0.0.1:x", false, false},
	} {
		if got := plain(tt.host); got != tt.plain {
			t.Errorf("%q: %t, want %t", tt.host, got, tt.plain)
		}
		if got := named(tt.host); got != tt.also {
			t.Errorf("with names %q: %t, want %t", tt.host, got, tt.also)
		}
		if !AnyHost(tt.host) {
			t.Errorf("%q is some host", tt.host)
		}
	}
}

// FuzzHosts: whatever is let through is this machine to net/url, too.
func FuzzHosts(f *testing.F) {
	for _, seed := range []string{"127.0.0.1:80", "[::1]", "localhost:", "[localhost]:1", "::1", "127.0.0.1%x", "[::1%25lo]:1", "a@localhost", "127.0.0.1:@"} {
		f.Add(seed)
	}
	allowed := Hosts()
	f.Fuzz(func(t *testing.T, hostPort string) {
		if !allowed(hostPort) {
			return
		}
		u, err := url.Parse("http://" + hostPort + "/")
		if err != nil {
			return // no browser gets there
		}
		name, _, _ := strings.Cut(u.Hostname(), "%") // a zone
		if ip := net.ParseIP(name); (ip == nil || !ip.IsLoopback()) && !strings.EqualFold(name, "localhost") {
			t.Errorf("%q is let through, and is %q", hostPort, u.Hostname())
		}
	})
}
