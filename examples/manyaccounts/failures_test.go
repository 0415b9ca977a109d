package manyaccounts

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestFailures has the backend refuse, each time in another way.
func TestFailures(t *testing.T) {
	refuse := func(w http.ResponseWriter, status int, code string) bool {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"error":{"code":"`+code+`"}}`)
		return true
	}
	for name, test := range map[string]struct {
		refuses func(w http.ResponseWriter, r *http.Request) bool
		// calls are made before that.
		calls      int
		account    string
		status     int
		retryAfter string
		log        string
		// tasks are how many have been registered in the end.
		tasks int
	}{
		"no such account": {account: "somebody", status: http.StatusForbidden, log: "level=INFO"},
		"a registration that is to wait": {
			refuses: func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Retry-After", "7")
				return strings.HasSuffix(r.URL.Path, "/task/register") && refuse(w, http.StatusTooManyRequests, "slow_down")
			},
			status: http.StatusServiceUnavailable, retryAfter: "7", log: "level=WARN",
		},
		"an account that is deactivated": {
			refuses: func(w http.ResponseWriter, r *http.Request) bool {
				return strings.HasSuffix(r.URL.Path, "/codex/responses") && refuse(w, http.StatusUnauthorized, "account_deactivated")
			},
			calls: 1, status: http.StatusBadGateway, log: "account_deactivated", tasks: 1,
		},
		"an agent that is revoked": {
			refuses: func(w http.ResponseWriter, r *http.Request) bool {
				return strings.Contains(r.URL.Path, "/task/register") && refuse(w, http.StatusNotFound, "")
			},
			status: http.StatusForbidden, log: "level=ERROR",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 1, 1)
			account := test.account
			if account == "" {
				account = f.ids[0]
			}
			call := func() *httptest.ResponseRecorder {
				r := httptest.NewRequest(http.MethodPost, "http://proxy/codex/responses", strings.NewReader("{}"))
				r.Header.Set("X-Account", account)
				w := httptest.NewRecorder()
				f.proxies[0].ServeHTTP(w, r)
				return w
			}
			for range test.calls {
				if w := call(); w.Code != http.StatusOK {
					t.Fatalf("got %d before anything was refused", w.Code)
				}
			}
			if test.refuses != nil {
				f.refuses.Store(&test.refuses)
			}
			w := call()
			if w.Code != test.status || w.Header().Get("Retry-After") != test.retryAfter {
				t.Errorf("got %d, Retry-After %q, want %d, %q\n%s", w.Code, w.Header().Get("Retry-After"), test.status, test.retryAfter, f.log.all)
			}
			if f.log.count(test.log) != 1 {
				t.Errorf("%q is not in what was logged: %s", test.log, f.log.all)
			}
			if got := f.backend.Accepted().Tasks; got != test.tasks {
				t.Errorf("%d tasks were registered, want %d", got, test.tasks)
			}
		})
	}
}
