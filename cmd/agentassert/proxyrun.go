package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/settings"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/proxy"
)

// proxyRun is the command while it runs.
type proxyRun struct {
	engine  host.Engine
	logs    *proxyLogs
	metrics *metrics // nil: nobody asks
	// end has the run end as an interrupt has.
	end context.CancelFunc
	// made is the token that was made for this run, or empty where callers have another one.
	made string
	// thread is the run's own conversation.
	thread string
	// command is the one that runs, and spare another one of the kind, to read settings with
	// once more.
	command, spare *cobra.Command
	spareFlags     *proxyFlags
	// started are the settings of the start, and current those in use; token is what callers
	// show now, or empty where each account has its own.
	started, current map[string]string
	token            string

	mu sync.Mutex
	// failures are of setups that could not be released as they should.
	failures []error
}

// opened is a setup, and what to say of it.
type opened struct {
	serving
	token string
}

// run serves until the context ends.
func (f *proxyFlags) run(cmd *cobra.Command, e host.Engine, hangups *hangups) (err error) {
	ctx, end := context.WithCancel(cmd.Context())
	defer end()
	logs, err := f.newLogs(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer func() { err = logs.end(cmd, err) }()
	at, operationsAt, err := f.endpoints(ctx)
	if err != nil {
		return err
	}
	r := &proxyRun{engine: e, logs: logs, end: end, thread: rand.Text(), command: cmd, started: settings.Values(cmd), current: settings.Values(cmd)}
	if f.makesToken() {
		r.made = rand.Text()
	}
	config := proxy.Config{Logger: logs.events, AccessLog: logs.access, Hosts: at.allowsHost, Grace: shutdownTimeout}
	if f.remote || at.isLocal() {
		config.Hosts = proxy.AnyHost
	}
	if operationsAt != nil {
		if r.metrics, err = newMetrics(e); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.metrics.close(context.WithoutCancel(ctx))) }()
		config.Observer = r.metrics.proxy
	}
	first, err := r.open(ctx, f)
	if err != nil {
		return err
	}
	config.Setup, r.token = first.Setup, first.token
	p, err := proxy.New(config)
	if err != nil {
		first.Release()
		return err
	}
	defer func() { err = errors.Join(err, r.finish(p)) }()
	listeners, address, err := at.open(ctx, new(net.ListenConfig).Listen)
	if err != nil {
		return err
	}
	// Nothing can fail after them but they themselves.
	var files runFiles
	defer func() { err = errors.Join(err, files.remove()) }()
	operationsAddress := ""
	if operationsAt != nil {
		var stop func() error
		stop, operationsAddress, err = f.operate(ctx, r, p, *operationsAt, &files)
		if err != nil {
			return errors.Join(err, closeAll(listeners))
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	if err := f.writeFiles(&files, r.token, address); err != nil {
		return errors.Join(err, closeAll(listeners))
	}
	f.announce(logs, first, address)
	if operationsAt != nil {
		logs.own.Info("operations started", "address", operationsAddress)
	}
	return r.serve(ctx, p, hangups, listeners)
}

// serve serves, reloads, and tells systemd so.
func (r *proxyRun) serve(ctx context.Context, p *proxy.Proxy, hangups *hangups, listeners []net.Listener) error {
	tellSystemd(r.logs.own, isReady)
	stopTelling := context.AfterFunc(ctx, func() { tellSystemd(r.logs.own, isStopping) })
	defer stopTelling()
	serving, served := context.WithCancel(ctx)
	var reloading sync.WaitGroup
	reloading.Go(func() { r.reloadWhenTold(serving, p, hangups) })
	err := p.Serve(ctx, listeners...)
	served()
	reloading.Wait()
	return err
}

// endpoints reads where to listen. The second one is nil where nobody is to be told how the
// proxy is.
func (f *proxyFlags) endpoints(ctx context.Context) (at endpoint, operationsAt *endpoint, err error) {
	var passed passedSockets
	if strings.HasPrefix(f.listen, systemdPrefix) || strings.HasPrefix(f.operationsListen, systemdPrefix) {
		passed = takePassed()
		defer passed.closeRest()
	}
	read := func(flag, text, usual string, remote bool) (endpoint, error) {
		if !strings.HasPrefix(text, systemdPrefix) {
			return parseEndpoint(ctx, flag, text, remote, net.DefaultResolver.LookupNetIP)
		}
		listeners, err := passed.take(flag, text, usual)
		if err == nil && !remote {
			err = checkLoopback(flag, listeners)
		}
		return endpoint{passed: listeners}, err
	}
	if f.operationsListen != "" {
		e, err := read("operations-listen", f.operationsListen, operationsSocket, true)
		if err != nil {
			return endpoint{}, nil, err
		}
		operationsAt = &e
	}
	at, err = read("listen", f.listen, proxySocket, f.remote)
	return at, operationsAt, err
}

// operate serves those who operate the proxy until stop is called.
func (f *proxyFlags) operate(ctx context.Context, r *proxyRun, p *proxy.Proxy, at endpoint, files *runFiles) (stop func() error, address string, err error) {
	unwatch, err := r.metrics.proxy.Watch(p)
	if err != nil {
		return nil, "", err
	}
	listeners, address, err := at.open(ctx, new(net.ListenConfig).Listen)
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("--operations-listen: %w", err), unwatch())
	}
	o := serveOperations(listeners, p.Operations(r.metrics.handler()))
	stop = func() error { return errors.Join(o.stop(), unwatch()) }
	if f.operationsAddrFile != "" {
		if err := files.write(f.operationsAddrFile, address, 0o644); err != nil {
			return nil, "", errors.Join(fmt.Errorf("the operations' address cannot be written: %w", err), stop())
		}
	}
	return stop, address, nil
}

// makesToken reports whether the run's token is made for it.
func (f *proxyFlags) makesToken() bool { return f.tokenFrom == "" && !f.accountTokens }

// open opens what the flags say now, with connections of its own to the upstream. Its
// Release closes all of it.
func (r *proxyRun) open(ctx context.Context, f *proxyFlags) (opened, error) {
	token := r.made
	switch {
	case f.accountTokens:
		token = ""
	case f.tokenFrom != "":
		var err error
		if token, err = proxy.ReadToken(f.tokenFrom); err != nil {
			return opened{}, err
		}
	case token == "":
		return opened{}, errors.New("without --token-from and --account-tokens there is a token that is made at the start, and this run has made none; restart it")
	case f.logFormat != "text" && f.tokenFile == "":
		return opened{}, usage(errors.New("with --log-format json standard error is a log, which the token does not belong in; give --token-from or --token-file"))
	}
	transport, err := upstreamTransport()
	if err != nil {
		return opened{}, err
	}
	thread := r.thread
	if f.thread != "" {
		thread = f.thread
	}
	var observer host.Observer = host.NoopObserver{}
	if r.metrics != nil {
		observer = r.metrics.managers
	}
	served, done, err := f.serving(ctx, r.engine, &http.Client{Transport: transport}, token, thread, r.logs.events, observer)
	if err != nil {
		transport.CloseIdleConnections()
		return opened{}, err
	}
	served.Transport = transport
	served.Release = func() {
		var failure error
		done(&failure)
		transport.CloseIdleConnections()
		if failure == nil {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.failures = append(r.failures, failure)
	}
	return opened{served, token}, nil
}

// finish closes the proxy, if that has not ended by itself, and returns what could not be
// closed.
func (r *proxyRun) finish(p *proxy.Proxy) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := p.Close(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(append(r.failures, err)...)
}

// announce says that the proxy serves, to a person.
func (f *proxyFlags) announce(logs *proxyLogs, first opened, address string) {
	if logs.text != nil {
		where := address
		if !strings.HasPrefix(address, socketPrefix) {
			where = "http://" + address
		}
		said := fmt.Sprintf("agentassert: serving %s at %s%s; interrupt to end\n", first.BaseURL, where, first.whom)
		if f.makesToken() && f.tokenFile == "" {
			said += fmt.Sprintf("agentassert: callers send the header %s: %s\n", proxy.TokenHeader, first.token)
		}
		_, _ = io.WriteString(logs.text, said) // where nobody can hear it, it serves all the same
	}
	logs.say(first.said)
}

// writeFiles writes what others wait for; the address comes last.
func (f *proxyFlags) writeFiles(files *runFiles, token, address string) error {
	if f.tokenFile != "" {
		if err := files.write(f.tokenFile, token, 0o600); err != nil {
			return fmt.Errorf("the token cannot be written: %w", err)
		}
	}
	if f.addrFile != "" {
		if err := files.write(f.addrFile, address, 0o644); err != nil {
			return fmt.Errorf("the address cannot be written: %w", err)
		}
	}
	return nil
}

// upstreamTransport is the tool's.
func upstreamTransport() (*http.Transport, error) {
	t := proxy.NewTransport()
	return t, fromEnvironment(t)
}
