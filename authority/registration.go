package authority

import (
	"errors"
	"io"
	"net/http"

	"github.com/agentassert/agentassert/core"
)

// maxBody is the largest body of a registration that is read, in bytes.
const maxBody = 64 << 10

// registerIdentity serves endpointIdentity.
func (a *Authority) registerIdentity(w http.ResponseWriter, r *http.Request, to route, seen *Request) (any, error) {
	account, body, err := a.openRegistration(w, r, to, seen)
	if err != nil {
		return nil, err
	}
	// What the agent is made of is checked, and not kept: nothing here reads it.
	_, key, err := core.ParseIdentityRegistration(body)
	if err != nil {
		return nil, refuseBody(err)
	}
	id, err := a.newID("agent")
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.agents) >= a.options.MaxIdentities {
		return nil, capacityExceeded()
	}
	if _, ok := a.agents[id]; ok {
		return nil, errNotRandom()
	}
	a.agents[id] = Agent{PublicKey: key, AccountID: account}
	seen.AgentRuntimeID = id
	return map[string]string{"agent_runtime_id": id}, nil
}

// registerTask serves endpointTask.
func (a *Authority) registerTask(w http.ResponseWriter, r *http.Request, to route, seen *Request) (any, error) {
	seen.AgentRuntimeID = to.agentRuntimeID
	account, body, err := a.openRegistration(w, r, to, seen)
	if err != nil {
		return nil, err
	}
	proof, err := core.ParseTaskRegistration(body)
	if err != nil {
		return nil, refuseBody(err)
	}
	agent, err := a.Agent(r.Context(), to.agentRuntimeID)
	if err != nil || agent.AccountID != account {
		return nil, unknownAgent()
	}
	err = core.VerifyRegistration(agent.PublicKey, to.agentRuntimeID, proof, seen.Time.Unix(), a.verifier.skewSeconds())
	if err != nil {
		return nil, refuseProof(err)
	}
	id, err := a.newID("task")
	if err != nil {
		return nil, err
	}
	entropy, err := a.random(32)
	if err != nil {
		return nil, err
	}
	sealed, err := core.SealTaskID(agent.PublicKey, entropy, id)
	if err != nil {
		return nil, fail(http.StatusInternalServerError, CodeInternal, err.Error())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.agents[to.agentRuntimeID]; !ok { // revoked in the meantime
		return nil, unknownAgent()
	}
	if len(a.tasks) >= a.options.MaxTasks {
		return nil, capacityExceeded()
	}
	if _, ok := a.tasks[id]; ok {
		return nil, errNotRandom()
	}
	a.tasks[id] = task{agentRuntimeID: to.agentRuntimeID}
	seen.TaskID = id
	return map[string]string{"encrypted_task_id": sealed}, nil
}

// openRegistration authorizes a registration call and then reads its body.
func (a *Authority) openRegistration(w http.ResponseWriter, r *http.Request, to route, seen *Request) (accountID string, body []byte, err error) {
	accountID, err = a.takeBiscuit(r, to, seen)
	if err != nil {
		return "", nil, err
	}
	body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return "", nil, fail(http.StatusRequestEntityTooLarge, CodeBodyTooLarge, "the body is larger than 64 KiB")
	}
	if err != nil {
		return "", nil, fail(http.StatusBadRequest, CodeInvalidRequest, "the body could not be read to its end")
	}
	return accountID, body, nil
}

// refuseProof is what the client is told when [core.VerifyRegistration] failed.
func refuseProof(err error) error {
	switch core.Code(err) {
	case core.CodeBadSignature:
		return fail(http.StatusForbidden, CodeInvalidSignature, err.Error())
	case core.CodeTimestampSkew:
		return fail(http.StatusForbidden, CodeTimestampSkew, err.Error())
	case core.CodeInvalidTime:
		return fail(http.StatusBadRequest, CodeInvalidRequest, err.Error())
	}
	return fail(http.StatusInternalServerError, CodeInternal, err.Error())
}

// refuseBody is what the client is told when the body could not be read.
func refuseBody(err error) error {
	if core.Code(err) == core.CodeInvalidPublicKey {
		return fail(http.StatusBadRequest, CodeInvalidPublicKey, err.Error())
	}
	return fail(http.StatusBadRequest, CodeInvalidRequest, err.Error())
}

// unknownAgent is the same for an agent of another account, so that nobody
// learns which ids there are.
func unknownAgent() error {
	return fail(http.StatusNotFound, CodeUnknownAgent, "the account has no such agent, or it was revoked")
}

// errNotRandom keeps a source of randomness that repeats itself from replacing
// what another client registered.
func errNotRandom() error {
	return fail(http.StatusInternalServerError, CodeInternal, "the authority's randomness repeats itself")
}
