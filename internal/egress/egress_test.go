package egress_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/internal/egress"
)

// clearEnvironment unsets what the tests' own environment says.
func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"} {
		t.Setenv(name, "")
		t.Setenv(strings.ToLower(name), "")
	}
}

// proxyFor returns the URL of the proxy for a request.
func proxyFor(t *testing.T, url string) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := egress.ProxyFromEnvironment(r)
	if proxy == nil {
		return "", err
	}
	return proxy.String(), err
}

func checkInvalid(t *testing.T, err error, name string) {
	t.Helper()
	if core.Code(err) != egress.CodeInvalidProxy || !strings.HasPrefix(err.Error(), name+" ") {
		t.Errorf("got %v, code %q; want %s in it, code %q", err, core.Code(err), name, egress.CodeInvalidProxy)
	}
}

func TestProxy(t *testing.T) {
	for value, want := range map[string]string{
		"":                             "",
		"http://proxy.test:3128":       "http://proxy.test:3128",
		"http://proxy.test":            "http://proxy.test",
		"http://proxy.test:3128/":      "http://proxy.test:3128/",
		"HTTP://proxy.test:3128":       "http://proxy.test:3128",
		"https://proxy.test:3128":      "https://proxy.test:3128",
		"socks5://proxy.test:1080":     "socks5://proxy.test:1080",
		"socks5h://proxy.test:1080":    "socks5h://proxy.test:1080",
		"proxy.test:3128":              "http://proxy.test:3128",
		"proxy.test":                   "http://proxy.test",
		"127.0.0.1:3128":               "http://127.0.0.1:3128",
		"[::1]:3128":                   "http://[::1]:3128",
		"user:pass@proxy.test:3128":    "http://user:pass@proxy.test:3128",
		"http://user@proxy.test:3128":  "http://user@proxy.test:3128",
		"http://u:p%25@proxy.test:1":   "http://u:p%25@proxy.test:1",
		"http://u:a@b:c!$&@proxy.test": "http://u:a%40b%3Ac%21$&@proxy.test",
	} {
		for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
			t.Run(name+"="+value, func(t *testing.T) {
				clearEnvironment(t)
				t.Setenv(name, value)
				if err := egress.CheckProxies(); err != nil {
					t.Errorf("CheckProxies: %v", err)
				}
				if got, err := proxyFor(t, "https://backend.test/"); got != want || err != nil {
					t.Errorf("got %q, %v; want %q", got, err, want)
				}
				if got, err := proxyFor(t, "http://backend.test/"); got != "" || err != nil {
					t.Errorf("without TLS: got %q, %v; want none", got, err)
				}
			})
		}
	}
}

func TestProxyThatCannotBeUsed(t *testing.T) {
	for _, value := range []string{
		"http://user:S3cret%zz@proxy.test:9",
		"http://user:S3cret%@proxy.test:9",
		"user:S3cret%zz@proxy.test:9",
		"http://user:S3cret#@proxy.test:9",
		"http://user:S3cret/@proxy.test:9",
		"http://user:S3cret?@proxy.test:9",
		`http://domain\S3cret:p@proxy.test:9`,
		"http://user:S3cret @proxy.test:9",
		"http://user:S3cret[@proxy.test:9",
		"http://user:S3cretä@proxy.test:9",
		// These parse, with the beginning of the password for a port.
		"http://user:12#S3cret@proxy.test:9",
		"http://user:12/S3cret@proxy.test:9",
		"http://user:12?S3cret@proxy.test:9",
		"http://user:12#",
		"http://proxy.test:9/S3cret",
		"http://S3cret:99999",
		"http://S3cret:0",
		"http://S3cret:",
		"http://S3cret:9 ",
		"http://S3cret:9\n",
		"http://:9",
		"http://",
		"http:S3cret:9",
		"http:/S3cret:9",
		"//S3cret:9",
		"http://S3cret:9,http://other:9",
		"socks4://S3cret:9",
		"socks4a://user:S3cret@proxy.test:9",
		"ftp://S3cret:9",
		"S3cret://proxy.test:9",
	} {
		for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
			t.Run(name+"="+value, func(t *testing.T) {
				clearEnvironment(t)
				t.Setenv(name, value)
				needs, other := "http", "https"
				if strings.EqualFold(name, "HTTPS_PROXY") {
					needs, other = other, needs
				}
				err := egress.CheckProxies()
				checkInvalid(t, err, name)
				_, again := proxyFor(t, needs+"://backend.test/")
				checkInvalid(t, again, name)
				for _, err := range []error{err, again} {
					if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "S3cret") {
						t.Errorf("%v shows the value", err)
					}
				}
				if got, err := proxyFor(t, other+"://backend.test/"); got != "" || err != nil {
					t.Errorf("of a request that does not need it: %q, %v", got, err)
				}
			})
		}
	}
}

func TestProxyIsNotForEveryHost(t *testing.T) {
	for _, proxy := range []string{"http://proxy.test:9", "http://user:S3cret%zz@proxy.test:9"} {
		for _, tt := range []struct {
			noProxy, url string
			direct       bool
		}{
			{"", "http://backend.test/", false},
			{"", "http://127.0.0.1:80/", true},
			{"", "http://localhost/", true},
			{"backend.test", "http://backend.test/", true},
			{"backend.test", "http://sub.backend.test/", true},
			{".backend.test", "http://backend.test/", false},
			{"other.test", "http://backend.test/", false},
			{"192.0.2.0/24", "http://192.0.2.1/", true},
			{"*", "http://backend.test/", true},
		} {
			t.Run(fmt.Sprint(proxy, tt), func(t *testing.T) {
				clearEnvironment(t)
				t.Setenv("HTTP_PROXY", proxy)
				t.Setenv("NO_PROXY", tt.noProxy)
				got, err := proxyFor(t, tt.url)
				if direct := got == "" && err == nil; direct != tt.direct {
					t.Errorf("got %q, %v; direct: %v, want %v", got, err, direct, tt.direct)
				}
			})
		}
	}
}

// What curl and the reference client read, too.
func TestAllProxy(t *testing.T) {
	for _, name := range []string{"ALL_PROXY", "all_proxy"} {
		t.Run(name, func(t *testing.T) {
			clearEnvironment(t)
			t.Setenv(name, "socks5h://all.test:1080")
			for _, url := range []string{"http://backend.test/", "https://backend.test/"} {
				if got, err := proxyFor(t, url); got != "socks5h://all.test:1080" || err != nil {
					t.Errorf("%s: got %q, %v", url, got, err)
				}
			}
			if got, err := proxyFor(t, "https://127.0.0.1/"); got != "" || err != nil {
				t.Errorf("to this machine: got %q, %v; want none", got, err)
			}
			t.Setenv("HTTPS_PROXY", "http://own.test:3128")
			if got, err := proxyFor(t, "https://backend.test/"); got != "http://own.test:3128" || err != nil {
				t.Errorf("beside the scheme's own: got %q, %v", got, err)
			}
			t.Setenv("HTTPS_PROXY", "")
			t.Setenv(name, "http://user:S3cret%zz@all.test:9")
			checkInvalid(t, egress.CheckProxies(), name)
			_, err := proxyFor(t, "https://backend.test/")
			checkInvalid(t, err, name)
		})
	}
}

func TestExceptions(t *testing.T) {
	for entries, wrong := range map[string]string{
		"":                                "",
		"*":                               "",
		"localhost, 127.0.0.1,::1,[::1]":  "",
		"internal.example,.other.example": "",
		"*.internal.example":              "",
		"internal.example:8443":           "",
		"10.0.0.0/8,fd00::/8":             "",
		"192.0.2.1:80,[2001:db8::1]:443":  "",
		"a.example,,b.example,":           "",
		"10.0.0.0/99":                     "1",
		"a.example,10.0.0.0/":             "2",
		"10.0/8":                          "1",
		"http://internal.example":         "1",
		"a.example b.example":             "1",
		"a.example,user:S3cret@b.example": "2",
		"a.example:http":                  "1",
		"a.example:0":                     "1",
		"a.example:70000":                 "1",
	} {
		for _, name := range []string{"NO_PROXY", "no_proxy"} {
			t.Run(name+"="+entries, func(t *testing.T) {
				clearEnvironment(t)
				t.Setenv(name, entries)
				if err := egress.CheckProxies(); err != nil {
					t.Errorf("without a proxy: %v", err)
				}
				t.Setenv("HTTPS_PROXY", "http://proxy.test:3128")
				err := egress.CheckProxies()
				if wrong == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				checkInvalid(t, err, "entry "+wrong+" of "+name)
				if strings.Contains(err.Error(), "S3cret") {
					t.Errorf("%v shows the value", err)
				}
			})
		}
	}
}

func FuzzProxyVariables(f *testing.F) {
	f.Add("http://user:p%25@proxy.test:1", "10.0.0.0/8,a.example:80")
	f.Add("socks5h://[::1]:1080", "*")
	f.Add("http://u:p%zz@h", "http://x")
	f.Fuzz(func(t *testing.T, proxy, exceptions string) {
		if strings.ContainsRune(proxy+exceptions, 0) {
			t.Skip("no variable has such a value")
		}
		clearEnvironment(t)
		t.Setenv("HTTPS_PROXY", proxy)
		t.Setenv("NO_PROXY", exceptions)
		target := &url.URL{Scheme: "https", Host: "backend.test"}
		err := egress.CheckProxies()
		variable, through, routeErr := egress.Route(target)
		if err == nil && routeErr != nil {
			t.Errorf("what is accepted at the start fails later: %v", routeErr)
		}
		if (variable == "") != (proxy == "") || through != nil && (through.Hostname() == "" || routeErr != nil) {
			t.Errorf("got %q, %v, %v", variable, through, routeErr)
		}
	})
}

// A CGI script's HTTP_PROXY is what the client has sent as Proxy.
func TestProxyOfCGI(t *testing.T) {
	clearEnvironment(t)
	t.Setenv("REQUEST_METHOD", "GET")
	t.Setenv("HTTP_PROXY", "http://proxy.test:9")
	if got, err := proxyFor(t, "http://backend.test/"); got != "" || err == nil {
		t.Errorf("got %q, %v; want an error", got, err)
	}
}

func TestDefaultTransport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	clearEnvironment(t)
	t.Setenv("HTTP_PROXY", "http://user:S3cret%zz@proxy.test:9")
	client := &http.Client{Transport: egress.DefaultTransport}
	response, err := client.Get(server.URL) // loopback, which no proxy is for
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	body := &closing{Reader: strings.NewReader("body")}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://backend.invalid/", body)
	if err != nil {
		t.Fatal(err)
	}
	_, err = egress.DefaultTransport.RoundTrip(r)
	checkInvalid(t, err, "HTTP_PROXY")
	if !body.closed {
		t.Error("the request's body was left open")
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }
