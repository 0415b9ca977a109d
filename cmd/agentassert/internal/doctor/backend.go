package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/internal/egress"
)

const (
	checkNameBackend = "backend"
	// backendTimeout bounds a request.
	backendTimeout = 20 * time.Second
	// maxAnswer is how much of a response's body is read, in bytes.
	maxAnswer = 64 << 10
)

// checkBackend asks the backend, without a credential: whether it can be reached, who has
// signed its certificate, and what time it is there.
func (e *examination) checkBackend(ctx context.Context) {
	target := e.backend()
	if target == nil {
		return
	}
	if !e.Send && !e.SendAssertion {
		e.ok(checkNameBackend, "nothing was sent; --send asks it, without a credential")
		return
	}
	transport, err := e.Transport()
	if err != nil {
		e.note(checkNameBackend, "", "nothing was sent, for the environment cannot be used, as said above")
		return
	}
	defer transport.CloseIdleConnections()
	response, err := e.ask(ctx, transport, target, nil)
	if err != nil {
		e.unreachable(target, err)
		return
	}
	e.ok(checkNameBackend, "%s answers%s (HTTP %d)", target.Host, signedBy(response.TLS), response.StatusCode)
	e.checkInspection(response.TLS)
	switch code := response.StatusCode; {
	case code == http.StatusProxyAuthRequired:
		e.problem(checkNameBackend, "put the proxy's user and password into its variable", "the proxy wants to know who asks")
	case code >= 500:
		e.note(checkNameBackend, "wait, or ask whoever runs it", "the backend, or something before it, fails (HTTP %d)", code)
	}
	e.compareClocks(response.Header.Get("Date"))
	if e.SendAssertion {
		e.sendAssertion(ctx, transport, target)
	}
}

// ask sends a GET, and reads the response. No redirect is followed.
func (e *examination) ask(ctx context.Context, transport http.RoundTripper, target *url.URL, header http.Header) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, backendTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return nil, egress.Explain(err)
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	return response, egress.Explain(err)
}

func (e *examination) unreachable(target *url.URL, err error) {
	if core.Code(err) == egress.CodeTLSUntrusted {
		e.failed(checkNameBackend, Problem, err)
		return
	}
	_, proxy, routeErr := egress.Route(target)
	if routeErr == nil && proxy != nil {
		e.problem(checkNameBackend, "check the proxy's address, its user and its password, and whether it lets this through", "%s cannot be reached through the proxy %s: %v", target.Host, place(proxy), oneLine(err.Error()))
		return
	}
	e.problem(checkNameBackend, "check the base URL and the network; where only a proxy leads out, name it in HTTPS_PROXY", "%s cannot be reached: %v", target.Host, oneLine(err.Error()))
}

// signedBy says who has signed a server's certificate, which a gateway that inspects TLS
// does itself.
func signedBy(state *tls.ConnectionState) string {
	if state == nil || len(state.PeerCertificates) == 0 {
		return ""
	}
	return " with a certificate signed by " + shown(state.PeerCertificates[0].Issuer.String())
}

// checkInspection is about who reads along.
func (e *examination) checkInspection(state *tls.ConnectionState) {
	if state == nil || e.authorities == nil || len(e.authorities.Certificates) > fewAuthorities {
		return
	}
	for _, chain := range state.VerifiedChains {
		for _, c := range e.authorities.Certificates {
			if chain[len(chain)-1].Equal(c) {
				e.note(checkNameBackend, "", "the server's certificate comes from %q, which %s names: where that is a company's gateway, it inspects TLS, and reads what is sent, the user's token included", shown(c.Subject.String()), e.authorities.Variable)
				return
			}
		}
	}
}

func (e *examination) compareClocks(date string) {
	theirs, err := http.ParseTime(date)
	if err != nil {
		e.note(checkNameClock, "", "the backend does not say what time it is there")
		return
	}
	direction, difference := "behind", theirs.Sub(e.Now())
	if difference < 0 {
		direction, difference = "ahead of", -difference
	}
	if difference > maxSkew {
		e.problem(checkNameClock, "set it right, or have it set (NTP)", "this machine's clock is %s %s the backend's: no assertion is accepted", short(difference), direction)
		return
	}
	e.ok(checkNameClock, "this machine's is the backend's, give or take %s", short(difference+time.Second))
}

// modelsPath is of the call that an assertion is tried on. It reads.
const modelsPath = "/codex/models"

// sendAssertion makes a call that carries an assertion, and never the user's token, to
// find out whether the backend still knows agent and task.
func (e *examination) sendAssertion(ctx context.Context, transport http.RoundTripper, target *url.URL) {
	header, err := e.assertion(ctx)
	if err != nil {
		e.failed(checkNameBackend, Problem, err)
		return
	}
	if header == nil {
		e.note(checkNameBackend, "", "no assertion was sent: there is none to be had without registering something, as said above")
		return
	}
	response, err := e.ask(ctx, transport, target.JoinPath(modelsPath), header)
	switch {
	case err != nil:
		e.unreachable(target, err)
	case response.StatusCode == http.StatusUnauthorized:
		e.problem(checkNameBackend, "make a call: it registers the task anew, and the identity where the backend does not know that either; where this stays so, ask whoever runs the backend",
			"the backend does not accept the assertion (HTTP 401): it no longer knows the agent %s or its task %s, which were revoked, or lost with its memory", e.identity.id, e.identity.taskID)
	case response.StatusCode >= 400:
		e.note(checkNameBackend, "", "the backend answers a call with an assertion with HTTP %d, which says nothing of the assertion", response.StatusCode)
	default:
		e.ok(checkNameBackend, "it accepts the assertion of agent %s", e.identity.id)
	}
}

// assertion returns the header fields of a call with an assertion, or nothing where one
// cannot be had without registering.
func (e *examination) assertion(ctx context.Context) (http.Header, error) {
	if e.credentials == nil {
		return nil, nil
	}
	m, err := e.manager()
	if err != nil {
		return nil, err
	}
	defer closeQuietly(m)
	status, err := m.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, row := range status.Surfaces {
		if row.Surface == core.SurfaceModels && row.Mode == core.ModeAgentAssertion && !row.Registers {
			return assertionOf(ctx, m)
		}
	}
	return nil, nil
}

func assertionOf(ctx context.Context, m *host.Manager) (http.Header, error) {
	a, err := m.Authorization(ctx, core.SurfaceModels)
	if err != nil {
		return nil, err
	}
	if a.Mode != core.ModeAgentAssertion {
		return nil, errors.New("the assertion cannot be made")
	}
	return a.Headers(), nil
}
