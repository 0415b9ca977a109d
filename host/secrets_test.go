package host_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
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
