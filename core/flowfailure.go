package core

import (
	"strconv"

	"github.com/agentassert/agentassert/core/wire"
)

// fail handles an EventFailed.
func (f *flow) fail(e wire.Event) (wire.Effect, error) {
	if f.Step != stepJitter {
		f.RetryAfter, f.Passing = 0, false
	}
	switch e.Failure {
	case wire.FailureTimeout, wire.FailureConnect, wire.FailureTLS, wire.FailureTooLarge, wire.FailureCanceled,
		wire.FailureStore, wire.FailureReadOnly, wire.FailureChanged:
	default:
		return wire.Effect{}, fail(CodeUnexpectedEvent, "the failure is not timeout, connect, tls, too-large, canceled, store, read-only or changed")
	}
	switch f.Step {
	case stepUnlockForRouting:
		return f.loadWorkspace(), nil
	case stepSaveWorkspace:
		return f.afterWorkspace() // it is asked for again
	case stepLoadWorkspace, stepLockWorkspace:
		return f.notRouted(f.storeFailed(e.Failure, "what is known of the workspace could not be read, or not locked"))
	case stepAccounts, stepCallEntropy:
		return f.notRouted(fail(CodeRequestFailed, "asking where the workspace's calls go: no response ("+e.Failure+")"))
	}
	readOnly := e.Failure == wire.FailureReadOnly
	id, _ := f.readIdentity()
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
	case stepSaveIdentity, stepSaveTask:
		if e.Failure == wire.FailureChanged {
			if f.Swaps++; f.Swaps < maxSwaps {
				return f.reload(), nil
			}
		} else if readOnly && f.Step == stepSaveTask {
			// The host keeps in memory what the store does not take.
			return f.advance(wire.Event{Type: wire.EventDone})
		}
		// The backend has registered what cannot be kept. Without a pause every call would
		// have it do so again.
		return f.backOff(wire.AgentStoreFailed, f.storeFailed(e.Failure, "the store did not save what was registered"))
	case stepClearBackoff:
		// The task is safe; a record of old failures is only read without one.
		return f.profile.sign(f)
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

// assertionRejected ends a flow that nothing is registered for: whatever is asserted, the
// backend would reject it as it has before. What that answered is for the caller, and is
// not to be tried again with the user's token in its place.
func (f *flow) assertionRejected(code string) wire.Effect {
	message := "the backend rejects the assertion for a reason of its own"
	if isRefusalCode(code) {
		message += ", " + code
	}
	cause := fail(CodeAssertionRejected, message+"; another task, identity or instance would not change that")
	return f.finish(wire.Authorization{Mode: ModeNone, Reason: ReasonAssertionRejected, AccountID: f.account(), Cause: wireError(cause)})
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
// is to be left alone for a while, unless there are to be no pauses.
func (f *flow) backOff(agent string, cause error) (wire.Effect, error) {
	if f.pauses().Most == 0 {
		return f.giveUp(agent, cause)
	}
	end, err := f.refuse(agent, 0, cause)
	if err != nil {
		return wire.Effect{}, err
	}
	f.Result = end.Authorization
	return f.entropy(stepJitter, jitterSize), nil
}

// saveBackoff stores the pause.
func (f *flow) saveBackoff(jitter []byte) (wire.Effect, error) {
	b := readBackoff(f.Backoff, f.backoffKey()).next(f.pauses(), f.now, f.RetryAfter, jitter, f.Result.Cause.Code)
	b.final = f.profile.turnsFallBack() && !f.Passing
	record, err := b.store(f.Backoff, f.backoffKey())
	if err != nil {
		return wire.Effect{}, err
	}
	f.Result.RetryAt = b.retryAt
	return f.write(stepSaveBackoff, wire.SlotBackoff, record), nil
}

// clearBackoff forgets the account's failures.
func (f *flow) clearBackoff() (wire.Effect, error) {
	if !hasBackoff(f.Backoff, f.backoffKey()) {
		return f.profile.sign(f)
	}
	return f.write(stepClearBackoff, wire.SlotBackoff, clearBackoff(f.Backoff, f.backoffKey())), nil
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

// registrationFailed is what became of the agent once a registration has failed.
func (f *flow) registrationFailed() string {
	if f.Passing && f.profile.turnsFallBack() {
		return wire.AgentRegistrationUnavailable
	}
	return wire.AgentRegistrationFailed
}

// tryAgain sends the request once more, where the profile does, if the failure can
// pass.
func (f *flow) tryAgain(canPass bool, cause error) (wire.Effect, error) {
	f.Tries++
	f.Passing = canPass
	wait, again := f.profile.wait(f.Tries, f.RetryAfter)
	if !canPass || !again {
		return f.backOff(f.registrationFailed(), cause)
	}
	if f.Step == stepIdentity {
		f.Step = stepIdentityWait
	} else {
		f.Step = stepTaskWait
	}
	return wire.Effect{Type: wire.EffectWait, WaitMS: wait}, nil
}
