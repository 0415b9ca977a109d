package doctor

import (
	"net/url"
	"os"
	"strings"

	"github.com/agentassert/agentassert/internal/egress"
)

const checkNameProxy = "proxy"

// checkProxy is about the variables that say which proxy requests go through.
func (e *examination) checkProxy() {
	if err := egress.CheckProxies(); err != nil {
		e.refused(checkNameProxy, err)
		return
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"} {
		small := strings.ToLower(name)
		// On Windows they are the same.
		if large := os.Getenv(name); large != "" && os.Getenv(small) != "" && os.Getenv(small) != large {
			e.note(checkNameProxy, "unset one of them", "%s and %s differ: here %[1]s counts, and for curl %s", name, small, small)
		}
	}
	for _, entry := range strings.Split(os.Getenv("NO_PROXY")+","+os.Getenv("no_proxy"), ",") {
		if entry = strings.TrimSpace(entry); strings.HasPrefix(entry, "<") || strings.Contains(strings.TrimPrefix(entry, "*."), "*") && entry != "*" {
			e.note(checkNameProxy, "write a domain, such as .internal.example, or a network, such as 10.0.0.0/8", "NO_PROXY has the entry %q, which matches nothing here: only * alone, or *. at the beginning, stands for more", shown(entry))
		}
	}
	target := e.backend()
	if target == nil {
		return
	}
	variable, proxy, err := egress.Route(target)
	switch {
	case err != nil:
		e.refused(checkNameProxy, err)
	case proxy != nil:
		e.ok(checkNameProxy, "requests to %s go through the proxy %s (%s)%s", target.Host, place(proxy), variable, withUser(proxy))
	case variable != "":
		e.ok(checkNameProxy, "requests to %s go to it directly, though %s is set: NO_PROXY says so, or it is on this machine", target.Host, variable)
	default:
		e.ok(checkNameProxy, "requests to %s go to it directly: no proxy is set", target.Host)
	}
}

// refused adds an error that says after its first colon what to do.
func (e *examination) refused(check string, err error) {
	message, advice, _ := strings.Cut(oneLine(err.Error()), ": ")
	e.problem(check, advice, "%s", message)
}

// place is where a proxy is, without who uses it.
func place(proxy *url.URL) string { return proxy.Scheme + "://" + proxy.Host }

func withUser(proxy *url.URL) string {
	if proxy.User == nil {
		return ""
	}
	return ", with a user's name and password"
}
