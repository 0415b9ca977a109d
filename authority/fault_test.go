package authority_test

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/agentassert/agentassert/authority"
)

// TestInterceptByChance is how a client's reliability is measured: a part of all
// registrations fails, by the test's own chance.
func TestInterceptByChance(t *testing.T) {
	var mu sync.Mutex
	chance := rand.New(rand.NewPCG(1, 2))
	failed := map[string]int{}
	b := newBackend(t, authority.Options{Intercept: func(r *http.Request) (int, http.Header) {
		mu.Lock()
		defer mu.Unlock()
		if chance.Float64() >= 0.2 {
			return 0, nil
		}
		failed[r.URL.Path]++
		return http.StatusServiceUnavailable, http.Header{"Retry-After": {"7"}}
	}})
	s := b.SignIn("acct-1", "user-1")
	const n = 500
	refused := 0
	for range n {
		a := b.do(t, request{"POST", identityPath(authAPI), []string{"Authorization", "Bearer " + s.AccessToken}, laterIdentityBody(t, newKey(t, 1))})
		if a.status == 200 {
			continue
		}
		refused++
		b.check(t, a, 503, authority.CodeRegistrationRefused)
		if got := a.header.Get("Retry-After"); got != "7" {
			t.Errorf("Retry-After %q", got)
		}
	}
	if refused < n/10 || refused > n*3/10 || failed[identityPath(authAPI)] != refused {
		t.Errorf("%d of %d were refused, %v by the hook", refused, n, failed)
	}
	if got := b.Accepted().Identities; got != n-refused {
		t.Errorf("%d registrations were accepted, %d of %d refused", got, refused, n)
	}
}

func TestInterceptIsAskedAboutRegistrations(t *testing.T) {
	var asked []string
	status := 0
	b := newBackend(t, authority.Options{JWTKey: jwtKey(), Intercept: func(r *http.Request) (int, http.Header) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		return status, http.Header{"Location": {"http://other.example/"}}
	}})
	s := b.SignIn("acct-1", "user-1")
	g := b.grant(t, s, b.register(t, s, newKey(t, 1))) // asked, and let pass
	later, _ := b.grantLater(t, b.registerLater(t, s, newKey(t, 2)))
	want := []string{
		"GET " + base + "/authenticate_app_v2", "POST " + identityPath(base),
		"GET " + base + "/authenticate_app_v2", "POST " + taskPath(base, g.runtimeID),
		"POST " + identityPath(authAPI), "POST " + taskPath(authAPI, later.runtimeID),
	}
	if strings.Join(asked, "\n") != strings.Join(want, "\n") {
		t.Errorf("asked about %q, want %q", asked, want)
	}
	registrations := []request{
		{"GET", base + "/authenticate_app_v2", nil, ""},
		{"POST", identityPath(""), nil, ""},
		{"POST", taskPath(base, g.runtimeID), nil, ""},
		{"POST", identityPath(authAPI), nil, ""},
		{"POST", taskPath(authAPI, later.runtimeID), nil, ""},
	}
	asked, status = nil, 302
	for _, r := range registrations {
		a := b.do(t, r)
		b.check(t, a, 302, authority.CodeRegistrationRefused)
		if a.header.Get("Location") != "http://other.example/" {
			t.Errorf("the headers are %v", a.header)
		}
	}
	if len(asked) != len(registrations) {
		t.Errorf("asked about %q", asked)
	}

	asked = nil
	b.fetchJWKS(t, jwksPaths[0])
	b.check(t, b.do(t, request{"GET", base + "/codex/models", []string{"Authorization", g.assertion(t, start)}, ""}), 200, "")
	b.check(t, b.do(t, request{"GET", identityPath(authAPI), nil, ""}), 405, authority.CodeMethodNotAllowed)
	b.RefuseRegistration(500) // comes first
	for _, r := range registrations {
		a := b.do(t, r)
		b.check(t, a, 500, authority.CodeRegistrationRefused)
		if a.header.Get("Location") != "" {
			t.Errorf("the headers are %v", a.header)
		}
	}
	if len(asked) != 0 {
		t.Errorf("asked about %q", asked)
	}
}

func TestInterceptReturnsNonsense(t *testing.T) {
	for _, status := range []int{-1, 200, 299, 600} {
		a, err := authority.New(authority.Options{Intercept: func(*http.Request) (int, http.Header) { return status, nil }})
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("the status %d did not panic", status)
				}
			}()
			a.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", identityPath(authAPI), nil))
		}()
	}
}
