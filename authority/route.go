package authority

import (
	"net/url"
	"strings"
)

const (
	// backendPath is the path of the base URL of ChatGPT's backend. The authority
	// is also at the root, for base URLs without it.
	backendPath = "/backend-api"
	// authAPIPath is the path of the auth API.
	authAPIPath = "/api/accounts"
)

type endpoint int

const (
	endpointCall     endpoint = iota // any backend call
	endpointBiscuit                  // GET  {base}/authenticate_app_v2
	endpointIdentity                 // POST {base}/v1/agent/register
	endpointTask                     // POST {base}/v1/agent/{id}/task/register
	endpointInstance                 // POST {host}/agent/register
	endpointAccounts                 // GET  {base}/wham/accounts/check
	endpointJWKS                     // GET  {base}/wham/agent-identities/jwks, or without /wham
)

// route is where a path leads.
type route struct {
	base     string // backendPath, authAPIPath or nothing
	endpoint endpoint
	// agentRuntimeID is the id in the path of endpointTask, decoded.
	agentRuntimeID string
}

// isAuthAPI reports whether the route is in the auth API, of the profile auth-api.
func (to route) isAuthAPI() bool { return to.base == authAPIPath }

// parseRoute reads a percent-encoded path. It takes the place of a
// [http.ServeMux], which redirects a path with an empty or a dot segment, where
// a client of this protocol follows no redirect, and an id is any one segment.
func parseRoute(escapedPath string) route {
	var to route
	below := escapedPath
	for _, base := range []string{backendPath, authAPIPath} {
		if rest, ok := strings.CutPrefix(escapedPath, base); ok && (rest == "" || rest[0] == '/') {
			to.base, below = base, rest
		}
	}
	switch {
	case below == "/authenticate_app_v2" && !to.isAuthAPI():
		to.endpoint = endpointBiscuit
		return to
	case below == "/agent/register" && to.base == "":
		to.endpoint = endpointInstance
		return to
	case below == "/wham/accounts/check" && !to.isAuthAPI():
		to.endpoint = endpointAccounts
		return to
	case below == "/v1/agent/register":
		to.endpoint = endpointIdentity
		return to
	case below == "/wham/agent-identities/jwks" && to.base == backendPath,
		below == "/agent-identities/jwks" && to.base == "":
		to.endpoint = endpointJWKS
		return to
	}
	if rest, ok := strings.CutPrefix(below, "/v1/agent/"); ok {
		segment, ok := strings.CutSuffix(rest, "/task/register")
		id, err := url.PathUnescape(segment)
		if ok && err == nil && id != "" && !strings.Contains(segment, "/") {
			to.endpoint = endpointTask
			to.agentRuntimeID = id
		}
	}
	return to
}
