package authority

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// biscuitHeader carries a biscuit, in both directions.
const biscuitHeader = "X-OpenAI-Authorization"

// maxOriginalURL is the longest URL that a biscuit is minted for, in bytes.
const maxOriginalURL = 1 << 10

// biscuit is one registration call that was authorized. Its method goes without
// saying: registrations are POST, and nothing else is minted for or served.
type biscuit struct {
	host  string // in lower case, with the port if any
	to    route
	owner account
}

// mintBiscuit serves endpointBiscuit.
func (a *Authority) mintBiscuit(w http.ResponseWriter, r *http.Request, to route, seen *Request) (any, error) {
	owner, err := a.bearer(r, seen)
	if err != nil {
		return nil, err
	}
	method, err := singleHeader(r, "X-Original-Method")
	if err != nil {
		return nil, err
	}
	if method != http.MethodPost {
		return nil, fail(http.StatusBadRequest, CodeInvalidRequest, "the header X-Original-Method is not POST, the method of registrations")
	}
	original, err := singleHeader(r, "X-Original-Url")
	if err != nil {
		return nil, err
	}
	target, ok := parseOriginalURL(original)
	if !ok || target.base != to.base || !strings.EqualFold(target.host, r.Host) {
		return nil, fail(http.StatusBadRequest, CodeInvalidRequest, "the header X-Original-Url is not the URL of a registration below the base URL of this request")
	}
	b, err := a.random(32)
	if err != nil {
		return nil, err
	}
	value := base64.RawURLEncoding.EncodeToString(b)
	a.mu.Lock()
	defer a.mu.Unlock()
	err = a.biscuits.add(seen.Time, hashSecret(value), owner.id, seen.Time.Add(a.options.BiscuitLifetime), biscuit{
		host:  strings.ToLower(r.Host),
		to:    target.route,
		owner: owner,
	})
	if err != nil {
		return nil, err
	}
	w.Header().Set(biscuitHeader, value)
	return struct{}{}, nil
}

type originalURL struct {
	host string
	route
}

// parseOriginalURL reads the URL of a registration. Its scheme does not matter:
// the authority cannot know whether TLS ends in front of it.
func parseOriginalURL(s string) (originalURL, bool) {
	if len(s) > maxOriginalURL {
		return originalURL{}, false
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return originalURL{}, false
	}
	to := parseRoute(u.EscapedPath())
	return originalURL{u.Host, to}, to.endpoint == endpointIdentity || to.endpoint == endpointTask
}

// takeBiscuit authorizes a registration call by its biscuit and returns the
// account that it was minted for. Whatever the outcome, the biscuit is used up.
func (a *Authority) takeBiscuit(r *http.Request, to route, seen *Request) (owner account, err error) {
	value, err := singleHeader(r, biscuitHeader)
	if err != nil {
		return account{}, err
	}
	if value != "" {
		seen.Scheme = SchemeBiscuit
	}
	hash := hashSecret(value)
	a.mu.Lock()
	b, ok := a.biscuits.get(seen.Time, hash)
	a.biscuits.remove(hash)
	a.mu.Unlock()
	if !ok || b.host != strings.ToLower(r.Host) || b.to != to {
		return account{}, fail(http.StatusForbidden, CodeInvalidBiscuit, "the header X-OpenAI-Authorization holds no biscuit that is good for this URL; each is good for one use, and a short time")
	}
	seen.Verified, seen.AccountID = true, b.owner.id
	return b.owner, nil
}
