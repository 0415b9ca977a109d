package telemetry_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/proxy"
	"github.com/agentassert/agentassert/host/telemetry"
)

// newProxyObserver returns an observer, and what has its metrics.
func newProxyObserver(t *testing.T) (*telemetry.ProxyObserver, *sdkmetric.ManualReader) {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	t.Cleanup(func() {
		if err := meters.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	o, err := telemetry.NewProxyObserver(telemetry.ProxyOptions{MeterProvider: meters})
	if err != nil {
		t.Fatal(err)
	}
	return o, reader
}

func TestProxyRequests(t *testing.T) {
	o, reader := newProxyObserver(t)
	for _, r := range []proxy.RequestInfo{
		{Method: "GET", Status: 200, Mode: core.ModeAgentAssertion, Reason: core.ReasonThreadTask, Duration: time.Second, Received: 10, Sent: 1000},
		{Method: "GET", Status: 206, Mode: core.ModeAgentAssertion, Reason: core.ReasonThreadTask, Duration: time.Second, Recovered: true},
		{Method: "POST", Status: 503, Mode: core.ModeBearer, Reason: core.ReasonUnsupportedHost, Sent: 1},
		{Method: "POST", Status: 404, Mode: core.ModeBearer, Reason: core.ReasonUnsupportedHost},
		{Method: "BREW", Status: 401, Code: proxy.CodeInvalidToken, Sent: 24},
		{Method: "brew coffee", Status: 401, Code: proxy.CodeInvalidToken},
		{Method: "GET", Code: proxy.CodeUpstreamFailed, Mode: core.ModeBearer, Reason: core.ReasonNoAccessToken}, // broken off before a status
	} {
		o.Request(r)
	}
	const (
		requests, duration = "agentassert.proxy.requests ", "http.server.request.duration "
		thread             = "agentassert.mode=agent-assertion agentassert.reason=thread-task "
		host               = "agentassert.mode=bearer agentassert.reason=unsupported-host "
	)
	checkPoints(t, reader, map[string]int64{
		requests + thread + "agentassert.status_class=2xx http.request.method=GET":                                                                               2,
		requests + host + "agentassert.status_class=5xx error.type=503 http.request.method=POST":                                                                 1,
		requests + host + "agentassert.status_class=4xx http.request.method=POST":                                                                                1,
		requests + "agentassert.status_class=4xx error.type=invalid_token http.request.method=_OTHER":                                                            2,
		requests + "agentassert.mode=bearer agentassert.reason=no-access-token agentassert.status_class=none error.type=upstream_failed http.request.method=GET": 1,

		duration + "http.request.method=GET http.response.status_code=200 url.scheme=http":                             1,
		duration + "http.request.method=GET http.response.status_code=206 url.scheme=http":                             1,
		duration + "error.type=503 http.request.method=POST http.response.status_code=503 url.scheme=http":             1,
		duration + "http.request.method=POST http.response.status_code=404 url.scheme=http":                            1,
		duration + "error.type=invalid_token http.request.method=_OTHER http.response.status_code=401 url.scheme=http": 2,
		duration + "error.type=upstream_failed http.request.method=GET url.scheme=http":                                1,
		"agentassert.proxy.resends":                          1,
		"agentassert.proxy.io network.io.direction=receive":  10,
		"agentassert.proxy.io network.io.direction=transmit": 1025,
	})
}

// TestProxyManyKinds: an upstream that answers with whatever it likes makes nothing grow
// without a bound, and all is counted.
func TestProxyManyKinds(t *testing.T) {
	o, reader := newProxyObserver(t)
	const reasons = 4
	for status := 100; status < 1000; status++ {
		for reason := range reasons {
			for range 2 { // one that is remembered, and one that is not any more
				o.Request(proxy.RequestInfo{Method: "GET", Status: status, Mode: core.ModeBearer, Reason: strconv.Itoa(reason)})
			}
		}
	}
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &collected); err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			if data, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "agentassert.proxy.requests" {
				for _, p := range data.DataPoints {
					total += p.Value
				}
			}
		}
	}
	if want := int64(900 * reasons * 2); total != want {
		t.Errorf("%d requests were counted, not %d", total, want)
	}
}

// TestProxyWatch: what is under way is measured as long as it is, and as long as somebody wants to know.
func TestProxyWatch(t *testing.T) {
	came, go_ := make(chan struct{}), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(came)
		<-go_
	}))
	defer upstream.Close()
	m, err := host.NewManager(host.ManagerConfig{
		Engine: host.NewNative(), Store: &host.MemoryStore{}, BaseURL: upstream.URL,
		Credentials: host.CredentialFunc(func(context.Context) (host.Credentials, error) {
			return host.Credentials{Kind: "none"}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	o, reader := newProxyObserver(t)
	const token = "a-token-of-at-least-32-characters-for-this-test"
	p, err := proxy.New(proxy.Config{Setup: proxy.Setup{BaseURL: upstream.URL, Tenants: proxy.OneUser(token, m)}, Observer: o})
	if err != nil {
		t.Fatal(err)
	}
	unwatch, err := o.Watch(p)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx, listener) }()
	states := func(requests, callers, strangers int64) map[string]int64 {
		return map[string]int64{
			"agentassert.proxy.requests.active":                        requests,
			"agentassert.proxy.connections agentassert.state=caller":   callers,
			"agentassert.proxy.connections agentassert.state=stranger": strangers,
			"agentassert.proxy.connections.max":                        proxy.MaxConnections,
		}
	}
	checkPoints(t, reader, states(0, 0, 0))

	request, err := http.NewRequest("GET", "http://"+listener.Addr().String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set(proxy.TokenHeader, token)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	answered := make(chan error, 1)
	go func() {
		response, err := client.Do(request)
		if err == nil {
			err = response.Body.Close()
		}
		answered <- err
	}()
	<-came
	checkPoints(t, reader, states(1, 1, 0))
	close(go_)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	cancel()
	if err := errors.Join(<-served, unwatch()); err != nil {
		t.Error(err)
	}
	for name := range points(t, reader) {
		if name == "agentassert.proxy.requests.active" {
			t.Error("what nobody watches is measured")
		}
	}
}
