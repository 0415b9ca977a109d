package telemetry

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Request implements [host.Observer]. Names and attributes are those of
// https://opentelemetry.io/docs/specs/semconv/http/http-spans/, for clients, and of the
// page beside it for their metric.
func (o *Observer) Request(ctx context.Context, method, rawURL string) (context.Context, func(int, error)) {
	name := method
	// both are the attributes that span and metric have.
	both := []attribute.KeyValue{attribute.String("http.request.method", method)}
	var full []attribute.KeyValue
	if u, err := url.Parse(rawURL); err == nil {
		both = append(both, server(u)...)
		if t := template(u.Path); t != "" {
			name += " " + t
			both = append(both, attribute.String("url.template", t))
		}
		// The protocol's URLs have neither; what is not known to be none stays out.
		u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
		full = append(full, attribute.String("url.full", u.String()))
	}
	sent, _ := ctx.Value(resendsKey{}).(*resends)
	if n := sent.failed(method, rawURL); n > 0 {
		full = append(full, attribute.Int("http.request.resend_count", n))
	}
	start := time.Now()
	ctx, span := o.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(slices.Concat(both, full)...))
	return ctx, func(status int, err error) {
		outcome := both
		switch {
		case err != nil:
			outcome = append(outcome, attribute.String("error.type", failure(err)))
			span.SetStatus(codes.Error, err.Error())
		case status >= 300: // a registration follows no redirect
			outcome = append(outcome, attribute.String("error.type", strconv.Itoa(status)))
			span.SetStatus(codes.Error, "")
		}
		if err == nil {
			outcome = append(outcome, attribute.Int("http.response.status_code", status))
		}
		sent.ended(method, rawURL, err == nil && status < 300)
		span.SetAttributes(outcome[len(both):]...)
		// Before the span ends, for exemplars.
		o.requests.Record(ctx, time.Since(start).Seconds(), metric.WithAttributes(outcome...))
		span.End()
	}
}

// server is whom a request is sent to.
func server(u *url.URL) []attribute.KeyValue {
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		port = map[string]int{"http": 80, "https": 443}[u.Scheme]
	}
	if u.Hostname() == "" || port == 0 {
		return nil
	}
	return []attribute.KeyValue{attribute.String("server.address", u.Hostname()), attribute.Int("server.port", port)}
}

// template is the path of one of the requests that the protocol has, or nothing.
func template(path string) string {
	const biscuit, identity, task, instance = "/authenticate_app_v2", "/v1/agent/register", "/task/register", "/agent/register"
	const accounts = "/wham/accounts/check"
	switch {
	case strings.HasSuffix(path, biscuit):
		return biscuit
	case strings.HasSuffix(path, identity):
		return identity
	case strings.HasSuffix(path, task):
		return "/v1/agent/{agent_runtime_id}" + task
	case strings.HasSuffix(path, instance):
		return instance
	case strings.HasSuffix(path, accounts):
		return accounts
	}
	return ""
}

// failure names why there was no response.
func failure(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return "connect"
}

type resendsKey struct{}

// resends counts, in one registration, how often each request has failed since it last
// succeeded: a request for a biscuit that comes again because another is needed is none
// that is sent again. Nil counts nothing.
type resends struct {
	mu     sync.Mutex
	counts map[string]int
}

func (r *resends) failed(method, url string) int {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[method+" "+url]
}

func (r *resends) ended(method, url string, succeeded bool) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if succeeded {
		delete(r.counts, method+" "+url)
		return
	}
	if r.counts == nil {
		r.counts = make(map[string]int)
	}
	r.counts[method+" "+url]++
}
