package host_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// forbiddenJar is a cookie jar that must not be used.
type forbiddenJar struct{ t *testing.T }

func (j forbiddenJar) SetCookies(*url.URL, []*http.Cookie) { j.t.Error("cookies were set") }

func (j forbiddenJar) Cookies(*url.URL) []*http.Cookie {
	j.t.Error("cookies were asked for")
	return nil
}

func TestAuthorizationHidesItsHeader(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	a := ask(t, m)
	checkAuthorizationHidden(t, w.secrets(t), a)
	if got, want := a.String(), "agent-assertion (background-task)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	w.authority.RefuseRegistration(http.StatusForbidden)
	fresh := newWorld()
	fresh.authority.RefuseRegistration(http.StatusForbidden)
	failed := ask(t, manager(t, fresh.config()))
	check(t, failed, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeHTTPStatus)
	checkAuthorizationHidden(t, fresh.secrets(t), failed)
}

func TestMemoryStoreHidesItsRecords(t *testing.T) {
	w := newWorld()
	checkAssertion(t, ask(t, manager(t, w.config())))
	record := w.load(t, wire.SlotIdentity)
	checkHidden(t, []string{string(record), fmt.Sprint(record[:10])[1:20]}, w.store)
}

func TestCredentialsHideTheirToken(t *testing.T) {
	w := newWorld()
	c := w.credentials()
	checkHidden(t, w.secrets(t), c)
	checkHidden(t, w.secrets(t), &c)
}

// words are what a backend of these tests says, where HTTP has something else.
const words = "w0rds-of-the-server"

var malformed = map[string]string{
	"status":  "HTTP/1.1 " + words + "\r\n\r\n",
	"header":  "HTTP/1.1 200 OK\r\n" + words + "\r\n\r\n",
	"length":  "HTTP/1.1 200 OK\r\nContent-Length: " + words + "\r\n\r\n",
	"trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + words + "\r\n\r\n",
}

// What the backend says could be a part of the credential, or that in another form: so
// no word of it is shown.
func TestRegistrationShowsNothingThatWasReceived(t *testing.T) {
	for name, response := range malformed {
		for n, request := range requestNames {
			t.Run(name+"/"+request, func(t *testing.T) {
				server := silentServer(t, hijacked(t, func(*http.Request) string { return response }), (*httptest.Server).Start)
				w := newWorld()
				w.network.follow(failAt(n, elsewhere(server)))
				var log strings.Builder
				c := w.config()
				c.Observer = host.LogObserver(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
				a := ask(t, manager(t, c))
				check(t, a, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeRequestFailed)
				if !strings.Contains(a.Cause.Error(), "not shown") {
					t.Errorf("the cause is %v", a.Cause)
				}
				checkHidden(t, []string{words}, a.Cause)
				checkHidden(t, []string{words}, log.String())
			})
		}
	}
}

func TestTransportShowsNothingThatWasReceived(t *testing.T) {
	for name, response := range malformed {
		t.Run(name, func(t *testing.T) {
			server := silentServer(t, hijacked(t, func(*http.Request) string { return response }), (*httptest.Server).Start)
			w := newWorld()
			client := &http.Client{Transport: &host.Transport{
				Manager: manager(t, w.config()),
				Base:    roundTripper(elsewhere(server)),
			}}
			r, err := client.Get(baseURL + "/codex/models")
			if err == nil {
				_, err = io.ReadAll(r.Body)
				r.Body.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "not shown") {
				t.Errorf("got %v", err)
			}
			checkHidden(t, []string{words}, err)
		})
	}
	t.Run("what it was", func(t *testing.T) {
		own := errors.New(words)
		client := &http.Client{Transport: &host.Transport{
			Manager: manager(t, newWorld().config()),
			Base:    roundTripper(failWith(own)),
		}}
		_, err := client.Get(baseURL + "/codex/models")
		if !errors.Is(err, own) {
			t.Errorf("%v is not what Base returned", err)
		}
		checkHidden(t, []string{words}, err)
	})
}
