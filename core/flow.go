package core

import (
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
	stepLoadSetAside     = "load-set-aside"
	stepSaveSetAside     = "save-set-aside"
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
	stepUnlockForRouting = "unlock-for-routing"
	stepLoadWorkspace    = "load-workspace"
	stepLockWorkspace    = "lock-workspace"
	stepAccounts         = "accounts-check"
	stepSaveWorkspace    = "save-workspace"
	stepCallEntropy      = "call-entropy"
)

// answers says which event answers each step's effect. An EventFailed answers
// those of effects.
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
	stepLoadSetAside:     wire.EventLoaded,
	stepSaveSetAside:     wire.EventDone,
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
	stepUnlockForRouting: wire.EventDone,
	stepLoadWorkspace:    wire.EventLoaded,
	stepLockWorkspace:    wire.EventDone,
	stepAccounts:         wire.EventResponse,
	stepSaveWorkspace:    wire.EventDone,
	stepCallEntropy:      wire.EventEntropy,
}

const (
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
// assertion with 401, registers another in its place, if it is still the stored one;
// but not if that task has itself replaced one within the last minute
// (CodeTaskRejected), for then a new task does not help, nor if the clock is what is
// wrong (CodeClockSkew). Where the backend does not know the agent, here or at the
// registration of a task, the identity is replaced. What is replaced stays in the store
// until the other has been saved in its place. A rejection with any other code than
// those of tasks that have expired replaces nothing: the answer is mode none, with the
// cause CodeAssertionRejected, and the backend's own is the one for the caller.
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
	if p.Event.Type == wire.EventAgain && len(p.State) > 0 {
		return again(p)
	}
	f := flow{now: p.Event.Now, parseKey: parseKey}
	if len(p.State) > 0 {
		if err := wire.Decode(p.State, &f.FlowState); err != nil || f.Step == stepStart {
			if wire.Decode(p.State, &wire.SignedState{}) == nil {
				return wire.FlowStep{}, fail(CodeUnexpectedEvent, "the flow has ended with an assertion, and again makes another")
			}
			return wire.FlowStep{}, errInvalidState()
		}
	}
	if f.Step != stepStart {
		var err error
		if f.profile, err = profileOf(f.Config, f.Credentials); err != nil || !f.isWhole() {
			return wire.FlowStep{}, errInvalidState()
		}
	}
	want, ok := answers[f.Step]
	if !ok {
		return wire.FlowStep{}, errInvalidState()
	}
	failed := p.Event.Type == wire.EventFailed && f.Step != stepStart
	if p.Event.Type != want && !failed {
		return wire.FlowStep{}, fail(CodeUnexpectedEvent, "the step "+strconv.Quote(f.Step)+" is answered by "+want+", not by "+strconv.Quote(p.Event.Type))
	}
	if f.now < minTime || f.now > maxTime {
		return wire.FlowStep{}, errInvalidTime()
	}
	next := f.advance
	if failed {
		next = f.fail
	}
	routing := f.Result != nil && f.Step != stepSaveBackoff && f.Step != stepJitter
	effect, err := next(p.Event)
	if err != nil {
		return wire.FlowStep{}, err
	}
	if effect.Type == wire.EffectDone && !routing && f.wantsRouting(effect.Authorization) {
		effect = f.route(*effect.Authorization)
	}
	if effect.Type == wire.EffectDone {
		if f.signer == nil {
			return wire.FlowStep{Effect: effect}, nil
		}
		return wire.FlowStep{State: f.signedState(*effect.Authorization, f.signer), Effect: effect}, nil
	}
	return wire.FlowStep{State: wire.Encode(&f.FlowState), Effect: effect}, nil
}

func errInvalidState() error {
	return fail(CodeInvalidState, "the state is not one that a step returned")
}

func errInvalidTime() error {
	return fail(CodeInvalidTime, "the time is not between the years 0 and 9999")
}

// isWhole reports whether the state has what its step takes for granted, as each has
// that a step returned.
func (f *flow) isWhole() bool {
	switch f.Step {
	case stepIdentityWait, stepTaskWait:
		if _, waits := f.profile.wait(1, 0); !waits {
			return false
		}
	case stepJitter:
		if f.Result == nil || f.Result.Cause == nil {
			return false
		}
	case stepSaveBackoff, stepUnlockForRouting, stepLoadWorkspace, stepLockWorkspace, stepAccounts, stepSaveWorkspace, stepCallEntropy:
		if f.Result == nil {
			return false
		}
	}
	return f.Tries >= 0 && checkPauses(f.Config.Pauses) == nil && f.profile.check(f.Config) == nil
}

type flow struct {
	wire.FlowState
	now      int64
	parseKey func(string) (*PrivateKey, error)
	profile  profile
	// signer is the key of the assertion that the flow ends with.
	signer *PrivateKey

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
		return f.locked(f.profile.identitySlot())
	case stepLockThread:
		return f.locked(f.threadSlot())
	case stepUnlockIdentity:
		return f.proceed()
	case stepLoadSetAside:
		return f.setAside(e.Record)
	case stepSaveSetAside:
		f.Loaded = append(f.Loaded, wire.SlotSetAside)
		return f.afterSetAside()
	case stepEntropy:
		return f.generateKey(e.Entropy)
	case stepTaskEntropy:
		return f.prepareTaskWith(e.Entropy)
	case stepIdentityBiscuit, stepIdentity, stepTaskBiscuit, stepTask:
		return f.response(e)
	case stepIdentityWait:
		return f.profile.identityRequest(f)
	case stepTaskWait:
		return f.requestTask()
	case stepSaveIdentity:
		f.Record, f.Registered, f.Swaps = f.Registered, nil, 0
		if f.Pending != nil {
			f.Notice, f.Pending = f.Pending, nil
		}
		return f.proceed()
	case stepSaveTask:
		f.Granted, f.GrantedTo = "", ""
		return f.clearBackoff()
	case stepClearBackoff:
		return f.profile.sign(f)
	case stepJitter:
		if len(e.Entropy) != jitterSize {
			return wire.Effect{}, fail(CodeInvalidEntropy, "the flow asked for another amount of entropy")
		}
		return f.saveBackoff(e.Entropy)
	case stepSaveBackoff:
		return f.finish(*f.Result), nil
	case stepUnlockForRouting:
		return f.loadWorkspace(), nil
	case stepLoadWorkspace:
		return f.workspaceLoaded(e.Record)
	case stepLockWorkspace:
		f.Locked = append(f.Locked, wire.SlotWorkspace)
		return f.loadWorkspace(), nil
	case stepAccounts:
		return f.accountsAnswered(e)
	case stepSaveWorkspace:
		return f.afterWorkspace()
	case stepCallEntropy:
		f.Entropy = e.Entropy
		return f.routed()
	}
	return wire.Effect{}, fail(CodeInternal, "a step without code")
}

func (f *flow) start(e wire.Event) (wire.Effect, error) {
	if e.Config == nil || e.Credentials == nil {
		return wire.Effect{}, fail(CodeInvalidConfig, "the start of a flow needs config and credentials")
	}
	f.Surface, f.Config, f.Credentials = e.Surface, *e.Config, *e.Credentials
	f.ThreadID, f.Rejected, f.Entropy = e.ThreadID, e.Rejected, e.Entropy
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
	if !asserts(d.Mode) {
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
		case f.profile.replaces(r.Code):
		case r.Code == CodeUnknownAgent:
			f.Unknown = r.AgentRuntimeID
		default:
			return f.assertionRejected(r.Code), nil
		}
	}
	return f.reload(), nil
}

// checkConfig finds the profile, and refuses what it could not use.
func (f *flow) checkConfig() (err error) {
	for _, s := range []string{f.Config.ABOM.AgentVersion, f.Config.ABOM.AgentHarnessID, f.Config.ABOM.RunningLocation} {
		if len(s) > maxIDSize {
			return fail(CodeInvalidConfig, "a member of abom is longer than 4096 bytes")
		}
	}
	if f.profile, err = profileOf(f.Config, f.Credentials); err != nil {
		return err
	}
	if f.Config.AuthAPIURL != "" {
		if _, _, err := parseURL(f.Config.AuthAPIURL, notInBaseURL); err != nil {
			return fail(CodeInvalidConfig, "the auth API's URL is not valid: "+err.Error())
		}
	}
	if err := checkPauses(f.Config.Pauses); err != nil {
		return err
	}
	if err := checkCapabilities(f.Config); err != nil {
		return err
	}
	return f.profile.check(f.Config)
}

// asserts reports whether a call of that mode carries an assertion.
func asserts(mode string) bool { return mode == ModeAgentAssertion || mode == ModeDualHeader }

// checkThread wants a thread for a thread's surface, and for no other.
func (f *flow) checkThread() error {
	s, err := LookupSurface(f.Surface)
	if err != nil {
		return err
	}
	if (s.Scope == ScopeThread) != (f.ThreadID != "") {
		return fail(CodeThreadSurface, "the surface "+f.Surface+" has scope "+string(s.Scope)+": a thread's surface needs a thread, and no other has one")
	}
	if f.ThreadID == "" {
		return nil
	}
	return CheckThreadID(f.ThreadID)
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
	if d.Mode == ModeBearer || d.Mode == ModeDualHeader {
		if expires, ok := expiry(f.Credentials.AccessToken); ok {
			a.Notice = expiredToken(expires, f.now)
		}
	}
	a.FedRAMP = d.Mode != ModeNone && f.Credentials.FedRAMP
	return a
}

func (f *flow) finish(a wire.Authorization) wire.Effect {
	a.ValidUntil = f.now
	if f.Notice != nil {
		a.Notice = f.Notice
	}
	return wire.Effect{Type: wire.EffectDone, Authorization: &a}
}

func (f *flow) account() string { return accountID(f.Config, f.Credentials) }

// use says what the call asserts if the agent can be had.
func (f *flow) use() use {
	s, _ := LookupSurface(f.Surface) // the start has made sure that there is one
	u, _ := f.profile.use(s, f.Config, f.Credentials)
	return u
}

// isTurn reports whether the call is one of a conversation's.
func (f *flow) isTurn() bool {
	return f.ThreadID != "" && f.Credentials.Kind != wire.CredentialsAgentIdentity
}

// isThread reports whether the call uses a thread's task, and not the background
// task.
func (f *flow) isThread() bool { return f.use().threadTask }

// proceed does what comes next, by what is known. It is where every step leads back
// to that has changed what is known.
func (f *flow) proceed() (wire.Effect, error) { return f.profile.proceed(f) }

// sign ends the flow with an assertion, of a task or of an instance, as the
// authorization says.
func (f *flow) sign(k *PrivateKey, about func(*wire.Authorization)) (wire.Effect, error) {
	d, err := f.decide(wire.AgentAvailable)
	if err != nil {
		return wire.Effect{}, err
	}
	a := f.authorization(d)
	about(&a)
	if err := f.assert(&a, k); err != nil {
		return wire.Effect{}, err
	}
	f.signer = k
	return f.finish(a), nil
}

// assert puts into an authorization what the call asserts now.
func (f *flow) assert(a *wire.Authorization, k *PrivateKey) error {
	return assert(a, &k.signer, f.tokenBeside(), f.Entropy, f.now)
}

// tokenBeside is what goes beside an assertion in mode dual-header. An API key is sent
// by the program that has it.
func (f *flow) tokenBeside() string {
	if f.Credentials.Kind == wire.CredentialsAPIKey {
		return ""
	}
	return f.Credentials.AccessToken
}
