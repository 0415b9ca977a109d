package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// seen is what has become of one request below a Transport.
type seen struct {
	url    string
	header http.Header
	body   string
}

// base is what a Transport sends with. The world's authority answers, without a
// network between, unless a script does.
type base struct {
	w      *world
	script script

	mu     sync.Mutex
	seen   []seen
	opened []*countedBody
}

// countedBody counts how often it is closed.
type countedBody struct {
	io.Reader
	mu     sync.Mutex
	closed int
}

func (b *countedBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
	if c, ok := b.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func (b *countedBody) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed > 0
}

func (b *base) RoundTrip(r *http.Request) (*http.Response, error) {
	s := seen{url: r.URL.String(), header: r.Header.Clone()}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body.Close()
		s.body = string(body)
	}
	b.mu.Lock()
	n := len(b.seen)
	b.seen = append(b.seen, s)
	b.mu.Unlock()
	var response *http.Response
	if b.script != nil {
		var err error
		if response, err = b.script(n, r); err != nil {
			return nil, err
		}
	}
	if response == nil {
		response = serve(b.w.authority, r)
	}
	body := &countedBody{Reader: response.Body}
	response.Body = body
	b.mu.Lock()
	b.opened = append(b.opened, body)
	b.mu.Unlock()
	return response, nil
}

// transport returns a client that authorizes, and what it sends with.
func transport(w *world, m *host.Manager) (*http.Client, *base) {
	b := &base{w: w}
	return &http.Client{Transport: &host.Transport{Manager: m, Base: b}}, b
}

// answered is a response's status and what the authority authenticated.
type answered struct {
	Status int
	Scheme string `json:"scheme"`
	TaskID string `json:"task_id"`
}

// do sends a request, and closes what comes back.
func do(t testing.TB, client *http.Client, r *http.Request) answered {
	t.Helper()
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	a := answered{Status: response.StatusCode}
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("the response to %s: %v", r.URL, err)
	}
	return a
}

func newRequest(t testing.TB, ctx context.Context, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func getRequest(t testing.TB, url string) *http.Request {
	t.Helper()
	return newRequest(t, context.Background(), http.MethodGet, url, nil)
}

// checkClosed wants every response's body closed, whoever got it.
func (b *base) checkClosed(t testing.TB) {
	t.Helper()
	for i, body := range b.opened {
		if !body.isClosed() {
			t.Errorf("the body of response %d was not closed", i)
		}
	}
}

func TestTransportFindsTheSurface(t *testing.T) {
	const background, thread, bearer = core.ReasonBackgroundTask, core.ReasonThreadTask, core.ReasonBearerOnlySurface
	for _, tt := range []struct {
		name, path, surface, want string
	}{
		{"models", "/codex/models?x=1", "", background},
		{"responses", "/codex/responses", "", thread},
		{"below a surface's path", "/codex/responses/compact", "", thread},
		{"a path that only begins like one", "/codex/responsesx", "", background},
		{"files", "/files", "", thread},
		{"bootstrap", "/wham/../bootstrap", core.SurfaceBootstrap, ""},
		{"unknown path", "/something/new", "", background},
		{"the base URL itself", "", "", background},
		{"named: no path of its own", "/something/new", core.SurfaceSafetyMonitor, thread},
		{"named: background in place of thread", "/codex/responses", core.SurfaceModels, background},
		{"named: bearer", "/codex/models", core.SurfaceBootstrap, bearer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			m := manager(t, w.config())
			client, b := transport(w, m)
			th := m.Thread("thread-1")
			want := map[string]host.Authorization{background: ask(t, m), thread: askThread(t, th), "": {}}
			want[bearer], _ = m.Bearer(context.Background())

			ctx := host.WithThread(context.Background(), th)
			if tt.surface != "" {
				ctx = host.WithSurface(ctx, tt.surface)
			}
			do(t, client, newRequest(t, ctx, http.MethodGet, baseURL+tt.path, nil))
			if got := b.seen[0].header.Get("Authorization"); got != want[tt.want].Header() {
				t.Errorf("got header %q, want that of %v", got, want[tt.want])
			}
			b.checkClosed(t)
		})
	}
}

func TestTransportThreads(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	client, b := transport(w, m)
	url := baseURL + "/codex/responses"
	body := &countedBody{Reader: strings.NewReader("{}")}
	_, err := client.Do(newRequest(t, context.Background(), http.MethodPost, url, body))
	checkCode(t, err, core.CodeThreadSurface)
	if !body.isClosed() || len(b.seen) > 0 {
		t.Errorf("the body was closed: %t; %d requests were sent", body.isClosed(), len(b.seen))
	}
	_, err = client.Do(getRequest(t, url).WithContext(host.WithSurface(context.Background(), "no-such-surface")))
	checkCode(t, err, core.CodeUnknownSurface)

	other := m.Thread("thread-2")
	client.Transport.(*host.Transport).Thread = m.Thread("thread-1")
	first := do(t, client, getRequest(t, url))
	second := do(t, client, getRequest(t, url).WithContext(host.WithThread(context.Background(), other)))
	if first.TaskID != askThread(t, m.Thread("thread-1")).TaskID || second.TaskID != askThread(t, other).TaskID {
		t.Errorf("got tasks %s and %s", first.TaskID, second.TaskID)
	}

	unnamed := do(t, client, getRequest(t, url).WithContext(host.WithThread(context.Background(), nil)))
	if unnamed != first {
		t.Errorf("no thread is named: got %+v, want %+v", unnamed, first)
	}
	foreign := manager(t, w.config()).Thread("thread-1")
	_, err = client.Do(getRequest(t, url).WithContext(host.WithThread(context.Background(), foreign)))
	checkCode(t, err, core.CodeThreadSurface)

	w.authority.RefuseRegistration(http.StatusForbidden)
	_, err = client.Do(getRequest(t, url).WithContext(host.WithThread(context.Background(), m.Thread("thread-3"))))
	checkCode(t, err, host.CodeThreadFailed)
	checkHidden(t, w.secrets(t), err)
}

// An authorization goes to the base URL, and nowhere else.
func TestTransportPassesOthersOn(t *testing.T) {
	for name, url := range map[string]string{
		"another host":             "https://example.com/backend-api/codex/models",
		"a host below":             "https://evil.chatgpt.com/backend-api/codex/models",
		"a host that ends alike":   "https://notchatgpt.com/backend-api/codex/models",
		"a host with a dot":        "https://chatgpt.com./backend-api/codex/models",
		"another port":             "https://chatgpt.com:8443/backend-api/codex/models",
		"another scheme":           "http://chatgpt.com/backend-api/codex/models",
		"the port of the other":    "http://chatgpt.com:443/backend-api/codex/models",
		"a path above":             "https://chatgpt.com/",
		"a path beside":            "https://chatgpt.com/api/models",
		"a path that begins alike": "https://chatgpt.com/backend-apis/models",
		"a path that leads out":    "https://chatgpt.com/backend-api/../admin",
		"that, escaped":            "https://chatgpt.com/backend-api/%2E%2e/admin",
		"a host as user":           "https://chatgpt.com@example.com/backend-api/codex/models",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			client, b := transport(w, manager(t, w.config()))
			r := getRequest(t, url)
			r.Header.Set("Authorization", "Bearer of-the-caller")
			b.script = func(int, *http.Request) (*http.Response, error) {
				return respond(http.StatusUnauthorized, nil, http.NoBody), nil
			}
			if got := do(t, client, r).Status; got != http.StatusUnauthorized {
				t.Errorf("got status %d, want that of the server", got)
			}
			if len(b.seen) != 1 || len(b.seen[0].header) != 1 || b.seen[0].header.Get("Authorization") != "Bearer of-the-caller" {
				t.Errorf("got %v, want the request once, as it was", b.seen)
			}
			checkCount(t, "requests of the manager", w.network.count(), 0)
		})
	}
}

// The same URL, written otherwise.
func TestTransportKnowsItsBaseURL(t *testing.T) {
	for _, url := range []string{
		"https://chatgpt.com:443/backend-api/codex/models",
		"https://ChatGPT.com/backend-api/codex/models",
		"https://chatgpt.com/backend-api/codex/models/",
		"https://chatgpt.com/backend-api/a..b/..c",
		"https://chatgpt.com/backend-api/@me/a b|c?q=a b\\",
		"https://user:password@chatgpt.com/backend-api/codex/models",
	} {
		t.Run(url, func(t *testing.T) {
			w := newWorld()
			client, _ := transport(w, manager(t, w.config()))
			if got := do(t, client, getRequest(t, url)); got.Scheme != "agent-assertion" {
				t.Errorf("got %+v, want an assertion", got)
			}
		})
	}
}

// What the parts of a URL come to when they are put together counts for nothing:
// the request goes to its host.
func TestTransportOnURLsMadeByHand(t *testing.T) {
	for name, u := range map[string]*url.URL{
		"a path that goes on with the host": {Scheme: "https", Host: "chatgpt", Path: ".com/backend-api/codex/models"},
		"a host with a path":                {Scheme: "https", Host: "chatgpt.com/backend-api", Path: "/codex/models"},
		"a host with a query":               {Scheme: "https", Host: "chatgpt.com/backend-api?", Path: "/codex/models"},
		"a host with a user":                {Scheme: "https", Host: "user@chatgpt.com", Path: "/backend-api/codex/models"},
		"a path that names a host":          {Scheme: "https", Host: "", Path: "//chatgpt.com/backend-api/codex/models"},
		"opaque":                            {Scheme: "https", Host: "example.com", Opaque: "//chatgpt.com/backend-api/codex/models"},
		"opaque, and the backend's host":    {Scheme: "https", Host: "chatgpt.com", Opaque: "//example.com/", Path: "/backend-api"},
		"no scheme":                         {Host: "chatgpt.com", Path: "/backend-api/codex/models"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			client, b := transport(w, manager(t, w.config()))
			r := getRequest(t, "https://chatgpt.com")
			r.URL = u
			response, err := client.Transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if got := b.seen[0].header.Get("Authorization"); got != "" {
				t.Error("the request carries an authorization")
			}
		})
	}
}

// A hop to another origin carries nothing, one to the backend its own
// authorization.
func TestTransportRedirects(t *testing.T) {
	for name, tt := range map[string]struct {
		to     string
		scheme string
	}{
		"another origin": {"https://elsewhere.example/backend-api/codex/models", ""},
		"another scheme": {"http://chatgpt.com/backend-api/codex/models", ""},
		"outside":        {"https://chatgpt.com/login", ""},
		"the backend":    {"/backend-api/codex/models/other", "AgentAssertion"},
		"bearer-only":    {"/backend-api/authenticate_app_v2", "Bearer"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			client, b := transport(w, manager(t, w.config()))
			b.script = func(n int, _ *http.Request) (*http.Response, error) {
				if n > 0 {
					return respond(http.StatusOK, nil, http.NoBody), nil
				}
				return respond(http.StatusTemporaryRedirect, http.Header{"Location": {tt.to}}, http.NoBody), nil
			}
			do(t, client, getRequest(t, baseURL+"/codex/models"))
			checkCount(t, "hops", len(b.seen), 2)
			if !strings.HasPrefix(b.seen[0].header.Get("Authorization"), "AgentAssertion ") {
				t.Errorf("the first hop has %q", b.seen[0].header.Get("Authorization"))
			}
			scheme, _, _ := strings.Cut(b.seen[1].header.Get("Authorization"), " ")
			if account := b.seen[1].header.Get("Chatgpt-Account-Id"); scheme != tt.scheme || (account != "") != (scheme != "") {
				t.Errorf("the second hop has the scheme %q and account %q, want scheme %q", scheme, account, tt.scheme)
			}
			b.checkClosed(t)
		})
	}
}

// A site that is not the backend cannot spend the agent: where it has led a request
// to the backend, that is not the program's own. Once outside, a chain of redirects
// stays so.
func TestTransportOnRedirectsFromOutside(t *testing.T) {
	const inside, outside = baseURL + "/codex/models", "https://site.example/"
	for name, tt := range map[string]struct {
		hops       []string
		authorized []bool
	}{
		"from outside":            {[]string{outside, inside}, []bool{false, false}},
		"there and back":          {[]string{inside, outside, inside}, []bool{true, false, false}},
		"and on":                  {[]string{outside, inside, inside + "/x"}, []bool{false, false, false}},
		"from another path":       {[]string{"https://chatgpt.com/login", inside}, []bool{false, false}},
		"from http":               {[]string{"http://chatgpt.com/backend-api/codex/models", inside}, []bool{false, false}},
		"only within the backend": {[]string{inside, inside + "/x", inside + "/y"}, []bool{true, true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			client, b := transport(w, manager(t, w.config()))
			b.script = func(n int, _ *http.Request) (*http.Response, error) {
				if n+1 == len(tt.hops) {
					return respond(http.StatusOK, nil, http.NoBody), nil
				}
				return respond(http.StatusTemporaryRedirect, http.Header{"Location": {tt.hops[n+1]}}, http.NoBody), nil
			}
			do(t, client, getRequest(t, tt.hops[0]))
			checkCount(t, "hops", len(b.seen), len(tt.hops))
			for i, want := range tt.authorized {
				if got := b.seen[i].header.Get("Authorization") != ""; got != want {
					t.Errorf("hop %d: authorized is %t, want %t", i, got, want)
				}
			}
		})
	}
}

// Some servers go by the Host header field alone.
func TestTransportOnAnotherHost(t *testing.T) {
	for name, tt := range map[string]struct {
		change     func(*http.Request)
		authorized bool
	}{
		"none":                {func(r *http.Request) { r.Host = "" }, true},
		"the URL's":           {func(r *http.Request) { r.Host = "chatgpt.com" }, true},
		"in capitals":         {func(r *http.Request) { r.Host = "ChatGPT.com" }, true},
		"with the port":       {func(r *http.Request) { r.Host = "chatgpt.com:443" }, true},
		"another":             {func(r *http.Request) { r.Host = "evil.example" }, false},
		"another port":        {func(r *http.Request) { r.Host = "chatgpt.com:8443" }, false},
		"no host":             {func(r *http.Request) { r.Host = ":443" }, false},
		"with a user":         {func(r *http.Request) { r.Host = "user@chatgpt.com" }, false},
		"among header fields": {func(r *http.Request) { r.Header["Host"] = []string{"chatgpt.com"} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			client, b := transport(w, manager(t, w.config()))
			r := getRequest(t, baseURL+"/codex/models")
			tt.change(r)
			do(t, client, r)
			if got := b.seen[0].header.Get("Authorization") != ""; got != tt.authorized {
				t.Errorf("authorized is %t, want %t", got, tt.authorized)
			}
		})
	}
}

// A program that has an API key authorizes its own calls.
func TestTransportLeavesAnAPIKey(t *testing.T) {
	w := newWorld()
	c := w.config()
	c.Credentials = fixed(host.Credentials{Kind: wire.CredentialsAPIKey})
	client, b := transport(w, manager(t, c))
	r := getRequest(t, baseURL+"/codex/models")
	r.Header.Set("Authorization", "Bearer key")
	r.Header.Set("ChatGPT-Account-ID", "stale")
	do(t, client, r)
	if got := b.seen[0].header; got.Get("Authorization") != "Bearer key" || got.Get("ChatGPT-Account-ID") != "" {
		t.Errorf("got Authorization %q, account %q", got.Get("Authorization"), got.Get("ChatGPT-Account-ID"))
	}
}

// Who logs a response logs its request, too.
func TestTransportShowsNoAuthorization(t *testing.T) {
	for name, base := range map[string]http.RoundTripper{"net/http": http.DefaultTransport, "another": nil} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			server := httptest.NewServer(w.authority)
			defer server.Close()
			c := w.config()
			c.BaseURL, c.TrustedHosts = server.URL, []string{"127.0.0.1"}
			if base == nil {
				base = w.network
			}
			r := getRequest(t, server.URL+"/codex/models")
			response, err := (&host.Transport{Manager: manager(t, c), Base: base}).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.Request != r {
				t.Error("the response's request is not the caller's")
			}
			if r.Header.Get("Authorization") != "" {
				t.Error("the caller's request shows the authorization")
			}
		})
	}
}

func TestTransportSetsHeaders(t *testing.T) {
	for name, tt := range map[string]struct {
		fedRAMP bool
		change  func(*host.Credentials)
		account string
		fed     string
	}{
		"account":         {false, func(*host.Credentials) {}, "acct-1", ""},
		"FedRAMP account": {true, func(*host.Credentials) {}, "acct-1", "true"},
		"nobody":          {false, func(c *host.Credentials) { *c = host.Credentials{Kind: wire.CredentialsNone} }, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			credentials := w.credentials()
			credentials.FedRAMP = tt.fedRAMP
			tt.change(&credentials)
			c := w.config()
			c.Credentials = fixed(credentials)
			client, b := transport(w, manager(t, c))
			r := getRequest(t, baseURL+"/codex/models")
			r.Header = http.Header{
				"Authorization": {"stale", "twice"}, "Chatgpt-Account-Id": {"stale"}, "X-Openai-Fedramp": {"stale"},
				"Accept": {"*/*"},
			}
			before := r.Header.Clone()
			do(t, client, r)
			got := b.seen[0].header
			if n := len(got.Values("Authorization")); n > 1 || got.Get("ChatGPT-Account-ID") != tt.account ||
				got.Get("X-OpenAI-Fedramp") != tt.fed || got.Get("Accept") != "*/*" {
				t.Errorf("got %d authorizations, account %q, FedRAMP %q", n, got.Get("ChatGPT-Account-ID"), got.Get("X-OpenAI-Fedramp"))
			}
			if len(r.Header) != len(before) || r.Header.Get("Authorization") != "stale" {
				t.Error("the caller's request was changed")
			}
		})
	}
}

// The tests below reject tasks.

func TestTransportRecovers(t *testing.T) {
	for name, prepare := range stores {
		for _, path := range []string{"/codex/models", "/codex/responses"} {
			t.Run(name+path, func(t *testing.T) {
				w := newWorld()
				prepare(t, w)
				m := manager(t, w.config())
				client, b := transport(w, m)
				client.Transport.(*host.Transport).Thread = m.Thread("thread-1")
				var told []string
				client.Transport.(*host.Transport).Authorized = func(a host.Authorization) { told = append(told, a.TaskID) }
				before := do(t, client, getRequest(t, baseURL+path))
				w.authority.ExpireTask(before.TaskID)
				after := do(t, client, getRequest(t, baseURL+path))
				if after.Status != http.StatusOK || after.TaskID == before.TaskID || after.TaskID == "" {
					t.Errorf("got %+v, then %+v", before, after)
				}
				again := do(t, client, getRequest(t, baseURL+path))
				if again != after {
					t.Errorf("got %+v, then %+v", after, again)
				}
				checkCount(t, "calls", len(b.seen), 4)
				if want := []string{before.TaskID, before.TaskID, after.TaskID, after.TaskID}; !slices.Equal(told, want) {
					t.Errorf("told of the tasks %q, want %q", told, want)
				}
				checkCount(t, "requests", w.network.count(), requestsPerRegistration+requestsPerTask)
				checkCounts(t, w.authority, 1, 2)
				b.checkClosed(t)

				// What was stored is the new task.
				w.clock.advance(time.Second)
				client.Transport.(*host.Transport).Manager = manager(t, w.config())
				client.Transport.(*host.Transport).Thread = client.Transport.(*host.Transport).Manager.Thread("thread-1")
				if restarted := do(t, client, getRequest(t, baseURL+path)); restarted.TaskID != after.TaskID {
					t.Errorf("after a restart: got %+v, want %+v", restarted, after)
				}
			})
		}
	}
}

// However many requests a revocation hits, one task takes its place, and each
// request is sent once more at most.
func TestTransportRecoversOnce(t *testing.T) {
	const requests = 50
	for _, path := range []string{"/codex/models", "/codex/responses"} {
		t.Run(path, func(t *testing.T) {
			w := newWorld()
			managers := []*host.Manager{manager(t, w.config()), manager(t, w.config())} // as two processes
			clients := make([]*http.Client, len(managers))
			bases := make([]*base, len(managers))
			for i, m := range managers {
				clients[i], bases[i] = transport(w, m)
				clients[i].Transport.(*host.Transport).Thread = m.Thread("thread-1")
				do(t, clients[i], getRequest(t, baseURL+path))
			}
			expired := do(t, clients[0], getRequest(t, baseURL+path)).TaskID
			w.authority.ExpireTask(expired)
			registered := w.authority.Accepted().Tasks
			// No request is answered before all have been sent.
			var arrived sync.WaitGroup
			arrived.Add(requests)
			for _, b := range bases {
				b.seen = nil
				b.script = func(_ int, r *http.Request) (*http.Response, error) {
					if i, err := core.ParseAssertion(r.Header.Get("Authorization")); err == nil && i.Envelope.TaskID == expired {
						arrived.Done()
						arrived.Wait()
					}
					return nil, nil
				}
			}
			var wg sync.WaitGroup
			for i := range requests {
				r := newRequest(t, context.Background(), http.MethodPost, baseURL+path, strings.NewReader("body"))
				wg.Go(func() {
					if got := do(t, clients[i%2], r); got.Status != http.StatusOK {
						t.Errorf("got %+v", got)
					}
				})
			}
			wg.Wait()
			checkCount(t, "replacements", w.authority.Accepted().Tasks-registered, 1)
			sent := 0
			for _, b := range bases {
				sent += len(b.seen)
				b.checkClosed(t)
			}
			checkCount(t, "calls", sent, 2*requests)
			checkCount(t, "identities", w.authority.Accepted().Identities, 1)
		})
	}
}

// The second 401 is the caller's, with its body.
func TestTransportGivesUp(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(w *world)
		sent   int
	}{
		{"rejected again", func(*world) {}, 2},
		// The fall-back is no reason to try: without a token there is nothing to send.
		{"no replacement and no token", func(w *world) {
			w.authority.RefuseRegistration(http.StatusForbidden)
			w.session.AccessToken = ""
		}, 1},
		{"replacement is the bearer token", func(w *world) { w.authority.RefuseRegistration(http.StatusForbidden) }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			c := w.config()
			c.Credentials = host.CredentialFunc(func(context.Context) (host.Credentials, error) { return w.credentials(), nil })
			m := manager(t, c)
			client, b := transport(w, m)
			ask(t, m)
			tt.change(w)
			b.script = func(int, *http.Request) (*http.Response, error) {
				return respond(http.StatusUnauthorized, nil, strings.NewReader(`{"scheme":"rejected"}`)), nil
			}
			if got := do(t, client, getRequest(t, baseURL+"/codex/models")); got.Status != http.StatusUnauthorized || got.Scheme != "rejected" {
				t.Errorf("got %+v, want the 401 and its body", got)
			}
			checkCount(t, "calls", len(b.seen), tt.sent)
			b.checkClosed(t)
		})
	}
}

// A thread's call whose task cannot be replaced gets the 401: it must not go out
// in the user's name.
func TestTransportThreadIsNotReplaced(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	client, b := transport(w, m)
	client.Transport.(*host.Transport).Thread = m.Thread("thread-1")
	w.authority.ExpireTask(do(t, client, getRequest(t, baseURL+"/codex/responses")).TaskID)
	w.authority.RefuseRegistration(http.StatusForbidden)
	if got := do(t, client, getRequest(t, baseURL+"/codex/responses")); got.Status != http.StatusUnauthorized {
		t.Errorf("got %+v, want the 401", got)
	}
	checkCount(t, "calls", len(b.seen), 2)
	w.authority.RefuseRegistration(0)
	w.clock.advance(time.Second)
	if got := do(t, client, getRequest(t, baseURL+"/codex/responses")); got.Status != http.StatusOK {
		t.Errorf("the next turn: got %+v, want it authorized", got)
	}
	b.checkClosed(t)
}

// A rejected bearer token, and any other status, say nothing about a task.
func TestTransportLeavesTasksAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		path   string
		change func(c *host.ManagerConfig)
		status int
	}{
		"401 to a bearer-only call": {"/v1/agent/other", nil, http.StatusUnauthorized},
		"401 with the gate off":     {"/codex/models", func(c *host.ManagerConfig) { c.AgentIdentity = false }, http.StatusUnauthorized},
		"403 to an assertion":       {"/codex/models", nil, http.StatusForbidden},
		"500 to an assertion":       {"/codex/models", nil, http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			checkAssertion(t, ask(t, manager(t, w.config())))
			record := w.load(t, wire.SlotIdentity)
			requests := w.network.count()
			c := w.config()
			if tt.change != nil {
				tt.change(&c)
			}
			client, b := transport(w, manager(t, c))
			b.script = func(int, *http.Request) (*http.Response, error) { return respond(tt.status, nil, http.NoBody), nil }
			if got := do(t, client, getRequest(t, baseURL+tt.path)); got.Status != tt.status {
				t.Errorf("got %+v, want %d", got, tt.status)
			}
			checkCount(t, "calls", len(b.seen), 1)
			checkCount(t, "requests of the manager", w.network.count(), requests)
			if after := w.load(t, wire.SlotIdentity); !bytes.Equal(after, record) {
				t.Errorf("the record was %s, is %s", record, after)
			}
		})
	}
}

// A body is sent again if there is a way to have it again. If there is none, the
// 401 is the caller's, and the next call has the new task.
func TestTransportReplaysBodies(t *testing.T) {
	for name, tt := range map[string]struct {
		body    func(r *http.Request)
		replays bool
		want    string
	}{
		"GetBody":       {func(*http.Request) {}, true, "body"},
		"no body":       {func(r *http.Request) { r.Body, r.GetBody = nil, nil }, true, ""},
		"http.NoBody":   {func(r *http.Request) { r.Body, r.GetBody = http.NoBody, nil }, true, ""},
		"no GetBody":    {func(r *http.Request) { r.GetBody = nil }, false, "body"},
		"GetBody fails": {func(r *http.Request) { r.GetBody = func() (io.ReadCloser, error) { return nil, errDisk } }, false, "body"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			m := manager(t, w.config())
			client, b := transport(w, m)
			w.authority.ExpireTask(ask(t, m).TaskID)

			r := newRequest(t, context.Background(), http.MethodPost, baseURL+"/codex/models", strings.NewReader("body"))
			body := &countedBody{Reader: r.Body}
			r.Body = body
			replay := &countedBody{}
			if getBody := r.GetBody; getBody != nil {
				r.GetBody = func() (io.ReadCloser, error) {
					again, err := getBody()
					replay.Reader = again
					return replay, err
				}
			}
			tt.body(r)
			status, sent := http.StatusUnauthorized, 1
			if tt.replays {
				status, sent = http.StatusOK, 2
			}
			if got := do(t, client, r); got.Status != status {
				t.Errorf("got %+v, want %d", got, status)
			}
			checkCount(t, "calls", len(b.seen), sent)
			for i, s := range b.seen {
				if s.body != tt.want {
					t.Errorf("call %d: got body %q, want %q", i, s.body, tt.want)
				}
			}
			if tt.want != "" && !body.isClosed() || replay.Reader != nil && !replay.isClosed() {
				t.Error("a body of the request was not closed")
			}
			if got := do(t, client, getRequest(t, baseURL+"/codex/models")); got.Status != http.StatusOK {
				t.Errorf("the next call: got %+v", got)
			}
			checkCounts(t, w.authority, 1, 2)
			b.checkClosed(t)
		})
	}
}

// A caller that goes away during the recovery keeps its 401, and the recovery
// goes on for the others.
func TestTransportCanceledDuringRecovery(t *testing.T) {
	w, h := newWorld(), newHeld()
	m := manager(t, w.config())
	client, b := transport(w, m)
	w.authority.ExpireTask(ask(t, m).TaskID)
	w.network.follow(h.script)
	ctx, cancel := context.WithCancel(context.Background())
	status := make(chan int)
	go func() {
		r, err := client.Transport.RoundTrip(getRequest(t, baseURL+"/codex/models").WithContext(ctx))
		if err != nil {
			t.Error(err)
			close(status)
			return
		}
		r.Body.Close()
		status <- r.StatusCode
	}()
	<-h.entered
	cancel()
	if got := <-status; got != http.StatusUnauthorized {
		t.Errorf("got %d, want 401", got)
	}
	close(h.release)
	if got := do(t, client, getRequest(t, baseURL+"/codex/models")); got.Status != http.StatusOK {
		t.Errorf("the next call: got %+v", got)
	}
	checkCounts(t, w.authority, 1, 2)
	b.checkClosed(t)
}

// A transport that breaks its contract is no reason to panic.
func TestTransportOnABrokenBase(t *testing.T) {
	for name, tt := range map[string]struct {
		first *http.Response
		calls int
	}{
		"nothing":         {nil, 1},
		"401 and no body": {&http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			calls := 0
			rt := &host.Transport{Manager: manager(t, w.config()), Base: roundTripper(func(r *http.Request) (*http.Response, error) {
				if calls++; calls == 1 {
					return tt.first, nil
				}
				return serve(w.authority, r), nil
			})}
			response, err := rt.RoundTrip(getRequest(t, baseURL+"/codex/models"))
			if err != nil {
				t.Fatal(err)
			}
			if response != nil {
				response.Body.Close()
			}
			checkCount(t, "calls", calls, tt.calls)
		})
	}
}

func TestTransportPassesErrorsOn(t *testing.T) {
	w := newWorld()
	client, b := transport(w, manager(t, w.config()))
	b.script = func(int, *http.Request) (*http.Response, error) { return nil, errDisk }
	_, err := client.Do(getRequest(t, baseURL+"/codex/models"))
	if !errors.Is(err, errDisk) {
		t.Errorf("got %v, want %v", err, errDisk)
	}
	checkHidden(t, w.secrets(t), err)
}
