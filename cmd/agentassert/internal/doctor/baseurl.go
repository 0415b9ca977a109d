package doctor

import (
	"net/url"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/internal/egress"
)

const checkNameBaseURL = "base-url"

// checkBaseURL is about which backend it is.
func (e *examination) checkBaseURL() {
	base, err := core.NormalizeBaseURL(e.Manager.BaseURL, e.Manager.TrustedHosts)
	if err != nil {
		e.failed(checkNameBaseURL, Problem, err)
		if last := &e.findings[len(e.findings)-1]; last.Advice == "" {
			last.Advice = "write it as https://HOST/PATH, such as https://chatgpt.com/backend-api, and hosts to trust as they are"
		}
		return
	}
	e.base = &base
	switch {
	case egress.IsInsecure(base.BaseURL) && !e.Manager.AllowHTTP:
		e.base = nil // no manager takes it
		e.problem(checkNameBaseURL, "use https, or say --allow-http", "%s is http to another machine: whoever is on the way can read the user's token", base.BaseURL)
	case !base.Supported:
		e.problem(checkNameBaseURL, "if it is a backend that knows them, say --trust-host "+base.Host, "%s is no host that is known to understand assertions, so background calls carry the bearer token", base.Host)
	default:
		e.ok(checkNameBaseURL, "%s, whose host is known or trusted", base.BaseURL)
	}
}

// backend is the backend's URL, nil where there is none.
func (e *examination) backend() *url.URL {
	if e.base == nil {
		return nil
	}
	u, err := url.Parse(e.base.BaseURL)
	if err != nil {
		return nil
	}
	return u
}
