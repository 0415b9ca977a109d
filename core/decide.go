package core

import (
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// The modes of an authorization.
const (
	ModeNone           = "none"
	ModeBearer         = "bearer"
	ModeAgentAssertion = "agent-assertion"
)

// The reasons of an authorization, in the order in which the rules are tried.
const (
	// ReasonNoChatGPTCredentials (rule 1): nobody is signed in, or with an API
	// key.
	ReasonNoChatGPTCredentials = "no-chatgpt-credentials"
	// ReasonBearerOnlySurface (rule 2): the surface comes before there is an
	// identity.
	ReasonBearerOnlySurface = "bearer-only-surface"
	// ReasonFeatureOff (rule 3): the feature gate is off.
	ReasonFeatureOff = "feature-off"
	// ReasonUnsupportedHost (rule 4): the backend is not one that knows
	// assertions.
	ReasonUnsupportedHost = "unsupported-host"
	// ReasonNoAccountID (rule 5): no account to bind an identity to.
	ReasonNoAccountID = "no-account-id"
	// ReasonBackgroundTask and ReasonThreadTask (rule 6): there is a task to
	// assert, for the surface's scope.
	ReasonBackgroundTask = "background-task"
	ReasonThreadTask     = "thread-task"
	// ReasonRegistrationFailed and ReasonStoreFailed (rule 7): there could have
	// been one.
	ReasonRegistrationFailed = "registration-failed"
	ReasonStoreFailed        = "store-failed"
	// ReasonNoAccessToken (rule 8): bearer it would be, but there is no token.
	ReasonNoAccessToken = "no-access-token"
)

// Decide returns the authorization that a call gets by default. The eight rules
// are tried in their order, each has its reason.
//
// A thread's surface differs in two ways: rule 4 does not apply to it, and in
// place of rule 7 it gets none, because a failed registration is an error of
// the turn, which the next turn tries again.
//
// With an identity that arrived as a JWT there is no access token, and no
// thread's task: rule 2 does not apply, and all surfaces use the one task.
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
	account := accountID(p.Config, p.Credentials)
	bearer := func(reason string) (wire.Decision, error) {
		if p.Credentials.AccessToken == "" {
			return wire.Decision{Mode: ModeNone, Reason: ReasonNoAccessToken, AccountID: account}, nil
		}
		return wire.Decision{Mode: ModeBearer, Reason: reason, AccountID: account}, nil
	}
	scope := effectiveScope(surface, p.Credentials)
	switch {
	case p.Credentials.Kind != wire.CredentialsChatGPT && p.Credentials.Kind != wire.CredentialsAgentIdentity:
		return wire.Decision{Mode: ModeNone, Reason: ReasonNoChatGPTCredentials}, nil
	case scope == ScopeBearerOnly:
		return bearer(ReasonBearerOnlySurface)
	case !p.Config.AgentIdentity:
		return bearer(ReasonFeatureOff)
	case !base.Supported && surface.Scope != ScopeThread:
		return bearer(ReasonUnsupportedHost)
	case account == "":
		return bearer(ReasonNoAccountID)
	}
	reason := ""
	switch p.Agent {
	case wire.AgentAvailable:
		reason = ReasonBackgroundTask
		if scope == ScopeThread {
			reason = ReasonThreadTask
		}
		return wire.Decision{Mode: ModeAgentAssertion, Reason: reason, AccountID: account}, nil
	case wire.AgentRegistrationFailed:
		reason = ReasonRegistrationFailed
	case wire.AgentStoreFailed:
		reason = ReasonStoreFailed
	default:
		return wire.Decision{}, fail(CodeInvalidConfig, "the agent is not available, registration-failed or store-failed")
	}
	if scope == ScopeThread {
		return wire.Decision{Mode: ModeNone, Reason: reason, AccountID: account}, nil
	}
	return bearer(reason)
}

// effectiveScope says whose task a call uses.
func effectiveScope(s Surface, c wire.Credentials) Scope {
	if c.Kind == wire.CredentialsAgentIdentity {
		return ScopeBackground
	}
	return s.Scope
}

// accountID is the account that the call is for, and that an identity is bound
// to.
func accountID(config wire.Config, c wire.Credentials) string {
	if config.ForcedWorkspaceID != "" {
		return config.ForcedWorkspaceID
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
	for _, id := range []string{c.AccountID, config.ForcedWorkspaceID} {
		if !isHeaderValue(id) || len(id) > maxIDSize {
			return fail(CodeInvalidCredentials, "the account id is too long or has characters other than printable ASCII; sign in again")
		}
	}
	if len(c.UserID) > maxIDSize || strings.ContainsFunc(c.UserID, func(r rune) bool { return r < ' ' }) {
		return fail(CodeInvalidCredentials, "the user id is too long or has control characters; sign in again")
	}
	return nil
}
