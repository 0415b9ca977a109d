package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/pgstore"
)

// inProcess is a backend without a network.
type inProcess struct{ http.Handler }

func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// atOnce has accounts that were never seen make their first calls at once, two each, through two
// managers, with their identities in PostgreSQL.
func (b *bench) atOnce(ctx context.Context) ([]row, error) {
	const accounts, calls = 150, 2 * 150
	what := fmt.Sprintf("%d new accounts in PostgreSQL, %d calls at once", accounts, calls)
	budget := fmt.Sprintf("%d assertions, %d registrations", calls, accounts)
	if b.postgres == "" {
		return []row{{what: what, budget: budget, measured: "not measured: there is no PostgreSQL", missed: true}}, nil
	}
	backend, err := authority.New(authority.Options{})
	if err != nil {
		return nil, err
	}
	table := make([]byte, 8)
	var key pgstore.Key
	for _, random := range [][]byte{table, key[:]} {
		if _, err := rand.Read(random); err != nil {
			return nil, err
		}
	}
	config := pgstore.Config{ConnString: b.postgres, Keys: []pgstore.Key{key}, Name: "migration", Table: "bench_" + hex.EncodeToString(table)}
	migrated, err := pgstore.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	defer migrated.Close()
	if err := migrated.Migrate(ctx); err != nil {
		return nil, err
	}
	var managers []*host.Manager
	for i := range accounts {
		session := backend.SignIn(fmt.Sprint("account-", i), "user")
		for range calls / accounts {
			config.Name = session.AccountID
			store, err := pgstore.Open(ctx, config)
			if err != nil {
				return nil, err
			}
			defer store.Close()
			manager, err := host.NewManager(host.ManagerConfig{
				Engine: host.NewNative(), Store: store, BaseURL: "https://chatgpt.com", AgentIdentity: true, ABOM: abom,
				Credentials: host.CredentialFunc(func(context.Context) (host.Credentials, error) {
					return host.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: session.AccessToken, AccountID: session.AccountID}, nil
				}),
				HTTPClient: &http.Client{Transport: inProcess{backend}},
			})
			if err != nil {
				return nil, err
			}
			defer manager.Close(ctx)
			managers = append(managers, manager)
		}
	}
	var asserted atomic.Int64
	var wait sync.WaitGroup
	begin := time.Now()
	for _, m := range managers {
		wait.Go(func() {
			if checked(m.Authorization(ctx, core.SurfaceModels)) == nil {
				asserted.Add(1)
			}
		})
	}
	wait.Wait()
	took, registered := time.Since(begin), backend.Accepted()
	return []row{{
		what:     what,
		budget:   budget,
		measured: fmt.Sprintf("%d assertions, %d registrations, %s in all, over 4 connections", asserted.Load(), registered.Identities, round(took)),
		missed:   asserted.Load() != calls || registered.Identities != accounts || registered.Tasks != accounts,
	}}, nil
}
