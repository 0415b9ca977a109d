package proxy

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"testing"
)

// answering is an upstream that costs nothing: it reads a request's body, and answers with
// that of a call of models.
type answering struct{ header http.Header }

var benchAnswer = bytes.Repeat([]byte("0123456789abcdef"), 16)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, Header: a.header.Clone(),
		ContentLength: int64(len(benchAnswer)), Body: io.NopCloser(bytes.NewReader(benchAnswer)),
	}, nil
}

// unread is a response that nobody reads.
type unread struct{ header http.Header }

func (u *unread) Header() http.Header         { return u.header }
func (u *unread) Write(p []byte) (int, error) { return len(p), nil }
func (u *unread) WriteHeader(int)             {}
func (u *unread) Flush()                      {}

// BenchmarkServeHTTP is what the proxy itself costs, without connections, and what
// net/http/httputil's ReverseProxy does.
func BenchmarkServeHTTP(b *testing.B) {
	const upstream = "http://127.0.0.1:1/backend-api"
	transport := answering{http.Header{
		"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(benchAnswer))}, "Date": {"Thu, 01 Jan 2026 00:00:00 GMT"},
		"X-Request-Id": {"1"}, "Cache-Control": {"no-store"}, "Vary": {"Accept-Encoding"},
	}}
	base, err := url.Parse(upstream)
	if err != nil {
		b.Fatal(err)
	}
	p := newPlain(b, upstream, func(c *Config) { c.Transport = transport })
	defer closeProxy(b, p)
	for _, target := range []struct {
		name    string
		handler http.Handler
	}{
		{"proxy", p},
		{"ReverseProxy", &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(base) }}},
	} {
		for _, size := range []int{0, 4 << 10, MaxReplayed} {
			body := someBytes(size)
			b.Run(target.name+"/"+strconv.Itoa(size), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/codex/models?client_version=1.2.3", bytes.NewReader(body))
					r.Host = "localhost"
					r.Header = http.Header{
						"Accept": {"application/json"}, "User-Agent": {"codex_cli_rs/0.0.0"}, "Content-Type": {"application/json"},
						"Originator": {"codex_cli_rs"}, "Session_id": {"1"}, TokenHeader: {"t"}, "Accept-Encoding": {"gzip"},
					}
					target.handler.ServeHTTP(&unread{make(http.Header)}, r)
				}
			})
		}
	}
}
