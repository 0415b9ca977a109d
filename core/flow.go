package core

import (
	"slices"
	"strconv"

	"github.com/agentassert/agentassert/core/wire"
)

// The steps of a flow, named after the effect whose answer is awaited.
const (
	stepStart            = ""
	stepLoadIdentity     = "load-identity"
	stepLoadBackend      = "load-backend"
	stepSaveBackend      = "save-backend"
	stepLoadThread       = "load-thread"
	stepLoadBackoff      = "load-backoff"
	stepCompleteIdentity = "complete-identity"
	stepLockIdentity     = "lock-identity"
	stepUnlockIdentity   = "unlock-identity"
	stepLockThread       = "lock-thread"
	stepDropTask         = "drop-task"
	stepLoadSetAside     = "load-set-aside"
	stepSaveSetAside     = "save-set-aside"
	stepDropIdentity     = "drop-identity"
	stepProbe            = "probe"
	stepEntropy          = "entropy"
	stepIdentityBiscuit  = "identity-biscuit"
	stepIdentity         = "register-identity"
	stepIdentityWait     = "wait-register-identity"
	stepSaveIdentity     = "save-identity"
	stepTaskEntropy      = "task-entropy"
	stepTaskBiscuit      = "task-biscuit"
	stepTask             = "register-task"
	stepTaskWait         = "wait-register-task"
	stepSaveTask         = "save-task"
	stepClearBackoff     = "clear-backoff"
	stepJitter           = "jitter"
	stepSaveBackoff      = "save-backoff"
)

// answers says which event answers each step's effect. An EventFailed answers
// all of them but the start.
var answers = map[string]string{
	stepStart:            wire.EventStart,
	stepLoadIdentity:     wire.EventLoaded,
	stepLoadBackend:      wire.EventLoaded,
	stepSaveBackend:      wire.EventDone,
	stepLoadThread:       wire.EventLoaded,
	stepLoadBackoff:      wire.EventLoaded,
	stepCompleteIdentity: wire.EventDone,
	stepLockIdentity:     wire.EventDone,
	stepUnlockIdentity:   wire.EventDone,
	stepLockThread:       wire.EventDone,
	stepDropTask:         wire.EventDone,
	stepLoadSetAside:     wire.EventLoaded,
	stepSaveSetAside:     wire.EventDone,
	stepDropIdentity:     wire.EventDone,
	stepProbe:            wire.EventDone,
	stepEntropy:          wire.EventEntropy,
	stepIdentityBiscuit:  wire.EventResponse,
	stepIdentity:         wire.EventResponse,
	stepIdentityWait:     wire.EventWoke,
	stepSaveIdentity:     wire.EventDone,
	stepTaskEntropy:      wire.EventEntropy,
	stepTaskBiscuit:      wire.EventResponse,
	stepTask:             wire.EventResponse,
	stepTaskWait:         wire.EventWoke,
	stepSaveTask:         wire.EventDone,
	stepClearBackoff:     wire.EventDone,
	stepJitter:           wire.EventEntropy,
	stepSaveBackoff:      wire.EventDone,
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

	// maxSwaps is how often the flow tries to store what it has registered while
	// somebody else changes the identity.
	maxSwaps = 4

	// maxClockSkew is how far the clock can be from the backend's before it is the
	// likely reason of a rejection, in seconds: what a verifier lets pass
	// (design.md).
	maxClockSkew = 300
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
// minute (CodeTaskRejected), for then a new task does not help, nor if the clock is
// what is wrong (CodeClockSkew). Where the backend does not know the agent, here or
// at the registration of a task, the identity is replaced.
//
// An effect of type lock asks for the lock of a slot, across processes: the
// identity's while an identity or its background task is registered, a thread's
// while that thread's task is. The host holds it until the flow gives it back or
// ends, however it ends. The flow reads the store again once it has a lock, so
// that of any number of flows that start at once, one registers and the others find
// what it stored. It takes a thread's lock without the identity's, and can ask for
// the identity's while it holds a thread's, never the other way round.
//
// The identity is only ever swapped: where it is no longer the one that the flow
// has read, the flow reads it again, and takes what it finds there if that is good.
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

	// identity, or identityErr, is what readIdentity made of the record identityOf.
	identity    *identity
	identityErr error
	identityOf  []byte
}

// advance handles the event that the step waited for.
func (f *flow) advance(e wire.Event) (wire.Effect, error) {
	switch f.Step {
	case stepStart:
		return f.start(e)
	case stepLoadIdentity:
		f.Record = e.Record
		return f.proceed()
	case stepLoadBackend:
		f.Backend = e.Record
		return f.loaded(wire.SlotBackend)
	case stepLoadThread:
		f.Thread = e.Record
		return f.loaded(f.threadSlot())
	case stepLoadBackoff:
		f.Backoff = e.Record
		return f.loaded(wire.SlotBackoff)
	case stepSaveBackend, stepProbe:
		return f.proceed()
	case stepCompleteIdentity:
		f.Record = f.Registered
		f.Registered = nil
		return f.proceed()
	case stepLockIdentity:
		return f.locked(wire.SlotIdentity)
	case stepLockThread:
		return f.locked(f.threadSlot())
	case stepUnlockIdentity, stepDropTask, stepDropIdentity:
		return f.proceed()
	case stepLoadSetAside:
		return f.setAside(e.Record)
	case stepSaveSetAside:
		f.Loaded = append(f.Loaded, wire.SlotSetAside)
		return f.afterSetAside()
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
		f.Record, f.Registered, f.Swaps = f.Registered, nil, 0
		return f.proceed()
	case stepSaveTask:
		f.Granted, f.GrantedTo = "", ""
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
	if f.Step != stepJitter {
		f.RetryAfter = 0
	}
	switch e.Failure {
	case wire.FailureTimeout, wire.FailureConnect, wire.FailureTLS, wire.FailureTooLarge, wire.FailureCanceled,
		wire.FailureStore, wire.FailureReadOnly, wire.FailureChanged:
	default:
		return wire.Effect{}, fail(CodeUnexpectedEvent, "the failure is not timeout, connect, tls, too-large, canceled, store, read-only or changed")
	}
	readOnly := e.Failure == wire.FailureReadOnly
	id, err := f.readIdentity()
	if err != nil {
		return f.giveUp(wire.AgentStoreFailed, err)
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
	case stepSaveBackend:
		// What cannot be noted is noted by the next call.
		return f.proceed()
	case stepCompleteIdentity:
		// Nobody is worse off than before.
		f.Registered = nil
		return f.proceed()
	case stepSaveIdentity, stepSaveTask, stepDropTask, stepDropIdentity:
		if e.Failure == wire.FailureChanged {
			if f.Swaps++; f.Swaps < maxSwaps {
				return f.reload(), nil
			}
		} else if readOnly && f.Step != stepSaveIdentity && f.Step != stepDropIdentity {
			// The host keeps in memory what the store does not take.
			return f.advance(wire.Event{Type: wire.EventDone})
		}
		if f.Step == stepDropTask {
			// Nothing was asked of the backend.
			return f.giveUp(wire.AgentStoreFailed, f.storeFailed(e.Failure, "the task that the backend rejects could not be dropped"))
		}
		// The backend has registered what cannot be kept, or has been asked for a task
		// that it does not grant. Without a pause every call would do so again.
		return f.backOff(wire.AgentStoreFailed, f.storeFailed(e.Failure, "the store did not save what was registered"))
	case stepClearBackoff:
		// The task is safe; a record of old failures is only read without one.
		return f.sign()
	case stepSaveBackoff:
		return f.finish(*f.Result), nil
	case stepUnlockIdentity:
		return f.proceed()
	case stepLockIdentity, stepLockThread:
		if readOnly && id != nil {
			// What this process keeps in memory is locked in no file.
			return f.advance(wire.Event{Type: wire.EventDone})
		}
		return f.giveUp(wire.AgentStoreFailed, f.storeFailed(e.Failure, "the store could not be locked"))
	case stepProbe:
		if readOnly && id != nil && !f.isUnknown(id) {
			return f.proceed()
		}
		return f.notReplaced(wire.AgentStoreFailed, f.storeFailed(e.Failure, "the store takes nothing that would be registered"))
	case stepLoadSetAside, stepSaveSetAside:
		return f.notReplaced(wire.AgentStoreFailed, f.storeFailed(e.Failure, "the stored identity does not fit, and could not be set aside"))
	}
	return f.giveUp(wire.AgentStoreFailed, f.storeFailed(e.Failure, "the store failed"))
}

func (f *flow) storeFailed(failure, what string) error {
	code := CodeStoreFailed
	if failure == wire.FailureReadOnly {
		code = CodeStoreReadOnly
	}
	return fail(code, what+" ("+failure+")")
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
		a := f.authorization(d)
		if d.Reason == ReasonNoChatGPTCredentials {
			a.Cause = f.Credentials.Problem
		}
		return f.finish(a), nil
	}
	if r := f.Rejected; r != nil {
		switch skew := f.clockSkew(r.Date); {
		case skew != nil:
			// The task is as good as any.
			return f.giveUp(wire.AgentRegistrationFailed, skew)
		case r.Code == CodeTimestampSkew:
			return f.giveUp(wire.AgentRegistrationFailed, fail(CodeClockSkew, "the backend says that this machine's clock is not its own; set it right"))
		case r.Code == CodeUnknownAgent:
			f.Unknown = r.AgentRuntimeID
		}
	}
	return f.reload(), nil
}

// clockSkew returns an error if the clock differs from the backend's, whose answer
// has the given Date header field, by so much that no assertion is accepted.
func (f *flow) clockSkew(date string) error {
	theirs, ok := parseHTTPDate(date)
	if !ok {
		return nil
	}
	behind, direction := theirs-f.now, "behind"
	if behind < 0 {
		behind, direction = -behind, "ahead of"
	}
	if behind <= maxClockSkew {
		return nil
	}
	return fail(CodeClockSkew, "this machine's clock is "+span(behind)+" "+direction+" the backend's; set it right")
}

// span is a number of seconds, for people, in its two largest units.
func span(seconds int64) string {
	units := []struct {
		name string
		size int64
	}{{"d", secondsPerDay}, {"h", 3600}, {"min", 60}, {"s", 1}}
	for i, u := range units {
		if seconds < u.size && u.size > 1 {
			continue
		}
		text := strconv.FormatInt(seconds/u.size, 10) + " " + u.name
		if i+1 < len(units) {
			if rest := seconds % u.size / units[i+1].size; rest > 0 {
				text += " " + strconv.FormatInt(rest, 10) + " " + units[i+1].name
			}
		}
		return text
	}
	return ""
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
	if f.Config.AuthAPIURL != "" {
		if _, _, err := parseURL(f.Config.AuthAPIURL, notInBaseURL); err != nil {
			return fail(CodeInvalidConfig, "the auth API's URL is not valid: "+err.Error())
		}
	}
	if f.isLater() {
		f.Config.AuthAPIURL = AuthAPIURL(f.Config)
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
		a.Notice = f.expiredToken()
	}
	a.FedRAMP = d.Mode != ModeNone && f.Credentials.FedRAMP
	return a
}

// expiredToken returns a notice if the access token says that it has expired.
func (f *flow) expiredToken() *wire.Error {
	expires, ok := expiry(f.Credentials.AccessToken)
	if !ok || f.now < expires {
		return nil
	}
	return &wire.Error{
		Code:    CodeAccessTokenExpired,
		Message: "the access token expired " + span(f.now-expires) + " ago; the program that signed the user in renews it when it is used, or sign in again",
	}
}

func (f *flow) finish(a wire.Authorization) wire.Effect {
	a.ValidUntil = f.now
	if f.Notice != nil {
		a.Notice = f.Notice
	}
	return wire.Effect{Type: wire.EffectDone, Authorization: &a}
}

func (f *flow) load(step, slot string) wire.Effect {
	f.Step = step
	return wire.Effect{Type: wire.EffectLoad, Slot: slot}
}

// reload reads the identity, and after it whatever depends on it.
func (f *flow) reload() wire.Effect {
	f.Loaded = nil
	return f.load(stepLoadIdentity, wire.SlotIdentity)
}

// loaded goes on once a slot is read.
func (f *flow) loaded(slot string) (wire.Effect, error) {
	f.Loaded = append(f.Loaded, slot)
	return f.proceed()
}

func (f *flow) isLoaded(slot string) bool { return slices.Contains(f.Loaded, slot) }

// write saves a record, or empties the slot where there is none.
func (f *flow) write(step, slot string, record []byte) wire.Effect {
	f.Step = step
	if len(record) == 0 {
		return wire.Effect{Type: wire.EffectDelete, Slot: slot}
	}
	return wire.Effect{Type: wire.EffectSave, Slot: slot, Record: record}
}

// swap replaces the identity, if it is still the one that was read.
func (f *flow) swap(step string, record []byte) wire.Effect {
	f.Step = step
	return wire.Effect{Type: wire.EffectSwap, Slot: wire.SlotIdentity, Expected: f.Record, Record: record}
}

func (f *flow) entropy(step string, size int64) wire.Effect {
	f.Step = step
	return wire.Effect{Type: wire.EffectEntropy, Size: size}
}

func (f *flow) lock(step, slot string) wire.Effect {
	f.Step = step
	return wire.Effect{Type: wire.EffectLock, Slot: slot}
}

// locked goes on under a lock: what was read without it may have changed.
func (f *flow) locked(slot string) (wire.Effect, error) {
	f.Locked = append(f.Locked, slot)
	return f.reload(), nil
}

func (f *flow) isLocked(slot string) bool { return slices.Contains(f.Locked, slot) }

// unlockIdentity gives the identity's lock back, so that other threads can register
// at the same time.
func (f *flow) unlockIdentity() wire.Effect {
	f.Locked = slices.DeleteFunc(f.Locked, func(slot string) bool { return slot == wire.SlotIdentity })
	f.Step = stepUnlockIdentity
	return wire.Effect{Type: wire.EffectUnlock, Slot: wire.SlotIdentity}
}

// probe finds out whether what is to be registered can be kept, unless that is
// known.
func (f *flow) probe(slot string) (effect wire.Effect, wanted bool) {
	if slices.Contains(f.Probed, slot) {
		return wire.Effect{}, false
	}
	f.Probed = append(f.Probed, slot)
	f.Step = stepProbe
	return wire.Effect{Type: wire.EffectProbe, Slot: slot}, true
}

func (f *flow) account() string { return accountID(f.Config, f.Credentials) }

// threadSlot is where the thread's task is kept.
func (f *flow) threadSlot() string { return wire.SlotThread + f.ThreadID }

// taskSlot is where the call's task is kept.
func (f *flow) taskSlot() string {
	if f.isThread() {
		return f.threadSlot()
	}
	return wire.SlotIdentity
}

// isThread reports whether the call uses a thread's task, and not the background
// task.
func (f *flow) isThread() bool {
	return f.ThreadID != "" && f.Credentials.Kind != wire.CredentialsAgentIdentity
}

func (f *flow) isLater() bool { return f.Config.Profile == wire.ProfileAuthAPI }

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

// proceed does what comes next, by what is known: it asks for what has to be read
// or locked first, registers what is missing, and ends with an assertion. It is
// where every step leads back to that has changed what is known.
func (f *flow) proceed() (wire.Effect, error) {
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
		return f.withoutTask(id)
	case rejected:
		return f.replaceTask(id)
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
	if len(f.Record) > 0 && !f.isLoaded(wire.SlotSetAside) {
		return f.load(stepLoadSetAside, wire.SlotSetAside), nil
	}
	return f.afterSetAside()
}

// cannotRegister returns why a registration, which may need the access token, is not
// even tried.
func (f *flow) cannotRegister(needsToken bool) error {
	switch {
	case needsToken && f.Credentials.AccessToken == "":
		return fail(CodeNoAccessToken, "there is no access token to register with; sign in again")
	case f.isLater() && f.Config.AuthAPIURL == "":
		return fail(CodeNoAuthAPI, "nobody knows where agents of the backend at "+f.Config.BaseURL+" are registered, and the user's token is not for guessing; configure the auth API's URL")
	}
	return nil
}

// lockAndLook takes the lock of a slot, and looks whether the backend is to be
// left alone: before it waits for the lock and, as that takes time, again under
// it.
func (f *flow) lockAndLook(slot string) (effect wire.Effect, wanted bool, err error) {
	if !f.isLoaded(wire.SlotBackoff) && (f.isLocked(slot) || !f.isThread() && f.Rejected == nil) {
		return f.load(stepLoadBackoff, wire.SlotBackoff), true, nil
	}
	if b := readBackoff(f.Backoff, f.account()); f.isLoaded(wire.SlotBackoff) && b.active(f.now) && !f.isThread() {
		effect, err = f.refuse(wire.AgentRegistrationFailed, b.retryAt, fail(CodeBackingOff, "registration failed "+strconv.FormatInt(b.failures, 10)+" times, last with "+b.code+", and is not tried again yet"))
		return effect, true, err
	}
	switch {
	case f.isLocked(slot):
		return wire.Effect{}, false, nil
	case slot == wire.SlotIdentity:
		return f.lock(stepLockIdentity, slot), true, nil
	case f.isLocked(wire.SlotIdentity):
		return f.unlockIdentity(), true, nil
	}
	return f.lock(stepLockThread, slot), true, nil
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
	f.Notice = &wire.Error{Code: CodeIdentitySetAside, Message: message + "; it was set aside, and another takes its place"}
	return f.write(stepSaveSetAside, wire.SlotSetAside, record), nil
}

// afterSetAside goes on once nothing can be lost.
func (f *flow) afterSetAside() (wire.Effect, error) {
	switch {
	case f.isStoredUnknown():
		effect := f.swap(stepDropIdentity, nil)
		f.Record = nil
		return effect, nil
	case len(f.Registered) > 0:
		return f.swap(stepSaveIdentity, f.Registered), nil
	}
	return f.entropy(stepEntropy, identityEntropy), nil
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

// replaceIdentity drops an identity that the backend does not know, if it has not
// taken the place of such a one itself a short while ago.
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
	return f.load(stepLoadSetAside, wire.SlotSetAside), nil
}

// replaceTask drops the task that the backend has rejected, under its lock.
func (f *flow) replaceTask(id *identity) (wire.Effect, error) {
	record := f.Record
	if f.isThread() {
		record = f.Thread
	}
	if isYoungReplacement(record, memberTaskReplacedAt, minTaskAge, f.now) {
		return f.giveUp(wire.AgentRegistrationFailed, fail(CodeTaskRejected, "the backend rejects the task that has just replaced another"))
	}
	if !f.isLocked(f.taskSlot()) {
		// What has to be dropped is dropped, even in a pause.
		if f.isThread() {
			if f.isLocked(wire.SlotIdentity) {
				return f.unlockIdentity(), nil
			}
			return f.lock(stepLockThread, f.threadSlot()), nil
		}
		return f.lock(stepLockIdentity, wire.SlotIdentity), nil
	}
	if f.isThread() {
		f.Thread = nil
		return f.write(stepDropTask, f.threadSlot(), nil), nil
	}
	record, err := setRecordTask(f.Record, "")
	if err != nil {
		return wire.Effect{}, err
	}
	effect := f.swap(stepDropTask, record)
	f.Record = record
	return effect, nil
}

// withoutTask registers one for an identity, under the lock of the slot that the
// task is kept in.
func (f *flow) withoutTask(id *identity) (wire.Effect, error) {
	if f.Granted != "" && f.GrantedTo == id.agentRuntimeID {
		return f.saveTask()
	}
	if effect, wanted, err := f.lockAndLook(f.taskSlot()); wanted || err != nil {
		return effect, err
	}
	if f.isThread() && f.isLocked(wire.SlotIdentity) {
		return f.unlockIdentity(), nil
	}
	// A later client's task is authorized by the signature alone.
	if err := f.cannotRegister(!f.isLater()); err != nil {
		return f.giveUp(wire.AgentRegistrationFailed, err)
	}
	if effect, wanted := f.probe(f.taskSlot()); wanted {
		return effect, nil
	}
	if f.isLater() || len(f.RequestID) > 0 {
		return f.prepareTask()
	}
	return f.entropy(stepTaskEntropy, requestIDSize), nil
}

// complete makes a record that one client or another could not read one that all
// can: a client that finds an identity it cannot read takes the user for signed
// out (protocol.md). Nothing depends on it.
func (f *flow) complete(id *identity) (wire.Effect, error) {
	if id.complete || f.Completed || f.Credentials.Kind == wire.CredentialsAgentIdentity {
		return f.sign()
	}
	f.Completed = true
	record, err := completeRecord(f.Record, f.account(), f.Credentials, f.now)
	if err != nil {
		return f.sign()
	}
	f.Registered = record
	return f.swap(stepCompleteIdentity, record), nil
}

// generateKey makes the key, and keeps what else the entropy is for: the ids of
// the two biscuit requests to come.
func (f *flow) generateKey(entropy []byte) (wire.Effect, error) {
	if len(entropy) != identityEntropy {
		return wire.Effect{}, fail(CodeInvalidEntropy, "the flow asked for another amount of entropy")
	}
	f.Tries = 0 // those of a task may have shown that the agent is unknown
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
	requestID := f.RequestID
	f.RequestID = nil
	f.Step = stepTaskBiscuit
	return biscuitRequest(f.Config.BaseURL, url, f.Credentials.AccessToken, requestID), nil
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
		return f.refused(e)
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

// refused handles an answer that is not what was hoped for.
func (f *flow) refused(e wire.Event) (wire.Effect, error) {
	f.RetryAfter = parseRetryAfter(e.Headers, f.now)
	answer := f.doing() + ": the backend answered " + strconv.FormatInt(e.Status, 10)
	if e.Status >= 400 && e.Status < 500 && e.Status != 429 {
		if skew := f.clockSkew(header(e.Headers, dateHeader)); skew != nil {
			return f.backOff(wire.AgentRegistrationFailed, fail(Code(skew), answer+"; "+skew.Error()))
		}
	}
	if f.Step == stepTask && (e.Status == 404 || e.Status == 410 || errorCode(e.Body) == CodeUnknownAgent) {
		id, err := f.storedIdentity()
		if err != nil {
			return wire.Effect{}, err
		}
		if !f.mayReplaceIdentity() {
			return f.backOff(wire.AgentRegistrationFailed, fail(CodeUnknownAgent, answer+": it does not know the agent "+id.agentRuntimeID))
		}
		f.Unknown, f.RetryAfter = id.agentRuntimeID, 0
		return f.proceed()
	}
	return f.tryAgain(e.Status == 429 || e.Status >= 500, fail(CodeHTTPStatus, answer))
}

// mayReplaceIdentity reports whether the stored identity can be replaced by a new
// one, and has not taken the place of another itself a short while ago.
func (f *flow) mayReplaceIdentity() bool {
	return f.Credentials.Kind != wire.CredentialsAgentIdentity &&
		!isYoungReplacement(f.Record, memberIdentityReplacedAt, minIdentityAge, f.now)
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
	base := f.Config.BaseURL
	if f.isLater() {
		base = f.Config.AuthAPIURL
		headers = append(headers, wire.Header{Name: "authorization", Value: "Bearer " + f.Credentials.AccessToken})
		if f.Credentials.FedRAMP {
			headers = append(headers, wire.Header{Name: fedRAMPHeader, Value: "true"})
		}
	}
	f.Step = stepIdentity
	return registrationRequest(identityRegistrationURL(base),
		identityRegistrationBody(f.Config.ABOM, k.Public(), f.Config.Profile), timeoutMS, headers...), nil
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
	base, timeout := f.Config.BaseURL, int64(timeoutMS)
	if f.isLater() {
		base, timeout = f.Config.AuthAPIURL, authAPITaskTimeoutMS
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
	task, err := parseTaskResponse(id.key, e.Body, f.Config.Profile)
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

// notReplaced ends the flow with the stored identity as it is. If the backend has
// said that it does not know that one, there is a pause: without it every call would
// ask again.
func (f *flow) notReplaced(agent string, cause error) (wire.Effect, error) {
	if f.Unknown != "" {
		return f.backOff(agent, cause)
	}
	return f.giveUp(agent, cause)
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
