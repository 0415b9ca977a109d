package egress_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/internal/egress"
)

// credential is what the servers of these tests send back.
const credential = "S3cr3t-Token.0fTheUser_12345678"

// TestExplainShowsNothingThatWasReceived lets servers quote the credential in whatever
// net/http could quote of their answers.
func TestExplainShowsNothingThatWasReceived(t *testing.T) {
	half := len(credential) / 2
	for name, answer := range map[string]string{
		"no HTTP":                 credential + "\r\n\r\n",
		"version":                 "HTTP/" + credential + " 200 OK\r\n\r\n",
		"status code":             "HTTP/1.1 " + credential + "\r\n\r\n",
		"status code, in halves":  "HTTP/1.1 " + credential[:half] + " " + credential[half:] + "\r\n\r\n",
		"in capitals":             "HTTP/1.1 " + strings.ToUpper(credential) + "\r\n\r\n",
		"in hexadecimal":          "HTTP/1.1 " + hex.EncodeToString([]byte(credential)) + "\r\n\r\n",
		"in base64":               "HTTP/1.1 " + base64.StdEncoding.EncodeToString([]byte(credential)) + "\r\n\r\n",
		"percent-encoded":         "HTTP/1.1 " + percent(credential) + "\r\n\r\n",
		"header line":             "HTTP/1.1 200 OK\r\n" + credential + "\r\n\r\n",
		"header line, in halves":  "HTTP/1.1 200 OK\r\n" + credential[:half] + "\r\n" + credential[half:] + "\r\n\r\n",
		"header line, continued":  "HTTP/1.1 200 OK\r\n " + credential + "\r\n\r\n",
		"header name":             "HTTP/1.1 200 OK\r\n" + credential + "\x00: x\r\n\r\n",
		"header value":            "HTTP/1.1 200 OK\r\nX: \x00" + credential + "\r\n\r\n",
		"length":                  "HTTP/1.1 200 OK\r\nContent-Length: " + credential + "\r\n\r\n",
		"two lengths":             "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: " + credential + "\r\n\r\n",
		"encoding":                "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + credential + "\r\n\r\n",
		"chunk size":              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + credential + "\r\n",
		"chunk":                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n" + credential + "\r\n",
		"trailer":                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + credential + "\r\n\r\n",
		"field in a trailer":      "HTTP/1.1 200 OK\r\nTrailer: X-" + credential + "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX " + credential + "\r\n\r\n",
		"name of a trailer":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Transfer-Encoding, " + credential + "\r\n\r\n0\r\n\r\n",
		"interim response":        "HTTP/1.1 103 " + credential + "\r\n" + credential + "\r\n\r\n",
		"protocol switched to":    "HTTP/1.1 101 " + credential + "\r\n" + credential + ": \x00\r\n\r\n",
		"end of the status":       "HTTP/1.1 2000 " + credential + "\r\n\r\n",
		"nothing more than a bit": "HT",
	} {
		t.Run(name, func(t *testing.T) {
			address := serve(t, func(c net.Conn) {
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil || r.Header.Get("Authorization") != "Bearer "+credential {
					t.Errorf("the request: %v, %v", r, err)
				}
				_, _ = io.WriteString(c, answer) // the client may have enough
			})
			checkNothingShown(t, fetch(t, &http.Transport{}, "http://"+address+"/"))
		})
	}
}

func TestExplainShowsNothingOfHTTP2(t *testing.T) {
	for name, answer := range map[string]func(f *http2.Framer, stream uint32) error{
		"debug data": func(f *http2.Framer, stream uint32) error {
			return f.WriteGoAway(stream, http2.ErrCodeEnhanceYourCalm, []byte(credential))
		},
		"field's name": func(f *http2.Framer, stream uint32) error {
			return writeHeaders(f, stream, ":status", "200", "x "+credential, "x")
		},
		"field's value": func(f *http2.Framer, stream uint32) error {
			return writeHeaders(f, stream, ":status", "200", "x", "\x00"+credential)
		},
		"status": func(f *http2.Framer, stream uint32) error { return writeHeaders(f, stream, ":status", credential) },
	} {
		t.Run(name, func(t *testing.T) {
			certificate, transport := secure(t)
			transport.ForceAttemptHTTP2 = true
			address := serve(t, func(c net.Conn) {
				s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}})
				defer s.Close()
				if _, err := io.ReadFull(s, make([]byte, len(http2.ClientPreface))); err != nil {
					t.Error(err)
					return
				}
				f := http2.NewFramer(s, s)
				f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
				if err := f.WriteSettings(); err != nil {
					t.Error(err)
				}
				for {
					frame, err := f.ReadFrame()
					if err != nil {
						return
					}
					if h, ok := frame.(*http2.MetaHeadersFrame); ok {
						if err := answer(f, h.StreamID); err != nil {
							t.Error(err)
						}
						if name == "debug data" {
							return
						}
					}
				}
			})
			checkNothingShown(t, fetch(t, transport, "https://"+address+"/"))
		})
	}
}

func writeHeaders(f *http2.Framer, stream uint32, fields ...string) error {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		if err := e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			return err
		}
	}
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: b.Bytes(), EndHeaders: true, EndStream: true})
}

// A proxy is sent a password of its own, and can refuse with it.
func TestExplainShowsNothingOfAProxy(t *testing.T) {
	for name, answer := range map[string]string{
		"refusal":     "HTTP/1.1 403 " + credential + "\r\n\r\n",
		"status code": "HTTP/1.1 " + credential + "\r\n\r\n",
		"header line": "HTTP/1.1 200 OK\r\n" + credential + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			address := serve(t, func(c net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
					t.Error(err)
				}
				_, _ = io.WriteString(c, answer)
			})
			proxy := &url.URL{Scheme: "http", User: url.UserPassword("user", credential), Host: address}
			checkNothingShown(t, fetch(t, &http.Transport{Proxy: http.ProxyURL(proxy)}, "https://backend.invalid/"))
		})
	}
}

// TestExplain: what is made on this machine is shown, from under whatever wraps it.
func TestExplain(t *testing.T) {
	certificate, _ := secure(t)
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	refused := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	custom := errors.New("custom " + credential)
	for _, tt := range []struct {
		name string
		err  error
		want string // the text
		is   error
	}{
		{"canceled", context.Canceled, "context canceled", context.Canceled},
		{"deadline", fmt.Errorf("%s: %w", credential, context.DeadlineExceeded), "context deadline exceeded", context.DeadlineExceeded},
		{"connection refused", refused, "dial tcp 127.0.0.1:9: connect: " + syscall.ECONNREFUSED.Error(), syscall.ECONNREFUSED},
		{"proxy cannot be reached", &net.OpError{Op: "proxyconnect", Net: "tcp", Err: refused}, "proxyconnect tcp: " + refused.Error(), syscall.ECONNREFUSED},
		{"operation that quotes", &net.OpError{Op: "proxyconnect", Net: "tcp", Err: custom}, "", custom},
		{"URL with a password", &url.Error{Op: "Get", URL: "http://u:" + credential + "@h/?q=" + credential, Err: refused}, refused.Error(), syscall.ECONNREFUSED},
		{"name", &net.DNSError{Err: "no such host", Name: "backend.test", IsNotFound: true, UnwrapErr: custom}, "lookup backend.test: no such host", nil},
		{"closed", fmt.Errorf("%s: %w", credential, io.EOF), "EOF", io.EOF},
		{"several", errors.Join(custom, refused), refused.Error(), custom},
		{"none of several", errors.Join(custom, custom), "", custom},
		{"no TLS", fmt.Errorf("%s: %w", credential, http.ErrSchemeMismatch), http.ErrSchemeMismatch.Error(), http.ErrSchemeMismatch},
		{"record", tls.RecordHeaderError{Msg: "no TLS", RecordHeader: [5]byte([]byte(credential))}, "tls: no TLS", nil},
		{"alert", &net.OpError{Op: "remote error", Err: errors.New(tls.AlertError(40).Error())}, "remote error: " + tls.AlertError(40).Error(), nil},
		{"alert that is none", &net.OpError{Op: "remote error", Err: custom}, "", custom},
		{"host name", x509.HostnameError{Certificate: leaf, Host: "other.test"}, x509.HostnameError{Certificate: leaf, Host: "other.test"}.Error(), nil},
		{"ours", &core.Error{Code: "c", Message: "message"}, "message", &core.Error{Code: "c"}},
		{"ours, with another's", &core.Error{Code: "c", Message: "message", Err: custom}, "", &core.Error{Code: "c"}},
		{"idle", fmt.Errorf("%s: %w", credential, errors.New("http: server closed idle connection")), "http: server closed idle connection", nil},
		{"proxy's own word", errors.New("Proxy Authentication Required"), "the proxy does not connect: Proxy Authentication Required", nil},
		{"custom", custom, "", custom},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := egress.Explain(tt.err)
			checkHidden(t, got)
			if tt.want != "" && got.Error() != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if tt.want == "" && !strings.Contains(got.Error(), "is not shown") {
				t.Errorf("got %q", got)
			}
			if tt.is != nil && !errors.Is(got, tt.is) {
				t.Errorf("it is not a %v any more", tt.is)
			}
			if core.Code(got) != core.Code(tt.err) {
				t.Errorf("code %q became %q", core.Code(tt.err), core.Code(got))
			}
			// http.Client puts this around it, and asks whether it was a time-out.
			before, after := &url.Error{Err: tt.err}, &url.Error{Err: got}
			if timeout := errors.Is(tt.err, context.DeadlineExceeded); after.Timeout() != timeout {
				t.Errorf("time-out: %v; it was %v", after.Timeout(), before.Timeout())
			}
			if again := egress.Explain(got); again.Error() != got.Error() {
				t.Errorf("explained again: %q", again)
			}
		})
	}
	if got := egress.Explain(nil); got != nil {
		t.Errorf("nil became %v", got)
	}
	for _, err := range []error{io.EOF, refused.Err, x509.HostnameError{Certificate: leaf, Host: "other.test"}} {
		if got := egress.Explain(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func TestExplainUntrustedCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake
	server.StartTLS()
	defer server.Close()
	_, err := (&http.Client{Transport: &http.Transport{}}).Get(server.URL)
	got := egress.Explain(err)
	authority := x509.UnknownAuthorityError{}
	if core.Code(got) != egress.CodeTLSUntrusted || !errors.As(got, &authority) || !strings.Contains(got.Error(), "CODEX_CA_CERTIFICATE") {
		t.Errorf("got %v, code %q", got, core.Code(got))
	}
}

func TestExplainBody(t *testing.T) {
	if got, err := io.ReadAll(egress.ExplainBody(io.NopCloser(strings.NewReader("text")))); string(got) != "text" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	upgraded := struct {
		io.ReadCloser
		io.Writer
	}{http.NoBody, io.Discard}
	for _, body := range []io.ReadCloser{nil, http.NoBody, upgraded} {
		if got := egress.ExplainBody(body); got != body {
			t.Errorf("%T became %T", body, got)
		}
	}
}

// serve lets answer have each connection, and closes that.
func serve(t *testing.T, answer func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			answer(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// secure returns a certificate for 127.0.0.1, and a transport that trusts it.
func secure(t *testing.T) (tls.Certificate, *http.Transport) {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	trust := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return server.TLS.Certificates[0], &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}}
}

// fetch returns how a request with the credential fails, or reading its response.
func fetch(t *testing.T, transport *http.Transport, url string) error {
	t.Helper()
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+credential)
	response, err := transport.RoundTrip(r)
	if err != nil {
		return egress.Explain(err)
	}
	body := egress.ExplainBody(response.Body)
	defer body.Close()
	_, err = io.ReadAll(body)
	return err
}

func checkNothingShown(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("the request did not fail")
	}
	checkHidden(t, err)
}

// checkHidden looks for the credential, or a part of it, in an error and in all that it
// wraps.
func checkHidden(t *testing.T, err error) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		var texts []string
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%p", "%!"} {
			texts = append(texts, fmt.Sprintf(format, err), fmt.Sprintf(format, struct{ err error }{err}))
		}
		if encoded, failed := json.Marshal(err); failed == nil {
			texts = append(texts, string(encoded))
		}
		for _, text := range texts {
			for _, part := range []string{credential[:6], credential[len(credential)-6:]} {
				for _, form := range []string{part, hex.EncodeToString([]byte(part)), base64.StdEncoding.EncodeToString([]byte(part)), percent(part), strings.Trim(fmt.Sprint([]byte(part)), "[]")} {
					if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
						t.Errorf("%T shows %q: %s", err, form, text)
					}
				}
			}
		}
		// Whoever asks for a type gets what can be shown.
		if e, ok := errors.AsType[*net.OpError](err); ok && error(e) != err {
			checkHidden(t, e)
		}
		if e, ok := errors.AsType[*url.Error](err); ok {
			t.Errorf("a URL came along: %v", e)
		}
	}
}

func percent(s string) (encoded string) {
	for _, b := range []byte(s) {
		encoded += fmt.Sprintf("%%%02X", b)
	}
	return encoded
}
