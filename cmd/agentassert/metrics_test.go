package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/proxy"
)

// metricFamily is a metric's kind, and the names of its labels.
type metricFamily struct {
	kind   string
	labels []string
}

// documentedMetrics are those that docs/operating.md lists.
func documentedMetrics(t *testing.T) map[string]metricFamily {
	t.Helper()
	document, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]metricFamily{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| (counter|gauge|histogram) \\| ([^|]*)\\|").FindAllStringSubmatch(string(document), -1) {
		var labels []string
		for _, m := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(row[3], -1) {
			labels = append(labels, m[1])
		}
		found[row[1]] = metricFamily{row[2], labels}
	}
	return found
}

// scrapedMetrics are those of a scrape, without the libraries' own.
func scrapedMetrics(t *testing.T, text string) map[string]metricFamily {
	t.Helper()
	if problems, err := promlint.New(strings.NewReader(text)).Lint(); err != nil || len(problems) != 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]metricFamily{}
	for name, family := range families {
		if regexp.MustCompile(`^(go|process|promhttp)_`).MatchString(name) {
			continue
		}
		labels := map[string]bool{}
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = true
			}
		}
		found[name] = metricFamily{strings.ToLower(family.GetType().String()), slices.Sorted(maps.Keys(labels))}
	}
	return found
}

// checkDocumented: a scrape has what docs/operating.md lists and no more; with all it has no less.
func checkDocumented(t *testing.T, scraped map[string]metricFamily, all bool) {
	t.Helper()
	documented := documentedMetrics(t)
	for name, got := range scraped {
		want, ok := documented[name]
		if !ok {
			t.Errorf("docs/operating.md does not list %s, a %s with %q", name, got.kind, got.labels)
			continue
		}
		if got.kind != want.kind {
			t.Errorf("%s is a %s, and no %s", name, got.kind, want.kind)
		}
		for _, label := range got.labels {
			if !slices.Contains(want.labels, label) {
				t.Errorf("docs/operating.md does not list the label %s of %s", label, name)
			}
		}
		if all && len(got.labels) != len(want.labels) {
			t.Errorf("%s has the labels %q, not %q", name, got.labels, want.labels)
		}
	}
	for name := range documented {
		if _, ok := scraped[name]; all && !ok {
			t.Errorf("there is no %s", name)
		}
	}
}

// TestMetricsDocumented: whatever can happen is in the metrics that docs/operating.md lists.
func TestMetricsDocumented(t *testing.T) {
	ctx := context.Background()
	engine, err := host.NewSandbox(ctx, host.SandboxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMetrics(engine)
	if err != nil {
		t.Fatal(err)
	}
	manager, err := host.NewManager(host.ManagerConfig{
		Engine: engine, Store: new(host.MemoryStore), BaseURL: "http://127.0.0.1/backend-api",
		Credentials: host.CredentialFunc(func(context.Context) (host.Credentials, error) { return host.Credentials{Kind: "none"}, nil }),
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := proxy.New(proxy.Config{Setup: proxy.Setup{BaseURL: manager.BaseURL(), Tenants: proxy.OneUser(strings.Repeat("t", 32), manager)}})
	if err != nil {
		t.Fatal(err)
	}
	unwatch, err := m.proxy.Watch(p)
	if err != nil {
		t.Fatal(err)
	}
	failed := &core.Error{Code: core.CodeInternal, Message: "it failed"}
	m.proxy.Request(proxy.RequestInfo{Method: "GET", Status: 200, Mode: core.ModeBearer, Reason: core.ReasonUnsupportedHost, Recovered: true, Sent: 1, Received: 1})
	m.proxy.Request(proxy.RequestInfo{Method: "GET", Status: 401, Code: proxy.CodeInvalidToken})
	m.managers.Decided(host.Authorization{Mode: core.ModeBearer, Reason: core.ReasonRegistrationFailed, Cause: failed})
	m.managers.Reused(host.Authorization{})
	_, done := m.managers.Registering(ctx, host.Registration{Recovery: true})
	done(host.Authorization{}, failed)
	_, answered := m.managers.Request(ctx, "POST", "https://backend.example/v1/agent/register")
	answered(500, nil)
	m.read(errors.New("the file cannot be read"))

	scrape := func() string {
		w := httptest.NewRecorder()
		m.handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		text, err := io.ReadAll(w.Body)
		if err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d, %v: %s", w.Code, err, text)
		}
		return string(text)
	}
	text := scrape()
	checkDocumented(t, scrapedMetrics(t, text), true)
	for _, line := range []string{
		"\nagentassert_config_last_reload_successful 0\n",
		`module_sha256="` + moduleHash() + `"`,
		"\ngo_goroutines ",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	m.read(nil)
	if !strings.Contains(scrape(), "\nagentassert_config_last_reload_successful 1\n") {
		t.Error("that the configuration could be read again is not counted")
	}
	if err := errors.Join(unwatch(), m.close(ctx), p.Close(ctx), manager.Close(ctx), engine.Close(ctx)); err != nil {
		t.Error(err)
	}
}

// TestProxyMetrics: what calls come to is measured, and nothing that callers say is in it.
func TestProxyMetrics(t *testing.T) {
	u := startUpstream(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") })
	addrFile := filepath.Join(t.TempDir(), "addr")
	p := startProxy(t, u, "--engine", "sandbox", "--log-level", "warn", "--operations-listen", "127.0.0.1:0", "--operations-addr-file", addrFile)
	p.assertion(t, "GET", "/conversation/path-of-a-caller?q=query-of-a-caller", proxy.ThreadHeader, "thread-of-a-caller")
	p.call(t, "POST", "/path-of-a-caller", http.Header{proxy.TokenHeader: {"token-of-a-stranger"}})
	p.call(t, "METHOD-OF-A-CALLER", "/test/path-of-a-caller", p.header())

	defer http.DefaultClient.CloseIdleConnections()
	scrape := func() string {
		response, err := http.Get("http://" + strings.TrimSpace(string(readFile(t, addrFile))) + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%d, %v", response.StatusCode, err)
		}
		return string(body)
	}
	lines := []string{
		`agentassert_proxy_requests_total{agentassert_mode="agent-assertion",agentassert_reason="background-task",agentassert_status_class="2xx",http_request_method="GET"} 1`,
		`agentassert_proxy_requests_total{agentassert_mode="agent-assertion",agentassert_reason="background-task",agentassert_status_class="2xx",http_request_method="_OTHER"} 1`,
		`agentassert_proxy_requests_total{agentassert_status_class="4xx",error_type="invalid_token",http_request_method="POST"} 1`,
		`agentassert_proxy_requests_active 0`,
		`agentassert_registration_duration_seconds_count{agentassert_recovery="false"} 1`,
		`agentassert_config_last_reload_successful 1`,
		`module_sha256="` + moduleHash() + `"`,
	}
	missing := func(text string) (missed []string) {
		for _, line := range lines {
			if !strings.Contains(text, line) {
				missed = append(missed, line)
			}
		}
		return missed
	}
	// Who called knows that its response has ended before the proxy has counted it.
	text := scrape()
	for deadline := time.Now().Add(time.Minute); len(missing(text)) > 0 && time.Now().Before(deadline); {
		text = scrape()
	}
	for _, line := range missing(text) {
		t.Errorf("no %s", line)
	}
	checkDocumented(t, scrapedMetrics(t, text), false)
	for _, hidden := range append(u.secrets, "of-a-caller", "OF-A-CALLER", "of-a-stranger", "account-1", "user-1", p.token) {
		if strings.Contains(text, hidden) {
			t.Errorf("%s is in there", hidden)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}
