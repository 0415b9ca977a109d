package core

import (
	"slices"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// The modes of an authorization.
const (
	ModeNone           = "none"
	ModeBearer         = "bearer"
	ModeAgentAssertion = "agent-assertion"
	// ModeDualHeader is the bearer token with an assertion beside it.
	ModeDualHeader = "dual-header"
)

// The reasons of an authorization, in the order in which the rules are tried.
const (
	// ReasonNoChatGPTCredentials (rule 1): nobody is signed in, or with an API
	// key.
	ReasonNoChatGPTCredentials = "no-chatgpt-credentials"
	// ReasonWorkspaceNotAllowed (rule 1): the account is none of several that are
	// allowed.
	ReasonWorkspaceNotAllowed = "workspace-not-allowed"
	// ReasonBearerOnlySurface (rule 2): the surface comes before there is an
	// identity.
	ReasonBearerOnlySurface = "bearer-only-surface"
	// ReasonFeatureOff (rule 3): the feature gate is off.
	ReasonFeatureOff = "feature-off"
	// ReasonBearerSurface (rule 3): in the profile, calls on this surface carry the
	// bearer token.
	ReasonBearerSurface = "bearer-surface"
	// ReasonUnsupportedHost (rule 4): the backend is not one that knows
	// assertions.
	ReasonUnsupportedHost = "unsupported-host"
	// ReasonNoAccountID (rule 5): no account to bind an identity to.
	ReasonNoAccountID = "no-account-id"
	// ReasonBackgroundTask and ReasonThreadTask (rule 6): there is a task to
	// assert, for the surface's scope.
	ReasonBackgroundTask = "background-task"
	ReasonThreadTask     = "thread-task"
	// ReasonIdentityTask (rule 6, profile auth-api): there is the identity's one task,
	// for all that asserts.
	ReasonIdentityTask = "identity-task"
	// ReasonAllSurfaces (rule 6, profile auth-api): there is, and the surface asserts
	// because the configuration has all do so.
	ReasonAllSurfaces = "all-surfaces"
	// ReasonRuntimeInstance (rule 6, profile instances): there is an instance.
	ReasonRuntimeInstance = "runtime-instance"
	// ReasonRegistrationFailed, ReasonRegistrationUnavailable (it may be possible
	// soon) and ReasonStoreFailed (rule 7): there could have been one.
	ReasonRegistrationFailed      = "registration-failed"
	ReasonRegistrationUnavailable = "registration-unavailable"
	ReasonStoreFailed             = "store-failed"
	// ReasonRoutingFailed: where the call goes could not be found out. It is no rule's:
	// a flow has it in place of all that a call to responses would carry.
	ReasonRoutingFailed = "workspace-routing-failed"
	// ReasonAssertionRejected: the backend rejects the assertion for a reason of its own. It
	// is no rule's, either: the call's answer is the one to go by.
	ReasonAssertionRejected = "assertion-rejected"
	// ReasonNoAccessToken (rule 8): bearer it would be, but there is no token.
	ReasonNoAccessToken = "no-access-token"
)

// Decide returns the authorization that a call gets by default. The eight rules
// are tried in their order, each has its reason.
//
// A thread's surface differs in two ways: rule 4 does not apply to it, and in
// place of rule 7 it gets none, because a failed registration is an error of
// the turn, which the next turn tries again. In the profile auth-api that is so only
// where the failure is not one that passes.
//
// With an identity that takes the place of a sign-in there is no access token, and
// no thread's task: rule 2 does not apply, and all surfaces use the one task. With an
// API key, which the program that has it sends itself, the answer is none in place of
// bearer.
//
// Errors: CodeUnknownSurface, CodeInvalidBaseURL, CodeInvalidTrustedHost,
// CodeInvalidCredentials, CodeInvalidConfig.
func Decide(p wire.DecideParams) (wire.Decision, error) {
	surface, err := LookupSurface(p.Surface)
	if err != nil {
		return wire.Decision{}, err
	}
	base, err := NormalizeBaseURL(p.Config.BaseURL, p.Config.TrustedHosts)
	if err != nil {
		return wire.Decision{}, err
	}
	if err := checkCredentials(p.Credentials, p.Config); err != nil {
		return wire.Decision{}, err
	}
	profile, err := profileOf(p.Config, p.Credentials)
	if err != nil {
		return wire.Decision{}, err
	}
	kind := p.Credentials.Kind
	account := accountID(p.Config, p.Credentials)
	none := func(reason string) (wire.Decision, error) {
		return wire.Decision{Mode: ModeNone, Reason: reason, AccountID: account}, nil
	}
	bearer := func(reason string) (wire.Decision, error) {
		switch {
		case kind == wire.CredentialsAPIKey:
			return none(reason)
		case p.Credentials.AccessToken == "":
			return none(ReasonNoAccessToken)
		}
		return wire.Decision{Mode: ModeBearer, Reason: reason, AccountID: account}, nil
	}
	isTurn := surface.Scope == ScopeThread && kind != wire.CredentialsAgentIdentity
	use, asserts := profile.use(surface, p.Config, p.Credentials)
	switch {
	case !profile.takes(kind):
		return wire.Decision{Mode: ModeNone, Reason: ReasonNoChatGPTCredentials}, nil
	case len(p.Config.ForcedWorkspaceIDs) > 1 && !slices.Contains(p.Config.ForcedWorkspaceIDs, account):
		return none(ReasonWorkspaceNotAllowed)
	case surface.Scope == ScopeBearerOnly && kind != wire.CredentialsAgentIdentity:
		return bearer(ReasonBearerOnlySurface)
	case !p.Config.AgentIdentity:
		return bearer(ReasonFeatureOff)
	case !asserts:
		return bearer(ReasonBearerSurface)
	case !base.Supported && surface.Scope != ScopeThread:
		return bearer(ReasonUnsupportedHost)
	case account == "" && kind != wire.CredentialsAPIKey:
		return bearer(ReasonNoAccountID)
	}
	switch p.Agent {
	case wire.AgentAvailable:
		return wire.Decision{Mode: use.mode, Reason: use.reason, AccountID: account}, nil
	case wire.AgentRegistrationUnavailable:
		if isTurn && !profile.turnsFallBack() {
			return none(p.Agent)
		}
		return bearer(p.Agent)
	case wire.AgentRegistrationFailed, wire.AgentStoreFailed:
		if isTurn {
			return none(p.Agent)
		}
		return bearer(p.Agent)
	}
	return wire.Decision{}, fail(CodeInvalidConfig, "the agent is not available, registration-failed, registration-unavailable or store-failed")
}

// accountID is the account that the call is for, and that an identity is bound
// to. A workspace that is forced takes the place of the credentials', several say
// which of them are allowed.
func accountID(config wire.Config, c wire.Credentials) string {
	if len(config.ForcedWorkspaceIDs) == 1 && config.ForcedWorkspaceIDs[0] != "" {
		return config.ForcedWorkspaceIDs[0]
	}
	return c.AccountID
}

// checkCredentials refuses what could not be sent in a header, or would be read
// as more than one.
func checkCredentials(c wire.Credentials, config wire.Config) error {
	switch c.Kind {
	case wire.CredentialsNone, wire.CredentialsChatGPT, wire.CredentialsAPIKey, wire.CredentialsOther, wire.CredentialsAgentIdentity:
	default:
		return fail(CodeInvalidCredentials, "the kind of the credentials is not none, chatgpt, api-key, agent-identity or other")
	}
	if !isHeaderValue(c.AccessToken) || len(c.AccessToken) > maxNetworkJSON {
		return fail(CodeInvalidCredentials, "the access token is too long or has characters other than printable ASCII; sign in again")
	}
	for _, id := range append([]string{c.AccountID}, config.ForcedWorkspaceIDs...) {
		if !isHeaderValue(id) || len(id) > maxIDSize {
			return fail(CodeInvalidCredentials, "the account id is too long or has characters other than printable ASCII; sign in again")
		}
	}
	if len(c.UserID) > maxIDSize || strings.ContainsFunc(c.UserID, func(r rune) bool { return r < ' ' }) {
		return fail(CodeInvalidCredentials, "the user id is too long or has control characters; sign in again")
	}
	return nil
}
