package proxy

import (
	"log/slog"
	"net/http"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/internal/egress"
)

// NewTransport returns a transport to an upstream: http.DefaultTransport's settings, with
// connections of its own, for one host, and with bodies as callers have asked for them,
// compressed or not. A proxy of the environment's whose variable cannot be used is an
// error of each request that would need it (host.CodeInvalidProxy).
func NewTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = egress.ProxyFromEnvironment
	t.DisableCompression = true
	// There is but one host, and with fewer than there are callers connections would be
	// closed and opened all the time.
	t.MaxIdleConns, t.MaxIdleConnsPerHost = MaxConnections, MaxConnections
	return t
}

// authorizing sends requests with the authorization of their exchange's manager.
type authorizing struct {
	proxy *Proxy
	base  http.RoundTripper
	// thread is the conversation of requests that name none.
	thread string
}

// RoundTrip implements http.RoundTripper.
func (a authorizing) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	t := host.Transport{Manager: x.manager, Base: a.base, Thread: x.manager.Thread(a.thread), Authorized: x.authorized}
	response, err := t.RoundTrip(r)
	if x.info.Mode == core.ModeNone {
		a.proxy.warn(x, "request sent without authorization", slog.String("reason", x.info.Reason))
	}
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusUnauthorized && x.info.Mode != core.ModeNone {
		a.proxy.warn(x, "authorization rejected by the upstream", slog.String("mode", x.info.Mode), slog.String("reason", x.info.Reason), slog.Bool("recovered", x.info.Recovered))
	}
	x.receive(response)
	return response, nil
}
