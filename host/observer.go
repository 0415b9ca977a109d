package host

import (
	"context"
	"log/slog"

	"github.com/agentassert/agentassert/core"
)

// Observer is told what a manager does. Its methods are called by several
// goroutines at once, and must not block. What they are given holds no secret
// that shows when it is formatted. [LogObserver] writes a log, package telemetry
// has an observer for OpenTelemetry, and [Observers] is several. Others embed
// [NoopObserver], because there can be new methods.
type Observer interface {
	// Decided is called when a flow has ended with an authorization.
	Decided(a Authorization)
	// Reused is called when a call got the answer of this second.
	Reused(a Authorization)
	// Registering is called when a flow has found that an identity or a task has
	// to be registered, before it waits for the store's lock; done when the flow
	// has ended, with err or with what it came to. That can be what another
	// process has registered meanwhile. The context it returns, made from ctx, is
	// that of what the flow does from there on.
	Registering(ctx context.Context, r Registration) (_ context.Context, done func(a Authorization, err error))
	// Waited is called when a call has got what a registration came to that another call
	// had begun, with the context of the call, and the one that Registering returned. It
	// is not called for the call that came first: its context is what Registering was
	// given.
	Waited(ctx, registration context.Context)
	// Request is called before each request of a registration; done when it has
	// its response, or err. The context it returns, made from ctx, is the
	// request's.
	Request(ctx context.Context, method, url string) (_ context.Context, done func(status int, err error))
}

// NoopObserver does nothing when it is told something. Embed it in an observer that wants
// to know some things only: it is one then, also when there are new things to be told.
type NoopObserver struct{}

// Decided implements [Observer].
func (NoopObserver) Decided(Authorization) {}

// Reused implements [Observer].
func (NoopObserver) Reused(Authorization) {}

// Registering implements [Observer]. The context stays as it is.
func (NoopObserver) Registering(ctx context.Context, _ Registration) (context.Context, func(Authorization, error)) {
	return ctx, func(Authorization, error) {}
}

// Waited implements [Observer].
func (NoopObserver) Waited(_, _ context.Context) {}

// Request implements [Observer]. The context stays as it is.
func (NoopObserver) Request(ctx context.Context, _, _ string) (context.Context, func(int, error)) {
	return ctx, func(int, error) {}
}

// Registration says what a registration is for.
type Registration struct {
	// Surface is that of the call which came first.
	Surface string
	// ThreadID is that of a thread's task, or empty.
	ThreadID string
	// Recovery says that it replaces a task which the backend has rejected.
	Recovery bool
}

// Observers are told all the same things, in their order.
type Observers []Observer

// Decided implements [Observer].
func (os Observers) Decided(a Authorization) {
	for _, o := range os {
		o.Decided(a)
	}
}

// Reused implements [Observer].
func (os Observers) Reused(a Authorization) {
	for _, o := range os {
		o.Reused(a)
	}
}

// Registering implements [Observer]. The contexts are made one from the other.
func (os Observers) Registering(ctx context.Context, r Registration) (context.Context, func(Authorization, error)) {
	dones := make([]func(Authorization, error), len(os))
	for i, o := range os {
		ctx, dones[i] = o.Registering(ctx, r)
	}
	return ctx, func(a Authorization, err error) {
		for _, done := range dones {
			done(a, err)
		}
	}
}

// Waited implements [Observer].
func (os Observers) Waited(ctx, registration context.Context) {
	for _, o := range os {
		o.Waited(ctx, registration)
	}
}

// Request implements [Observer]. The contexts are made one from the other.
func (os Observers) Request(ctx context.Context, method, url string) (context.Context, func(int, error)) {
	dones := make([]func(int, error), len(os))
	for i, o := range os {
		ctx, dones[i] = o.Request(ctx, method, url)
	}
	return ctx, func(status int, err error) {
		for _, done := range dones {
			done(status, err)
		}
	}
}

// LogObserver returns an observer that writes to a logger: registrations with
// level info, with level warn where they failed; decisions, which there are up to
// one a second and scope, and requests with level debug. It is silent about
// answers that are used again, and who else waited.
func LogObserver(l *slog.Logger) Observer { return logObserver{logger: l} }

type logObserver struct {
	NoopObserver
	logger *slog.Logger
}

func (o logObserver) Decided(a Authorization) {
	o.logger.Debug("authorization decided", "authorization", a)
}

func (o logObserver) Registering(ctx context.Context, r Registration) (context.Context, func(Authorization, error)) {
	l := o.logger.With("surface", r.Surface, "recovery", r.Recovery)
	if r.ThreadID != "" {
		l = l.With("thread_id", r.ThreadID)
	}
	return ctx, func(a Authorization, err error) {
		switch {
		case err != nil:
			l.WarnContext(ctx, "registration failed", "error", err, "code", core.Code(err))
		case a.Cause != nil:
			l = l.With("code", core.Code(a.Cause))
			if !a.RetryAt.IsZero() {
				l = l.With("retry_at", a.RetryAt)
			}
			l.WarnContext(ctx, "registration failed", "authorization", a)
		default:
			l.InfoContext(ctx, "registered", "authorization", a)
		}
	}
}

func (o logObserver) Request(ctx context.Context, method, url string) (context.Context, func(int, error)) {
	return ctx, func(status int, err error) {
		l := o.logger.With("method", method, "url", url)
		if err != nil {
			l.DebugContext(ctx, "registration request failed", "error", err)
			return
		}
		l.DebugContext(ctx, "registration request answered", "status", status)
	}
}
