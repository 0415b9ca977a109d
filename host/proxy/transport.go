package proxy

import (
	"net/http"

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
	t.MaxIdleConnsPerHost = t.MaxIdleConns // there is but one host
	return t
}

// authorizing sends requests with the authorization of their exchange's manager.
type authorizing struct {
	base http.RoundTripper
	// thread is the conversation of requests that name none.
	thread string
}

// RoundTrip implements http.RoundTripper.
func (a authorizing) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	t := host.Transport{Manager: x.manager, Base: a.base, Thread: x.manager.Thread(a.thread), Authorized: x.authorized}
	response, err := t.RoundTrip(r)
	if err == nil {
		x.receive(response)
	}
	return response, err
}
