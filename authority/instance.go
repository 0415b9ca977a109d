package authority

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// instanceVersion is what the assertion of a runtime agent instance begins with.
const instanceVersion = "1."

// Instance is what a [Verifier] has to know of a runtime agent instance.
type Instance struct {
	// ID is the instance's as the directory has it.
	ID string
	// PublicKey is the key that the instance registered, from [core.ParsePublicKey].
	PublicKey *core.PublicKey
	// AccountID is the account that it registered for. Where it is empty, the account
	// that a request names is not checked.
	AccountID string
	// FedRAMP says that this is a FedRAMP account.
	FedRAMP bool
	// Revoked says that the instance is no longer let in. Only who has its key is told
	// (CodeInstanceRevoked).
	Revoked bool
}

// InstanceDirectory is where a [Verifier] looks runtime agent instances up. It is no
// [Directory]: an instance is not an agent with tasks, and neither can be taken for the
// other, whatever their ids. Its method is called by several goroutines at once.
type InstanceDirectory interface {
	// Instance returns an instance, or ErrUnknownAgent. Any other error means that the
	// directory could not tell. The id is returned as it is stored, as a Directory's is.
	Instance(ctx context.Context, id string) (Instance, error)
}

// authenticateInstance checks the assertion of a runtime agent instance, which begins
// with its version, or with the scheme and then that. None is remembered, for each is
// for one request.
func (v *Verifier) authenticateInstance(r *http.Request, header, account string, beside bool, d *Decision) (Principal, error) {
	if v.instances == nil {
		return Principal{}, fail(http.StatusUnauthorized, CodeUnauthenticated, "no runtime agent instances are let in here")
	}
	received, err := core.ReadAssertion(header)
	if err != nil {
		return Principal{}, fail(http.StatusUnauthorized, CodeInvalidAssertion, err.Error())
	}
	d.ClaimedRuntimeAgentInstance, d.assertionID = received.RuntimeAgentInstance, received.ID
	instance, unknown, err := v.lookUpInstance(r.Context(), received.RuntimeAgentInstance)
	if err != nil {
		return Principal{}, err
	}
	err = v.proofs.assertion(received, instance.PublicKey)
	if err == nil {
		err = received.CheckTime(d.Time.Unix(), v.skew)
	}
	if err := v.refuseAssertion(unknown, err); err != nil {
		return Principal{}, err
	}
	switch {
	case instance.Revoked:
		return Principal{}, fail(http.StatusUnauthorized, CodeInstanceRevoked, "the runtime agent instance was revoked; register another")
	case account != "" && instance.AccountID != "" && account != instance.AccountID:
		return Principal{}, fail(http.StatusUnauthorized, CodeAccountMismatch, "the header ChatGPT-Account-ID names another account than the instance's")
	}
	return Principal{
		Form:                 wire.FormInstance,
		RuntimeAgentInstance: instance.ID,
		AccountID:            instance.AccountID,
		FedRAMP:              instance.FedRAMP,
		Beside:               beside,
		Timestamp:            time.Unix(received.Timestamp, 0).UTC(),
	}, nil
}

// lookUpInstance is lookUp for runtime agent instances.
func (v *Verifier) lookUpInstance(ctx context.Context, id string) (instance Instance, unknown, err error) {
	instance, err = v.instances.Instance(ctx, id)
	switch {
	case errors.Is(err, ErrUnknownAgent):
		unknown = fail(http.StatusUnauthorized, CodeUnknownAgent, "the directory does not know the runtime agent instance")
	case err != nil:
		return Instance{}, nil, directoryFailed(err)
	case instance.PublicKey == nil:
		return Instance{}, nil, directoryFailed(errors.New("the directory returned a runtime agent instance without a key"))
	case instance.ID != id:
		unknown = fail(http.StatusUnauthorized, CodeOtherSpelling, "the directory found a runtime agent instance whose id is spelled otherwise")
	}
	if unknown != nil {
		return Instance{PublicKey: nobody()}, unknown, nil
	}
	return instance, nil, nil
}
