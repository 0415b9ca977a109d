package proxy_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/proxy"
)

// A proxy in a server of one's own, here one with TLS, beside an address for those who
// operate it.
func Example() {
	backend, err := authority.New(authority.Options{}) // in place of ChatGPT's
	if err != nil {
		log.Fatal(err)
	}
	upstream := httptest.NewServer(backend)
	defer upstream.Close()
	session := backend.SignIn("account-1", "user-1")

	logger := slog.New(slog.DiscardHandler) // or one that writes
	manager, err := host.NewManager(host.ManagerConfig{
		Engine: host.NewNative(),    // or host.NewSandbox, as in its example
		Store:  &host.MemoryStore{}, // or one that lasts, such as package authfile's
		Credentials: host.CredentialFunc(func(context.Context) (host.Credentials, error) {
			return host.Credentials{
				Kind: wire.CredentialsChatGPT, AccessToken: session.AccessToken, AccountID: session.AccountID, UserID: session.UserID,
			}, nil
		}),
		BaseURL:       upstream.URL + "/backend-api",
		TrustedHosts:  []string{"127.0.0.1"}, // ChatGPT's own need no mention
		AgentIdentity: true,
		Logger:        logger,
		Observer:      host.LogObserver(logger),
	})
	if err != nil {
		log.Fatal(err)
	}

	token := rand.Text() // or proxy.ReadToken's
	p, err := proxy.New(proxy.Config{
		Setup: proxy.Setup{
			BaseURL: manager.BaseURL(),
			Tenants: proxy.OneUser(token, manager),
			Release: func() { _ = manager.Close(context.Background()) },
		},
		Logger: logger,
	})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewTLSServer(p)
	operations := httptest.NewServer(p.Operations(nil))
	defer operations.Close()

	get := func(url, token string) {
		r, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			log.Fatal(err)
		}
		r.Header.Set(proxy.TokenHeader, token)
		response, err := server.Client().Do(r)
		if err != nil {
			log.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(response.StatusCode, strings.Contains(string(body), "agent-assertion"))
	}
	get(server.URL+"/codex/models", token)
	get(server.URL+"/codex/models", "a guess")
	get(operations.URL+"/readyz", "")

	server.Close() // which waits for the requests under way
	if err := p.Close(context.Background()); err != nil {
		log.Fatal(err)
	}
	get(operations.URL+"/readyz", "")
	// Output:
	// 200 true
	// 401 false
	// 200 true
	// 503 false
}
