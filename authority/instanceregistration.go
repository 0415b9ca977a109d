package authority

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/agentassert/agentassert/core"
)

// idempotencyHeader is the same in every try of one registration.
const idempotencyHeader = "Idempotency-Key"

// idempotencyMemory is how long a registration's idempotency key is remembered, and
// maxIdempotencyKey its longest, in bytes.
const (
	idempotencyMemory = 24 * time.Hour
	maxIdempotencyKey = 256
)

// accepted is a registration of a runtime agent instance that can come again.
type accepted struct {
	instance  string
	publicKey string
}

// actor says whom a runtime agent instance acts for.
type actor struct {
	Kind           string `json:"kind"`
	AccountID      string `json:"account_id,omitempty"`
	UserID         string `json:"user_id,omitempty"`
	OrganizationID string `json:"organization_id,omitempty"`
	ProjectID      string `json:"project_id,omitempty"`
}

// registerInstance serves endpointInstance. What authorizes it is in the body.
func (a *Authority) registerInstance(w http.ResponseWriter, r *http.Request, seen *Request) (any, error) {
	for _, name := range []string{"Authorization", biscuitHeader, assertionHeader} {
		if len(r.Header.Values(name)) > 0 {
			return nil, fail(http.StatusBadRequest, CodeInvalidRequest, "a runtime agent instance is registered without the header "+name+": the credential is in the body")
		}
	}
	key, err := singleHeader(r, idempotencyHeader)
	if err != nil {
		return nil, err
	}
	if key == "" || len(key) > maxIdempotencyKey {
		return nil, fail(http.StatusBadRequest, CodeInvalidRequest, "a runtime agent instance is registered with the header "+idempotencyHeader+", of 256 bytes at most")
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	registration, credential, err := core.ParseInstanceRegistration(body)
	if err != nil {
		return nil, refuseBody(err)
	}
	seen.Scheme = SchemeBearer
	owner, acts, err := a.actorOf(registration.Actor, credential, seen.Time)
	if err != nil {
		return nil, err
	}
	seen.Verified, seen.AccountID = true, owner.id
	id, err := a.newID("instance")
	if err != nil {
		return nil, err
	}
	public := registration.PublicKey.OpenSSH()
	a.mu.Lock()
	defer a.mu.Unlock()
	by := idempotency{hashSecret(credential), key}
	if before, ok := a.idempotent.get(seen.Time, by); ok {
		if before.publicKey != public {
			return nil, fail(http.StatusBadRequest, CodeInvalidRequest, "the idempotency key was used for another public key")
		}
		id = before.instance
	} else {
		if err := a.instances.add(seen.Time, id, owner.id, time.Time{}, Instance{ID: id, PublicKey: registration.PublicKey, AccountID: owner.id, FedRAMP: owner.fedRAMP}); err != nil {
			return nil, err
		}
		if err := a.idempotent.add(seen.Time, by, owner.id, seen.Time.Add(idempotencyMemory), accepted{id, public}); err != nil {
			a.instances.remove(id)
			return nil, err
		}
		a.accepted.Instances++
	}
	seen.RuntimeAgentInstance = id
	return map[string]any{
		"runtime_agent_instance_id": id,
		"agent_host_id":             "host-" + registration.InstallationID,
		"actor":                     acts,
	}, nil
}

// idempotency tells registrations apart: the credential's hash, and the key.
type idempotency struct {
	credential secretHash
	key        string
}

// actorOf returns the account of a credential, and whom an instance acts for with it.
// Nothing here knows API keys but [Options.AcceptAnyBearer] and [Authority.AddAPIKey].
func (a *Authority) actorOf(kind, credential string, now time.Time) (account, actor, error) {
	a.mu.Lock()
	owner, ok := a.sessions.get(now, hashSecret(credential))
	a.mu.Unlock()
	isKey := kind == "platform_api_key"
	switch {
	case ok && isKey == owner.apiKey:
	case ok || !a.options.AcceptAnyBearer:
		return account{}, actor{}, fail(http.StatusUnauthorized, CodeInvalidToken, "the credential is not one of this authority's, or of another kind, or has expired")
	default:
		owner = claimedOwner(credential)
		owner.fedRAMP = a.options.FedRAMP
	}
	// The reference client takes no actor without these.
	user := cmp.Or(owner.user, "user-1")
	if isKey {
		return owner, actor{Kind: "platform", OrganizationID: "org-1", ProjectID: "project-1", UserID: user}, nil
	}
	return owner, actor{Kind: "chatgpt", AccountID: cmp.Or(owner.id, "account-1"), UserID: user}, nil
}

// AddAPIKey has the authority accept an API key: as a bearer token, and as what a
// runtime agent instance is registered with. It belongs to no account.
func (a *Authority) AddAPIKey(key string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sessions.add(a.options.Now(), hashSecret(key), "", time.Time{}, account{apiKey: true, user: "user-1"})
}

// Instance makes the authority an [InstanceDirectory].
func (a *Authority) Instance(_ context.Context, id string) (Instance, error) {
	now := a.options.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	instance, ok := a.instances.get(now, id)
	if !ok {
		return Instance{}, ErrUnknownAgent
	}
	return instance, nil
}

// RevokeInstance revokes a runtime agent instance: it is refused with
// CodeInstanceRevoked from now on, and forgotten an hour later. It reports whether there
// was such an instance.
func (a *Authority) RevokeInstance(id string) bool {
	now := a.options.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	instance, ok := a.instances.get(now, id)
	if ok {
		instance.Revoked = true
		a.instances.replace(id, now.Add(taskMemory), instance)
	}
	return ok
}
