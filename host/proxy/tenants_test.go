package proxy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/agentassert/agentassert/host"
)

// counted are tenants that count who has a manager.
type counted struct {
	Tenants
	taken, released atomic.Int64
}

func (c *counted) Manager(ctx context.Context, account string) (*host.Manager, func(), error) {
	c.taken.Add(1)
	m, release, err := c.Tenants.Manager(ctx, account)
	return m, func() { release(); c.released.Add(1) }, err
}

// A manager is let go of when its request has ended, whatever that comes to.
func TestReleasesManagers(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			panic(http.ErrAbortHandler)
		}
	}))
	defer backend.Close()
	c := &counted{Tenants: OneUser("t", newPlainManager(t, backend.URL))}
	p := newPlain(t, backend.URL, func(config *Config) { config.Tenants = c })
	defer closeProxy(t, p)
	for _, tt := range []struct {
		path, token string
		taken       int64
	}{{"/", "t", 1}, {"/broken", "t", 2}, {"/", "wrong", 2}, {"/v1/agent/register", "t", 2}} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, tt.path, nil)
		r.Header.Set(TokenHeader, tt.token)
		p.ServeHTTP(w, r)
		if taken, released := c.taken.Load(), c.released.Load(); taken != tt.taken || released != taken {
			t.Errorf("%s: %d managers were taken, %d let go of, want %d", tt.path, taken, released, tt.taken)
		}
	}
}
