package core

import "github.com/agentassert/agentassert/core/wire"

// profile is one form of the protocol: what a flow does in one way here and in
// another there. Each has a file of its own, to be read from top to bottom, and all
// share the flow: it loads, locks, registers, saves, signs, falls back and pauses.
type profile interface {
	// takes reports whether credentials of that kind can have an agent (rule 1).
	takes(kind string) bool
	// use says what a call on a surface asserts, unless a rule of [Decide] that
	// comes before says otherwise.
	use(s Surface, c wire.Config, credentials wire.Credentials) use
	// registrar returns the URL below which agents are registered, without slashes at
	// its end, and nothing where nobody knows it.
	registrar(c wire.Config) string

	// keyEntropy is how many bytes of entropy a new identity takes, and newKey makes
	// its key of them, and keeps what else they are for.
	keyEntropy() int64
	newKey(f *flow, entropy []byte) (*PrivateKey, error)
	// taskEntropy is how many bytes a task's registration takes that no identity's
	// came before.
	taskEntropy() int64
	// taskNeedsToken reports whether the access token authorizes that of a task.
	taskNeedsToken() bool
	// identityRequest and taskRequest ask for the first request of a registration.
	identityRequest(f *flow) (wire.Effect, error)
	taskRequest(f *flow, id *identity) (wire.Effect, error)
	// readTask takes the task id from the answer.
	readTask(k *PrivateKey, body []byte) (string, error)

	// wait is how long to wait, in milliseconds, before a request that has been sent
	// tries times, and failed in a way that can pass, is sent again. Zero is not at
	// all.
	wait(tries int64) int64
	// pause is how long the backend is left alone, in seconds, once a registration
	// has failed after so many others.
	pause(failures int64) int64
}

// use is what a call asserts.
type use struct {
	// reason is the decision's.
	reason string
	// scope is ScopeThread for the task of the call's own conversation.
	scope Scope
}

// profileOf returns the profile that a flow with these credentials has. One that
// begins with an identity in place of a sign-in has no access token, and so no
// biscuits.
func profileOf(c wire.Config, credentials wire.Credentials) (profile, error) {
	switch c.Profile {
	case wire.ProfileBiscuit:
		if credentials.Kind == wire.CredentialsAgentIdentity {
			return authAPI{}, nil
		}
		return biscuit{}, nil
	case wire.ProfileAuthAPI:
		return authAPI{}, nil
	}
	return nil, fail(CodeInvalidConfig, "the profile is neither empty nor auth-api")
}
