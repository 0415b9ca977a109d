package authority

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
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
	if err := a.holdAgent(seen.Time, Agent{RuntimeID: id, PublicKey: key, AccountID: owner.id, FedRAMP: owner.fedRAMP}); err != nil {
		return nil, err
	}
	a.accepted.Identities++
	seen.AgentRuntimeID = id
	return map[string]string{"agent_runtime_id": id}, nil
}

// authorizeIdentity returns the account that an identity is registered for.
func (a *Authority) authorizeIdentity(r *http.Request, to route, seen *Request) (account, error) {
	if !to.isAuthAPI() {
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
	signed, err := core.ParseTaskRegistration(body)
	if err != nil {
		return nil, refuseBody(err)
	}
	if to.isAuthAPI() {
		seen.Scheme = SchemeSignature
	}
	agent, err := a.provenAgent(r, to, owner, signed, seen.Time)
	if err != nil {
		return nil, err
	}
	shape := TaskResponseSealed
	if to.isAuthAPI() {
		shape = a.options.TaskResponse
		seen.Verified, seen.AccountID = true, agent.AccountID
	}
	id, err := a.newID("task")
	if err != nil {
		return nil, err
	}
	id, err = a.grantTask(id, agent, to, signed.Timestamp, seen.Time)
	if Reason(err) == CodeReplayedRegistration {
		w.Header().Set("Retry-After", "1") // in the next second there is another proof
		seen.Verified, seen.AccountID = false, ""
	}
	if err != nil {
		return nil, err
	}
	seen.TaskID = id
	return a.taskAnswer(shape, agent.PublicKey, id)
}

// grantTask keeps a task, unless the agent has been revoked in the meantime, and returns
// its id: that of an earlier one, where the same registration has come before.
func (a *Authority) grantTask(id string, agent Agent, to route, timestamp string, began time.Time) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.agents.get(began, agent.RuntimeID); !ok {
		return "", unknownAgent(ErrUnknownAgent)
	}
	return a.holdTask(id, agent, to, timestamp)
}

// provenAgent returns the agent that signed a task registration. Whether there is
// no such agent, or it is another account's, or it has another key: nobody is told
// which, and each takes one check of a signature.
func (a *Authority) provenAgent(r *http.Request, to route, owner account, signed wire.RegistrationProof, now time.Time) (Agent, error) {
	agent, unknown, err := a.verifier.lookUp(r.Context(), to.agentRuntimeID)
	if err != nil {
		return Agent{}, err
	}
	if unknown == nil && !to.isAuthAPI() && agent.AccountID != owner.id {
		unknown = fail(http.StatusNotFound, CodeAccountMismatch, "the agent is of another account than the biscuit")
	}
	err = a.verifier.proofs.registration(agent.PublicKey, to.agentRuntimeID, signed, now.Unix(), a.verifier.skew)
	if err := refuseProof(unknown, err); err != nil {
		return Agent{}, err
	}
	return agent, nil
}

// holdTask keeps a task, and remembers the proof that it was registered with until
// that is too old. The caller holds a.mu.
//
// In the profile auth-api a proof that is remembered gets nobody another task, whichever
// profile it was accepted in: clients that begin twice in one second send the same, and
// get the same. In the default one it does: the reference client registers two tasks
// with one proof within a second (captures/enabled.jsonl), and what is captured there is
// useless without another biscuit.
func (a *Authority) holdTask(id string, agent Agent, to route, timestamp string) (string, error) {
	p := proof{agent.RuntimeID, timestamp}
	signed, err := time.Parse(time.RFC3339, timestamp)
	if err != nil {
		return "", fail(http.StatusBadRequest, CodeInvalidRequest, "the timestamp is none") // it was checked with the signature
	}
	forgotten := signed.Add(time.Duration(a.verifier.skew+1) * time.Second)
	// The request began a while ago if its body was slow, and what was remembered then
	// can have been forgotten since. So the time is taken here, where nobody forgets.
	now := a.options.Now()
	before, used := a.proofs.get(now, p)
	switch {
	case !now.Before(forgotten):
		return "", fail(http.StatusForbidden, CodeTimestampSkew, "the timestamp is too old")
	case used && to.isAuthAPI():
		if t, ok := a.tasks.get(now, before); ok && (t.expires.IsZero() || now.Before(t.expires)) {
			return before, nil
		}
		return "", fail(http.StatusTooManyRequests, CodeReplayedRegistration, "this registration was accepted before, and its task has expired; sign another one, with the time of another second")
	}
	t := task{agentRuntimeID: agent.RuntimeID}
	var until time.Time
	if lifetime := a.options.TaskLifetime; lifetime > 0 {
		t.expires = now.Add(lifetime)
		until = t.expires.Add(taskMemory)
	}
	if err := a.tasks.add(now, id, agent.AccountID, until, t); err != nil {
		return "", err
	}
	if used {
		a.accepted.Tasks++
		return id, nil
	}
	if err := a.proofs.add(now, p, agent.AccountID, forgotten, id); err != nil {
		a.tasks.remove(id)
		return "", err
	}
	a.accepted.Tasks++
	return id, nil
}

// authorizeTask returns the account that the agent must be of; in the later
// profile there is none, for the signature is all that is sent. A client that
// sends a credential all the same gives it away, and is told so.
func (a *Authority) authorizeTask(r *http.Request, to route, seen *Request) (account, error) {
	if !to.isAuthAPI() {
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

// refuseProof is what the client is told where the agent is unknown, or
// [core.VerifyRegistration] failed.
func refuseProof(unknown, err error) error {
	code := core.Code(err)
	if code == core.CodeInvalidTime { // seen before the signature, whoever the agent is
		return fail(http.StatusBadRequest, CodeInvalidRequest, err.Error())
	}
	if unknown == nil && (code == core.CodeBadSignature || code == core.CodeInvalidAgentRuntimeID) {
		unknown = fail(http.StatusNotFound, CodeInvalidSignature, err.Error())
	}
	switch {
	case unknown != nil:
		return unknownAgent(unknown)
	case code == core.CodeTimestampSkew:
		return fail(http.StatusForbidden, CodeTimestampSkew, err.Error())
	case err != nil:
		return fail(http.StatusInternalServerError, CodeInternal, err.Error())
	}
	return nil
}

// refuseBody is what the client is told when the body could not be read.
func refuseBody(err error) error {
	if core.Code(err) == core.CodeInvalidPublicKey {
		return fail(http.StatusBadRequest, CodeInvalidPublicKey, err.Error())
	}
	return fail(http.StatusBadRequest, CodeInvalidRequest, err.Error())
}

// unknownAgent is the same for an agent of another account, and for one with
// another key, so that nobody learns which ids there are.
func unknownAgent(cause error) error {
	return because(cause, http.StatusNotFound, CodeUnknownAgent, "the account has no agent with this id and this key, or it was revoked")
}
