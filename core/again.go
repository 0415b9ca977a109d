package core

import (
	"github.com/agentassert/agentassert/core/wire"
)

// signedState is the state of a flow that has ended with an assertion: what it takes to
// sign another, and nothing that had to be read for it. The key is in the form that it
// signs in, so that nothing is derived from it again.
func (f *flow) signedState(a wire.Authorization, k *PrivateKey) []byte {
	a.Header, a.AgentAssertion, a.Notice = "", "", nil
	s := wire.SignedState{Key: k.signer.bytes(), Answer: a}
	if a.Mode == ModeDualHeader {
		s.AccessToken = f.tokenBeside()
		if expires, ok := expiry(f.Credentials.AccessToken); ok {
			s.Expires = max(expires, 1) // zero stands for none
		}
	}
	if f.CheckedAt != 0 {
		s.From, s.Until = f.CheckedAt, f.CheckedAt+routingLifetime
	}
	return wire.Encode(&s)
}

// again makes another assertion of a flow that has ended with one. Whoever asks for it
// vouches for all that the flow has read, and that it was told, being the same; what
// the time changes by itself is seen to here.
func again(p wire.FlowStepParams) (wire.FlowStep, error) {
	var s wire.SignedState
	if err := wire.Decode(p.State, &s); err != nil {
		if wire.Decode(p.State, &wire.FlowState{}) == nil {
			return wire.FlowStep{}, fail(CodeUnexpectedEvent, "a flow that has not ended with an assertion makes no other")
		}
		return wire.FlowStep{}, errInvalidState()
	}
	k, ok := readSigner(s.Key)
	if !ok {
		return wire.FlowStep{}, errInvalidState()
	}
	now := p.Event.Now
	switch {
	case now < minTime || now > maxTime:
		return wire.FlowStep{}, errInvalidTime()
	case s.Until != 0 && (now < s.From || now >= s.Until):
		return wire.FlowStep{}, fail(CodeStateExpired, "what the flow has found out is not good for this time; start another")
	}
	a := &s.Answer
	a.ValidUntil = now
	if p.Event.TaskID != "" {
		if a.TaskID == "" {
			return wire.FlowStep{}, fail(CodeUnexpectedEvent, "the flow has not ended with the assertion of a task, and again makes none of another")
		}
		a.TaskID = p.Event.TaskID
	}
	if s.Expires != 0 {
		a.Notice = expiredToken(s.Expires, now)
	}
	if err := assert(a, k, s.AccessToken, p.Event.Entropy, now); err != nil {
		return wire.FlowStep{}, err
	}
	return wire.FlowStep{Effect: wire.Effect{Type: wire.EffectDone, Authorization: a}}, nil
}

// assert puts into an authorization what the call asserts, as its ids and its mode say:
// the task or, made for one request, the runtime agent instance. Beside the latter there
// is the user's token in mode dual-header, unless it is empty.
func assert(a *wire.Authorization, k *signer, token string, entropy []byte, now int64) (err error) {
	if a.RuntimeAgentInstance == "" {
		a.Header, err = k.assertTask(a.AgentRuntimeID, a.TaskID, now)
		return err
	}
	value, err := k.assertInstance(a.RuntimeAgentInstance, entropy, now)
	if err != nil {
		return err
	}
	if a.Mode == ModeAgentAssertion {
		a.Header = Scheme + " " + value
		return nil
	}
	a.AgentAssertion = value
	if token != "" {
		a.Header = "Bearer " + token
	}
	return nil
}
