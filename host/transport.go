package host

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/internal/egress"
)

// maxDrain is how long the rest of a rejected response may be, in bytes, for its
// connection to be worth keeping. Where nobody knows, it is not: the response may
// stream, and the call is waiting.
const maxDrain = 64 << 10

// Transport is an http.RoundTripper that authorizes the requests to a manager's
// backend, and passes all others on as they are: an authorization never leaves
// for another scheme, host or port, or for a path outside of the base URL, not
// even by a redirect, because each hop is a request of its own. Nor is a request
// authorized that a redirect from outside has led to the backend, for that would be
// somebody else's call, nor one whose Host is not its URL's.
//
// When the backend answers an assertion with 401, the transport has replaced what the
// answer's code says (see [Manager.Recover]), and sends the request once more, if
// something was replaced and the body can be sent: again, with http.Request.GetBody, or
// for the first time, because the request waits for 100 Continue (with the header field
// Expect and http.Transport.ExpectContinueTimeout) and the 401 came before that. A second
// 401, and one to a bearer token, go to the caller.
//
// A request on a thread's surface needs [WithThread] in its context.
type Transport struct {
	// Manager authorizes. Required.
	Manager *Manager
	// Base sends. The default is http.DefaultTransport, which is given no request
	// whose proxy has a variable that cannot be used: CodeInvalidProxy.
	Base http.RoundTripper
	// Recovers, if not nil, decides which answers to an assertion reject it, in place of
	// the rule that a 401 does, as its code says. It is asked about answers of 4xx. Where
	// it says yes, the assertion's task, or its runtime agent instance, is replaced; or the
	// identity, if the code is unknown_agent. [errors.Is] tells what a refusal amounts to.
	Recovers func(refusal *core.Refusal) bool
	// Thread, if not nil, is for requests on a thread's surface that name none. It
	// must be one of Manager's, and so must those that requests name.
	Thread *Thread
	// Authorized, if not nil, is called with each authorization before a request is sent
	// with it: a second time for one that is sent once more. It is called by the goroutine
	// that called RoundTrip.
	Authorized func(a Authorization)
}

type contextKey int

const (
	threadKey contextKey = iota
	surfaceKey
)

// WithThread returns a context whose requests on a thread's surface belong to
// that thread.
func WithThread(ctx context.Context, t *Thread) context.Context {
	return context.WithValue(ctx, threadKey, t)
}

// WithSurface returns a context whose requests are on that surface, one of core's
// Surface constants, whatever their path says.
func WithSurface(ctx context.Context, surface string) context.Context {
	return context.WithValue(ctx, surfaceKey, surface)
}

// RoundTrip implements http.RoundTripper. Errors of the authorization are of type
// *core.Error. Those of Base, and of the response's body, are passed on if they cannot
// quote what the backend sent, which could be the credential. Of all others errors.Is
// still finds what they were, and nothing shows it.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.send(r)
	if response != nil {
		// Whoever logs the response shows no authorization; and the next hop of a
		// redirect finds out where it comes from, whatever Base is.
		response.Request = r
	}
	return response, err
}

func (t *Transport) send(r *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = egress.DefaultTransport
	}
	if t.Manager == nil {
		closeBody(r)
		return nil, fail(CodeInvalidManagerConfig, "the transport has no manager; set its Manager, or use another transport for calls that nothing authorizes", nil)
	}
	surface, ours := locate(t.Manager.BaseURL(), r.URL)
	if !ours || !t.isOwn(r) {
		return base.RoundTrip(r)
	}
	a, err := t.authorize(r.Context(), surface)
	if err != nil {
		closeBody(r)
		return nil, err
	}
	first, body := r.Clone(r.Context()), (*withheld)(nil)
	if a.asserts() {
		first, body = withhold(first)
	}
	defer body.settle()
	response, err := t.sendAuthorized(base, first, a)
	if err != nil || response == nil || !a.asserts() {
		return response, err
	}
	// Even where this request cannot be sent again, the next one can.
	replacement, ok := t.replacementFor(r, a, response)
	if !ok {
		return response, nil
	}
	second, ok := again(r, body)
	if !ok {
		return response, nil
	}
	if response.Body != nil {
		if 0 < response.ContentLength && response.ContentLength <= maxDrain {
			_, _ = io.Copy(io.Discard, response.Body)
		}
		_ = response.Body.Close()
	}
	return t.sendAuthorized(base, second, replacement)
}

// closeBody is for requests that are not sent: RoundTrip closes their bodies, too.
func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // there is nobody to tell
	}
}

// replacementFor returns what a request carries in place of an authorization that its response
// rejects, if it is to be sent again.
func (t *Transport) replacementFor(r *http.Request, a Authorization, response *http.Response) (Authorization, bool) {
	var replacement Authorization
	var err error
	switch {
	case t.Recovers != nil:
		if response.StatusCode < 400 || response.StatusCode > 499 {
			return Authorization{}, false
		}
		refusal := readRefusal(response, t.Manager.config.Now(), []string{a.Header(), a.AgentAssertion()})
		if !t.Recovers(refusal) {
			return Authorization{}, false
		}
		replacement, err = t.Manager.recoverDecided(r.Context(), a, refusal)
	case response.StatusCode == http.StatusUnauthorized:
		replacement, err = t.Manager.Recover(r.Context(), a, response)
	default:
		return Authorization{}, false
	}
	same := replacement.Header() == a.Header() && replacement.AgentAssertion() == a.AgentAssertion()
	if err != nil || replacement.Mode == core.ModeNone || same {
		return Authorization{}, false
	}
	return replacement, true
}

// CodeRedirected is a redirect of a call that goes to another origin than the base
// URL's: nobody follows it.
const CodeRedirected = "redirected"

// sendAuthorized sends a request with an authorization, to the origin that this has.
// Nothing that fails afterwards shows what the backend sent, for that can be the
// credential.
func (t *Transport) sendAuthorized(base http.RoundTripper, r *http.Request, a Authorization) (*http.Response, error) {
	if t.Authorized != nil {
		t.Authorized(a)
	}
	a.SetHeaders(r.Header)
	if a.ResponsesOrigin != "" {
		origin, err := url.Parse(a.ResponsesOrigin)
		if err != nil {
			return nil, fail(CodePolicyViolation, "the origin of the call is none", nil)
		}
		routed := *r.URL
		routed.Scheme, routed.Host = origin.Scheme, origin.Host
		r.URL, r.Host = &routed, ""
	}
	response, err := base.RoundTrip(r)
	if err == nil && a.ResponsesOrigin != "" && 300 <= response.StatusCode && response.StatusCode < 400 && response.Header.Get("Location") != "" {
		_ = response.Body.Close()
		return nil, fail(CodeRedirected, "the workspace's origin answers with a redirect, and such calls follow none", nil)
	}
	if response != nil {
		response.Body = egress.ExplainBody(response.Body)
	}
	return response, egress.Explain(err)
}

// isOwn reports whether a request is the program's own, and for the backend that its
// URL names.
func (t *Transport) isOwn(r *http.Request) bool {
	if r.Host != "" && !isHostOf(r.URL, r.Host) || len(r.Header["Host"]) > 0 {
		return false
	}
	// Each hop of a redirect has the response that led to it, and that its request.
	for hops := 0; r.Response != nil; hops++ {
		if r = r.Response.Request; r == nil || hops == maxHops {
			return false
		}
		if _, ours := locate(t.Manager.BaseURL(), r.URL); !ours {
			return false
		}
	}
	return true
}

// maxHops is more redirects than any client follows.
const maxHops = 100

// isHostOf reports whether a Host header field is a URL's, with or without the
// scheme's port.
func isHostOf(u *url.URL, host string) bool {
	withPort := func(host string) string {
		if parsed := (&url.URL{Host: host}); parsed.Port() == "" {
			port := "80"
			if u.Scheme == "https" {
				port = "443"
			}
			return net.JoinHostPort(parsed.Hostname(), port)
		}
		return host
	}
	return strings.EqualFold(withPort(host), withPort(u.Host))
}

// authorize returns what a request carries. Its context can name another surface
// than its URL.
func (t *Transport) authorize(ctx context.Context, s core.Surface) (Authorization, error) {
	if name, ok := ctx.Value(surfaceKey).(string); ok {
		var err error
		if s, err = core.LookupSurface(name); err != nil {
			return Authorization{}, err
		}
	}
	if s.Scope != core.ScopeThread {
		return t.Manager.Authorization(ctx, s.Name)
	}
	thread, _ := ctx.Value(threadKey).(*Thread)
	if thread == nil {
		thread = t.Thread
	}
	if thread == nil {
		return Authorization{}, fail(core.CodeThreadSurface, "a request on the surface "+s.Name+" belongs to a thread; name it with host.WithThread", nil)
	}
	if thread.manager != t.Manager {
		return Authorization{}, fail(core.CodeThreadSurface, "the request's thread is another manager's, and its authorization for another backend", nil)
	}
	return thread.Authorization(ctx, s.Name)
}

// again returns the request anew, unless its body is gone. One that was withheld was not
// sent.
func again(r *http.Request, unsent *withheld) (*http.Request, bool) {
	c := r.Clone(r.Context())
	if r.Body == nil || r.Body == http.NoBody {
		return c, true
	}
	if body, ok := unsent.take(); ok {
		c.Body = body
		return c, true
	}
	if r.GetBody == nil {
		return nil, false
	}
	body, err := r.GetBody()
	if err != nil {
		return nil, false
	}
	c.Body = body
	return c, true
}

// locate returns the surface of a request by its URL, if that is below the base
// URL.
func locate(base string, u *url.URL) (s core.Surface, ok bool) {
	if u.Opaque != "" {
		return core.Surface{}, false
	}
	// As it is sent; user info is not.
	sent := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	// The manager's base URL is a valid one.
	s, ok, _ = core.LocateSurface(base, sent.String())
	return s, ok
}
