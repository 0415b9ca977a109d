package host

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/egress"
)

// exchanger carries out a flow's HTTP effects.
type exchanger struct {
	transport http.RoundTripper
}

// newExchanger uses the client's transport alone, which follows no redirect and
// keeps no cookies: a registration is one request to one URL.
func newExchanger(client *http.Client) exchanger {
	if client == nil || client.Transport == nil {
		return exchanger{egress.DefaultTransport}
	}
	return exchanger{client.Transport}
}

var (
	errTooLarge   = fail(core.CodeRequestFailed, "the response is larger than the protocol allows", nil)
	errNoResponse = fail(core.CodeRequestFailed, "the transport returned neither a response nor an error", nil)
)

// exchange sends a request and reads the whole response, within the effect's
// time-out and size limit. The error, if any, is what can be shown of what the event's
// failure stands for.
func (x exchanger) exchange(ctx context.Context, e wire.Effect) (wire.Event, error) {
	limited, cancel := context.WithTimeout(ctx, time.Duration(e.TimeoutMS)*time.Millisecond)
	defer cancel()
	event, err := x.roundTrip(limited, e)
	if err != nil {
		return wire.Event{Type: wire.EventFailed, Failure: failureOf(ctx, err)}, egress.Explain(err)
	}
	return event, nil
}

func (x exchanger) roundTrip(ctx context.Context, e wire.Effect) (wire.Event, error) {
	request, err := http.NewRequestWithContext(ctx, e.Method, e.URL, bytes.NewReader(e.Body))
	if err != nil {
		return wire.Event{}, err
	}
	for _, h := range e.Headers {
		request.Header.Set(h.Name, h.Value)
	}
	response, err := x.transport.RoundTrip(request)
	if err != nil {
		return wire.Event{}, err
	}
	if response == nil {
		return wire.Event{}, errNoResponse
	}
	if response.Body == nil { // as http.Client takes it
		response.Body = http.NoBody
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, e.SizeLimit+1))
	if err != nil {
		return wire.Event{}, err
	}
	if int64(len(body)) > e.SizeLimit {
		return wire.Event{}, errTooLarge
	}
	event := wire.Event{Type: wire.EventResponse, Status: int64(response.StatusCode), Body: body}
	for _, name := range e.ResponseHeaders {
		// What does not fit into a message is no biscuit either.
		if v := response.Header.Get(name); v != "" && int64(len(v)) <= e.SizeLimit {
			event.Headers = append(event.Headers, wire.Header{Name: name, Value: v})
		}
	}
	return event, nil
}

// failureOf names what went wrong in the flow's words. The context is the
// caller's, without the exchange's own time-out.
func failureOf(ctx context.Context, err error) string {
	var timeout net.Error
	switch {
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), errHeld):
		return wire.FailureCanceled
	case errors.Is(err, errTooLarge):
		return wire.FailureTooLarge
	case errors.As(err, &timeout) && timeout.Timeout():
		return wire.FailureTimeout
	case isTLS(err):
		return wire.FailureTLS
	}
	return wire.FailureConnect
}

func isTLS(err error) bool {
	var (
		record    tls.RecordHeaderError
		alert     tls.AlertError
		verify    *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	return errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &verify) ||
		errors.As(err, &authority) || errors.As(err, &hostname) || errors.As(err, &invalid)
}
