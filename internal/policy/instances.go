package policy

import (
	"strings"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// instances is the profile of runtime agent instances. The access token, or the API
// key, is in the body of the one registration, and nowhere else.
type instances struct{}

const (
	instancePath         = "/agent/register"
	headerIdempotencyKey = "idempotency-key"
)

// instanceSlots are those of this profile: nothing of the store's but the failures.
var instanceSlots = map[string][]string{
	wire.EffectLoad:   {wire.SlotInstance, wire.SlotBackoff},
	wire.EffectLock:   {wire.SlotInstance},
	wire.EffectSave:   {wire.SlotInstance, wire.SlotBackoff},
	wire.EffectDelete: {wire.SlotBackoff},
}

func (instances) checkRequest(f *Flow, e wire.Effect, base string, headers map[string]string) error {
	if err := checkResponseHeaders(e); err != nil {
		return err
	}
	switch {
	case e.URL != base+instancePath:
		return violation("a request to a URL", "that is none of a registration's")
	case !isUUID(headers[headerIdempotencyKey]):
		return violation("an idempotency key", "that is no UUID")
	}
	if f.call.Config.Instance == nil {
		return violation("a registration", "of an instance that is not configured")
	}
	if err := checkBody(e, "public_key", func(key *core.PublicKey) []byte {
		return core.InstanceRegistrationBody(f.call.Config, f.call.Credentials, key)
	}); err != nil {
		return err
	}
	return f.checkPost(e, headers, headerIdempotencyKey)
}

// isUUID reports whether s has the form of a UUID, in lower case.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, want := range "00000000-0000-0000-0000-000000000000" {
		if isDash := s[i] == '-'; isDash != (want == '-') || !isDash && strings.IndexByte("0123456789abcdef", s[i]) < 0 {
			return false
		}
	}
	return true
}

func (instances) answered(wire.Effect, wire.Event) {}

func (instances) waits() bool { return true }

func (instances) checkSlot(_ *Flow, e wire.Effect) error { return checkSlots(e, instanceSlots) }

// checkAssertion wants an assertion of this very entropy, in the header field that
// the mode has for it, and in the other the user's token or nothing.
func (instances) checkAssertion(f *Flow, a wire.Authorization, entropy []byte, now int64) error {
	value, beside := a.AgentAssertion, ""
	if a.Mode == core.ModeAgentAssertion {
		value, _ = strings.CutPrefix(a.Header, core.Scheme+" ")
		beside = a.Header
	} else if f.call.Credentials.Kind != wire.CredentialsAPIKey {
		beside = f.bearer()
	}
	if (a.Mode == core.ModeAgentAssertion) != f.assertsAlone() || a.AgentRuntimeID != "" || a.TaskID != "" || a.Header != beside || (a.AgentAssertion == "") != (a.Mode == core.ModeAgentAssertion) ||
		!core.IsInstanceAssertion(value, a.RuntimeAgentInstance, entropy, now) {
		return violation("an assertion", "that does not say what the answer does")
	}
	return nil
}

// assertsAlone reports whether the configuration has assertions in place of the token.
func (f *Flow) assertsAlone() bool {
	i := f.call.Config.Instance
	return i != nil && i.HeaderMode == wire.HeaderModeAssertionOnly
}

// checkCall wants what the call itself will carry, with another assertion; or, where
// there is no instance, the user's token.
func (instances) checkCall(f *Flow, headers map[string]string, names []string) error {
	value, beside := headers[headerAssertion]
	authorization := headers[headerAuthorization]
	hasValue := true
	if !beside {
		if authorization == f.bearer() {
			return f.checkHeaders(headers, names...)
		}
		value, hasValue = strings.CutPrefix(authorization, core.Scheme+" ")
	} else {
		names = append(names, headerAssertion)
	}
	inspection, err := core.ParseAssertion(value)
	switch {
	case !hasValue || err != nil || inspection.Instance == nil || len(headers) != len(names):
		return violation("a call", "whose assertion is none")
	case beside == f.assertsAlone():
		return violation("a call", "whose assertion is in the other mode's header field")
	case beside && authorization != f.bearer():
		return violation("an authorization", "that is not the user's")
	case !core.IsInstanceAssertion(value, inspection.Instance.RuntimeAgentInstance, f.call.Entropy, inspection.Instance.IssuedAt):
		return violation("a call", "whose assertion is another's")
	}
	return nil
}
