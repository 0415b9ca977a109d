package core

import (
	"github.com/agentassert/agentassert/core/wire"
)

// readIdentity reads the identity that is stored as far as the flow knows, once for
// each record.
func (f *flow) readIdentity() (*identity, error) {
	if f.identityOf == nil || len(f.Record) == 0 || len(f.Record) != len(f.identityOf) || &f.Record[0] != &f.identityOf[0] {
		f.identity, f.identityErr = readIdentity(f.Record, f.account(), f.Credentials.UserID, f.parseKey)
		f.identityOf = f.Record
	}
	return f.identity, f.identityErr
}

// storedIdentity is readIdentity where the flow has come to depend on there
// being one.
func (f *flow) storedIdentity() (*identity, error) {
	id, err := f.readIdentity()
	if err != nil || id == nil {
		return nil, fail(CodeInvalidState, "the state holds no identity")
	}
	return id, nil
}

// task returns the stored task for the call, and whether the backend has
// rejected just that one.
func (f *flow) task(id *identity) (task string, rejected bool) {
	task = id.taskID
	if f.isThread() {
		task = readThreadTask(f.Thread, id.agentRuntimeID)
	}
	r := f.Rejected
	return task, task != "" && r != nil && r.TaskID == task && r.AgentRuntimeID == id.agentRuntimeID
}

// isUnknown reports whether the backend has said that it does not know the agent.
func (f *flow) isUnknown(id *identity) bool { return f.Unknown == id.agentRuntimeID }

// isStoredUnknown reports whether the stored identity is the one that the backend
// does not know, and no other that does not fit.
func (f *flow) isStoredUnknown() bool {
	id, err := f.readIdentity()
	return err == nil && id != nil && f.isUnknown(id)
}

// proceedWithTask does what comes next where agents assert tasks: it asks for what has
// to be read or locked first, registers what is missing, and ends with an assertion.
func (f *flow) proceedWithTask(p tasks) (wire.Effect, error) {
	id, err := f.readIdentity()
	if err != nil {
		return f.giveUp(wire.AgentStoreFailed, err)
	}
	if id == nil {
		return f.withoutIdentity()
	}
	if effect, wanted, err := f.bind(id); wanted || err != nil {
		return effect, err
	}
	if f.isUnknown(id) {
		return f.replaceIdentity(id)
	}
	if f.isThread() && !f.isLoaded(f.threadSlot()) {
		return f.load(stepLoadThread, f.threadSlot()), nil
	}
	switch task, rejected := f.task(id); {
	case task == "":
		return f.withoutTask(p, id)
	case rejected:
		return f.replaceTask(p, id)
	}
	return f.complete(id)
}

// withoutIdentity registers one, under its lock.
func (f *flow) withoutIdentity() (wire.Effect, error) {
	if effect, wanted, err := f.lockAndLook(wire.SlotIdentity); wanted || err != nil {
		return effect, err
	}
	if f.Credentials.Kind == wire.CredentialsAgentIdentity {
		return f.giveUp(wire.AgentRegistrationFailed, fail(CodeInvalidIdentityJWT, "the identity that takes the place of a sign-in is missing, damaged or another account's; get a new one"))
	}
	if err := f.cannotRegister(true); err != nil {
		return f.giveUp(wire.AgentRegistrationFailed, err)
	}
	if effect, wanted := f.probe(wire.SlotIdentity); wanted {
		return effect, nil
	}
	// A record that is null holds nothing that could be anybody's.
	if compactJSON(f.Record) != nil && !f.isLoaded(wire.SlotSetAside) {
		return f.load(stepLoadSetAside, wire.SlotSetAside), nil
	}
	return f.afterSetAside()
}

// setAside keeps the stored identity, which is about to be replaced, in a slot of
// its own: it may be somebody's.
func (f *flow) setAside(record []byte) (wire.Effect, error) {
	reason, message := "it is of another account or user, or damaged", "the stored agent identity is of another account or user, or damaged"
	if f.isStoredUnknown() {
		reason, message = CodeUnknownAgent, "the backend no longer knows the stored agent identity"
	}
	record, err := setAside(record, f.Record, reason, f.now)
	if err != nil {
		return wire.Effect{}, err
	}
	f.Pending = &wire.Error{Code: CodeIdentitySetAside, Message: message + "; it was set aside, and another takes its place"}
	return f.write(stepSaveSetAside, wire.SlotSetAside, record), nil
}

// afterSetAside goes on once nothing can be lost.
func (f *flow) afterSetAside() (wire.Effect, error) {
	if len(f.Registered) > 0 {
		return f.swap(stepSaveIdentity, f.Registered), nil
	}
	return f.entropy(stepEntropy, f.profile.keyEntropy()), nil
}

// bind makes sure that the identity belongs to the backend that is called. One
// that nobody knows the backend of, because another program has stored it, belongs
// to the first that it is used with, if that is supported.
func (f *flow) bind(id *identity) (effect wire.Effect, wanted bool, err error) {
	baseURL := id.baseURL
	if baseURL == "" {
		if !f.isLoaded(wire.SlotBackend) {
			return f.load(stepLoadBackend, wire.SlotBackend), true, nil
		}
		baseURL = readBackend(f.Backend, id.agentRuntimeID)
	}
	if baseURL != "" {
		if isSameBackend(baseURL, f.Config.BaseURL) {
			return wire.Effect{}, false, nil
		}
		effect, err = f.giveUp(wire.AgentStoreFailed, fail(CodeOtherBackend, "the stored identity belongs to the backend at "+baseURL+", and is shown to no other; use another store for this one"))
		return effect, true, err
	}
	base, err := NormalizeBaseURL(f.Config.BaseURL, f.Config.TrustedHosts)
	if err != nil {
		return wire.Effect{}, false, err
	}
	if !base.Supported {
		effect, err = f.giveUp(wire.AgentStoreFailed, fail(CodeOtherBackend, "the stored identity does not say to which backend it belongs, and this one is none that is supported; trust its host, or use another store"))
		return effect, true, err
	}
	f.Backend = setBackend(f.Backend, id.agentRuntimeID, f.Config.BaseURL)
	return f.write(stepSaveBackend, wire.SlotBackend, f.Backend), true, nil
}

// replaceIdentity registers another identity in the place of one that the backend does
// not know, if that has not taken the place of such a one itself a short while ago. It
// stays in the store until it is swapped for the other, and is set aside before.
func (f *flow) replaceIdentity(id *identity) (wire.Effect, error) {
	if !f.mayReplaceIdentity() {
		return f.giveUp(wire.AgentRegistrationFailed, fail(CodeUnknownAgent, "the backend does not know the agent "+id.agentRuntimeID+"; get a new identity, or try again in an hour if this one has only just replaced another"))
	}
	if effect, wanted, err := f.lockAndLook(wire.SlotIdentity); wanted || err != nil {
		return effect, err
	}
	if err := f.cannotRegister(true); err != nil {
		return f.notReplaced(wire.AgentRegistrationFailed, err)
	}
	// A store that takes no other identity keeps the one that it has.
	if effect, wanted := f.probe(wire.SlotIdentity); wanted {
		return effect, nil
	}
	if !f.isLoaded(wire.SlotSetAside) {
		return f.load(stepLoadSetAside, wire.SlotSetAside), nil
	}
	return f.afterSetAside()
}

// mayReplaceIdentity reports whether the stored identity can be replaced by a new
// one, and has not taken the place of another itself a short while ago.
func (f *flow) mayReplaceIdentity() bool {
	return f.Credentials.Kind != wire.CredentialsAgentIdentity &&
		!isYoungReplacement(f.Record, memberIdentityReplacedAt, minIdentityAge, f.now)
}

// replaceTask registers another task in the place of one that the backend has rejected.
// That stays in the store until the other is saved: it may be good after all, and a
// registration can fail.
func (f *flow) replaceTask(p tasks, id *identity) (wire.Effect, error) {
	record := f.Record
	if f.isThread() {
		record = f.Thread
	}
	if !f.isGranted(id) && isYoungReplacement(record, memberTaskReplacedAt, minTaskAge, f.now) {
		return f.giveUp(wire.AgentRegistrationFailed, fail(CodeTaskRejected, "the backend rejects the task that has just replaced another"))
	}
	return f.withoutTask(p, id)
}

// isGranted reports whether the backend has granted the agent a task that is not stored
// yet.
func (f *flow) isGranted(id *identity) bool {
	return f.Granted != "" && f.GrantedTo == id.agentRuntimeID
}

// withoutTask registers a task for an identity, under the lock of the slot that the
// task is kept in.
func (f *flow) withoutTask(p tasks, id *identity) (wire.Effect, error) {
	if f.isGranted(id) {
		return f.saveTask()
	}
	if effect, wanted, err := f.lockAndLook(f.taskSlot()); wanted || err != nil {
		return effect, err
	}
	if f.isThread() && f.isLocked(wire.SlotIdentity) {
		return f.unlockIdentity(), nil
	}
	if err := f.cannotRegister(p.taskNeedsToken()); err != nil {
		return f.giveUp(wire.AgentRegistrationFailed, err)
	}
	if effect, wanted := f.probe(f.taskSlot()); wanted {
		return effect, nil
	}
	if size := p.taskEntropy(); len(f.RequestID) < int(size) {
		return f.entropy(stepTaskEntropy, size), nil
	}
	return f.prepareTask()
}

// complete makes a record that one client or another could not read one that all
// can: a client that finds an identity it cannot read takes the user for signed
// out (protocol.md). Nothing depends on it.
func (f *flow) complete(id *identity) (wire.Effect, error) {
	if id.complete || f.Completed || f.Credentials.Kind == wire.CredentialsAgentIdentity {
		return f.signTask()
	}
	f.Completed = true
	record, err := completeRecord(f.Record, f.account(), f.Credentials, f.now)
	if err != nil {
		return f.signTask()
	}
	f.Registered = record
	return f.swap(stepCompleteIdentity, record), nil
}

// signTask ends the flow with an assertion of the stored task.
func (f *flow) signTask() (wire.Effect, error) {
	id, err := f.storedIdentity()
	if err != nil {
		return wire.Effect{}, err
	}
	return f.sign(id.key, func(a *wire.Authorization) {
		a.AgentRuntimeID = id.agentRuntimeID
		a.TaskID, _ = f.task(id)
	})
}
