package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/internal/egress"
)

// The header fields that callers speak to the proxy with. Neither is forwarded.
const (
	tokenHeader  = "X-Agentassert-Token"
	threadHeader = "X-Agentassert-Thread"
)

// The codes of the proxy's own refusals, beside those of the authorization.
const (
	codeForbiddenHost      = "forbidden_host"
	codeInvalidToken       = "invalid_token"
	codeTooManyConnections = "too_many_connections"
	codeMethodNotAllowed   = "method_not_allowed"
	codeInvalidPath        = "invalid_path"
	codeForbiddenPath      = "forbidden_path"
	codeInvalidBody        = "invalid_body"
	codeAccountMissing     = "account_missing"
	codeUnknownAccount     = "unknown_account"
	codeAccountFailed      = "account_failed"
	codeUpstreamFailed     = "upstream_failed"
)

// maxHeader bounds the header of a request, in bytes.
const maxHeader = 64 << 10

// maxFarewell is how long the rest of a request may take to arrive after it was
// turned away. Who sends it gets to read why; who sends slowly is cut off.
const maxFarewell = time.Second

// maxReplayed is the largest body that is kept to be sent twice, in bytes.
const maxReplayed = 1 << 20

// allowsHost refuses the names of hosts that are not this one. A web page's own
// host can be made to resolve to loopback (DNS rebinding), but not to have
// another name.
func (e endpoint) allowsHost(hostPort string) bool {
	name := hostname(hostPort)
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return strings.EqualFold(name, "localhost") || strings.EqualFold(name, e.name)
}

// hostname returns a host without port and brackets.
func hostname(hostPort string) string {
	if name, _, err := net.SplitHostPort(hostPort); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostPort, "["), "]")
}

// proxy authorizes callers by their token, and their requests by a manager.
type proxy struct {
	tenants tenants
	hosts   func(hostPort string) bool // nil: any
	base    *url.URL                   // the upstream's
	reverse *httputil.ReverseProxy
	log     *slog.Logger
	gate    *gate
	// farewell is maxFarewell.
	farewell time.Duration

	// mu makes serve wait for requests that have begun, those included that are
	// no longer HTTP's.
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// ServeHTTP serves one request.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.begin() {
		writeRefusal(w, http.StatusServiceUnavailable, host.CodeClosed, "the proxy is ending")
		return
	}
	defer p.running.Done()
	if p.hosts != nil && !p.hosts(r.Host) {
		p.turnAway(w, http.StatusForbidden, codeForbiddenHost, "the proxy is not known under this Host; use its loopback address, or start it with --allow-remote")
		return
	}
	account, ok := p.tenants.admit(r.Header)
	if !ok {
		w.Header().Set("WWW-Authenticate", "Bearer")
		p.turnAway(w, http.StatusUnauthorized, codeInvalidToken, "send the token that the proxy printed, wrote or was given when it started, or your account's, in "+tokenHeader+" or as a bearer token")
		return
	}
	if c := connectionOf(r.Context()); c != nil && !p.gate.admit(c, account) {
		p.turnAway(w, http.StatusServiceUnavailable, codeTooManyConnections, "callers with the token, or those of this account, hold as many connections open as the proxy keeps; close some, or use them again")
		return
	}
	if status, code, message := p.refuses(r); code != "" {
		writeRefusal(w, status, code, message)
		return
	}
	m, release, err := p.tenants.manager(r.Context(), account)
	if err != nil {
		p.refuseAccount(w, r, account, err)
		return
	}
	defer release()
	ctx := withManager(r.Context(), m)
	if id := r.Header.Get(threadHeader); id != "" {
		ctx = host.WithThread(ctx, m.Thread(id))
	}
	r = r.WithContext(ctx)
	if err := makeReplayable(r); err != nil {
		writeRefusal(w, http.StatusBadRequest, codeInvalidBody, "the request's body ended early")
		return
	}
	if r.GetBody == nil && r.Body != http.NoBody {
		// The upstream may answer while the body is still on its way. Where a
		// connection cannot do this the answer waits, as it would have.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	p.reverse.ServeHTTP(responseWriter{w}, r)
	responseFields.removeFrom(w.Header()) // the trailers
}

// refuseAccount refuses a request for which there is no manager. What is wrong with an
// account's files is for the log.
func (p *proxy) refuseAccount(w http.ResponseWriter, r *http.Request, account string, err error) {
	status, code, message := http.StatusBadGateway, codeAccountFailed, "the account cannot be used; the proxy's log says why"
	switch {
	case r.Context().Err() != nil || core.Code(err) == host.CodeClosed:
		writeRefusal(w, http.StatusServiceUnavailable, host.CodeCanceled, goneMessage)
		return
	case errors.Is(err, errNoAccount):
		writeRefusal(w, http.StatusBadRequest, codeAccountMissing, errNoAccount.Error())
		return
	case errors.Is(err, errUnknownAccount):
		status, code, message = http.StatusForbidden, codeUnknownAccount, errUnknownAccount.Error()
	}
	p.log.Warn("no manager for a request", "account", account, "status", status, "code", code, "error", oneLine(err))
	writeRefusal(w, status, code, message)
}

// turnAway refuses a request of a stranger's, and ends its connection: what it
// has not sent is not waited for.
func (p *proxy) turnAway(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Connection", "close")
	// net/http reads on, up to some size, for the response to arrive. Where there is
	// no deadline there is no connection.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(p.farewell))
	writeRefusal(w, status, code, message)
}

// refuses says how a request is refused that a caller with the token must not make,
// or nothing.
func (p *proxy) refuses(r *http.Request) (status int, code, message string) {
	switch strings.ToUpper(r.Method) {
	case http.MethodConnect:
		return http.StatusMethodNotAllowed, codeMethodNotAllowed, "this is a reverse proxy, not a tunnel; use its address as the base URL"
	case http.MethodTrace, "TRACK":
		return http.StatusMethodNotAllowed, codeMethodNotAllowed, "it would be answered with the request's header, and the authorization in it"
	}
	switch code, message := checkPath(r.URL.EscapedPath()); code {
	case "":
	case codeForbiddenPath:
		return http.StatusForbidden, code, message
	default:
		return http.StatusBadRequest, code, message
	}
	// What the transport would not authorize has no business there.
	out := httputil.ProxyRequest{Out: &http.Request{URL: &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath}}}
	out.SetURL(p.base)
	if _, below, err := core.LocateSurface(p.base.String(), out.Out.URL.String()); r.URL.Opaque != "" || err != nil || !below {
		return http.StatusBadRequest, codeInvalidPath, "the path could be taken for one outside of the upstream's base URL"
	}
	return 0, "", ""
}

// begin counts a request in, unless the proxy is ending.
func (p *proxy) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.running.Add(1)
	return true
}

type managerKey struct{}

// withManager has a request authorized by a manager.
func withManager(ctx context.Context, m *host.Manager) context.Context {
	return context.WithValue(ctx, managerKey{}, m)
}

// authorizing sends requests with the authorization of the manager in their context.
type authorizing struct {
	base http.RoundTripper
	// thread is the conversation of requests that name none.
	thread string
}

// RoundTrip implements http.RoundTripper.
func (a authorizing) RoundTrip(r *http.Request) (*http.Response, error) {
	m, ok := r.Context().Value(managerKey{}).(*host.Manager)
	if !ok {
		panic("a request has come past ServeHTTP")
	}
	t := host.Transport{Manager: m, Base: a.base, Thread: m.Thread(a.thread)}
	return t.RoundTrip(r)
}

// makeReplayable keeps a short body whose length is known, so that the request can
// be sent again with a new task.
func makeReplayable(r *http.Request) error {
	if r.ContentLength <= 0 || r.ContentLength > maxReplayed {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, err = r.GetBody()
	return err
}

// goneMessage is for nobody, or for somebody who is to come back.
const goneMessage = "the caller is gone, or the proxy is ending"

// failed answers a request that got no response.
func (p *proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	status, code, message := http.StatusBadGateway, codeUpstreamFailed, oneLine(errNotAsked)
	if !errors.Is(err, errNotAsked) {
		err = egress.Explain(err)
		message = "no response from the upstream: " + oneLine(err)
	}
	if e, ok := errors.AsType[*core.Error](err); ok {
		code, message = e.Code, oneLine(err)
	}
	if r.Context().Err() != nil {
		code, message = host.CodeCanceled, goneMessage
	}
	switch code {
	case core.CodeInvalidThreadID:
		status = http.StatusBadRequest
	case host.CodeThreadFailed, host.CodeCanceled, host.CodeClosed, host.CodeNoAssertion:
		status = http.StatusServiceUnavailable
	}
	if code != host.CodeCanceled {
		p.log.Warn("request failed", "method", r.Method, "path", r.URL.EscapedPath(), "status", status, "code", code, "error", message)
	}
	writeRefusal(w, status, code, message)
}

func writeRefusal(w http.ResponseWriter, status int, code, message string) {
	body, err := json.Marshal(struct {
		Error cause `json:"error"`
	}{cause{code, message}})
	if err != nil {
		panic(err) // strings always encode
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // to a caller that is gone, there is nobody to tell
}

// serve serves until the context ends, lets requests under way finish for as long
// as grace, and ends those that are left: WebSockets and event streams do not end
// by themselves.
func (p *proxy) serve(ctx context.Context, listeners []net.Listener, grace time.Duration) error {
	requests, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s := &http.Server{
		Handler:           p,
		Protocols:         &protocols,
		ReadHeaderTimeout: headerTimeout, // and no ReadTimeout: it would end streams
		IdleTimeout:       idleTimeout,   // strangers are never idle
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ConnContext:       withConnection,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
		// OPTIONS * would be answered to everybody.
		DisableGeneralOptionsHandler: true,
	}
	stopped := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { stopped <- s.Serve(gateListener{l, p.gate}) }()
	}
	left := len(listeners)
	var failure error
	select {
	case failure = <-stopped:
		left--
	case <-ctx.Done():
		limited, cancel := context.WithTimeout(requests, grace)
		defer cancel()
		// What is not idle in time is closed below, and no failure.
		_ = s.Shutdown(limited)
	}
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	end()
	failure = errors.Join(failure, s.Close())
	for range left {
		if err := <-stopped; !errors.Is(err, http.ErrServerClosed) {
			failure = errors.Join(failure, err)
		}
	}
	p.running.Wait()
	return failure
}
