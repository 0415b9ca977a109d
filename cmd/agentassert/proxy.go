package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/moby/sys/atomicwriter"
	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/internal/egress"
)

// The header fields that callers speak to the proxy with. Neither is forwarded.
const (
	tokenHeader  = "X-Agentassert-Token"
	threadHeader = "X-Agentassert-Thread"
)

// The codes of the proxy's own refusals, beside those of the authorization.
const (
	codeForbiddenHost    = "forbidden_host"
	codeInvalidToken     = "invalid_token"
	codeMethodNotAllowed = "method_not_allowed"
	codeInvalidPath      = "invalid_path"
	codeInvalidBody      = "invalid_body"
	codeUpstreamFailed   = "upstream_failed"
)

// maxReplayed is the largest body that is kept to be sent twice, in bytes.
const maxReplayed = 1 << 20

// proxyFlags are the command's.
type proxyFlags struct {
	backendOptions
	listen, thread      string
	tokenFile, addrFile string
	remote              bool
}

func newProxy(o *engineOptions) *cobra.Command {
	var flags proxyFlags
	cmd := &cobra.Command{
		Use:   "proxy --listen ADDR --upstream URL --auth-file FILE",
		Short: "Serve a reverse proxy that authorizes what passes",
		Long: `Serve a reverse proxy that authorizes whatever passes, until interrupted, for
programs that embed nothing: /x/y goes to the upstream's base URL and /x/y.
Bodies are streamed both ways, server-sent events and WebSockets included.

Callers prove that they may use it with a token, made anew at each start: they
send it in ` + tokenHeader + `, or as an API key, in "Authorization: Bearer".
It is printed on standard error, or written to --token-file, for you alone to
read. Whoever has it can spend the user's identity.

Authorization is replaced, and cookies pass neither way: a call is the agent's
alone, and a cookie would put somebody's session beside it.

Calls in a conversation use one that is the run's own, or --thread; a caller
names another in ` + threadHeader + `, and gets the same task for it after a
restart.

When the upstream answers 401 to an assertion, its task is replaced, and the
request is sent once more if its length is known and at most 1 MiB; of others
the caller gets the 401, and the next one works.

Errors of the proxy's own are {"error":{"code","message"}}: 400, 401, 403 and 405
for what a caller has to change, 503 for what can pass, 502 for anything else.

` + environmentHelp,
		Example: "  agentassert proxy --listen 127.0.0.1:8081 --upstream https://chatgpt.com/backend-api --auth-file ~/.codex/auth.json --token-file token\n" +
			"  curl -H \"" + tokenHeader + ": $(cat token)\" http://127.0.0.1:8081/codex/models",
		Args: cobra.NoArgs,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			return o.withEngine(cmd.Context(), func(e host.Engine) error {
				return flags.run(cmd.Context(), e, cmd.ErrOrStderr())
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&flags.listen, "listen", "", "the loopback address to listen on, such as 127.0.0.1:8081; port 0 takes a free one")
	f.StringVar(&flags.thread, "thread", "", "the conversation of calls that name none (default: one of the run's own)")
	f.StringVar(&flags.tokenFile, "token-file", "", "write the token to this file, before --addr-file, and do not print it")
	f.StringVar(&flags.addrFile, "addr-file", "", "write the address to this file once it listens")
	f.BoolVar(&flags.remote, "allow-remote", false, "listen on any address and under any host name; there is no TLS")
	flags.register(cmd, "upstream")
	must(cmd.MarkFlagRequired("listen"))
	for _, name := range []string{"token-file", "addr-file"} {
		must(cmd.MarkFlagFilename(name))
	}
	completeNothing(cmd, "listen", "thread")
	return cmd
}

// run serves until the context ends.
func (f *proxyFlags) run(ctx context.Context, e host.Engine, stderr io.Writer) error {
	addr, err := f.address()
	if err != nil {
		return err
	}
	transport, err := upstreamTransport()
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	own, thread := "", f.thread
	if thread == "" {
		thread = rand.Text()
		own = wire.SlotThread + thread
	}
	m, err := f.open(ctx, e, &http.Client{Transport: transport}, func(c *host.ManagerConfig) {
		if c.Store != nil {
			c.Store = &proxyStore{Store: c.Store, own: own}
		}
	})
	if err != nil {
		return err
	}
	defer m.Close()
	// What is wrong already is better said now than to every caller.
	status, err := m.Status(ctx, thread)
	if err != nil {
		return argument(err, core.CodeInvalidThreadID)
	}
	base, err := url.Parse(m.BaseURL())
	if err != nil {
		return usage(fmt.Errorf("--upstream is not a URL: %w", err))
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	p := &proxy{token: rand.Text(), manager: m, log: log}
	if !f.remote {
		p.hosts = f.allowsHost
	}
	p.reverse = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { rewrite(r, base) },
		Transport:      &host.Transport{Manager: m, Base: transport, Thread: m.Thread(thread)},
		FlushInterval:  -1, // at once
		ModifyResponse: dropCookies,
		ErrorHandler:   p.failed,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	listener, err := net.ListenTCP("tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	listening := listener.Addr().String()
	if err := f.writeFiles(p.token, listening); err != nil {
		return errors.Join(err, listener.Close())
	}
	said := fmt.Sprintf("agentassert: serving %s at http://%s; interrupt to end\n", m.BaseURL(), listening)
	if f.tokenFile == "" {
		said += fmt.Sprintf("agentassert: callers send the header %s: %s\n", tokenHeader, p.token)
	}
	fmt.Fprint(stderr, said)
	sayStatus(stderr, status)
	return p.serve(ctx, listener, shutdownTimeout)
}

// address returns the address to listen on. It is resolved once, so that what was
// looked at is what is listened on.
func (f *proxyFlags) address() (*net.TCPAddr, error) {
	addr, err := net.ResolveTCPAddr("tcp", f.listen)
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	if !f.remote && !addr.IP.IsLoopback() {
		return nil, usage(fmt.Errorf("--listen %s is not a loopback address: other machines could spend the user's identity, and read it on the way; say --allow-remote if they may", f.listen))
	}
	return addr, nil
}

// allowsHost refuses the names of hosts that are not this one. A web page's own
// host can be made to resolve to loopback (DNS rebinding), but not to have
// another name.
func (f *proxyFlags) allowsHost(hostPort string) bool {
	name := hostname(hostPort)
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return strings.EqualFold(name, "localhost") || strings.EqualFold(name, hostname(f.listen))
}

// hostname returns a host without port and brackets.
func hostname(hostPort string) string {
	if name, _, err := net.SplitHostPort(hostPort); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostPort, "["), "]")
}

// writeFiles writes what others wait for; the address comes last.
func (f *proxyFlags) writeFiles(token, addr string) error {
	if f.tokenFile != "" {
		if err := atomicwriter.WriteFile(f.tokenFile, []byte(token+"\n"), 0o600); err != nil {
			return fmt.Errorf("the token cannot be written: %w", err)
		}
	}
	if f.addrFile != "" {
		if err := atomicwriter.WriteFile(f.addrFile, []byte(addr+"\n"), 0o644); err != nil {
			return fmt.Errorf("the address cannot be written: %w", err)
		}
	}
	return nil
}

// upstreamTransport is the tool's. A body stays compressed or not as the caller has
// asked for it.
func upstreamTransport() (*http.Transport, error) {
	t, err := newTransport()
	if err != nil {
		return nil, err
	}
	t.DisableCompression = true
	t.MaxIdleConnsPerHost = t.MaxIdleConns // there is but one host
	return t, nil
}

// proxyStore is a store in which the task of the run's own conversation, to which
// nobody can come back, stays in memory.
type proxyStore struct {
	host.Store
	own    string
	memory host.MemoryStore
}

func (s *proxyStore) of(slot string) host.Store {
	if s.own != "" && slot == s.own {
		return &s.memory
	}
	return s.Store
}

func (s *proxyStore) Load(ctx context.Context, slot string) ([]byte, error) {
	return s.of(slot).Load(ctx, slot)
}

func (s *proxyStore) Save(ctx context.Context, slot string, record []byte) error {
	return s.of(slot).Save(ctx, slot, record)
}

func (s *proxyStore) Delete(ctx context.Context, slot string) error {
	return s.of(slot).Delete(ctx, slot)
}

// Lock takes no lock of a file for what is in memory.
func (s *proxyStore) Lock(ctx context.Context, slot string) (unlock func(), err error) {
	return s.of(slot).Lock(ctx, slot)
}

func (s *proxyStore) Probe(ctx context.Context, slot string) error {
	if p, ok := s.of(slot).(host.Prober); ok {
		return p.Probe(ctx, slot)
	}
	return nil
}

// proxy authorizes callers by its token, and their requests by a manager.
type proxy struct {
	token   string
	hosts   func(hostPort string) bool // nil: any
	manager *host.Manager
	reverse *httputil.ReverseProxy
	log     *slog.Logger

	// mu makes serve wait for requests that have begun, those included that are
	// no longer HTTP's.
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// ServeHTTP serves one request.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.begin() {
		writeRefusal(w, http.StatusServiceUnavailable, host.CodeClosed, "the proxy is ending")
		return
	}
	defer p.running.Done()
	switch {
	case p.hosts != nil && !p.hosts(r.Host):
		writeRefusal(w, http.StatusForbidden, codeForbiddenHost, "the proxy is not known under this Host; use its loopback address, or start it with --allow-remote")
		return
	case !p.admits(r.Header):
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeRefusal(w, http.StatusUnauthorized, codeInvalidToken, "send the token that the proxy printed or wrote when it started, in "+tokenHeader+" or as a bearer token")
		return
	case r.Method == http.MethodConnect:
		writeRefusal(w, http.StatusMethodNotAllowed, codeMethodNotAllowed, "this is a reverse proxy, not a tunnel; use its address as the base URL")
		return
	case leadsUpwards(r.URL.Path):
		writeRefusal(w, http.StatusBadRequest, codeInvalidPath, "the path has a dot segment, and could lead out of the upstream's base URL")
		return
	}
	ctx := r.Context()
	if id := r.Header.Get(threadHeader); id != "" {
		ctx = host.WithThread(ctx, p.manager.Thread(id))
	}
	r = r.WithContext(ctx)
	if err := makeReplayable(r); err != nil {
		writeRefusal(w, http.StatusBadRequest, codeInvalidBody, "the request's body ended early")
		return
	}
	if r.GetBody == nil && r.Body != http.NoBody {
		// The upstream may answer while the body is still on its way. Where a
		// connection cannot do this the answer waits, as it would have.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	p.reverse.ServeHTTP(w, r)
}

// begin counts a request in, unless the proxy is ending.
func (p *proxy) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.running.Add(1)
	return true
}

// admits reports whether a caller has the token. The proxy's own header, where it
// is sent, is the one that counts.
func (p *proxy) admits(h http.Header) bool {
	token := h.Get(tokenHeader)
	if scheme, value, ok := strings.Cut(h.Get("Authorization"), " "); token == "" && ok && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(value)
	}
	return subtle.ConstantTimeCompare([]byte(token), []byte(p.token)) == 1
}

// leadsUpwards reports whether a decoded path has a dot segment.
func leadsUpwards(path string) bool {
	for s := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if s == "." || s == ".." {
			return true
		}
	}
	return false
}

// makeReplayable keeps a short body whose length is known, so that the request can
// be sent again with a new task.
func makeReplayable(r *http.Request) error {
	if r.ContentLength <= 0 || r.ContentLength > maxReplayed {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, err = r.GetBody()
	return err
}

// rewrite makes a caller's request the upstream's. The transport authorizes it.
func rewrite(r *httputil.ProxyRequest, base *url.URL) {
	r.SetURL(base)
	// As it was sent: nothing here reads a query.
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	for _, name := range []string{tokenHeader, threadHeader, "Authorization", "Cookie"} {
		r.Out.Header.Del(name)
	}
}

// dropCookies is for what rewrite does not forward.
func dropCookies(r *http.Response) error {
	r.Header.Del("Set-Cookie")
	return nil
}

// failed answers a request that got no response.
func (p *proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	status, code, message := http.StatusBadGateway, codeUpstreamFailed, upstreamFailure(err)
	err = egress.Explain(err)
	if e, ok := errors.AsType[*core.Error](err); ok {
		code, message = e.Code, oneLine(err)
	}
	if r.Context().Err() != nil {
		code, message = host.CodeCanceled, "the caller is gone, or the proxy is ending"
	}
	switch code {
	case core.CodeInvalidThreadID:
		status = http.StatusBadRequest
	case host.CodeThreadFailed, host.CodeCanceled, host.CodeClosed:
		status = http.StatusServiceUnavailable
	}
	if code != host.CodeCanceled {
		p.log.Warn("request failed", "method", r.Method, "path", r.URL.EscapedPath(), "status", status, "code", code, "error", message)
	}
	writeRefusal(w, status, code, message)
}

// upstreamFailure says why there is no response. Other errors of net/http's than
// these can quote what the upstream sent, secrets included.
func upstreamFailure(err error) string {
	var operation *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return "the upstream's certificate is not accepted: " + oneLine(certificate)
	case errors.As(err, &operation):
		return "the upstream cannot be reached: " + oneLine(operation)
	}
	return "the upstream closed the connection, or did not answer with HTTP"
}

func writeRefusal(w http.ResponseWriter, status int, code, message string) {
	body, err := json.Marshal(struct {
		Error cause `json:"error"`
	}{cause{code, message}})
	if err != nil {
		panic(err) // strings always encode
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // to a caller that is gone, there is nobody to tell
}

// serve serves until the context ends, lets requests under way finish for as long
// as grace, and ends those that are left: WebSockets and event streams do not end
// by themselves.
func (p *proxy) serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	requests, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	s := &http.Server{
		Handler:           p,
		ReadHeaderTimeout: headerTimeout, // and no ReadTimeout: it would end streams
		IdleTimeout:       idleTimeout,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Serve(l) }()
	var failure error
	select {
	case failure = <-stopped:
	case <-ctx.Done():
		limited, cancel := context.WithTimeout(requests, grace)
		defer cancel()
		// What is not idle in time is closed below, and no failure.
		_ = s.Shutdown(limited)
		if err := <-stopped; !errors.Is(err, http.ErrServerClosed) {
			failure = err
		}
	}
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	end()
	failure = errors.Join(failure, s.Close())
	p.running.Wait()
	return failure
}
