package core

import (
	"github.com/agentassert/agentassert/core/wire"
)

// cannotRegister returns why a registration, which may need the access token, is not
// even tried.
func (f *flow) cannotRegister(needsToken bool) error {
	switch {
	case needsToken && f.Credentials.AccessToken == "":
		return fail(CodeNoAccessToken, "there is no access token to register with; sign in again")
	case f.profile.registrar(f.Config) == "":
		return fail(CodeNoAuthAPI, "nobody knows where agents of the backend at "+f.Config.BaseURL+" are registered, and the user's token is not for guessing; configure the auth API's URL")
	}
	return nil
}

// generateKey makes the key of a new identity, and goes on to its registration.
func (f *flow) generateKey(entropy []byte) (wire.Effect, error) {
	if int64(len(entropy)) != f.profile.keyEntropy() {
		return wire.Effect{}, fail(CodeInvalidEntropy, "the flow asked for another amount of entropy")
	}
	f.Tries = 0 // those of a task may have shown that the agent is unknown
	k, err := f.profile.newKey(f, entropy)
	if err != nil {
		return wire.Effect{}, err
	}
	f.PrivateKey = k.PKCS8()
	return f.profile.identityRequest(f)
}

// tasks returns the profile of an agent that asserts tasks.
func (f *flow) tasks() (tasks, error) {
	p, ok := f.profile.(tasks)
	if !ok {
		return nil, fail(CodeInvalidState, "the state is not one that a step returned")
	}
	return p, nil
}

// prepareTaskWith goes on to the registration of a task with the entropy that it
// takes.
func (f *flow) prepareTaskWith(entropy []byte) (wire.Effect, error) {
	p, err := f.tasks()
	if err != nil {
		return wire.Effect{}, err
	}
	if int64(len(entropy)) != p.taskEntropy() {
		return wire.Effect{}, fail(CodeInvalidEntropy, "the flow asked for another amount of entropy")
	}
	f.RequestID = entropy
	return f.prepareTask()
}

// prepareTask goes on to the registration of a task.
func (f *flow) prepareTask() (wire.Effect, error) {
	f.PrivateKey, f.Tries = "", 0
	return f.requestTask()
}

func (f *flow) requestTask() (wire.Effect, error) {
	p, err := f.tasks()
	if err != nil {
		return wire.Effect{}, err
	}
	id, err := f.storedIdentity()
	if err != nil {
		return wire.Effect{}, err
	}
	effect, err := p.taskRequest(f, id)
	if err != nil {
		return f.backOff(wire.AgentRegistrationFailed, err)
	}
	return effect, nil
}

// doing names the request of the current step, for errors.
func (f *flow) doing() string {
	switch f.Step {
	case stepIdentityBiscuit:
		return "minting a biscuit for the identity registration"
	case stepIdentity, stepIdentityWait:
		if f.profile.identitySlot() == wire.SlotInstance {
			return "registering the runtime agent instance"
		}
		return "registering the identity"
	case stepTaskBiscuit:
		return "minting a biscuit for the task registration"
	}
	if f.isThread() {
		return "registering the thread's task"
	}
	return "registering the background task"
}

// response handles the answer to one of the requests of a registration.
func (f *flow) response(e wire.Event) (wire.Effect, error) {
	f.RetryAfter, f.Passing = 0, false
	if e.Status < 200 || e.Status > 299 {
		return f.refused(e)
	}
	next := f.taskRegistered
	switch f.Step {
	case stepIdentityBiscuit, stepTaskBiscuit:
		next = func(e wire.Event) (wire.Effect, error) { return biscuit{}.minted(f, e) }
	case stepIdentity:
		next = func(e wire.Event) (wire.Effect, error) { return f.profile.identityRegistered(f, e.Body) }
	}
	doing := f.doing()
	effect, err := next(e)
	if err != nil {
		return f.backOff(wire.AgentRegistrationFailed, fail(Code(err), doing+": "+err.Error()))
	}
	return effect, nil
}

// registerIdentity sends the registration of an identity. The headers authorize it.
func (f *flow) registerIdentity(headers ...wire.Header) (wire.Effect, error) {
	k, err := f.parseKey(f.PrivateKey)
	if err != nil {
		return wire.Effect{}, err
	}
	f.Step = stepIdentity
	return registrationRequest(identityRegistrationURL(f.profile.registrar(f.Config)),
		IdentityRegistrationBody(f.Config, k.Public()), timeoutMS, headers...), nil
}

// registerTask sends the registration of a task.
func (f *flow) registerTask(timeoutMS int64, headers ...wire.Header) (wire.Effect, error) {
	id, err := f.storedIdentity()
	if err != nil {
		return wire.Effect{}, err
	}
	return f.postTask(id, timeoutMS, headers...)
}

func (f *flow) postTask(id *identity, timeoutMS int64, headers ...wire.Header) (wire.Effect, error) {
	proof, err := SignRegistration(id.key, id.agentRuntimeID, f.now)
	if err != nil {
		return wire.Effect{}, err
	}
	url, err := taskRegistrationURL(f.profile.registrar(f.Config), id.agentRuntimeID)
	if err != nil {
		return wire.Effect{}, err
	}
	f.Step = stepTask
	return registrationRequest(url, taskRegistrationBody(proof), timeoutMS, headers...), nil
}

// parseIdentityResponse takes the agent's id from the answer to its registration. One
// that no task can be registered for, and that would stay, is refused.
func parseIdentityResponse(body []byte) (string, error) {
	id, err := parseResponseString(body, "agent_runtime_id")
	if err != nil {
		return "", err
	}
	if err := checkAgentRuntimeID(id); err != nil {
		return "", err
	}
	if _, err := taskRegistrationURL("", id); err != nil {
		return "", err
	}
	return id, nil
}

// saveIdentity stores the identity that the backend has registered.
func (f *flow) saveIdentity(body []byte) (wire.Effect, error) {
	id, err := parseIdentityResponse(body)
	if err != nil {
		return wire.Effect{}, err
	}
	record, err := newIdentityRecord(f.account(), f.Credentials, id, f.PrivateKey, f.Config.BaseURL, f.now)
	if err != nil {
		return wire.Effect{}, err
	}
	if f.Unknown != "" {
		if record, err = f.stamp(record, memberIdentityReplacedAt); err != nil {
			return wire.Effect{}, err
		}
	}
	f.PrivateKey, f.Registered = "", record
	return f.swap(stepSaveIdentity, record), nil
}

func (f *flow) taskRegistered(e wire.Event) (wire.Effect, error) {
	id, err := f.storedIdentity()
	if err != nil {
		return wire.Effect{}, err
	}
	p, err := f.tasks()
	if err != nil {
		return wire.Effect{}, err
	}
	task, err := p.readTask(id.key, e.Body)
	if err != nil {
		return wire.Effect{}, err
	}
	f.Granted, f.GrantedTo = task, id.agentRuntimeID
	return f.saveTask()
}

// saveTask stores the task that the backend has granted.
func (f *flow) saveTask() (wire.Effect, error) {
	record, err := f.Record, error(nil)
	if f.isThread() {
		record, err = newThreadRecord(f.GrantedTo, f.Granted, f.now)
	} else {
		record, err = setRecordTask(record, f.Granted)
	}
	if err == nil && f.Rejected != nil {
		record, err = f.stamp(record, memberTaskReplacedAt)
	} else if err == nil {
		record, err = setRecordMember(record, memberTaskReplacedAt, "")
	}
	if err != nil {
		return wire.Effect{}, err
	}
	if f.isThread() {
		f.Thread = record
		return f.write(stepSaveTask, f.threadSlot(), record), nil
	}
	if f.Credentials.Kind != wire.CredentialsAgentIdentity {
		if record, err = completeRecord(record, f.account(), f.Credentials, f.now); err != nil {
			return wire.Effect{}, err
		}
	}
	effect := f.swap(stepSaveTask, record)
	f.Record = record
	return effect, nil
}

// stamp returns the record with the time under that name.
func (f *flow) stamp(record []byte, name string) ([]byte, error) {
	now, err := formatTimestamp(f.now)
	if err != nil {
		return nil, err
	}
	return setRecordMember(record, name, now)
}
