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
	owner, err := a.authorizeIdentity(r, to, seen)
	if err != nil {
		return nil, err
	}
	body, err := readBody(w, r)
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
	if err := a.holdAgent(id, Agent{PublicKey: key, AccountID: owner.id, FedRAMP: owner.fedRAMP}); err != nil {
		return nil, err
	}
	a.accepted.Identities++
	seen.AgentRuntimeID = id
	return map[string]string{"agent_runtime_id": id}, nil
}

// authorizeIdentity returns the account that an identity is registered for.
func (a *Authority) authorizeIdentity(r *http.Request, to route, seen *Request) (account, error) {
	if !to.isLater() {
		return a.takeBiscuit(r, to, seen)
	}
	owner, err := a.bearer(r, seen)
	if err != nil {
		return account{}, err
	}
	if err := checkFedRAMP(r, owner.fedRAMP); err != nil {
		return account{}, err
	}
	return owner, nil
}

// registerTask serves endpointTask.
func (a *Authority) registerTask(w http.ResponseWriter, r *http.Request, to route, seen *Request) (any, error) {
	seen.AgentRuntimeID = to.agentRuntimeID
	owner, err := a.authorizeTask(r, to, seen)
	if err != nil {
		return nil, err
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	proof, err := core.ParseTaskRegistration(body)
	if err != nil {
		return nil, refuseBody(err)
	}
	if to.isLater() {
		seen.Scheme = SchemeSignature
	}
	agent, err := a.Agent(r.Context(), to.agentRuntimeID)
	if err != nil || !to.isLater() && agent.AccountID != owner.id {
		return nil, unknownAgent()
	}
	err = core.VerifyRegistration(agent.PublicKey, to.agentRuntimeID, proof, seen.Time.Unix(), a.verifier.skewSeconds())
	if err != nil {
		return nil, refuseProof(err)
	}
	shape := TaskResponseSealed
	if to.isLater() {
		shape = a.options.TaskResponse
		seen.Verified, seen.AccountID = true, agent.AccountID
	}
	id, err := a.newID("task")
	if err != nil {
		return nil, err
	}
	answer, err := a.taskAnswer(shape, agent.PublicKey, id)
	if err != nil {
		return nil, err
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
	a.accepted.Tasks++
	seen.TaskID = id
	return answer, nil
}

// authorizeTask returns the account that the agent must be of; in the later
// profile there is none, for the signature is all that is sent. A client that
// sends a credential all the same gives it away, and is told so.
func (a *Authority) authorizeTask(r *http.Request, to route, seen *Request) (account, error) {
	if !to.isLater() {
		return a.takeBiscuit(r, to, seen)
	}
	for _, name := range []string{"Authorization", biscuitHeader} {
		if len(r.Header.Values(name)) > 0 {
			return account{}, fail(http.StatusBadRequest, CodeInvalidRequest, "a task is registered here without the header "+name+": the signature is the proof")
		}
	}
	return account{}, nil
}

// readBody reads the body of a registration.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, fail(http.StatusRequestEntityTooLarge, CodeBodyTooLarge, "the body is larger than 64 KiB")
	}
	if err != nil {
		return nil, fail(http.StatusBadRequest, CodeInvalidRequest, "the body could not be read to its end")
	}
	return body, nil
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
