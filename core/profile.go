package core

import "github.com/agentassert/agentassert/core/wire"

// profile is one form of the protocol: what a flow does in one way here and in
// another there. Each has a file of its own, to be read from top to bottom
// (biscuit.go, authapi.go, instances.go), and all share the flow: it loads, locks,
// registers, saves, signs, falls back and pauses.
type profile interface {
	// takes reports whether credentials of that kind can have an agent (rule 1).
	takes(kind string) bool
	// use says what a call on a surface asserts, if it does, unless a rule of
	// [Decide] that comes before says otherwise.
	use(s Surface, c wire.Config, credentials wire.Credentials) (u use, asserts bool)
	// turnsFallBack reports whether a conversation's call carries the bearer token
	// where a registration failed in a way that passes, and turnsPause whether it does
	// not try again before the pause is over. Other calls do both.
	turnsFallBack() bool
	turnsPause() bool

	// check refuses a configuration that lacks what the profile needs.
	check(c wire.Config) error
	// registrar returns the URL below which agents are registered, without slashes at
	// its end, and nothing where nobody knows it.
	registrar(c wire.Config) string
	// identitySlot is where the identity is kept, and backoffKey under which name
	// failures of an account are.
	identitySlot() string
	backoffKey(account string) string
	// proceed does what comes next, by what is known of the identity.
	proceed(f *flow) (wire.Effect, error)

	// keyEntropy is how many bytes of entropy a new identity takes, and newKey makes
	// its key of them, and keeps what else they are for.
	keyEntropy() int64
	newKey(f *flow, entropy []byte) (*PrivateKey, error)
	// identityRequest asks for the first request of its registration, and
	// identityRegistered reads the answer to the last.
	identityRequest(f *flow) (wire.Effect, error)
	identityRegistered(f *flow, body []byte) (wire.Effect, error)
	// replaces reports whether a rejection with that code, or with none, says that what is
	// asserted is to be replaced.
	replaces(code string) bool
	// wait is how long to wait, in milliseconds, before a request that has been sent
	// tries times, and failed in a way that passes, is sent again. None is not at
	// all.
	wait(tries, retryAfter int64) (ms int64, again bool)
	// pauses are how long the backend is left alone where the configuration does not say.
	pauses() wire.Pauses

	// sign ends the flow with an assertion of what it has found or registered.
	sign(f *flow) (wire.Effect, error)
}

// tasks are what those profiles have beside, whose agents assert tasks.
type tasks interface {
	// taskEntropy is how many bytes a task's registration takes that no identity's
	// came before, and taskNeedsToken reports whether the access token authorizes it.
	taskEntropy() int64
	taskNeedsToken() bool
	// taskRequest asks for the first request of the registration, and readTask takes
	// the task id from the answer to the last.
	taskRequest(f *flow, id *identity) (wire.Effect, error)
	readTask(k *PrivateKey, body []byte) (string, error)
}

// use is what a call asserts.
type use struct {
	// reason and mode are the decision's.
	reason, mode string
	// threadTask says that the task is that of the call's own conversation.
	threadTask bool
}

// profileOf returns the profile that a flow with these credentials has. One that
// begins with an identity in place of a sign-in has no access token to register
// another with.
func profileOf(c wire.Config, credentials wire.Credentials) (profile, error) {
	isKnown := c.Profile == wire.ProfileBiscuit || c.Profile == wire.ProfileAuthAPI || c.Profile == wire.ProfileInstances
	switch {
	case !isKnown:
		return nil, errUnknownProfile()
	case c.Profile == wire.ProfileAuthAPI || credentials.Kind == wire.CredentialsAgentIdentity:
		return authAPI{}, nil
	case c.Profile == wire.ProfileInstances:
		return instances{}, nil
	}
	return biscuit{}, nil
}

func errUnknownProfile() error {
	return fail(CodeInvalidConfig, "the profile is neither empty, for biscuits, nor auth-api nor instances")
}

// RegistrarURL returns the URL, without slashes at its end, below which a flow
// with these credentials registers, and nothing where nobody knows it: the access
// token would go to a party that has nothing to do with the backend. The base URL is
// a normalized one.
//
// The error's code is CodeInvalidConfig: there is no such profile.
func RegistrarURL(c wire.Config, credentials wire.Credentials) (string, error) {
	p, err := profileOf(c, credentials)
	if err != nil {
		return "", err
	}
	return p.registrar(c), nil
}
