package managers

import (
	"net/http"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// row is a line of the decision table: what a call carries, why, and the backend's answer.
type row struct {
	mode, reason string
	status       int
}

// profile is a form of the protocol, with what it is to do.
type profile struct {
	name, profile, headerMode string
	allSurfaces               bool
	// asserts says what a call carries on a surface that is not bearer-only.
	asserts func(s core.Surface) row
	// surface is the one of the scenarios, which end with these rows.
	surface                     string
	unsupported, apiKey, failed row
	accepted                    registrations
}

// registrations are how many were accepted for the decision table, threads included.
type registrations struct{ identities, tasks, instances int }

var (
	nothing = row{core.ModeNone, core.ReasonNoChatGPTCredentials, http.StatusUnauthorized}
	bearer  = row{core.ModeBearer, core.ReasonBearerSurface, http.StatusOK}
)

var profiles = []profile{
	{
		name: "biscuit",
		asserts: func(s core.Surface) row {
			if s.Scope == core.ScopeThread {
				return row{core.ModeAgentAssertion, core.ReasonThreadTask, http.StatusOK}
			}
			return row{core.ModeAgentAssertion, core.ReasonBackgroundTask, http.StatusOK}
		},
		surface:     core.SurfaceApps,
		unsupported: row{core.ModeBearer, core.ReasonUnsupportedHost, http.StatusOK},
		apiKey:      nothing,
		failed:      row{core.ModeBearer, core.ReasonRegistrationFailed, http.StatusOK},
		accepted:    registrations{identities: 1, tasks: 2},
	},
	{
		name: "auth-api", profile: wire.ProfileAuthAPI,
		asserts: func(s core.Surface) row {
			if s.Name == core.SurfaceResponses {
				return row{core.ModeAgentAssertion, core.ReasonIdentityTask, http.StatusOK}
			}
			return bearer
		},
		surface:     core.SurfaceApps,
		unsupported: bearer,
		apiKey:      nothing,
		failed:      bearer, // of responses alone the agent would be missed
		accepted:    registrations{identities: 1, tasks: 1},
	},
	{
		name: "auth-api, all surfaces", profile: wire.ProfileAuthAPI, allSurfaces: true,
		asserts: func(s core.Surface) row {
			if s.Name == core.SurfaceResponses {
				return row{core.ModeAgentAssertion, core.ReasonIdentityTask, http.StatusOK}
			}
			return row{core.ModeAgentAssertion, core.ReasonAllSurfaces, http.StatusOK}
		},
		surface:     core.SurfaceApps,
		unsupported: row{core.ModeBearer, core.ReasonUnsupportedHost, http.StatusOK},
		apiKey:      nothing,
		failed:      row{core.ModeBearer, core.ReasonRegistrationFailed, http.StatusOK},
		accepted:    registrations{identities: 1, tasks: 1},
	},
	instances("instances, dual header", wire.HeaderModeDual, core.ModeDualHeader),
	instances("instances, assertion only", wire.HeaderModeAssertionOnly, core.ModeAgentAssertion),
}

func instances(name, headerMode, mode string) profile {
	return profile{
		name: name, profile: wire.ProfileInstances, headerMode: headerMode,
		asserts:     func(core.Surface) row { return row{mode, core.ReasonRuntimeInstance, http.StatusOK} },
		surface:     core.SurfaceApps,
		unsupported: row{core.ModeBearer, core.ReasonUnsupportedHost, http.StatusOK},
		// The backend of this test knows no API keys.
		apiKey:   row{core.ModeNone, core.ReasonRegistrationFailed, http.StatusUnauthorized},
		failed:   row{core.ModeBearer, core.ReasonRegistrationFailed, http.StatusOK},
		accepted: registrations{instances: 1},
	}
}
