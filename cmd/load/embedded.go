package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
	"github.com/agentassert/agentassert/host/proxy"
)

// embedded is agentassert's proxy in this process, so that its heap and its goroutines can
// be looked at.
type embedded struct {
	*proxy.Proxy
	transport *http.Transport
	engine    *host.Sandbox
	manager   *host.Manager
}

// newEmbedded returns a proxy for the sign-in in a file, whose callers send noToken.
func newEmbedded(ctx context.Context, upstream, file string) (*embedded, error) {
	e := &embedded{transport: proxy.NewTransport()}
	var err error
	if e.engine, err = host.NewSandbox(ctx, host.SandboxOptions{}); err != nil {
		return nil, err
	}
	signIn := authfile.New(file)
	quiet := slog.New(slog.DiscardHandler)
	e.manager, err = host.NewManager(host.ManagerConfig{
		Engine: e.engine, Store: signIn, Credentials: signIn, BaseURL: upstream + basePath, AgentIdentity: true,
		TrustedHosts: []string{"127.0.0.1"}, HTTPClient: &http.Client{Transport: e.transport}, Logger: quiet,
		ABOM: host.ABOM{AgentVersion: "0.0.0", AgentHarnessID: "load", RunningLocation: "load"},
	})
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	e.Proxy, err = proxy.New(proxy.Config{
		Setup:  proxy.Setup{BaseURL: upstream + basePath, Tenants: proxy.OneUser(noToken, e.manager), Transport: e.transport},
		Logger: quiet,
	})
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// closeTimeout is how long the manager may take to close.
const closeTimeout = 10 * time.Second

// close closes what the proxy uses, which has ended before.
func (e *embedded) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var err error
	if e.manager != nil {
		err = e.manager.Close(ctx)
	}
	e.transport.CloseIdleConnections()
	return errors.Join(err, e.engine.Close(ctx))
}
