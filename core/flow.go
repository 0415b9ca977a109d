package core

import (
	"strconv"

	"github.com/agentassert/agentassert/core/wire"
)

// The steps of a flow, named after the effect whose answer is awaited.
const (
	stepStart           = ""
	stepLoadIdentity    = "load-identity"
	stepLoadThread      = "load-thread"
	stepLoadBackoff     = "load-backoff"
	stepLock            = "lock"
	stepReloadIdentity  = "reload-identity"
	stepReloadThread    = "reload-thread"
	stepDropTask        = "drop-task"
	stepReloadBackoff   = "reload-backoff"
	stepDeleteIdentity  = "delete-identity"
	stepEntropy         = "entropy"
	stepIdentityBiscuit = "identity-biscuit"
	stepIdentity        = "register-identity"
	stepIdentityWait    = "wait-register-identity"
	stepSaveIdentity    = "save-identity"
	stepTaskEntropy     = "task-entropy"
	stepTaskBiscuit     = "task-biscuit"
	stepTask            = "register-task"
	stepTaskWait        = "wait-register-task"
	stepSaveTask        = "save-task"
	stepClearBackoff    = "clear-backoff"
	stepJitter          = "jitter"
	stepSaveBackoff     = "save-backoff"
)

// answers says which event answers each step's effect. An EventFailed answers
// all of them but the start.
var answers = map[string]string{
	stepStart:           wire.EventStart,
	stepLoadIdentity:    wire.EventLoaded,
	stepLoadThread:      wire.EventLoaded,
	stepLoadBackoff:     wire.EventLoaded,
	stepLock:            wire.EventDone,
	stepReloadIdentity:  wire.EventLoaded,
	stepReloadThread:    wire.EventLoaded,
	stepDropTask:        wire.EventDone,
	stepReloadBackoff:   wire.EventLoaded,
	stepDeleteIdentity:  wire.EventDone,
	stepEntropy:         wire.EventEntropy,
	stepIdentityBiscuit: wire.EventResponse,
	stepIdentity:        wire.EventResponse,
	stepIdentityWait:    wire.EventWoke,
	stepSaveIdentity:    wire.EventDone,
	stepTaskEntropy:     wire.EventEntropy,
	stepTaskBiscuit:     wire.EventResponse,
	stepTask:            wire.EventResponse,
	stepTaskWait:        wire.EventWoke,
	stepSaveTask:        wire.EventDone,
	stepClearBackoff:    wire.EventDone,
	stepJitter:          wire.EventEntropy,
	stepSaveBackoff:     wire.EventDone,
}

const (
	requestIDSize = 16
	// identityEntropy is a seed and the ids of two biscuit requests, or what
	// later clients make a key from.
	identityEntropy = seedSize + 2*requestIDSize

	// maxTries is how often later clients send a registration that fails in a
	// way that can pass; firstWait is the pause before the second time, in
	// milliseconds, and doubles.
	maxTries  = 3
	firstWait = 1000
)

// Step takes the flow that authorizes one call a step further: it consumes one
// event, and returns the next state and what the host is to do now. The first
// event is EventStart, without a state; every later one answers the effect
// before it, with the state that came with that effect. The flow ends with
// EffectDone; what failed on the way is in its authorization, for calls fall
// back to bearer. A thread's call does not: it gets mode none, with the failure
// as its cause, and the next turn tries again, without regard to earlier failures.
//
// A start that names a rejected task, because the backend has answered its
// assertion with 401, drops that task, if it is still the stored one, and
// registers another; but not if that task has itself replaced one within the last
// minute (CodeTaskRejected), for then a new task does not help.
//
// An effect of type lock asks for the store's lock across processes. The host
// holds it until the flow ends, however it ends. The flow reads the store again
// once it has the lock, so that of any number of flows that start at once, one
// registers and the others find what it stored.
//
// Errors are the caller's mistakes: CodeInvalidState, CodeUnexpectedEvent,
// CodeInvalidEntropy, CodeInvalidTime, CodeInvalidConfig, CodeThreadSurface,
// CodeInvalidThreadID, and those of [Decide]. The state is then still good for
// another try.
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
	case stepLoadThread, stepReloadThread:
		f.Thread = e.Record
		return f.loaded()
	case stepLoadBackoff, stepReloadBackoff:
		return f.backoffLoaded(e.Record)
	case stepLock:
		return f.load(stepReloadIdentity, wire.SlotIdentity), nil
	case stepDropTask:
		return f.load(stepReloadBackoff, wire.SlotBackoff), nil
	case stepDeleteIdentity:
		f.Record = nil
		return f.entropy(stepEntropy, identityEntropy), nil
	case stepEntropy:
		return f.generateKey(e.Entropy)
	case stepTaskEntropy:
		if len(e.Entropy) != requestIDSize {
			return wire.Effect{}, fail(CodeInvalidEntropy, "the flow asked for another amount of entropy")
		}
		f.RequestID = e.Entropy
		return f.prepareTask()
	case stepIdentityBiscuit, stepIdentity, stepTaskBiscuit, stepTask:
		return f.response(e)
	case stepIdentityWait:
		return f.registerIdentity()
	case stepTaskWait:
		return f.registerTask()
	case stepSaveIdentity:
		return f.prepareTask()
	case stepSaveTask:
		return f.clearBackoff()
	case stepClearBackoff:
		return f.sign()
	case stepJitter:
		if len(e.Entropy) != jitterSize {
			return wire.Effect{}, fail(CodeInvalidEntropy, "the flow asked for another amount of entropy")
		}
		return f.saveBackoff(e.Entropy)
	case stepSaveBackoff:
		return f.finish(*f.Result), nil
	}
	return wire.Effect{}, fail(CodeInternal, "a step without code")
}

// fail handles an EventFailed.
func (f *flow) fail(e wire.Event) (wire.Effect, error) {
	f.RetryAfter = 0
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
		return f.tryAgain(e.Failure == wire.FailureTimeout || e.Failure == wire.FailureConnect, cause)
	case stepIdentityWait, stepTaskWait:
		return f.giveUp(wire.AgentRegistrationFailed, fail(CodeRequestFailed, f.doing()+": the host did not wait to try again ("+e.Failure+")"))
	case stepEntropy, stepTaskEntropy:
		return f.giveUp(wire.AgentRegistrationFailed, fail(CodeRequestFailed, "the host has no entropy ("+e.Failure+")"))
	case stepJitter:
		// A pause without jitter is better than none.
		return f.saveBackoff(nil)
	case stepSaveIdentity, stepSaveTask:
		// The backend has registered what cannot be kept. Without a pause every
		// call would register one more.
		return f.backOff(wire.AgentStoreFailed, fail(CodeStoreFailed, "the store did not save what was registered ("+e.Failure+")"))
	case stepClearBackoff:
		// The task is safe; a record of old failures is only read without one.
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
	f.ThreadID, f.Rejected = e.ThreadID, e.Rejected
	if err := f.checkConfig(); err != nil {
		return wire.Effect{}, err
	}
	d, err := f.decide(wire.AgentAvailable)
	if err != nil {
		return wire.Effect{}, err
	}
	if err := f.checkThread(); err != nil {
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

func (f *flow) checkConfig() error {
	for _, s := range []string{f.Config.ABOM.AgentVersion, f.Config.ABOM.AgentHarnessID, f.Config.ABOM.RunningLocation} {
		if len(s) > maxIDSize {
			return fail(CodeInvalidConfig, "a member of abom is longer than 4096 bytes")
		}
	}
	switch f.Config.Profile {
	case wire.ProfileBiscuit:
		if f.Credentials.Kind == wire.CredentialsAgentIdentity {
			// Without an access token there are no biscuits.
			f.Config.Profile = wire.ProfileAuthAPI
		}
	case wire.ProfileAuthAPI:
	default:
		return fail(CodeInvalidConfig, "the profile is neither empty nor auth-api")
	}
	if f.Config.AuthAPIURL == "" {
		f.Config.AuthAPIURL = defaultAuthAPIURL
	}
	if _, _, err := parseURL(f.Config.AuthAPIURL, notInBaseURL); err != nil {
		return fail(CodeInvalidConfig, "the auth API's URL is not valid: "+err.Error())
	}
	for f.Config.AuthAPIURL[len(f.Config.AuthAPIURL)-1] == '/' {
		f.Config.AuthAPIURL = f.Config.AuthAPIURL[:len(f.Config.AuthAPIURL)-1]
	}
	return nil
}

// checkThread wants a thread for a thread's surface, and for no other.
func (f *flow) checkThread() error {
	s, err := LookupSurface(f.Surface)
	if err != nil {
		return err
	}
	if (s.Scope == ScopeThread) != (f.ThreadID != "") {
		return fail(CodeThreadSurface, "the surface "+f.Surface+" has scope "+string(s.Scope)+": a thread's surface needs a thread, and no other has one")
	}
	if problem := idProblem(f.ThreadID); f.ThreadID != "" && problem != "" {
		return fail(CodeInvalidThreadID, "the thread id "+problem)
	}
	return nil
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
	a.FedRAMP = d.Mode != ModeNone && f.Credentials.FedRAMP
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

// write saves a record, or empties the slot where there is none.
func (f *flow) write(step, slot string, record []byte) wire.Effect {
	f.Step = step
	if len(record) == 0 {
		return wire.Effect{Type: wire.EffectDelete, Slot: slot}
	}
	return wire.Effect{Type: wire.EffectSave, Slot: slot, Record: record}
}

func (f *flow) entropy(step string, size int64) wire.Effect {
	f.Step = step
	return wire.Effect{Type: wire.EffectEntropy, Size: size}
}

func (f *flow) account() string { return accountID(f.Config, f.Credentials) }

// threadSlot is where the thread's task is kept.
func (f *flow) threadSlot() string { return wire.SlotThread + f.ThreadID }

// isThread reports whether the call uses a thread's task, and not the background
// task.
func (f *flow) isThread() bool {
	return f.ThreadID != "" && f.Credentials.Kind != wire.CredentialsAgentIdentity
}

func (f *flow) isLater() bool { return f.Config.Profile == wire.ProfileAuthAPI }

func (f *flow) readIdentity() (*identity, error) {
	return readIdentity(f.Record, f.account(), f.Credentials.UserID, f.parseKey)
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

func (f *flow) identityLoaded(record []byte) (wire.Effect, error) {
	f.Record = record
	id, err := f.readIdentity()
	switch {
	case err != nil:
		return f.giveUp(wire.AgentStoreFailed, err)
	case id == nil || !f.isThread():
		return f.loaded()
	case f.Step == stepLoadIdentity:
		return f.load(stepLoadThread, f.threadSlot()), nil
	}
	return f.load(stepReloadThread, f.threadSlot()), nil
}

// loaded goes on once identity and task are read, before the lock or under it.
func (f *flow) loaded() (wire.Effect, error) {
	id, err := f.readIdentity()
	if err != nil {
		return f.giveUp(wire.AgentStoreFailed, err)
	}
	rejected := false
	if id != nil {
		var task string
		if task, rejected = f.task(id); task != "" && !rejected {
			return f.sign()
		}
	}
	locked := f.Step == stepReloadIdentity || f.Step == stepReloadThread
	switch {
	case rejected && isYoungReplacement(f.taskRecord(), f.now):
		return f.giveUp(wire.AgentRegistrationFailed, fail(CodeTaskRejected, "the backend rejects the task that has just replaced another; is the clock right?"))
	case !locked && (rejected || f.isThread()):
		// What has to be dropped is dropped, and a turn tries, even in a pause.
		return f.lock(), nil
	case !locked:
		return f.load(stepLoadBackoff, wire.SlotBackoff), nil
	case rejected:
		return f.dropTask()
	}
	return f.load(stepReloadBackoff, wire.SlotBackoff), nil
}

// taskRecord is the record that the call's task is in.
func (f *flow) taskRecord() []byte {
	if f.isThread() {
		return f.Thread
	}
	return f.Record
}

func (f *flow) lock() wire.Effect {
	f.Step = stepLock
	return wire.Effect{Type: wire.EffectLock}
}

// dropTask forgets the task that the backend has rejected.
func (f *flow) dropTask() (wire.Effect, error) {
	if f.isThread() {
		f.Thread = nil
		return f.write(stepDropTask, f.threadSlot(), nil), nil
	}
	record, err := setRecordTask(f.Record, "")
	if err != nil {
		return wire.Effect{}, err
	}
	f.Record = record
	return f.write(stepDropTask, wire.SlotIdentity, record), nil
}

func (f *flow) backoffLoaded(record []byte) (wire.Effect, error) {
	f.Backoff = record
	b := readBackoff(record, f.account())
	if b.active(f.now) && !f.isThread() {
		return f.refuse(wire.AgentRegistrationFailed, b.retryAt, fail(CodeBackingOff, "registration failed "+strconv.FormatInt(b.failures, 10)+" times, last with "+b.code+", and is not tried again yet"))
	}
	if f.Step == stepLoadBackoff {
		return f.lock(), nil
	}
	id, err := f.readIdentity()
	// A later client's task is authorized by the signature alone.
	needsToken := id == nil || !f.isLater()
	switch {
	case err != nil:
		return f.giveUp(wire.AgentStoreFailed, err)
	case id == nil && f.Credentials.Kind == wire.CredentialsAgentIdentity:
		return f.giveUp(wire.AgentRegistrationFailed, fail(CodeInvalidIdentityJWT, "the identity of the JWT is not the one that is stored; get a new one"))
	case needsToken && f.Credentials.AccessToken == "":
		return f.giveUp(wire.AgentRegistrationFailed, fail(CodeNoAccessToken, "there is no access token to register with; sign in again"))
	case id != nil && f.isLater():
		return f.prepareTask()
	case id != nil:
		return f.entropy(stepTaskEntropy, requestIDSize), nil
	case len(f.Record) > 0:
		return f.write(stepDeleteIdentity, wire.SlotIdentity, nil), nil
	}
	return f.entropy(stepEntropy, identityEntropy), nil
}

// generateKey makes the key, and keeps what else the entropy is for: the ids of
// the two biscuit requests to come.
func (f *flow) generateKey(entropy []byte) (wire.Effect, error) {
	if len(entropy) != identityEntropy {
		return wire.Effect{}, fail(CodeInvalidEntropy, "the flow asked for another amount of entropy")
	}
	if f.isLater() {
		k, err := NewLaterPrivateKey(entropy)
		if err != nil {
			return wire.Effect{}, err
		}
		f.PrivateKey = k.PKCS8()
		return f.registerIdentity()
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

// prepareTask asks for the biscuit of a task's registration, or goes on to that
// where none is needed.
func (f *flow) prepareTask() (wire.Effect, error) {
	f.PrivateKey, f.Tries = "", 0
	id, err := f.storedIdentity()
	if err != nil {
		return wire.Effect{}, err
	}
	if f.isLater() {
		return f.registerTask()
	}
	url, err := taskRegistrationURL(f.Config.BaseURL, id.agentRuntimeID)
	if err != nil {
		return f.backOff(wire.AgentRegistrationFailed, err)
	}
	f.Step = stepTaskBiscuit
	return biscuitRequest(f.Config.BaseURL, url, f.Credentials.AccessToken, f.RequestID), nil
}

// doing names the request of the current step, for errors.
func (f *flow) doing() string {
	switch f.Step {
	case stepIdentityBiscuit:
		return "minting a biscuit for the identity registration"
	case stepIdentity, stepIdentityWait:
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
	f.RetryAfter = 0
	if e.Status < 200 || e.Status > 299 {
		f.RetryAfter = parseRetryAfter(e.Headers, f.now)
		return f.tryAgain(e.Status == 429 || e.Status >= 500,
			fail(CodeHTTPStatus, f.doing()+": the backend answered "+strconv.FormatInt(e.Status, 10)))
	}
	next := f.taskRegistered
	switch f.Step {
	case stepIdentityBiscuit:
		next = f.identityBiscuitMinted
	case stepIdentity:
		next = f.identityRegistered
	case stepTaskBiscuit:
		next = f.taskBiscuitMinted
	}
	doing := f.doing()
	effect, err := next(e)
	if err != nil {
		return f.backOff(wire.AgentRegistrationFailed, fail(Code(err), doing+": "+err.Error()))
	}
	return effect, nil
}

// tryAgain sends the request once more, as later clients do, if the failure can
// pass, it has not been tried too often, and the backend does not ask for a
// longer pause.
func (f *flow) tryAgain(canPass bool, cause error) (wire.Effect, error) {
	wait := int64(firstWait) << f.Tries
	f.Tries++
	if !canPass || !f.isLater() || f.Tries >= maxTries || f.RetryAfter*1000 > wait {
		return f.backOff(wire.AgentRegistrationFailed, cause)
	}
	if f.Step == stepIdentity {
		f.Step = stepIdentityWait
	} else {
		f.Step = stepTaskWait
	}
	return wire.Effect{Type: wire.EffectWait, WaitMS: wait}, nil
}

func (f *flow) identityBiscuitMinted(e wire.Event) (wire.Effect, error) {
	biscuit, err := parseBiscuit(e.Headers)
	if err != nil {
		return wire.Effect{}, err
	}
	return f.registerIdentity(wire.Header{Name: biscuitHeader, Value: biscuit})
}

func (f *flow) registerIdentity(headers ...wire.Header) (wire.Effect, error) {
	k, err := f.parseKey(f.PrivateKey)
	if err != nil {
		return wire.Effect{}, err
	}
	base, timeout := f.Config.BaseURL, int64(biscuitTimeoutMS)
	if f.isLater() {
		base, timeout = f.Config.AuthAPIURL, authAPITimeoutMS
		headers = append(headers, wire.Header{Name: "authorization", Value: "Bearer " + f.Credentials.AccessToken})
		if f.Credentials.FedRAMP {
			headers = append(headers, wire.Header{Name: fedRAMPHeader, Value: "true"})
		}
	}
	f.Step = stepIdentity
	return registrationRequest(identityRegistrationURL(base),
		identityRegistrationBody(f.Config.ABOM, k.Public(), f.Config.Profile), timeout, headers...), nil
}

func (f *flow) taskBiscuitMinted(e wire.Event) (wire.Effect, error) {
	biscuit, err := parseBiscuit(e.Headers)
	if err != nil {
		return wire.Effect{}, err
	}
	return f.registerTask(wire.Header{Name: biscuitHeader, Value: biscuit})
}

func (f *flow) registerTask(headers ...wire.Header) (wire.Effect, error) {
	id, err := f.storedIdentity()
	if err != nil {
		return wire.Effect{}, err
	}
	proof, err := SignRegistration(id.key, id.agentRuntimeID, f.now)
	if err != nil {
		return wire.Effect{}, err
	}
	base, timeout := f.Config.BaseURL, int64(biscuitTimeoutMS)
	if f.isLater() {
		base, timeout = f.Config.AuthAPIURL, authAPITimeoutMS
	}
	url, err := taskRegistrationURL(base, id.agentRuntimeID)
	if err != nil {
		return f.backOff(wire.AgentRegistrationFailed, err)
	}
	f.Step = stepTask
	return registrationRequest(url, taskRegistrationBody(proof), timeout, headers...), nil
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
	record, err := newIdentityRecord(f.account(), f.Credentials.UserID, id, f.PrivateKey, f.now)
	if err != nil {
		return wire.Effect{}, err
	}
	f.Record = record
	return f.write(stepSaveIdentity, wire.SlotIdentity, record), nil
}

func (f *flow) taskRegistered(e wire.Event) (wire.Effect, error) {
	id, err := f.storedIdentity()
	if err != nil {
		return wire.Effect{}, err
	}
	task, err := parseTaskResponse(id.key, e.Body, f.Config.Profile)
	if err != nil {
		return wire.Effect{}, err
	}
	replacedAt := ""
	if f.Rejected != nil {
		if replacedAt, err = formatTimestamp(f.now); err != nil {
			return wire.Effect{}, err
		}
	}
	if f.isThread() {
		record, err := newThreadRecord(id.agentRuntimeID, task, f.now)
		if err != nil {
			return wire.Effect{}, err
		}
		if f.Thread, err = setRecordMember(record, replacedAtMember, replacedAt); err != nil {
			return wire.Effect{}, err
		}
		return f.write(stepSaveTask, f.threadSlot(), f.Thread), nil
	}
	record, err := setRecordTask(f.Record, task)
	if err != nil {
		return wire.Effect{}, err
	}
	if f.Record, err = setRecordMember(record, replacedAtMember, replacedAt); err != nil {
		return wire.Effect{}, err
	}
	return f.write(stepSaveTask, wire.SlotIdentity, f.Record), nil
}

// clearBackoff forgets the account's failures.
func (f *flow) clearBackoff() (wire.Effect, error) {
	if !hasBackoff(f.Backoff, f.account()) {
		return f.sign()
	}
	return f.write(stepClearBackoff, wire.SlotBackoff, clearBackoff(f.Backoff, f.account())), nil
}

// sign ends the flow with an assertion for the stored task.
func (f *flow) sign() (wire.Effect, error) {
	id, err := f.storedIdentity()
	if err != nil {
		return wire.Effect{}, err
	}
	d, err := f.decide(wire.AgentAvailable)
	if err != nil {
		return wire.Effect{}, err
	}
	a := f.authorization(d)
	a.AgentRuntimeID = id.agentRuntimeID
	a.TaskID, _ = f.task(id)
	if a.Header, err = BuildAssertion(id.key, a.AgentRuntimeID, a.TaskID, f.now); err != nil {
		return wire.Effect{}, err
	}
	return f.finish(a), nil
}

// giveUp ends the flow without the agent, and without a pause before the next
// try: nothing was asked of the backend, or the caller broke off.
func (f *flow) giveUp(agent string, cause error) (wire.Effect, error) {
	return f.refuse(agent, 0, cause)
}

func (f *flow) refuse(agent string, retryAt int64, cause error) (wire.Effect, error) {
	d, err := f.decide(agent)
	if err != nil {
		return wire.Effect{}, err
	}
	a := f.authorization(d)
	a.RetryAt, a.Cause = retryAt, wireError(cause)
	return f.finish(a), nil
}

// backOff ends the flow without the agent, once it is stored that the backend
// is to be left alone for a while.
func (f *flow) backOff(agent string, cause error) (wire.Effect, error) {
	end, err := f.refuse(agent, 0, cause)
	if err != nil {
		return wire.Effect{}, err
	}
	f.Result = end.Authorization
	return f.entropy(stepJitter, jitterSize), nil
}

// saveBackoff stores the pause.
func (f *flow) saveBackoff(jitter []byte) (wire.Effect, error) {
	b := readBackoff(f.Backoff, f.account()).next(f.Config.Profile, f.now, f.RetryAfter, jitter, f.Result.Cause.Code)
	record, err := b.store(f.Backoff, f.account())
	if err != nil {
		return wire.Effect{}, err
	}
	f.Result.RetryAt = b.retryAt
	return f.write(stepSaveBackoff, wire.SlotBackoff, record), nil
}
