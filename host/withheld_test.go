package host_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
)

// oneWay is a body that cannot be had again, and that counts how often it is closed.
type oneWay struct {
	io.Reader
	mu     sync.Mutex
	closed int
}

func newOneWay(text string) *oneWay { return &oneWay{Reader: strings.NewReader(text)} }

func (b *oneWay) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
	return nil
}

func (b *oneWay) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// posts sends a request that waits for 100 Continue, with a body that can be sent once.
func (w *world) posts(t *testing.T, url string, base *http.Transport, body *oneWay, length int64) (*http.Response, error) {
	t.Helper()
	c := w.config()
	c.BaseURL, c.TrustedHosts = url+"/backend-api", []string{"127.0.0.1"}
	m := manager(t, c)
	t.Cleanup(base.CloseIdleConnections)
	client := &http.Client{Transport: &host.Transport{Manager: m, Base: base}}
	r := newRequest(t, context.Background(), http.MethodPost, m.BaseURL()+"/codex/analytics-events/events", body)
	r.ContentLength = length
	r.Header.Set("Expect", "100-continue")
	return client.Do(r)
}

const unsentText = "what is sent once, and not again"

// registersAt has a handler's registrations answered by the authority, and its calls by
// what is given.
func (w *world) registersAt(call http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/codex/") {
			call(rw, r)
			return
		}
		w.authority.ServeHTTP(rw, r)
	})
}

// A body that was not sent when the 401 came is sent with the second request, whole and
// once; one of which something was read is not.
func TestUnsentBodies(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for name, tt := range map[string]struct {
			reads bool // before the first answer
			first int
			calls int
			want  int
		}{
			"rejected unread": {false, http.StatusUnauthorized, 2, http.StatusOK},
			"rejected, read":  {true, http.StatusUnauthorized, 1, http.StatusUnauthorized},
			"accepted":        {true, http.StatusOK, 1, http.StatusOK},
			"refused unread":  {false, http.StatusForbidden, 1, http.StatusForbidden},
		} {
			t.Run(fmt.Sprintf("%s/HTTP2=%t", name, http2), func(t *testing.T) {
				w := newWorld()
				w.clock.set(time.Now())
				var mu sync.Mutex
				var bodies []string
				calls := 0
				server := httptest.NewUnstartedServer(w.registersAt(func(rw http.ResponseWriter, r *http.Request) {
					mu.Lock()
					calls++
					first := calls == 1
					mu.Unlock()
					if !first || tt.reads {
						body, err := io.ReadAll(r.Body)
						mu.Lock()
						bodies = append(bodies, string(body))
						mu.Unlock()
						if err != nil {
							t.Error(err)
						}
					}
					if first && tt.first != http.StatusOK {
						rw.WriteHeader(tt.first)
					}
				}))
				server.EnableHTTP2 = http2
				if http2 {
					server.StartTLS()
				} else {
					server.Start()
				}
				defer server.Close()
				base := server.Client().Transport.(*http.Transport).Clone()
				base.ExpectContinueTimeout = time.Minute
				body := newOneWay(unsentText)
				w.network.backend = forwards(t, base, server.URL)
				response, err := w.posts(t, server.URL, base, body, int64(len(unsentText)))
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				checkCount(t, "status", response.StatusCode, tt.want)
				server.Close() // waits for its handlers
				checkCount(t, "calls", calls, tt.calls)
				for _, got := range bodies {
					if got != unsentText {
						t.Errorf("got the body %q, want %q", got, unsentText)
					}
				}
				if tt.want == http.StatusOK {
					checkCount(t, "bodies", len(bodies), 1)
				}
				eventually(t, "the body is closed", func() bool { return body.count() > 0 })
				checkCount(t, "times that the body was closed", body.count(), 1)
			})
		}
	}
}

// forwards is what the manager registers at: the server itself.
func forwards(t *testing.T, base http.RoundTripper, url string) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		sent := r.Clone(r.Context())
		sent.RequestURI = ""
		response, err := base.RoundTrip(sent)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			return
		}
		defer response.Body.Close()
		for name, values := range response.Header {
			rw.Header()[name] = values
		}
		rw.WriteHeader(response.StatusCode)
		_, _ = io.Copy(rw, response.Body)
	})
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so after a minute: %s", what)
		}
	}
}

// A server that keeps the connection after its 401, for which net/http would send the
// body behind the answer, does not get it with the first request either; and one that
// says 100 Continue first gets it once.
func TestUnsentBodiesAndRawServers(t *testing.T) {
	const rejects = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}"
	for name, tt := range map[string]struct {
		answer    string
		continues bool
		want      int
		calls     int
	}{
		"keeps the connection":       {rejects, false, http.StatusOK, 2},
		"closes the connection":      {strings.Replace(rejects, "\r\n", "\r\nConnection: close\r\n", 1), false, http.StatusOK, 2},
		"says early hints first":     {"HTTP/1.1 103 Early Hints\r\n\r\n" + rejects, true, http.StatusUnauthorized, 1},
		"says that it is to be sent": {rejects, true, http.StatusUnauthorized, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			calls, got := 0, ""
			var serving sync.WaitGroup
			serving.Go(func() {
				for {
					c, err := listener.Accept()
					if err != nil {
						return
					}
					serving.Go(func() {
						defer c.Close()
						in := bufio.NewReader(c)
						for {
							r, err := http.ReadRequest(in)
							if err != nil {
								return
							}
							mu.Lock()
							calls++
							first := calls == 1
							mu.Unlock()
							if first && !tt.continues {
								_, _ = io.WriteString(c, tt.answer) // the client may have gone
								// What comes is the body's beginning, or the end.
								b, _ := in.Peek(1)
								if len(b) > 0 {
									t.Errorf("the body was sent with the request that had been rejected")
								}
								return
							}
							_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
							body, err := io.ReadAll(r.Body)
							if err != nil {
								t.Error(err)
							}
							mu.Lock()
							got += string(body)
							mu.Unlock()
							answer := "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
							if first {
								answer = tt.answer
							}
							_, _ = io.WriteString(c, answer)
						}
					})
				}
			})
			base := &http.Transport{ExpectContinueTimeout: time.Minute}
			body := newOneWay(unsentText)
			response, err := w.posts(t, "http://"+listener.Addr().String(), base, body, int64(len(unsentText)))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			base.CloseIdleConnections()
			if err := listener.Close(); err != nil {
				t.Error(err)
			}
			serving.Wait()
			checkCount(t, "status", response.StatusCode, tt.want)
			checkCount(t, "calls", calls, tt.calls)
			if got != unsentText {
				t.Errorf("got the body %q, want %q, once", got, unsentText)
			}
			eventually(t, "the body is closed", func() bool { return body.count() > 0 })
			checkCount(t, "times that the body was closed", body.count(), 1)
		})
	}
}

// A transport without a manager, which is a mistake of the program's, is an error that
// says so, for every request, and the request's body is closed.
func TestTransportWithoutManager(t *testing.T) {
	body := newOneWay("text")
	client := &http.Client{Transport: &host.Transport{}}
	_, err := client.Do(newRequest(t, context.Background(), http.MethodPost, baseURL+"/codex/models", body))
	checkCode(t, err, host.CodeInvalidManagerConfig)
	if !strings.Contains(err.Error(), "Manager") {
		t.Errorf("%q does not say what is missing", err)
	}
	checkCount(t, "times that the body was closed", body.count(), 1)
}

// The caller can decide what rejects an assertion, and what does not.
func TestTransportAsksWhatRecovers(t *testing.T) {
	for name, tt := range map[string]struct {
		recovers func(*core.Refusal) bool
		status   int
		body     string
		calls    int
		agents   int
		tasks    int
	}{
		"a 401 that is none":       {func(r *core.Refusal) bool { return errors.Is(r, core.ErrTaskExpired) }, 401, `{"error":{"code":"account_deactivated"}}`, 1, 1, 1},
		"a 401 that is one":        {func(r *core.Refusal) bool { return errors.Is(r, core.ErrTaskExpired) }, 401, `{"error":{"code":"task_expired"}}`, 2, 1, 2},
		"a 403 that is one":        {func(r *core.Refusal) bool { return r.Code == "agent_task_gone" }, 403, `{"code":"agent_task_gone"}`, 2, 1, 2},
		"an agent that is unknown": {func(*core.Refusal) bool { return true }, 401, `{"error":{"code":"unknown_agent"}}`, 2, 2, 2},
		"a 500 is not asked about": {func(*core.Refusal) bool { return true }, 500, `{"error":{"code":"task_expired"}}`, 1, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			m := manager(t, w.config())
			b := &base{w: w, script: func(n int, _ *http.Request) (*http.Response, error) {
				if n > 0 {
					return nil, nil
				}
				return respond(tt.status, nil, strings.NewReader(tt.body)), nil
			}}
			client := &http.Client{Transport: &host.Transport{Manager: m, Base: b, Recovers: tt.recovers}}
			response, err := client.Do(newRequest(t, context.Background(), http.MethodPost, baseURL+"/codex/analytics-events/events", bytes.NewReader([]byte("{}"))))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			want := http.StatusOK
			if tt.calls == 1 {
				want = tt.status
				if got, err := io.ReadAll(response.Body); err != nil || string(got) != tt.body {
					t.Errorf("read %q, %v; want all of the body", got, err)
				}
			}
			checkCount(t, "status", response.StatusCode, want)
			checkCount(t, "calls", len(b.seen), tt.calls)
			checkCounts(t, w.authority, tt.agents, tt.tasks)
		})
	}
}
