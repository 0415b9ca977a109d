package pgstore_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/pgstore"
)

// handled is a backend without a network.
type handled struct{ http.Handler }

func (h handled) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// TestManyAccounts has the managers of many accounts, each of which has a store of its own,
// in each of several processes, call at once, on a server that takes fewer connections
// than there are accounts: all that the processes want to have, or not even those.
func TestManyAccounts(t *testing.T) {
	const connections = 20
	dsn(t) // where no server was asked for, none is started
	address, _ := server(t, fmt.Sprint("-c max_connections=", connections))
	for _, test := range []struct{ accounts, processes int }{{150, 2}, {25, 12}} {
		t.Run(fmt.Sprint(test.accounts, " in ", test.processes), func(t *testing.T) {
			backend, err := authority.New(authority.Options{})
			if err != nil {
				t.Fatal(err)
			}
			c := pgstore.Config{ConnString: address, Keys: []pgstore.Key{newKey()}, Name: "migration", Table: unique("test")}
			migrated(t, c).Close()
			var asserted atomic.Int32
			var wait sync.WaitGroup
			for i := range test.accounts {
				c := c
				c.Name = fmt.Sprint("account-", i)
				session := backend.SignIn(c.Name, "user")
				for process := range test.processes {
					c := inProcess(c, process)
					wait.Go(func() {
						if call(t, c, backend, session) {
							asserted.Add(1)
						}
					})
				}
			}
			wait.Wait()
			if got, want := int(asserted.Load()), test.accounts*test.processes; got != want {
				t.Errorf("%d of %d asserted", got, want)
			}
			if got := backend.Accepted(); got.Identities != test.accounts || got.Tasks != test.accounts {
				t.Errorf("%+v were registered, want %d of each", got, test.accounts)
			}
		})
	}
}

// call opens a store, makes a manager of a session, and reports whether a call asserts.
func call(t *testing.T, c pgstore.Config, backend *authority.Authority, session authority.Session) bool {
	store, err := pgstore.Open(t.Context(), c)
	if err != nil {
		t.Error(err)
		return false
	}
	t.Cleanup(store.Close)
	manager, err := host.NewManager(host.ManagerConfig{
		Engine: host.NewNative(), Store: store, BaseURL: "https://chatgpt.com/backend-api", AgentIdentity: true,
		Credentials: host.CredentialFunc(func(context.Context) (host.Credentials, error) {
			return host.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: session.AccessToken, AccountID: session.AccountID}, nil
		}),
		HTTPClient: &http.Client{Transport: handled{backend}},
	})
	if err != nil {
		t.Error(err)
		return false
	}
	t.Cleanup(func() {
		if err := manager.Close(context.Background()); err != nil {
			t.Errorf("closing the manager: %v", err)
		}
	})
	a, err := manager.Authorization(t.Context(), core.SurfaceModels)
	if err != nil || a.Mode != core.ModeAgentAssertion {
		t.Errorf("%s got %q, because of %v, %v", c.Name, a.Mode, a.Cause, err)
		return false
	}
	return true
}
