// Package telemetry tells OpenTelemetry what a manager does, and package proxy: traces
// of registrations, and metrics. Programs that do not import it do not contain
// OpenTelemetry.
//
// The spans are
//
//   - agentassert.register, from when a flow waits for the store's lock to its
//     end, with agentassert.surface, agentassert.recovery, for a thread's task
//     agentassert.thread.id, and what it came to. Its parent is the span of the call
//     that came first; the spans of calls that have waited for it are linked to it,
//   - for each request that a flow sends, a client's span inside that one, with the
//     attributes that the semantic conventions have for HTTP.
//
// The metrics of an [Observer] are
//
//   - agentassert.decisions, flows that ended with an authorization, by
//     agentassert.mode, agentassert.reason, and error.type where something failed,
//   - agentassert.header_cache.hits, calls that got the answer of their second,
//   - agentassert.registration.duration, registrations in seconds, by
//     agentassert.recovery, and error.type for those that failed,
//   - agentassert.recoveries, those of them that were to replace a rejected task,
//     likewise,
//   - http.client.request.duration, such requests in seconds, as the semantic
//     conventions have it,
//   - agentassert.sandbox.instances, by agentassert.state, busy or idle, and
//     agentassert.sandbox.instances.max.
//
// Those of a [ProxyObserver] are
//
//   - agentassert.proxy.requests, requests whose response has ended, by
//     http.request.method, agentassert.status_class (2xx and so on, or none where the
//     connection has ended without one), agentassert.mode and agentassert.reason of what
//     they went out with, and error.type,
//   - http.server.request.duration, the same in seconds, to the end of the response, as the
//     semantic conventions have it,
//   - agentassert.proxy.resends, those that were sent once more, with another
//     authorization,
//   - agentassert.proxy.io, bytes of bodies, by network.io.direction,
//   - agentassert.proxy.requests.active, agentassert.proxy.connections by
//     agentassert.state, caller or stranger, and agentassert.proxy.connections.max, of a
//     proxy that is watched.
//
// An error.type is the code of a [core.Error]; of a request, the status of an answer
// that was not what was asked for, or, if there was none, timeout, canceled or connect;
// of a caller's request, why the proxy has refused it or broken it off, or the status of
// an answer that says that a server has failed.
// No attribute holds a secret, and none of the metrics' what a caller has made up.
//
// An HTTP client that is instrumented itself has spans and metrics of its own for the
// same requests.
package telemetry

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
)

const scope = "github.com/agentassert/agentassert/host/telemetry"

// Options are all optional.
type Options struct {
	// TracerProvider and MeterProvider are by default those of the process.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	// Sandbox, if not nil, is the engine whose instances are measured.
	Sandbox *host.Sandbox
}

// Observer is a [host.Observer] for OpenTelemetry.
type Observer struct {
	tracer     trace.Tracer
	decisions  metric.Int64Counter
	hits       metric.Int64Counter
	durations  metric.Float64Histogram
	recoveries metric.Int64Counter
	requests   metric.Float64Histogram
	sandbox    metric.Registration // or nil
}

// New returns an observer for [host.ManagerConfig.Observer].
//
// Its errors are the meter provider's.
func New(o Options) (*Observer, error) {
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	meter := o.MeterProvider.Meter(scope)
	out := &Observer{tracer: o.TracerProvider.Tracer(scope)}
	var errs [5]error
	out.decisions, errs[0] = meter.Int64Counter("agentassert.decisions", metric.WithUnit("{decision}"),
		metric.WithDescription("Flows that ended with an authorization."))
	out.hits, errs[1] = meter.Int64Counter("agentassert.header_cache.hits", metric.WithUnit("{hit}"),
		metric.WithDescription("Calls that got the answer of their second."))
	out.durations, errs[2] = meter.Float64Histogram("agentassert.registration.duration", metric.WithUnit("s"),
		metric.WithDescription("Registrations of an identity, a task or both."),
		metric.WithExplicitBucketBoundaries(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60))
	out.recoveries, errs[3] = meter.Int64Counter("agentassert.recoveries", metric.WithUnit("{recovery}"),
		metric.WithDescription("Registrations that were to replace a rejected task."))
	out.requests, errs[4] = meter.Float64Histogram("http.client.request.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of HTTP client requests."),
		metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	if o.Sandbox != nil {
		var err error
		if out.sandbox, err = watch(meter, o.Sandbox); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// watch measures a sandbox's instances whenever metrics are collected.
func watch(meter metric.Meter, s *host.Sandbox) (metric.Registration, error) {
	instances, err := meter.Int64ObservableUpDownCounter("agentassert.sandbox.instances", metric.WithUnit("{instance}"),
		metric.WithDescription("Instances of the sandboxed core."))
	if err != nil {
		return nil, err
	}
	most, err := meter.Int64ObservableUpDownCounter("agentassert.sandbox.instances.max", metric.WithUnit("{instance}"),
		metric.WithDescription("How many instances can have a call at once."))
	if err != nil {
		return nil, err
	}
	busy := metric.WithAttributes(attribute.String("agentassert.state", "busy"))
	idle := metric.WithAttributes(attribute.String("agentassert.state", "idle"))
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		stats := s.Stats()
		o.ObserveInt64(instances, int64(stats.Busy), busy)
		o.ObserveInt64(instances, int64(stats.Idle), idle)
		o.ObserveInt64(most, int64(stats.Max))
		return nil
	}, instances, most)
}

// Close ends the measuring of a sandbox.
func (o *Observer) Close() error {
	if o.sandbox == nil {
		return nil
	}
	return o.sandbox.Unregister()
}

// Decided implements [host.Observer].
func (o *Observer) Decided(a host.Authorization) {
	o.decisions.Add(context.Background(), 1, metric.WithAttributes(outcome(a, a.Cause)...))
}

// Reused implements [host.Observer].
func (o *Observer) Reused(host.Authorization) { o.hits.Add(context.Background(), 1) }

// outcome says what something came to.
func outcome(a host.Authorization, err error) []attribute.KeyValue {
	var out []attribute.KeyValue
	if a.Mode != "" {
		out = append(out, attribute.String("agentassert.mode", a.Mode), attribute.String("agentassert.reason", a.Reason))
	}
	if err != nil {
		out = append(out, attribute.String("error.type", core.Code(err)))
	}
	return out
}

// Registering implements [host.Observer].
func (o *Observer) Registering(ctx context.Context, r host.Registration) (context.Context, func(host.Authorization, error)) {
	attributes := []attribute.KeyValue{
		attribute.String("agentassert.surface", r.Surface),
		attribute.Bool("agentassert.recovery", r.Recovery),
	}
	if r.ThreadID != "" {
		attributes = append(attributes, attribute.String("agentassert.thread.id", r.ThreadID))
	}
	start := time.Now()
	ctx, span := o.tracer.Start(context.WithValue(ctx, resendsKey{}, &resends{}), "agentassert.register", trace.WithAttributes(attributes...))
	return ctx, func(a host.Authorization, err error) {
		if err == nil {
			err = a.Cause
		}
		measured := []attribute.KeyValue{}
		if err != nil {
			measured = append(measured, attribute.String("error.type", core.Code(err)))
			span.SetStatus(codes.Error, err.Error())
		}
		span.SetAttributes(outcome(a, err)...)
		// Before the span ends, for exemplars.
		if r.Recovery {
			o.recoveries.Add(ctx, 1, metric.WithAttributes(measured...))
		}
		measured = append(measured, attribute.Bool("agentassert.recovery", r.Recovery))
		o.durations.Record(ctx, time.Since(start).Seconds(), metric.WithAttributes(measured...))
		span.End()
	}
}

// Waited implements [host.Observer]. It links the call's span to the registration's.
func (o *Observer) Waited(ctx, registration context.Context) {
	if link := trace.LinkFromContext(registration); link.SpanContext.IsValid() {
		trace.SpanFromContext(ctx).AddLink(link)
	}
}
