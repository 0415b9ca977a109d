package proxy

import (
	"errors"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
)

// fieldSet is a set of header fields, by their keys: these names, and all that begin with
// one of the prefixes.
type fieldSet struct {
	names    map[string]bool
	prefixes []string
}

func newFieldSet(names, prefixes []string) fieldSet {
	s := fieldSet{make(map[string]bool, len(names)), prefixes}
	for _, name := range names {
		s.names[string(appendKey(nil, name))] = true
	}
	return s
}

// Of a request, what says who calls is the proxy's to say, and what says which
// request it is the request line's. A cookie would put somebody's session beside the
// agent, a biscuit or another assertion somebody's registration or identity.
var requestFields = newFieldSet(
	[]string{
		"authorization", "chatgpt-account-id", "cookie", "cookie2", "http2-settings", "forwarded", "x-forwarded", "proxy",
		"proxy-authorization", "x-method-override", "x-openai-account-routing-override", "x-openai-agent-assertion", "x-openai-authorization",
		"x-openai-fedramp",
	},
	[]string{"x-agentassert-", "x-forwarded-", "x-http-", "x-original-", "x-rewrite-"},
)

// Of a response, what a client keeps for later calls ends here: cookies,
// credentials, and where, how or with what it is to come back.
var responseFields = newFieldSet(
	[]string{
		"alt-svc", "authentication-info", "authorization", "clear-site-data", "proxy-authentication-info", "set-cookie",
		"set-cookie2", "strict-transport-security", "x-openai-agent-assertion", "x-openai-authorization",
	},
	[]string{"x-agentassert-"},
)

// appendKey appends a name's key, which makes those names one that some server takes for
// one: as CGI has it, letters and digits count, and what is between them does not.
func appendKey(key []byte, name string) []byte {
	for _, r := range name {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
		case 'A' <= r && r <= 'Z':
			r += 'a' - 'A'
		default:
			r = '-'
		}
		key = append(key, byte(r))
	}
	return key
}

func (s fieldSet) has(name string) bool {
	var space [64]byte // for all that there are, so that a look allocates nothing
	key := appendKey(space[:0], name)
	if s.names[string(key)] {
		return true
	}
	for _, p := range s.prefixes {
		if len(key) >= len(p) && string(key[:len(p)]) == p {
			return true
		}
	}
	return false
}

// removeFrom removes the set's fields, as trailers, too.
func (s fieldSet) removeFrom(h http.Header) {
	for name := range h {
		if s.has(strings.TrimPrefix(name, http.TrailerPrefix)) {
			delete(h, name)
		}
	}
}

// rewrite makes a caller's request the upstream's. The transport authorizes it
// afterwards, so that a field of its own cannot be removed by naming it in
// Connection.
//
// Own are more fields that are the proxy's.
func rewrite(r *httputil.ProxyRequest, base *url.URL, own fieldSet) {
	r.SetURL(base)
	// As it was sent: nothing here reads a query.
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	r.Out.URL.User = nil
	requestFields.removeFrom(r.Out.Header)
	own.removeFrom(r.Out.Header)
	r.Out.Trailer = nil
	if !isWebSocket(r.Out.Header) {
		// Within h2c, say, there would be requests that nobody looks at. Whoever
		// offers it, as Java's client does unasked, gets HTTP/1.1.
		r.Out.Header.Del("Connection")
		r.Out.Header.Del("Upgrade")
	}
}

// isWebSocket reports whether a message asks for, or goes over to, WebSocket.
func isWebSocket(h http.Header) bool {
	return strings.EqualFold(strings.TrimSpace(h.Get("Upgrade")), "websocket")
}

// errNotAsked is of an upstream that goes over to a protocol that it was not asked
// for.
var errNotAsked = errors.New("the upstream switches to a protocol that it was not asked for")

// checkResponse is the reverse proxy's ModifyResponse.
func checkResponse(r *http.Response) error {
	if r.StatusCode == http.StatusSwitchingProtocols && !(isWebSocket(r.Request.Header) && isWebSocket(r.Header)) {
		return errNotAsked
	}
	responseFields.removeFrom(r.Header)
	responseFields.removeFrom(r.Trailer) // they are announced; what they are is known later
	return nil
}

// Forwards reports whether a header field of a caller's is forwarded to the upstream. One
// that is not cannot be the tenants' own.
func Forwards(name string) bool { return !requestFields.has(name) }
