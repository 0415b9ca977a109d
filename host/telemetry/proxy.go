package telemetry

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/agentassert/agentassert/host/proxy"
)

// ProxyOptions are all optional.
type ProxyOptions struct {
	// MeterProvider is by default that of the process.
	MeterProvider metric.MeterProvider
}

// ProxyObserver is a [proxy.Observer] for OpenTelemetry.
type ProxyObserver struct {
	proxy.NoopObserver
	meter     metric.Meter
	requests  metric.Int64Counter
	durations metric.Float64Histogram
	resends   metric.Int64Counter
	bodies    metric.Int64Counter

	// kinds has the attributes of requests that there have been, by their kind: making
	// them takes longer than counting.
	kinds sync.Map
	known atomic.Int64
}

// maxKinds bounds how many kinds of requests are remembered. There are some dozens,
// unless an upstream thinks up statuses.
const maxKinds = 2000

// NewProxyObserver returns an observer for [proxy.Config.Observer].
//
// Its errors are the meter provider's.
func NewProxyObserver(o ProxyOptions) (*ProxyObserver, error) {
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	out := &ProxyObserver{meter: o.MeterProvider.Meter(scope)}
	var errs [4]error
	out.requests, errs[0] = out.meter.Int64Counter("agentassert.proxy.requests", metric.WithUnit("{request}"),
		metric.WithDescription("Requests of callers whose response has ended."))
	out.durations, errs[1] = out.meter.Float64Histogram("http.server.request.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of HTTP server requests."),
		metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	out.resends, errs[2] = out.meter.Int64Counter("agentassert.proxy.resends", metric.WithUnit("{request}"),
		metric.WithDescription("Requests that were sent once more, because the upstream has rejected an assertion."))
	out.bodies, errs[3] = out.meter.Int64Counter("agentassert.proxy.io", metric.WithUnit("By"),
		metric.WithDescription("Bytes of the bodies of requests and responses."))
	return out, errors.Join(errs[:]...)
}

// Watch measures a proxy whenever metrics are collected, until unwatch is called.
//
// Its errors are the meter provider's.
func (o *ProxyObserver) Watch(p *proxy.Proxy) (unwatch func() error, err error) {
	var errs [3]error
	active, err := o.meter.Int64ObservableUpDownCounter("agentassert.proxy.requests.active", metric.WithUnit("{request}"),
		metric.WithDescription("Requests of callers that have begun and not ended, WebSockets among them."))
	errs[0] = err
	connections, err := o.meter.Int64ObservableUpDownCounter("agentassert.proxy.connections", metric.WithUnit("{connection}"),
		metric.WithDescription("Open connections to the proxy's listeners."))
	errs[1] = err
	most, err := o.meter.Int64ObservableUpDownCounter("agentassert.proxy.connections.max", metric.WithUnit("{connection}"),
		metric.WithDescription("How many connections there can be, of callers, and of strangers."))
	errs[2] = err
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	caller := metric.WithAttributes(attribute.String("agentassert.state", "caller"))
	stranger := metric.WithAttributes(attribute.String("agentassert.state", "stranger"))
	registration, err := o.meter.RegisterCallback(func(_ context.Context, m metric.Observer) error {
		stats := p.Stats()
		m.ObserveInt64(active, int64(stats.Requests))
		m.ObserveInt64(connections, int64(stats.Callers), caller)
		m.ObserveInt64(connections, int64(stats.Strangers), stranger)
		m.ObserveInt64(most, proxy.MaxConnections)
		return nil
	}, active, connections, most)
	if err != nil {
		return nil, err
	}
	return registration.Unregister, nil
}

var (
	received = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("network.io.direction", "receive")))}
	sent     = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("network.io.direction", "transmit")))}
)

// Request implements [proxy.Observer].
func (o *ProxyObserver) Request(r proxy.RequestInfo) {
	ctx := context.Background()
	k := o.measured(r)
	o.requests.Add(ctx, 1, k.counted...)
	o.durations.Record(ctx, r.Duration.Seconds(), k.timed...)
	if r.Recovered {
		o.resends.Add(ctx, 1)
	}
	if r.Received > 0 {
		o.bodies.Add(ctx, r.Received, received...)
	}
	if r.Sent > 0 {
		o.bodies.Add(ctx, r.Sent, sent...)
	}
}

// kind is what attributes are made of.
type kind struct {
	method, code, mode, reason string
	status                     int
}

// measured are a kind's attributes, in the form that instruments take.
type measured struct {
	counted []metric.AddOption
	timed   []metric.RecordOption
}

func (o *ProxyObserver) measured(r proxy.RequestInfo) *measured {
	k := kind{methodName(r.Method), r.Code, r.Mode, r.Reason, r.Status}
	if known, ok := o.kinds.Load(k); ok {
		return known.(*measured)
	}
	m := k.attributes()
	if o.known.Load() < maxKinds {
		o.known.Add(1)
		o.kinds.Store(k, m)
	}
	return m
}

func (k kind) attributes() *measured {
	both := []attribute.KeyValue{attribute.String("http.request.method", k.method)}
	switch {
	case k.code != "":
		both = append(both, attribute.String("error.type", k.code))
	case k.status >= 500: // what a caller did wrong is no error of a server's
		both = append(both, attribute.String("error.type", strconv.Itoa(k.status)))
	}
	timed := append(both[:len(both):len(both)], attribute.String("url.scheme", "http"))
	class := "none"
	if k.status != 0 {
		timed = append(timed, attribute.Int("http.response.status_code", k.status))
		class = strconv.Itoa(k.status/100) + "xx"
	}
	counted := append(both, attribute.String("agentassert.status_class", class))
	if k.mode != "" {
		counted = append(counted, attribute.String("agentassert.mode", k.mode), attribute.String("agentassert.reason", k.reason))
	}
	return &measured{
		counted: []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(counted...))},
		timed:   []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(timed...))},
	}
}

// methodName is what the semantic conventions have for a method: callers can make up others.
func methodName(method string) string {
	switch method {
	case "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE":
		return method
	}
	return "_OTHER"
}
