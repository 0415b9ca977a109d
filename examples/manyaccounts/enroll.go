package manyaccounts

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// Enroll registers an agent of the user whom an access token is of, with a client of the
// proxy's own. What it returns is for [Accounts.Add].
func Enroll(ctx context.Context, client *http.Client, backend, accessToken string) (core.Identity, error) {
	entropy := make([]byte, 64)
	_, _ = rand.Read(entropy) // it never fails: see crypto/rand
	key, err := core.GenerateKey(wire.ProfileAuthAPI, entropy)
	if err != nil {
		return core.Identity{}, err
	}
	request, err := core.IdentityRegistration(core.IdentityRegistrationParams{
		Profile: wire.ProfileAuthAPI, BaseURL: backend, AccessToken: accessToken, Key: key,
		ABOM: wire.ABOM{AgentVersion: "1.0.0", AgentHarnessID: "example", RunningLocation: "example"},
	})
	if err != nil {
		return core.Identity{}, err
	}
	answer, err := send(ctx, client, request)
	if err != nil {
		return core.Identity{}, err
	}
	id, err := core.ReadIdentity(answer, accessToken)
	if err != nil {
		return core.Identity{}, err // a *core.Refusal, where the backend refuses
	}
	return core.Identity{AgentRuntimeID: id, PrivateKey: key.PKCS8()}, nil
}

// send sends a request of the core's.
func send(ctx context.Context, client *http.Client, r wire.HTTPRequest) (core.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.TimeoutMS)*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, r.Method, r.URL, strings.NewReader(string(r.Body)))
	if err != nil {
		return core.Answer{}, err
	}
	for _, h := range r.Headers {
		request.Header.Set(h.Name, h.Value)
	}
	response, err := client.Do(request)
	if err != nil {
		return core.Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(r.SizeLimit)))
	return core.Answer{Status: response.StatusCode, Header: response.Header, Body: body, Now: time.Now().Unix()}, err
}
