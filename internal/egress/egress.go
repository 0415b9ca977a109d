// Package egress is how requests leave: through the proxy that the environment
// names, or not at all. What is said of those that fail is made here, and no server's.
package egress

import (
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"github.com/agentassert/agentassert/core"
)

// The codes of this package's errors. Package host has them as its own.
const (
	CodeInvalidProxy = "invalid_proxy"
	CodeTLSUntrusted = "tls_untrusted"
)

// DefaultTransport is http.DefaultTransport, except that it sends nothing around a
// proxy whose variable cannot be used. net/http takes such a variable for none.
var DefaultTransport http.RoundTripper = defaultTransport{}

type defaultTransport struct{}

// RoundTrip implements http.RoundTripper.
func (defaultTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := ProxyFromEnvironment(r); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as RoundTrip must, and there is nobody to tell
		}
		return nil, err
	}
	return http.DefaultTransport.RoundTrip(r)
}

// ProxyFromEnvironment is for http.Transport's Proxy. It is
// http.ProxyFromEnvironment with two differences: a variable that would be needed
// and cannot be used is an error, with CodeInvalidProxy, and the environment is
// read each time.
func ProxyFromEnvironment(r *http.Request) (*url.URL, error) {
	v := lookup("HTTP_PROXY")
	if r.URL.Scheme == "https" {
		v = lookup("HTTPS_PROXY")
	}
	if v.value == "" {
		return nil, nil
	}
	// Whether NO_PROXY and the like lead around a proxy does not depend on which
	// proxy it is.
	c := httpproxy.FromEnvironment()
	c.HTTPProxy, c.HTTPSProxy = "http://any.invalid", "http://any.invalid"
	if through, err := c.ProxyFunc()(r.URL); through == nil {
		return nil, err
	}
	return v.proxy()
}

// CheckProxies returns the error, with CodeInvalidProxy, of a proxy's variable that
// cannot be used, whether or not a request will need it.
func CheckProxies() error {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
		if _, err := lookup(name).proxy(); err != nil {
			return err
		}
	}
	return nil
}

// variable is one of the environment.
type variable struct{ name, value string }

// lookup returns the variable in capitals, or else the one in small letters.
func lookup(name string) variable {
	small := strings.ToLower(name)
	if value := os.Getenv(name); value != "" {
		return variable{name, value}
	}
	return variable{small, os.Getenv(small)}
}

// proxy returns what the variable names: nil where it is not set. Its errors show
// nothing of the value, which can hold a password anywhere that a mistake puts it.
func (v variable) proxy() (*url.URL, error) {
	if v.value == "" {
		return nil, nil
	}
	value := v.value
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	// What a # or a / in a password leads to need not be an error, but another host.
	if err != nil || strings.ContainsAny(value, `#?\ `) || u.Path != "" && u.Path != "/" || !namesHost(u) {
		return nil, &core.Error{Code: CodeInvalidProxy, Message: v.name + " is set, but not to a proxy's URL, and nothing is sent around the proxy: " +
			"write http://user:password@host:port, with special characters in user and password percent-encoded " +
			`(% as %25, # as %23, / as %2F, ? as %3F, @ as %40, \ as %5C, a space as %20)`}
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return u, nil
	}
	return nil, &core.Error{Code: CodeInvalidProxy, Message: v.name + " names a proxy of a kind that is not supported, and nothing is sent around it: " +
		"the URL's scheme has to be http, https, socks5 or socks5h"}
}

// namesHost reports whether a URL has a host, and a port that can be one.
func namesHost(u *url.URL) bool {
	if u.Port() == "" {
		return u.Hostname() != "" && !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return u.Hostname() != "" && err == nil && port > 0
}

// IsInsecure reports whether others than this machine can read what is sent to a URL: its
// scheme is http, and its host neither a loopback's address nor localhost. Names below
// localhost are a name server's to say. What is no URL is none that anything is sent to.
func IsInsecure(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" {
		return false
	}
	name := strings.ToLower(u.Hostname())
	if ip, err := netip.ParseAddr(name); err == nil {
		return !ip.Unmap().IsLoopback()
	}
	return name != "localhost"
}
