package identityjwt_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/identityjwt"
)

// An identity that somebody else has registered arrives as a JWT, such as in a variable
// of the environment. Nothing is stored; a task is registered for each manager.
func Example() {
	backend, err := authority.New(authority.Options{}) // in place of ChatGPT's
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(backend)
	defer server.Close()
	token, err := backend.IssueIdentityJWT(authority.User{AccountID: "acct-1", UserID: "user-1"})
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	identity, err := identityjwt.Verify(ctx, token, identityjwt.Options{BaseURL: server.URL + "/backend-api"})
	if err != nil {
		log.Fatal(err)
	}
	manager, err := host.NewManager(host.ManagerConfig{
		Engine:        host.NewNative(), // or host.NewSandbox, as in its example
		JWTIdentity:   &identity,
		BaseURL:       server.URL + "/backend-api",
		TrustedHosts:  []string{"127.0.0.1"}, // ChatGPT's own need no mention
		AuthAPIURL:    server.URL + "/api/accounts",
		AgentIdentity: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close(ctx)
	a, err := manager.Authorization(ctx, core.SurfaceModels)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(a, a.AccountID)

	_, err = identityjwt.Verify(ctx, token[:len(token)-4]+"AAAA", identityjwt.Options{BaseURL: server.URL + "/backend-api"})
	fmt.Println(core.Code(err))
	// Output:
	// agent-assertion (identity-task) acct-1
	// invalid_identity_jwt
}
