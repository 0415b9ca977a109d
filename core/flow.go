package core

import (
	"strconv"

	"github.com/agentassert/agentassert/core/wire"
)

// The steps of a flow, named after the effect whose answer is awaited.
const (
	stepStart           = ""
	stepLoadIdentity    = "load-identity"
	stepLoadBackoff     = "load-backoff"
	stepLock            = "lock"
	stepReloadIdentity  = "reload-identity"
	stepReloadBackoff   = "reload-backoff"
	stepDeleteIdentity  = "delete-identity"
	stepEntropy         = "entropy"
	stepIdentityBiscuit = "identity-biscuit"
	stepIdentity        = "register-identity"
	stepSaveIdentity    = "save-identity"
	stepTaskEntropy     = "task-entropy"
	stepTaskBiscuit     = "task-biscuit"
	stepTask            = "register-task"
	stepSaveTask        = "save-task"
	stepDeleteBackoff   = "delete-backoff"
	stepSaveBackoff     = "save-backoff"
)

// answers says which event answers each step's effect. An EventFailed answers
// all of them but the start.
var answers = map[string]string{
	stepStart:           wire.EventStart,
	stepLoadIdentity:    wire.EventLoaded,
	stepLoadBackoff:     wire.EventLoaded,
	stepLock:            wire.EventDone,
	stepReloadIdentity:  wire.EventLoaded,
	stepReloadBackoff:   wire.EventLoaded,
	stepDeleteIdentity:  wire.EventDone,
	stepEntropy:         wire.EventEntropy,
	stepIdentityBiscuit: wire.EventResponse,
	stepIdentity:        wire.EventResponse,
	stepSaveIdentity:    wire.EventDone,
	stepTaskEntropy:     wire.EventEntropy,
	stepTaskBiscuit:     wire.EventResponse,
	stepTask:            wire.EventResponse,
	stepSaveTask:        wire.EventDone,
	stepDeleteBackoff:   wire.EventDone,
	stepSaveBackoff:     wire.EventDone,
}

const requestIDSize = 16

// Step takes the flow that authorizes one background or bearer-only call a step
// further: it consumes one event, and returns the next state and what the host
// is to do now. The first event is EventStart, without a state; every later one
// answers the effect before it, with the state that came with that effect. The
// flow ends with EffectDone; what failed on the way is in its authorization,
// for calls fall back to bearer.
//
// An effect of type lock asks for the store's lock across processes. The host
// holds it until the flow ends, however it ends. The flow reads the store again
// once it has the lock, so that of any number of flows that start at once, one
// registers and the others find what it stored.
//
// Errors are the caller's mistakes: CodeInvalidState, CodeUnexpectedEvent,
// CodeInvalidEntropy, CodeInvalidTime, CodeInvalidConfig, CodeThreadSurface, and
// those of [Decide]. The state is then still good for another try.
func Step(p wire.FlowStepParams) (wire.FlowStep, error) {
	return step(p, ParsePrivateKey)
}

// step is Step with a way to keep parsed keys between calls.
func step(p wire.FlowStepParams, parseKey func(string) (*PrivateKey, error)) (wire.FlowStep, error) {
	f := flow{now: p.Event.Now, parseKey: parseKey}
	if len(p.State) > 0 {
		if err := wire.Decode(p.State, &f.FlowState); err != nil || f.Step == stepStart {
			return wire.FlowStep{}, fail(CodeInvalidState, "the state is not one that a step returned")
		}
	}
	want, ok := answers[f.Step]
	if !ok {
		return wire.FlowStep{}, fail(CodeInvalidState, "the state is not one that a step returned")
	}
	failed := p.Event.Type == wire.EventFailed && f.Step != stepStart
	if p.Event.Type != want && !failed {
		return wire.FlowStep{}, fail(CodeUnexpectedEvent, "the step "+strconv.Quote(f.Step)+" is answered by "+want+", not by "+strconv.Quote(p.Event.Type))
	}
	if f.now < minTime || f.now > maxTime {
		return wire.FlowStep{}, fail(CodeInvalidTime, "the time is not between the years 0 and 9999")
	}
	next := f.advance
	if failed {
		next = f.fail
	}
	effect, err := next(p.Event)
	if err != nil {
		return wire.FlowStep{}, err
	}
	if effect.Type == wire.EffectDone {
		return wire.FlowStep{Effect: effect}, nil
	}
	return wire.FlowStep{State: wire.Encode(&f.FlowState), Effect: effect}, nil
}

type flow struct {
	wire.FlowState
	now      int64
	parseKey func(string) (*PrivateKey, error)
}

// advance handles the event that the step waited for.
func (f *flow) advance(e wire.Event) (wire.Effect, error) {
	switch f.Step {
	case stepStart:
		return f.start(e)
	case stepLoadIdentity, stepReloadIdentity:
		return f.identityLoaded(e.Record)
	case stepLoadBackoff, stepReloadBackoff:
		return f.backoffLoaded(e.Record)
	case stepLock:
		return f.load(stepReloadIdentity, wire.SlotIdentity), nil
	case stepDeleteIdentity:
		f.Record = nil
		return f.entropy(stepEntropy, seedSize+2*requestIDSize), nil
	case stepEntropy:
		return f.generateKey(e.Entropy)
	case stepTaskEntropy:
		if len(e.Entropy) != requestIDSize {
			return wire.Effect{}, fail(CodeInvalidEntropy, "the flow asked for another amount of entropy")
		}
		f.RequestID = e.Entropy
		return f.taskBiscuit()
	case stepIdentityBiscuit, stepIdentity, stepTaskBiscuit, stepTask:
		return f.response(e)
	case stepSaveIdentity:
		return f.taskBiscuit()
	case stepSaveTask:
		if f.BackedOff {
			return f.write(stepDeleteBackoff, wire.EffectDelete, wire.SlotBackoff, nil), nil
		}
		return f.sign()
	case stepDeleteBackoff:
		return f.sign()
	case stepSaveBackoff:
		return f.finish(*f.Result), nil
	}
	return wire.Effect{}, fail(CodeInternal, "a step without code")
}

// fail handles an EventFailed.
func (f *flow) fail(e wire.Event) (wire.Effect, error) {
	switch e.Failure {
	case wire.FailureTimeout, wire.FailureConnect, wire.FailureTLS, wire.FailureTooLarge, wire.FailureCanceled, wire.FailureStore:
	default:
		return wire.Effect{}, fail(CodeUnexpectedEvent, "the failure is not timeout, connect, tls, too-large, canceled or store")
	}
	switch f.Step {
	case stepIdentityBiscuit, stepIdentity, stepTaskBiscuit, stepTask:
		cause := fail(CodeRequestFailed, f.doing()+": no response ("+e.Failure+")")
		if e.Failure == wire.FailureCanceled {
			return f.giveUp(wire.AgentRegistrationFailed, cause)
		}
		return f.backOff(wire.AgentRegistrationFailed, cause)
	case stepEntropy, stepTaskEntropy:
		return f.giveUp(wire.AgentRegistrationFailed, fail(CodeRequestFailed, "the host has no entropy ("+e.Failure+")"))
	case stepSaveIdentity, stepSaveTask:
		// The backend has registered what cannot be kept. Without a pause every
		// call would register one more.
		return f.backOff(wire.AgentStoreFailed, fail(CodeStoreFailed, "the store did not save the agent identity ("+e.Failure+")"))
	case stepDeleteBackoff:
		// The identity is safe; a record of old failures is only read without one.
		return f.sign()
	case stepSaveBackoff:
		return f.finish(*f.Result), nil
	case stepLock:
		return f.giveUp(wire.AgentStoreFailed, fail(CodeStoreFailed, "the store could not be locked ("+e.Failure+")"))
	}
	return f.giveUp(wire.AgentStoreFailed, fail(CodeStoreFailed, "the store failed ("+e.Failure+")"))
}

func (f *flow) start(e wire.Event) (wire.Effect, error) {
	if e.Config == nil || e.Credentials == nil {
		return wire.Effect{}, fail(CodeInvalidConfig, "the start of a flow needs config and credentials")
	}
	f.Surface, f.Config, f.Credentials = e.Surface, *e.Config, *e.Credentials
	for _, s := range []string{f.Config.ABOM.AgentVersion, f.Config.ABOM.AgentHarnessID, f.Config.ABOM.RunningLocation} {
		if len(s) > maxIDSize {
			return wire.Effect{}, fail(CodeInvalidConfig, "a member of abom is longer than 4096 bytes")
		}
	}
	if s, err := LookupSurface(f.Surface); err == nil && s.Scope == ScopeThread {
		return wire.Effect{}, fail(CodeThreadSurface, "the surface "+f.Surface+" belongs to a thread, not to the background task")
	}
	d, err := f.decide(wire.AgentAvailable)
	if err != nil {
		return wire.Effect{}, err
	}
	// From here on only the normalized URL is needed.
	base, err := NormalizeBaseURL(f.Config.BaseURL, f.Config.TrustedHosts)
	if err != nil {
		return wire.Effect{}, err
	}
	f.Config.BaseURL = base.BaseURL
	if d.Mode != ModeAgentAssertion {
		return f.finish(f.authorization(d)), nil
	}
	return f.load(stepLoadIdentity, wire.SlotIdentity), nil
}

func (f *flow) decide(agent string) (wire.Decision, error) {
	return Decide(wire.DecideParams{Config: f.Config, Surface: f.Surface, Credentials: f.Credentials, Agent: agent})
}

// authorization is a decision without a task.
func (f *flow) authorization(d wire.Decision) wire.Authorization {
	a := wire.Authorization{Mode: d.Mode, Reason: d.Reason, AccountID: d.AccountID, ValidUntil: f.now}
	if d.Mode == ModeBearer {
		a.Header = "Bearer " + f.Credentials.AccessToken
	}
	return a
}

func (f *flow) finish(a wire.Authorization) wire.Effect {
	a.ValidUntil = f.now
	return wire.Effect{Type: wire.EffectDone, Authorization: &a}
}

func (f *flow) load(step, slot string) wire.Effect {
	f.Step = step
	return wire.Effect{Type: wire.EffectLoad, Slot: slot}
}

func (f *flow) write(step, effect, slot string, record []byte) wire.Effect {
	f.Step = step
	return wire.Effect{Type: effect, Slot: slot, Record: record}
}

func (f *flow) entropy(step string, size int64) wire.Effect {
	f.Step = step
	return wire.Effect{Type: wire.EffectEntropy, Size: size}
}

func (f *flow) readIdentity() (*identity, error) {
	return readIdentity(f.Record, accountID(f.Config, f.Credentials), f.Credentials.UserID, f.parseKey)
}

func (f *flow) identityLoaded(record []byte) (wire.Effect, error) {
	f.Record = record
	id, err := f.readIdentity()
	switch {
	case err != nil:
		return f.giveUp(wire.AgentStoreFailed, err)
	case id != nil && id.taskID != "":
		return f.sign()
	case f.Step == stepLoadIdentity:
		return f.load(stepLoadBackoff, wire.SlotBackoff), nil
	}
	return f.load(stepReloadBackoff, wire.SlotBackoff), nil
}

func (f *flow) backoffLoaded(record []byte) (wire.Effect, error) {
	b := readBackoff(record, accountID(f.Config, f.Credentials))
	f.BackedOff, f.Failures = len(record) > 0, b.failures
	if b.active(f.now) {
		return f.refuse(wire.AgentRegistrationFailed, b.retryAt, fail(CodeBackingOff, "registration failed "+strconv.FormatInt(b.failures, 10)+" times, last with "+b.code+", and is not tried again yet"))
	}
	if f.Step == stepLoadBackoff {
		f.Step = stepLock
		return wire.Effect{Type: wire.EffectLock}, nil
	}
	id, err := f.readIdentity()
	switch {
	case err != nil:
		return f.giveUp(wire.AgentStoreFailed, err)
	case f.Credentials.AccessToken == "":
		return f.giveUp(wire.AgentRegistrationFailed, fail(CodeNoAccessToken, "there is no access token to register with; sign in again"))
	case id != nil:
		return f.entropy(stepTaskEntropy, requestIDSize), nil
	case len(f.Record) > 0:
		return f.write(stepDeleteIdentity, wire.EffectDelete, wire.SlotIdentity, nil), nil
	}
	return f.entropy(stepEntropy, seedSize+2*requestIDSize), nil
}

// generateKey takes the entropy apart: the seed, and the ids of the two biscuit
// requests to come.
func (f *flow) generateKey(entropy []byte) (wire.Effect, error) {
	if len(entropy) != seedSize+2*requestIDSize {
		return wire.Effect{}, fail(CodeInvalidEntropy, "the flow asked for another amount of entropy")
	}
	k, err := NewPrivateKey(entropy[:seedSize])
	if err != nil {
		return wire.Effect{}, err
	}
	f.PrivateKey = k.PKCS8()
	f.RequestID = entropy[seedSize+requestIDSize:]
	f.Step = stepIdentityBiscuit
	return biscuitRequest(f.Config.BaseURL, identityRegistrationURL(f.Config.BaseURL),
		f.Credentials.AccessToken, entropy[seedSize:seedSize+requestIDSize]), nil
}

func (f *flow) taskBiscuit() (wire.Effect, error) {
	id, err := f.readIdentity()
	if err != nil || id == nil {
		return wire.Effect{}, fail(CodeInvalidState, "the state holds no identity")
	}
	url, err := taskRegistrationURL(f.Config.BaseURL, id.agentRuntimeID)
	if err != nil {
		return f.backOff(wire.AgentRegistrationFailed, err)
	}
	f.PrivateKey = ""
	f.Step = stepTaskBiscuit
	return biscuitRequest(f.Config.BaseURL, url, f.Credentials.AccessToken, f.RequestID), nil
}

// doing names the request of the current step, for errors.
func (f *flow) doing() string {
	switch f.Step {
	case stepIdentityBiscuit:
		return "minting a biscuit for the identity registration"
	case stepIdentity:
		return "registering the identity"
	case stepTaskBiscuit:
		return "minting a biscuit for the task registration"
	}
	return "registering the background task"
}

// response handles the answer to one of the four requests of a registration.
func (f *flow) response(e wire.Event) (wire.Effect, error) {
	if e.Status < 200 || e.Status > 299 {
		return f.backOff(wire.AgentRegistrationFailed, fail(CodeHTTPStatus, f.doing()+": the backend answered "+strconv.FormatInt(e.Status, 10)))
	}
	next := f.biscuitMinted
	switch f.Step {
	case stepIdentity:
		next = f.identityRegistered
	case stepTask:
		next = f.taskRegistered
	}
	doing := f.doing()
	effect, err := next(e)
	if err != nil {
		return f.backOff(wire.AgentRegistrationFailed, fail(Code(err), doing+": "+err.Error()))
	}
	return effect, nil
}

func (f *flow) biscuitMinted(e wire.Event) (wire.Effect, error) {
	biscuit, err := parseBiscuit(e.Headers)
	if err != nil {
		return wire.Effect{}, err
	}
	if f.Step == stepIdentityBiscuit {
		k, err := f.parseKey(f.PrivateKey)
		if err != nil {
			return wire.Effect{}, err
		}
		f.Step = stepIdentity
		return registrationRequest(identityRegistrationURL(f.Config.BaseURL), biscuit,
			identityRegistrationBody(f.Config.ABOM, k.Public())), nil
	}
	id, err := f.readIdentity()
	if err != nil || id == nil {
		return wire.Effect{}, fail(CodeInvalidState, "the state holds no identity")
	}
	proof, err := SignRegistration(id.key, id.agentRuntimeID, f.now)
	if err != nil {
		return wire.Effect{}, err
	}
	url, err := taskRegistrationURL(f.Config.BaseURL, id.agentRuntimeID)
	if err != nil {
		return wire.Effect{}, err
	}
	f.Step = stepTask
	return registrationRequest(url, biscuit, taskRegistrationBody(proof)), nil
}

func (f *flow) identityRegistered(e wire.Event) (wire.Effect, error) {
	id, err := parseResponseString(e.Body, "agent_runtime_id")
	if err != nil {
		return wire.Effect{}, err
	}
	// Before it is saved: an id that no task can be registered for would stay.
	if err := checkAgentRuntimeID(id); err != nil {
		return wire.Effect{}, err
	}
	if _, err := taskRegistrationURL(f.Config.BaseURL, id); err != nil {
		return wire.Effect{}, err
	}
	record, err := newIdentityRecord(accountID(f.Config, f.Credentials), f.Credentials.UserID, id, f.PrivateKey, f.now)
	if err != nil {
		return wire.Effect{}, err
	}
	f.Record = record
	return f.write(stepSaveIdentity, wire.EffectSave, wire.SlotIdentity, record), nil
}

func (f *flow) taskRegistered(e wire.Event) (wire.Effect, error) {
	sealed, err := parseResponseString(e.Body, "encrypted_task_id")
	if err != nil {
		return wire.Effect{}, err
	}
	id, err := f.readIdentity()
	if err != nil || id == nil {
		return wire.Effect{}, fail(CodeInvalidState, "the state holds no identity")
	}
	task, err := OpenTaskID(id.key, sealed)
	if err != nil {
		return wire.Effect{}, err
	}
	record, err := setRecordTask(f.Record, task)
	if err != nil {
		return wire.Effect{}, err
	}
	f.Record = record
	return f.write(stepSaveTask, wire.EffectSave, wire.SlotIdentity, record), nil
}

// sign ends the flow with an assertion for the task in the record.
func (f *flow) sign() (wire.Effect, error) {
	id, err := f.readIdentity()
	if err != nil || id == nil {
		return wire.Effect{}, fail(CodeInvalidState, "the state holds no identity")
	}
	d, err := f.decide(wire.AgentAvailable)
	if err != nil {
		return wire.Effect{}, err
	}
	a := f.authorization(d)
	if a.Header, err = BuildAssertion(id.key, id.agentRuntimeID, id.taskID, f.now); err != nil {
		return wire.Effect{}, err
	}
	a.AgentRuntimeID, a.TaskID = id.agentRuntimeID, id.taskID
	return f.finish(a), nil
}

// giveUp ends the flow without the agent, and without a pause before the next
// try: nothing was asked of the backend, or the caller broke off.
func (f *flow) giveUp(agent string, cause error) (wire.Effect, error) {
	return f.refuse(agent, 0, cause)
}

func (f *flow) refuse(agent string, retryAt int64, cause error) (wire.Effect, error) {
	a, err := f.fallback(agent, retryAt, cause)
	if err != nil {
		return wire.Effect{}, err
	}
	return f.finish(a), nil
}

// backOff ends the flow without the agent, once it is stored that the backend
// is to be left alone for a while.
func (f *flow) backOff(agent string, cause error) (wire.Effect, error) {
	b := nextBackoff(accountID(f.Config, f.Credentials), f.Failures, f.now, cause)
	a, err := f.fallback(agent, b.retryAt, cause)
	if err != nil {
		return wire.Effect{}, err
	}
	record, err := b.record()
	if err != nil {
		return wire.Effect{}, err
	}
	f.Result = &a
	return f.write(stepSaveBackoff, wire.EffectSave, wire.SlotBackoff, record), nil
}

// fallback is what the call gets when the agent cannot be had.
func (f *flow) fallback(agent string, retryAt int64, cause error) (wire.Authorization, error) {
	d, err := f.decide(agent)
	if err != nil {
		return wire.Authorization{}, err
	}
	a := f.authorization(d)
	a.RetryAt, a.Cause = retryAt, wireError(cause)
	return a, nil
}
