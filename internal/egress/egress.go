// Package egress is how requests leave: through the proxy that the environment
// names, or not at all. What is said of those that fail is made here, and no server's.
package egress

import (
	"net"
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
// proxy whose variable cannot be used. net/http takes such a variable for none. ALL_PROXY
// it does not know, which is what programs in Go expect.
var DefaultTransport http.RoundTripper = defaultTransport{}

type defaultTransport struct{}

// RoundTrip implements http.RoundTripper.
func (defaultTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, _, err := route(r.URL); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as RoundTrip must, and there is nobody to tell
		}
		return nil, err
	}
	return http.DefaultTransport.RoundTrip(r)
}

// ProxyFromEnvironment is for http.Transport's Proxy. It is
// http.ProxyFromEnvironment with three differences: ALL_PROXY counts where the scheme's
// own variable is not set, a variable that would be needed and cannot be used is an
// error, with CodeInvalidProxy, and the environment is read each time.
func ProxyFromEnvironment(r *http.Request) (*url.URL, error) {
	_, proxy, err := Route(r.URL)
	return proxy, err
}

// Route returns the proxy that a request to a URL goes through, nil for none, and the
// variable that says so, which is named also where NO_PROXY or the like lead around that
// proxy. Its errors are those of ProxyFromEnvironment.
func Route(target *url.URL) (variable string, proxy *url.URL, err error) {
	return route(target, "ALL_PROXY")
}

// route is Route, with variables that count where the scheme's own is not set.
func route(target *url.URL, others ...string) (string, *url.URL, error) {
	own := "HTTP_PROXY"
	if target.Scheme == "https" {
		own = "HTTPS_PROXY"
	}
	v := lookup(own)
	for _, name := range others {
		if v.value == "" {
			v = lookup(name)
		}
	}
	if v.value == "" {
		return "", nil, nil
	}
	// Whether NO_PROXY and the like lead around a proxy does not depend on which
	// proxy it is.
	c := httpproxy.FromEnvironment()
	c.HTTPProxy, c.HTTPSProxy = "http://any.invalid", "http://any.invalid"
	if through, err := c.ProxyFunc()(target); through == nil {
		return v.name, nil, err
	}
	proxy, err := v.proxy()
	return v.name, proxy, err
}

// CheckProxies returns the error, with CodeInvalidProxy, of a proxy's variable that
// cannot be used, whether or not a request will need it; and where there is a proxy, of
// an entry of NO_PROXY that can match nothing.
func CheckProxies() error {
	isAny := false
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		proxy, err := lookup(name).proxy()
		if err != nil {
			return err
		}
		isAny = isAny || proxy != nil
	}
	if !isAny {
		return nil
	}
	return lookup("NO_PROXY").exceptions()
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

// exceptions returns the error of the first entry of NO_PROXY that is no host, domain,
// address or network: it would count as a name that nothing has. The entry is not shown,
// for it may be a proxy's URL.
func (v variable) exceptions() error {
	for i, entry := range strings.Split(v.value, ",") {
		if isException(strings.TrimSpace(entry)) {
			continue
		}
		return &core.Error{Code: CodeInvalidProxy, Message: "entry " + strconv.Itoa(i+1) + " of " + v.name + " is no host, domain, address or network, and would match nothing: " +
			"write entries such as internal.example, 192.0.2.1 or 10.0.0.0/8, each with :port or without, and commas between them"}
	}
	return nil
}

// isException reports whether an entry of NO_PROXY can match. None at all is nobody's
// mistake.
func isException(entry string) bool {
	if strings.Contains(entry, "/") {
		_, err := netip.ParsePrefix(entry)
		return err == nil
	}
	if host, port, err := net.SplitHostPort(entry); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return false
		}
		entry = host
	}
	return !strings.ContainsAny(entry, "@ \t\r\n")
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
