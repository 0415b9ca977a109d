package manyaccounts

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/agentassert/agentassert/host"
)

// Config says what a Proxy needs.
type Config struct {
	// Accounts are whose calls it authorizes.
	Accounts *Accounts
	// Engine signs. One is enough for all accounts.
	Engine host.Engine
	// Backend is the base URL, such as https://chatgpt.com/backend-api.
	Backend string
	// Client returns the HTTP client of an account, for its calls and its registrations:
	// proxies often give accounts different ways out. It may return the same for all.
	Client func(account string) *http.Client
	// Log is told what an operator should know.
	Log *slog.Logger
}

// Proxy passes calls on to the backend, each with an assertion of the account that it
// is for.
type Proxy struct {
	Config
	backend *url.URL
	pool    *host.Pool
}

// New returns a proxy.
func New(c Config) (*Proxy, error) {
	backend, err := url.Parse(c.Backend)
	if err != nil {
		return nil, err
	}
	p := &Proxy{Config: c, backend: backend}
	p.pool, err = host.NewPool(host.PoolConfig{Config: p.manager})
	return p, err
}

// manager says how an account's manager is made, when the account is first used or was
// not for a while.
func (p *Proxy) manager(ctx context.Context, account string) (host.ManagerConfig, error) {
	if _, err := p.Accounts.load(ctx, account); err != nil {
		return host.ManagerConfig{}, err // no manager for an account that there is not
	}
	return host.ManagerConfig{
		Engine:        p.Engine,
		Identity:      row{p.Accounts, account}.identity(),
		BaseURL:       p.Backend,
		AgentIdentity: true,
		Strict:        true,                              // an assertion or an error: the proxy has no other credential
		Pauses:        &host.Pauses{First: 5, Most: 300}, // seconds, after a registration that failed
		HTTPClient:    p.Client(account),
		Logger:        p.Log.With("account", account),
	}, nil
}

// Close waits for what is under way, until the context ends.
func (p *Proxy) Close(ctx context.Context) error { return p.pool.Close(ctx) }

// accountHeader names the account. Whoever calls the proxy has been authenticated before
// this is believed.
const accountHeader = "X-Account"

// ServeHTTP passes a call on.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	account := r.Header.Get(accountHeader)
	manager, release, err := p.pool.Manager(r.Context(), account)
	if err != nil {
		p.fail(w, r, account, err)
		return
	}
	defer release()
	pass := httputil.ReverseProxy{
		Rewrite: func(call *httputil.ProxyRequest) {
			call.SetURL(p.backend)
			call.Out.Header.Del(accountHeader)
			keepBody(call.Out)
		},
		Transport: &host.Transport{
			Manager: manager, Thread: manager.Thread(account), Base: p.Client(account).Transport,
		},
		ModifyResponse: func(response *http.Response) error {
			if response.StatusCode != http.StatusUnauthorized {
				return nil
			}
			// The assertion has been replaced once by now, if that could help.
			return host.ReadRefusal(response)
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) { p.fail(w, r, account, err) },
	}
	pass.ServeHTTP(w, r)
}

// maxKept is the largest body that can be sent a second time, in bytes.
const maxKept = 1 << 20

// keepBody lets a call be sent once more, when its task turns out to have expired.
func keepBody(r *http.Request) {
	if r.Body == nil || r.ContentLength < 0 || r.ContentLength > maxKept {
		return
	}
	body, err := io.ReadAll(r.Body)
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), err }
	r.Body, _ = r.GetBody()
}
