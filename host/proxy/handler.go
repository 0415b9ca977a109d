package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/internal/egress"
)

// The header fields that callers speak to the proxy with. Neither is forwarded.
const (
	// TokenHeader has the token by which callers prove that they may call.
	TokenHeader = "X-Agentassert-Token"
	// ThreadHeader names the conversation that a call belongs to.
	ThreadHeader = "X-Agentassert-Thread"
)

// maxFarewell is how long the rest of a request may take to arrive after it was
// turned away. Who sends it gets to read why; who sends slowly is cut off.
const maxFarewell = time.Second

// MaxReplayed is the largest body that is kept to be sent twice, in bytes.
const MaxReplayed = 1 << 20

// ServeHTTP serves one request.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.underway.Add(1)
	x := &exchange{ResponseWriter: w, request: r, begun: time.Now()}
	s := p.enter()
	if s == nil {
		defer p.finish(x)
		x.refuse(http.StatusServiceUnavailable, host.CodeClosed, "the proxy is ending")
		return
	}
	defer p.leave(s)
	defer p.finish(x)
	if !p.hosts(r.Host) {
		p.turnAway(x, http.StatusForbidden, CodeForbiddenHost, "the proxy is not known under this Host; use its loopback address, or allow any (Config.Hosts, --allow-remote)")
		return
	}
	account, ok := s.Tenants.Admit(r.Header)
	if !ok {
		w.Header().Set("WWW-Authenticate", "Bearer")
		p.turnAway(x, http.StatusUnauthorized, CodeInvalidToken, "send the token that the proxy printed, wrote or was given when it started, or your account's, in "+TokenHeader+" or as a bearer token")
		return
	}
	x.account = account
	if c := connectionOf(r.Context()); c != nil && !p.gate.admit(c, account, s.ConnectionsOfAccount) {
		p.turnAway(x, http.StatusServiceUnavailable, CodeTooManyConnections, "callers with the token, or those of this account, hold as many connections open as the proxy keeps; close some, or use them again")
		return
	}
	if status, code, message := s.refuses(r); code != "" {
		p.refuse(x, status, code, message)
		return
	}
	m, release, err := s.Tenants.Manager(r.Context(), account)
	if err != nil {
		p.refuseAccount(x, err)
		return
	}
	defer release()
	if x.manager = m; m.BaseURL() != s.BaseURL {
		p.refuseAccount(x, errOtherBackend)
		return
	}
	ctx := context.WithValue(r.Context(), exchangeKey{}, x)
	if id := r.Header.Get(ThreadHeader); id != "" {
		ctx = host.WithThread(ctx, m.Thread(id))
	}
	r = r.WithContext(ctx)
	if err := p.takeBody(x, r); err != nil {
		x.refuse(http.StatusBadRequest, CodeInvalidBody, endedEarly)
		return
	}
	defer x.kept.release()
	if r.Body != http.NoBody && !x.kept.isWhole() {
		// The upstream may answer while the body is still on its way. Where a
		// connection cannot do this the answer waits, as it would have.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	s.reverse.ServeHTTP(x, r)
	responseFields.removeFrom(w.Header()) // the trailers
}

// errOtherBackend is of a manager that would not authorize what is sent to the upstream.
var errOtherBackend = errors.New("the account's manager is for another base URL than the proxy's")

// refuseAccount refuses a request for which there is no manager. What is wrong with an
// account's files is for the log.
func (p *Proxy) refuseAccount(x *exchange, err error) {
	status, code, message := http.StatusBadGateway, CodeAccountFailed, "the account cannot be used; the proxy's log says why"
	switch {
	case x.request.Context().Err() != nil || core.Code(err) == host.CodeClosed:
		x.refuse(http.StatusServiceUnavailable, host.CodeCanceled, goneMessage)
		return
	case errors.Is(err, ErrNoAccount):
		p.refuse(x, http.StatusBadRequest, CodeAccountMissing, ErrNoAccount.Error())
		return
	case errors.Is(err, ErrUnknownAccount):
		status, code, message = http.StatusForbidden, CodeUnknownAccount, ErrUnknownAccount.Error()
	}
	p.warn(x, "account cannot be used", slog.Int("status", status), slog.String("code", code), slog.String("error", oneLine(err)))
	x.refuse(status, code, message)
}

// turnAway refuses a request of a stranger's, and ends its connection: what it
// has not sent is not waited for.
func (p *Proxy) turnAway(x *exchange, status int, code, message string) {
	x.Header().Set("Connection", "close")
	// net/http reads on, up to some size, for the response to arrive. Where there is
	// no deadline there is no connection.
	_ = http.NewResponseController(x).SetReadDeadline(time.Now().Add(p.farewell))
	p.refuse(x, status, code, message)
}

// refuse refuses a request, and tells of it.
func (p *Proxy) refuse(x *exchange, status int, code, message string) {
	p.warn(x, "request refused", slog.Int("status", status), slog.String("code", code))
	x.refuse(status, code, message)
}

// refuses says how a request is refused that a caller with the token must not make,
// with an empty code if it may.
func (s *setup) refuses(r *http.Request) (status int, code, message string) {
	switch strings.ToUpper(r.Method) {
	case http.MethodConnect:
		return http.StatusMethodNotAllowed, CodeMethodNotAllowed, "this is no proxy of HTTP's; send requests to it as to the upstream"
	case http.MethodTrace, "TRACK":
		return http.StatusMethodNotAllowed, CodeMethodNotAllowed, "it would be answered with the request's header, and the authorization in it"
	}
	switch code, message := checkPath(r.URL.EscapedPath()); code {
	case "":
	case CodeForbiddenPath:
		return http.StatusForbidden, code, message
	default:
		return http.StatusBadRequest, code, message
	}
	// What the transport would not authorize has no business there.
	out := httputil.ProxyRequest{Out: &http.Request{URL: &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath}}}
	out.SetURL(s.base)
	if _, below, err := core.LocateSurface(s.BaseURL, out.Out.URL.String()); r.URL.Opaque != "" || err != nil || !below {
		return http.StatusBadRequest, CodeInvalidPath, "the path could be taken for one outside of the upstream's base URL"
	}
	return 0, "", ""
}

// endedEarly says of a request's body what its caller did.
const endedEarly = "the request's body ended early"

// takeBody keeps a short body whose length is known, so that the request can be sent again
// with a new task, and counts of all what is read.
func (p *Proxy) takeBody(x *exchange, r *http.Request) (err error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	r.Body = requestBody{r.Body, &x.received}
	if r.ContentLength <= 0 || r.ContentLength > MaxReplayed {
		return nil
	}
	if x.kept, err = keepBody(r.Body, r.ContentLength, &p.copies, &p.pieces); err != nil {
		return err
	}
	r.Body, r.GetBody = x.kept.reader(), func() (io.ReadCloser, error) { return x.kept.reader(), nil }
	return nil
}

// goneMessage is for nobody, or for somebody who is to come back.
const goneMessage = "the caller is gone, or the proxy is ending"

// failed answers a request that got no response. It is the reverse proxy's ErrorHandler.
func (p *Proxy) failed(_ http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	status, code, message := http.StatusBadGateway, CodeUpstreamFailed, oneLine(errNotAsked)
	if !errors.Is(err, errNotAsked) {
		err = egress.Explain(err)
		message = "no response from the upstream: " + oneLine(err)
	}
	if e, ok := errors.AsType[*core.Error](err); ok {
		code, message = e.Code, oneLine(err)
	}
	switch {
	case x.kept.failed():
		code, message = CodeInvalidBody, endedEarly
	case r.Context().Err() != nil:
		code, message = host.CodeCanceled, goneMessage
	}
	switch code {
	case core.CodeInvalidThreadID, CodeInvalidBody:
		status = http.StatusBadRequest
	case host.CodeThreadFailed, host.CodeCanceled, host.CodeClosed, host.CodeNoAssertion:
		status = http.StatusServiceUnavailable
	}
	if code != host.CodeCanceled && code != CodeInvalidBody {
		p.warn(x, "request failed", slog.String("method", bounded(r.Method)), slog.String("path", bounded(r.URL.EscapedPath())),
			slog.Int("status", status), slog.String("code", code), slog.String("error", message))
	}
	x.refuse(status, code, message)
}

// warn tells of what went wrong with a request.
func (p *Proxy) warn(x *exchange, message string, attrs ...slog.Attr) {
	if x.account != "" {
		attrs = append(attrs, slog.String("account", bounded(x.account)))
	}
	p.log.LogAttrs(x.request.Context(), slog.LevelWarn, message, attrs...)
}

// finish tells of a request whose response has ended, or was broken off.
func (p *Proxy) finish(x *exchange) {
	p.underway.Add(-1)
	switch {
	case x.broken == nil:
	case x.request.Context().Err() != nil || x.gone:
		x.info.Code = host.CodeCanceled
	default:
		x.info.Code = CodeUpstreamFailed
		p.warn(x, "response broken off", slog.String("method", bounded(x.request.Method)), slog.String("path", bounded(x.request.URL.EscapedPath())),
			slog.Int("status", x.info.Status), slog.String("code", CodeUpstreamFailed), slog.String("error", oneLine(egress.Explain(x.broken))))
	}
	x.tell(p.access, p.told)
}
