package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
)

// idleConnections is how many connections to its upstream a proxy keeps, as agentassert's
// does: as many as it has callers.
const idleConnections = 1024

// newPeer is what a reverse proxy costs that does nothing else: net/http/httputil's own,
// with a transport like agentassert's.
func newPeer(upstream *url.URL) (*httputil.ReverseProxy, *http.Transport) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.DisableCompression = true
	t.MaxIdleConns, t.MaxIdleConnsPerHost = idleConnections, idleConnections
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(upstream) },
		Transport: t,
	}, t
}
