package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/agentassert/agentassert/host"
)

// exchange is a request and its response, while they are under way: what authorizes them,
// and what there will be to tell of them. To the reverse proxy it is the response's writer,
// which removes fields from informational responses, too, that it shows to nobody.
type exchange struct {
	http.ResponseWriter
	request *http.Request // the caller's
	begun   time.Time
	manager *host.Manager
	account string
	// info is what to tell; received is added to it.
	info     RequestInfo
	received atomic.Int64
	// kept is the request's body where it is kept to be sent again, or nil.
	kept *keptBody
	// announced is the length of the upstream's response, or less than any, where it is
	// not known: then the reverse proxy sees to it that nothing waits.
	announced int64
	// broken is why one of both did not come to its end, and gone says that it was the
	// caller's side.
	broken error
	gone   bool
}

type exchangeKey struct{}

// exchangeOf returns the exchange of a request to the upstream.
func exchangeOf(ctx context.Context) *exchange {
	return ctx.Value(exchangeKey{}).(*exchange)
}

// WriteHeader implements http.ResponseWriter.
func (x *exchange) WriteHeader(status int) {
	responseFields.removeFrom(x.Header())
	if status >= http.StatusOK {
		x.info.Status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter. What is not the end of a response goes on at once.
func (x *exchange) Write(p []byte) (int, error) {
	n, err := x.ResponseWriter.Write(p)
	if x.info.Sent += int64(n); err == nil && x.info.Sent < x.announced {
		err = http.NewResponseController(x.ResponseWriter).Flush()
	}
	if err != nil {
		x.broken, x.gone = err, true
	}
	return n, err
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// authorized takes note of what a request is sent with: once more, where the upstream has
// rejected it.
func (x *exchange) authorized(a host.Authorization) {
	x.info.Recovered = x.info.Mode != ""
	x.info.Mode, x.info.Reason = a.Mode, a.Reason
}

// receive takes note of how the upstream's response ends.
func (x *exchange) receive(r *http.Response) {
	if r.StatusCode == http.StatusSwitchingProtocols {
		x.info.Status = r.StatusCode // and nobody writes it to this writer
		return
	}
	x.announced = r.ContentLength
	r.Body = &responseBody{ReadCloser: r.Body, exchange: x}
}

// responseBody is an upstream's.
type responseBody struct {
	io.ReadCloser
	exchange *exchange
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && b.exchange.broken == nil {
		b.exchange.broken = err
	}
	return n, err
}

// requestBody is a caller's, of which what is read counts. It may be read when the response
// has ended.
type requestBody struct {
	io.ReadCloser
	read *atomic.Int64
}

func (b requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	return n, err
}

// refuse answers a request in the upstream's place.
func (x *exchange) refuse(status int, code, message string) {
	body, err := json.Marshal(refusal{refusalError{code, message}})
	if err != nil {
		panic(err) // strings always encode
	}
	x.info.Code = code
	x.Header().Set("Content-Type", "application/json")
	x.WriteHeader(status)
	_, _ = x.Write(append(body, '\n')) // to a caller that is gone, there is nobody to tell
}

// refusal is the body of a response of the proxy's own.
type refusal struct {
	Error refusalError `json:"error"`
}

type refusalError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// tell tells of an exchange that has ended.
func (x *exchange) tell(access *slog.Logger, observer Observer) {
	if access == nil && observer == nil {
		return
	}
	x.info.Method = x.request.Method
	x.info.Duration = time.Since(x.begun)
	x.info.Received = x.received.Load()
	if observer != nil {
		observer.Request(x.info)
	}
	if access == nil {
		return
	}
	access.LogAttrs(context.Background(), slog.LevelInfo, "request",
		slog.String("method", bounded(x.info.Method)),
		slog.String("path", bounded(x.request.URL.EscapedPath())),
		slog.Int("status", x.info.Status),
		slog.String("code", x.info.Code),
		slog.String("mode", x.info.Mode),
		slog.String("reason", x.info.Reason),
		slog.Bool("recovered", x.info.Recovered),
		slog.Bool("thread", x.request.Header.Get(ThreadHeader) != ""),
		slog.String("account", bounded(x.account)),
		slog.Duration("duration", x.info.Duration),
		slog.Int64("sent", x.info.Sent),
		slog.Int64("received", x.info.Received),
	)
}

// maxLogged bounds what a log has of a caller's own words, in bytes.
const maxLogged = 512

func bounded(s string) string {
	if len(s) > maxLogged {
		return s[:maxLogged] + "..."
	}
	return s
}
