package main

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/telemetry"
)

// metrics are what a run of the proxy counts, for Prometheus.
type metrics struct {
	registry *prometheus.Registry
	provider *sdkmetric.MeterProvider
	// managers and proxy are told what there is to count.
	managers *telemetry.Observer
	proxy    *telemetry.ProxyObserver

	reloaded   prometheus.Gauge
	reloadedAt prometheus.Gauge
}

// newMetrics starts counting. The caller closes it.
func newMetrics(e host.Engine) (*metrics, error) {
	m := &metrics{registry: prometheus.NewRegistry()}
	// Names are as Prometheus has had them from the start, with units and _total, whatever the
	// libraries make their default.
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(m.registry), otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo(),
		otelprometheus.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes))
	if err != nil {
		return nil, err
	}
	m.provider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	sandbox, _ := e.(*host.Sandbox) // nil where the engine is native
	m.managers, err = telemetry.New(telemetry.Options{TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: m.provider, Sandbox: sandbox})
	if err != nil {
		return nil, err
	}
	if m.proxy, err = telemetry.NewProxyObserver(telemetry.ProxyOptions{MeterProvider: m.provider}); err != nil {
		return nil, err
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "agentassert_build_info", Help: "What this is: 1, with the versions as labels.",
		ConstLabels: prometheus.Labels{"version": toolVersion(), "module_sha256": moduleHash(), "goversion": runtime.Version()},
	})
	build.Set(1)
	m.reloaded = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "agentassert_config_last_reload_successful", Help: "Whether the configuration in use is the one that was last to be read: 1, or 0.",
	})
	m.reloadedAt = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "agentassert_config_last_reload_success_timestamp_seconds", Help: "When the configuration in use was read, in seconds since 1970.",
	})
	m.read(nil)
	for _, c := range []prometheus.Collector{build, m.reloaded, m.reloadedAt, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := m.registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// read counts that the configuration was read, or could not be.
func (m *metrics) read(err error) {
	if err != nil {
		m.reloaded.Set(0)
		return
	}
	m.reloaded.Set(1)
	m.reloadedAt.SetToCurrentTime()
}

// maxScrapes bounds how many scrapes there can be at once.
const maxScrapes = 4

// handler answers scrapes.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, Timeout: 10 * time.Second})
}

// close ends the counting.
func (m *metrics) close(ctx context.Context) error {
	return errors.Join(m.managers.Close(), m.provider.Shutdown(ctx))
}
