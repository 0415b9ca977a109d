package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.26.0"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const baseURL = "https://chatgpt.com/backend-api"

// setup is a manager that is observed, and what it says.
type setup struct {
	manager   *host.Manager
	observer  *telemetry.Observer
	authority *authority.Authority
	session   authority.Session
	store     *host.MemoryStore
	spans     *tracetest.InMemoryExporter
	reader    *sdkmetric.ManualReader
	// failure, if not nil, takes the place of every response.
	failure error
	// before, if not nil, is called before each request.
	before  func()
	tracers *sdktrace.TracerProvider
	unix    int64
}

func (s *setup) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.before != nil {
		s.before()
	}
	if s.failure != nil {
		return nil, s.failure
	}
	recorder := httptest.NewRecorder()
	s.authority.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

func (s *setup) now() time.Time { return time.Unix(s.unix, 0) }

func newSetup(t *testing.T, sandbox *host.Sandbox) *setup {
	t.Helper()
	s := &setup{
		store:  &host.MemoryStore{},
		spans:  tracetest.NewInMemoryExporter(),
		reader: sdkmetric.NewManualReader(),
		unix:   1795533368,
	}
	var err error
	if s.authority, err = authority.New(authority.Options{Now: s.now}); err != nil {
		t.Fatal(err)
	}
	s.session = s.authority.SignIn("acct-1", "user-1")
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(s.spans))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader))
	s.tracers = tracers
	s.observer, err = telemetry.New(telemetry.Options{TracerProvider: tracers, MeterProvider: meters, Sandbox: sandbox})
	if err != nil {
		t.Fatal(err)
	}
	s.manager, err = host.NewManager(host.ManagerConfig{
		Engine: host.NewNative(),
		Store:  s.store,
		Credentials: host.CredentialFunc(func(context.Context) (host.Credentials, error) {
			return host.Credentials{
				Kind: wire.CredentialsChatGPT, AccessToken: s.session.AccessToken, AccountID: "acct-1", UserID: "user-1",
			}, nil
		}),
		BaseURL:       baseURL,
		AgentIdentity: true,
		Observer:      s.observer,
		HTTPClient:    &http.Client{Transport: s},
		Now:           s.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.manager.Close(context.Background()), s.observer.Close(), tracers.Shutdown(context.Background()), meters.Shutdown(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *setup) ask(t *testing.T) host.Authorization {
	t.Helper()
	a, err := s.manager.Authorization(context.Background(), core.SurfaceModels)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// render writes attributes as "key=value key=value", sorted by key.
func render(set attribute.Set) string {
	var out []string
	for _, kv := range set.ToSlice() {
		out = append(out, string(kv.Key)+"="+fmt.Sprint(kv.Value.AsInterface()))
	}
	return strings.Join(out, " ")
}

// points are the metrics' values, by name and attributes; of a histogram, its
// count.
func points(t *testing.T, reader *sdkmetric.ManualReader) map[string]int64 {
	t.Helper()
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &collected); err != nil {
		t.Fatal(err)
	}
	out := map[string]int64{}
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					out[strings.TrimSpace(m.Name+" "+render(p.Attributes))] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					out[strings.TrimSpace(m.Name+" "+render(p.Attributes))] = int64(p.Count)
				}
			default:
				t.Errorf("%s is a %T", m.Name, data)
			}
		}
	}
	return out
}

func checkPoints(t *testing.T, reader *sdkmetric.ManualReader, want map[string]int64) {
	t.Helper()
	got := points(t, reader)
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s: got %d, want %d", name, got[name], value)
		}
		delete(got, name)
	}
	for name, value := range got {
		t.Errorf("%s: got %d, want none", name, value)
	}
}

func TestMetrics(t *testing.T) {
	s := newSetup(t, nil)
	first := s.ask(t)
	s.ask(t)
	s.ask(t)
	if _, err := s.manager.Bearer(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{
		"agentassert.decisions agentassert.mode=agent-assertion agentassert.reason=background-task": 1,
		"agentassert.decisions agentassert.mode=bearer agentassert.reason=bearer-only-surface":      1,
		"agentassert.header_cache.hits":                                2,
		"agentassert.registration.duration agentassert.recovery=false": 1,
	}
	const server, request = " server.address=chatgpt.com server.port=443 url.template=", "http.client.request.duration "
	const biscuit, identity, task = server + "/authenticate_app_v2", server + "/v1/agent/register", server + "/v1/agent/{agent_runtime_id}/task/register"
	const get, post = request + "http.request.method=GET http.response.status_code=200", request + "http.request.method=POST http.response.status_code=200"
	want[get+biscuit] = 2
	want[post+identity] = 1
	want[post+task] = 1
	checkPoints(t, s.reader, want)

	s.authority.ExpireTask(first.TaskID)
	second, err := s.manager.Recover(context.Background(), first, nil)
	if err != nil {
		t.Fatal(err)
	}
	// What has been replaced already is no recovery more.
	if _, err := s.manager.Recover(context.Background(), first, nil); err != nil {
		t.Fatal(err)
	}
	want["agentassert.decisions agentassert.mode=agent-assertion agentassert.reason=background-task"] += 2
	want["agentassert.recoveries"] = 1
	want[get+biscuit]++
	want[post+task]++
	want["agentassert.registration.duration agentassert.recovery=true"] = 1
	checkPoints(t, s.reader, want)

	s.authority.RefuseRegistration(http.StatusForbidden)
	s.unix += 60 // a task that has replaced another is not replaced at once
	if _, err := s.manager.Recover(context.Background(), second, nil); err != nil {
		t.Fatal(err)
	}
	s.unix++
	s.ask(t)
	_, err = s.manager.Thread("thread-1").Authorization(context.Background(), core.SurfaceResponses)
	if core.Code(err) != host.CodeThreadFailed {
		t.Fatalf("got %v, want %s", err, host.CodeThreadFailed)
	}
	want["agentassert.recoveries error.type=http_status"] = 1
	want[request+"error.type=403 http.request.method=GET http.response.status_code=403"+biscuit] = 2
	want["agentassert.registration.duration agentassert.recovery=true error.type=http_status"] = 1
	want["agentassert.registration.duration agentassert.recovery=false error.type=http_status"] = 1
	want["agentassert.decisions agentassert.mode=bearer agentassert.reason=registration-failed error.type=http_status"] = 1
	want["agentassert.decisions agentassert.mode=bearer agentassert.reason=registration-failed error.type=backing_off"] = 1
	want["agentassert.decisions agentassert.mode=none agentassert.reason=registration-failed error.type=http_status"] = 1
	checkPoints(t, s.reader, want)
}

// span is what matters of one.
type span struct{ name, attributes, status string }

func spansOf(spans tracetest.SpanStubs) []span {
	var out []span
	for _, s := range spans {
		status := ""
		if s.Status.Code != codes.Unset {
			status = s.Status.Code.String() + " " + s.Status.Description
		}
		out = append(out, span{s.Name, render(attribute.NewSet(s.Attributes...)), strings.TrimSpace(status)})
	}
	return out
}

func checkSpans(t *testing.T, got tracetest.SpanStubs, want ...span) {
	t.Helper()
	if g := spansOf(got); !slices.Equal(g, want) {
		t.Errorf("got spans\n%s\nwant\n%s", lines(g), lines(want))
	}
}

func lines(spans []span) string {
	var b strings.Builder
	for _, s := range spans {
		fmt.Fprintf(&b, "%+v\n", s)
	}
	return b.String()
}

func TestTraces(t *testing.T) {
	s := newSetup(t, nil)
	a := s.ask(t)
	s.unix++
	s.ask(t) // a flow that registers nothing has no span
	request := func(method, template, path string) span {
		return span{method + " " + template, "http.request.method=" + method + " http.response.status_code=200 " +
			"server.address=chatgpt.com server.port=443 url.full=" + baseURL + path + " url.template=" + template, ""}
	}
	const biscuit, identity, task = "/authenticate_app_v2", "/v1/agent/register", "/v1/agent/{agent_runtime_id}/task/register"
	spans := s.spans.GetSpans()
	checkSpans(t, spans,
		request("GET", biscuit, biscuit),
		request("POST", identity, identity),
		request("GET", biscuit, biscuit),
		request("POST", task, strings.Replace(task, "{agent_runtime_id}", a.AgentRuntimeID, 1)),
		span{"agentassert.register", "agentassert.mode=agent-assertion agentassert.reason=background-task " +
			"agentassert.recovery=false agentassert.surface=models", ""})
	root := spans[len(spans)-1]
	for _, child := range spans[:len(spans)-1] {
		if child.Parent.SpanID() != root.SpanContext.SpanID() || child.SpanKind != trace.SpanKindClient {
			t.Errorf("%s is a %s below %s, want a client's below %s", child.Name, child.SpanKind, child.Parent.SpanID(), root.SpanContext.SpanID())
		}
	}
	checkNoSecrets(t, s, spans)
}

func TestTracesOfFailures(t *testing.T) {
	const biscuit = "GET /authenticate_app_v2"
	const url = "server.address=chatgpt.com server.port=443 url.full=" + baseURL + "/authenticate_app_v2 url.template=/authenticate_app_v2"
	for _, tt := range []struct {
		name    string
		change  func(s *setup)
		request span
		code    string
		status  string
	}{
		{"refused", func(s *setup) { s.authority.RefuseRegistration(http.StatusForbidden) },
			span{biscuit, "error.type=403 http.request.method=GET http.response.status_code=403 " + url, "Error"},
			core.CodeHTTPStatus, "minting a biscuit for the identity registration: the backend answered 403 (registration_refused)"},
		{"redirected", func(s *setup) { s.authority.RefuseRegistration(http.StatusFound) },
			span{biscuit, "error.type=302 http.request.method=GET http.response.status_code=302 " + url, "Error"},
			core.CodeHTTPStatus, "minting a biscuit for the identity registration: the backend answered 302 (registration_refused)"},
		{"no connection", func(s *setup) { s.failure = io.ErrUnexpectedEOF },
			span{biscuit, "error.type=connect http.request.method=GET " + url, "Error unexpected EOF"},
			core.CodeRequestFailed, "minting a biscuit for the identity registration: no response (connect): unexpected EOF"},
		{"time-out", func(s *setup) { s.failure = context.DeadlineExceeded },
			span{biscuit, "error.type=timeout http.request.method=GET " + url, "Error context deadline exceeded"},
			core.CodeRequestFailed, "minting a biscuit for the identity registration: no response (timeout): context deadline exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSetup(t, nil)
			tt.change(s)
			_, err := s.manager.Thread("thread-1").Authorization(context.Background(), core.SurfaceResponses)
			if core.Code(err) != host.CodeThreadFailed {
				t.Fatalf("got %v, want %s", err, host.CodeThreadFailed)
			}
			spans := s.spans.GetSpans()
			checkSpans(t, spans, tt.request, span{"agentassert.register",
				"agentassert.mode=none agentassert.reason=registration-failed agentassert.recovery=false " +
					"agentassert.surface=responses agentassert.thread.id=thread-1 error.type=" + tt.code,
				"Error " + tt.status})
			checkNoSecrets(t, s, spans)
		})
	}
}

// checkNoSecrets looks for them in all that is exported.
func checkNoSecrets(t *testing.T, s *setup, spans tracetest.SpanStubs) {
	t.Helper()
	record, err := s.store.Load(context.Background(), wire.SlotIdentity)
	if err != nil {
		t.Fatal(err)
	}
	exported := fmt.Sprintf("%+v %v", spansOf(spans), points(t, s.reader))
	for _, secret := range []string{s.session.AccessToken, "agent_private_key", "Bearer ", "AgentAssertion "} {
		if strings.Contains(exported, secret) {
			t.Errorf("a secret is exported: %s", exported)
		}
	}
	for _, field := range strings.Split(string(record), `"`) {
		if len(field) > 60 && strings.Contains(exported, field) { // the key
			t.Errorf("a secret is exported: %s", exported)
		}
	}
}

// A URL is recorded without what might be secret in it.
func TestURLs(t *testing.T) {
	s := newSetup(t, nil)
	for _, url := range []string{"https://user:secret@chatgpt.com/other?token=secret#secret", "https://chatgpt.com/other?", "%zz"} {
		_, done := s.observer.Request(context.Background(), "GET", url)
		done(200, nil)
	}
	checkSpans(t, s.spans.GetSpans(),
		span{"GET", "http.request.method=GET http.response.status_code=200 server.address=chatgpt.com server.port=443 url.full=https://chatgpt.com/other", ""},
		span{"GET", "http.request.method=GET http.response.status_code=200 server.address=chatgpt.com server.port=443 url.full=https://chatgpt.com/other", ""},
		span{"GET", "http.request.method=GET http.response.status_code=200", ""})
}

// TestServer: the port is there, also where the URL leaves it out.
func TestServer(t *testing.T) {
	for url, want := range map[string]string{
		"https://chatgpt.com/x":        "server.address=chatgpt.com server.port=443",
		"http://127.0.0.1/x":           "server.address=127.0.0.1 server.port=80",
		"http://127.0.0.1:8080/x":      "server.address=127.0.0.1 server.port=8080",
		"https://[::1]:8443/x":         "server.address=::1 server.port=8443",
		"https://chatgpt.com:/x":       "server.address=chatgpt.com server.port=443",
		"ftp://chatgpt.com/x":          "",
		"https:///x":                   "",
		"https://chatgpt.com:999999/x": "server.address=chatgpt.com server.port=999999",
	} {
		s := newSetup(t, nil)
		_, done := s.observer.Request(context.Background(), "GET", url)
		done(200, nil)
		got := spansOf(s.spans.GetSpans())[0].attributes
		got, _, _ = strings.Cut(strings.TrimPrefix(got, "http.request.method=GET http.response.status_code=200 "), "url.full=")
		if strings.TrimSpace(got) != want {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
}

// TestRequired: each request has what the semantic conventions require of an HTTP
// client's span and metric, by the names that OpenTelemetry's own package has for it.
func TestRequired(t *testing.T) {
	s := newSetup(t, nil)
	_, done := s.observer.Request(context.Background(), "POST", baseURL+"/v1/agent/register")
	done(503, nil)
	want := []attribute.KeyValue{
		semconv.HTTPRequestMethodPost,
		semconv.ServerAddress("chatgpt.com"),
		semconv.ServerPort(443),
		semconv.HTTPResponseStatusCode(503),
		semconv.ErrorTypeKey.String("503"),
		semconv.URLTemplate("/v1/agent/register"),
	}
	metric := render(attribute.NewSet(want...))
	if got := spansOf(s.spans.GetSpans())[0].attributes; got != render(attribute.NewSet(append(want, semconv.URLFull(baseURL+"/v1/agent/register"))...)) {
		t.Errorf("the span has %s", got)
	}
	checkPoints(t, s.reader, map[string]int64{semconv.HTTPClientRequestDurationName + " " + metric: 1})
}

// TestStatuses: an answer is a failure from 300 on, for a registration follows no
// redirect, and what has failed is sent again.
func TestStatuses(t *testing.T) {
	for status, failed := range map[int]bool{200: false, 299: false, 300: true, 404: true, 500: true} {
		s := newSetup(t, nil)
		ctx, registered := s.observer.Registering(context.Background(), host.Registration{})
		for range 2 {
			_, done := s.observer.Request(ctx, "GET", baseURL)
			done(status, nil)
		}
		registered(host.Authorization{}, nil)
		for n, span := range s.spans.GetSpans()[:2] {
			attributes := attribute.NewSet(span.Attributes...)
			kind, _ := attributes.Value(semconv.ErrorTypeKey)
			resent, _ := attributes.Value(semconv.HTTPRequestResendCountKey)
			if (kind.AsString() == fmt.Sprint(status)) != failed || (span.Status.Code == codes.Error) != failed || (resent.AsInt64() == 1) != (failed && n == 1) {
				t.Errorf("%d, request %d: error.type %q, status %v, resent %v", status, n, kind.AsString(), span.Status.Code, resent.AsInt64())
			}
		}
	}
}

// TestResends: what is sent again after it has failed says how often, in one
// registration.
func TestResends(t *testing.T) {
	s := newSetup(t, nil)
	send := func(ctx context.Context, method, path string, status int, err error) {
		_, done := s.observer.Request(ctx, method, baseURL+path)
		done(status, err)
	}
	for range 2 {
		ctx, registered := s.observer.Registering(context.Background(), host.Registration{})
		send(ctx, "POST", "/a", 503, nil)
		send(ctx, "POST", "/b", 200, nil)
		send(ctx, "POST", "/a", 0, io.ErrUnexpectedEOF)
		send(ctx, "POST", "/a", 200, nil)
		send(ctx, "POST", "/a", 200, nil)
		send(ctx, "GET", "/a", 200, nil)
		registered(host.Authorization{}, nil)
	}
	send(context.Background(), "POST", "/a", 503, nil)
	send(context.Background(), "POST", "/a", 503, nil)
	var got []string
	for _, span := range s.spans.GetSpans() {
		if span.SpanKind == trace.SpanKindClient {
			attributes := attribute.NewSet(span.Attributes...)
			n := ""
			if v, ok := attributes.Value(semconv.HTTPRequestResendCountKey); ok {
				n = fmt.Sprint(v.AsInterface())
			}
			got = append(got, n)
		}
	}
	one := []string{"", "", "1", "2", "", ""}
	if want := slices.Concat(one, one, []string{"", ""}); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// awaited is a context that says when somebody waits for its end.
type awaited struct {
	context.Context
	waiting func()
}

func (a awaited) Done() <-chan struct{} {
	a.waiting()
	return a.Context.Done()
}

// TestSpansAreTheCallers: a registration is below the span of the call that came first,
// and the spans of all others that wait for it are linked to it.
func TestSpansAreTheCallers(t *testing.T) {
	s := newSetup(t, nil)
	entered, release := make(chan struct{}, 10), make(chan struct{})
	s.before = func() {
		entered <- struct{}{}
		<-release
	}
	tracer := s.tracers.Tracer("caller")
	var all sync.WaitGroup
	call := func(name string) {
		ctx, span := tracer.Start(context.Background(), name)
		waits := make(chan struct{})
		all.Go(func() {
			defer span.End()
			if _, err := s.manager.Authorization(awaited{ctx, sync.OnceFunc(func() { close(waits) })}, core.SurfaceModels); err != nil {
				t.Error(err)
			}
		})
		<-waits
	}
	call("first")
	<-entered
	call("second")
	call("third")
	close(release)
	all.Wait()
	ctx, later := tracer.Start(context.Background(), "later")
	if _, err := s.manager.Authorization(ctx, core.SurfaceModels); err != nil {
		t.Fatal(err)
	}
	later.End()

	spans := map[string]tracetest.SpanStub{}
	for _, span := range s.spans.GetSpans() {
		spans[span.Name] = span
	}
	registration := spans["agentassert.register"]
	if parent := spans["first"].SpanContext; registration.Parent.SpanID() != parent.SpanID() || registration.SpanContext.TraceID() != parent.TraceID() {
		t.Errorf("the registration's parent is %v, want %v", registration.Parent, parent)
	}
	for name, want := range map[string]int{"first": 0, "second": 1, "third": 1, "later": 0} {
		links := spans[name].Links
		if len(links) != want || want == 1 && !links[0].SpanContext.Equal(registration.SpanContext) {
			t.Errorf("the span %s has the links %+v", name, links)
		}
	}
}

func TestSandboxInstances(t *testing.T) {
	ctx := context.Background()
	sandbox, err := host.NewSandbox(ctx, host.SandboxOptions{NoCache: true, MaxInstances: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer sandbox.Close(ctx)
	s := newSetup(t, sandbox)
	want := map[string]int64{
		"agentassert.sandbox.instances agentassert.state=busy": 0,
		"agentassert.sandbox.instances agentassert.state=idle": 1,
		"agentassert.sandbox.instances.max":                    3,
	}
	checkPoints(t, s.reader, want)
	if err := s.observer.Close(); err != nil {
		t.Fatal(err)
	}
	checkPoints(t, s.reader, map[string]int64{})
}

// Without providers those of the process are used, which do nothing at first.
func TestDefaults(t *testing.T) {
	o, err := telemetry.New(telemetry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o.Decided(host.Authorization{})
	o.Reused(host.Authorization{})
	ctx, registered := o.Registering(context.Background(), host.Registration{})
	_, done := o.Request(ctx, "GET", baseURL)
	done(200, nil)
	o.Waited(context.Background(), ctx)
	registered(host.Authorization{}, nil)
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}
