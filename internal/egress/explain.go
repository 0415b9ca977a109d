package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
	"syscall"

	"github.com/agentassert/agentassert/core"
)

// errUnshown takes the place of what cannot be shown.
var errUnshown = errors.New("the error is not shown, for it can quote what the server or a proxy sent; look into their logs")

// Explain returns what can be shown of the error of a request, or of reading its
// response. Errors of net/http quote status lines, header fields, chunks and what a
// proxy or an HTTP/2 server says, and a server can send back there the credential that
// it got. So only errors are shown whose text is made on this machine: those of
// connections, names, time-outs, contexts and certificates, and every *core.Error. All
// others read the same.
//
// Nothing else can be had of the error, neither by its text nor with errors.As and
// errors.Unwrap. errors.Is still finds all that it finds in err.
//
// A certificate that is not trusted becomes an error with CodeTLSUntrusted that says
// what to do.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	shown := show(err)
	switch {
	case shown == nil:
		shown = errUnshown
	case reflect.TypeOf(err).Comparable() && shown == err:
		return err
	}
	return &explained{shown, func(target error) bool { return errors.Is(err, target) }}
}

// ExplainBody returns the body with its errors explained.
func ExplainBody(body io.ReadCloser) io.ReadCloser {
	if _, isUpgrade := body.(io.Writer); isUpgrade || body == nil || body == http.NoBody {
		return body
	}
	return explainedBody{body}
}

type explainedBody struct{ body io.ReadCloser }

func (b explainedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	return n, Explain(err)
}

func (b explainedBody) Close() error { return Explain(b.body.Close()) }

// explained is an error of which something can be shown.
type explained struct {
	shown error
	// is is errors.Is of the whole error. A function is not printed.
	is func(target error) bool
}

func (e *explained) Error() string { return e.shown.Error() }

// Unwrap returns what can be shown.
func (e *explained) Unwrap() error { return e.shown }

// Is is errors.Is of the error that was explained.
func (e *explained) Is(target error) bool { return e.is(target) }

// Timeout is for url.Error, which asks its error for that.
func (e *explained) Timeout() bool {
	timeout, ok := errors.AsType[net.Error](e.shown)
	return ok && timeout.Timeout()
}

// sentinels are errors that are what they are.
var sentinels = []error{
	context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, net.ErrClosed,
	io.EOF, io.ErrUnexpectedEOF, http.ErrSchemeMismatch,
}

// show returns what can be shown of err, or nil.
func show(err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *explained:
		return e
	case *core.Error:
		if e.Err == nil {
			return e
		}
		return &core.Error{Code: e.Code, Message: e.Message, Err: Explain(e.Err)}
	case *net.OpError:
		if e.Op == "remote error" || e.Op == "local error" {
			return &net.OpError{Op: e.Op, Err: alert(e.Err)}
		}
		return &net.OpError{Op: e.Op, Net: e.Net, Source: e.Source, Addr: e.Addr, Err: Explain(e.Err)}
	case *net.DNSError:
		known := *e
		known.UnwrapErr = nil // its text is in Err
		return &known
	case *os.SyscallError:
		if _, ok := e.Err.(syscall.Errno); ok {
			return e
		}
	case syscall.Errno, *net.AddrError:
		return err
	case tls.RecordHeaderError:
		return tls.RecordHeaderError{Msg: e.Msg} // without the beginning of the record
	case tls.AlertError:
		return e
	case *tls.CertificateVerificationError:
		if authority, ok := errors.AsType[x509.UnknownAuthorityError](e); ok {
			return untrusted(authority)
		}
		return e // it quotes the certificate
	case x509.UnknownAuthorityError:
		return untrusted(e)
	case x509.HostnameError, x509.CertificateInvalidError, x509.ConstraintViolationError, x509.UnhandledCriticalExtension,
		x509.InsecureAlgorithmError, x509.SystemRootsError:
		return err
	}
	for _, sentinel := range sentinels {
		if err == sentinel { // and not what wraps it: that is looked at below
			return sentinel
		}
	}
	if shown := fixed[err.Error()]; shown != nil {
		return shown
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		if shown := show(wrapper.Unwrap()); shown != nil {
			return shown
		}
	case interface{ Unwrap() []error }:
		for _, err := range wrapper.Unwrap() {
			if shown := show(err); shown != nil {
				return shown
			}
		}
	}
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// fixed are errors that have no type to be known by, after their texts. Whoever sent
// one of these has sent nothing else.
var fixed = func() map[string]error {
	fixed := map[string]error{}
	for _, text := range []string{
		"http: server closed idle connection",
		"net/http: request canceled",
		"net/http: request canceled while waiting for connection",
		"net/http: HTTP/1.x transport connection broken",
	} {
		fixed[text] = errors.New(text)
	}
	// What net/http says of a proxy that does not connect is the text of its status.
	for status := http.StatusBadRequest; status < 600; status++ {
		if text := http.StatusText(status); text != "" {
			fixed[text] = errors.New("the proxy does not connect: " + text)
		}
	}
	return fixed
}()

// alert returns an error of crypto/tls's, where it is one of the protocol's alerts,
// which have a number and no text.
func alert(err error) error {
	for n := range 1 << 8 {
		if known := tls.AlertError(n); err != nil && err.Error() == known.Error() {
			return known
		}
	}
	return Explain(err)
}

func untrusted(err error) error {
	return &core.Error{Code: CodeTLSUntrusted, Message: "the server's certificate is signed by an authority that is not trusted here, " +
		"such as that of a company's gateway which inspects TLS; name a PEM file with the authority's certificate " +
		"in CODEX_CA_CERTIFICATE (the command agentassert) or SSL_CERT_FILE", Err: err}
}
