package policy

import (
	"slices"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

const (
	accountsPath    = "/wham/accounts/check"
	headerAccount   = "chatgpt-account-id"
	headerAssertion = "x-openai-agent-assertion"
	// assertionIDSize is the entropy of an assertion's id, in bytes.
	assertionIDSize = 16
)

// workspaceSlots are those of the question where a workspace's calls go.
var workspaceSlots = map[string][]string{
	wire.EffectLoad: {wire.SlotWorkspace},
	wire.EffectLock: {wire.SlotWorkspace},
	wire.EffectSave: {wire.SlotWorkspace},
}

// routes reports whether the flow may ask where the call goes.
func (f *Flow) routes() bool {
	c := f.call
	return f.refusal == nil && c.Config.WorkspaceRouting && c.Surface == core.SurfaceResponses &&
		c.Credentials.Kind == wire.CredentialsChatGPT && c.Credentials.AccessToken != "" && f.decided.Mode != core.ModeNone
}

// isRouting reports whether an effect belongs to that question.
func (f *Flow) isRouting(e wire.Effect) bool {
	if !f.routes() {
		return false
	}
	return e.Slot == wire.SlotWorkspace && slices.Contains(workspaceSlots[e.Type], e.Slot) ||
		e.Type == wire.EffectUnlock && e.Slot == wire.SlotWorkspace ||
		e.Type == wire.EffectHTTP && e.URL == f.call.Config.BaseURL+accountsPath
}

// checkAccounts is for the request that asks the backend. It is a backend call: what it
// carries is the user's, or a runtime agent instance's.
func (f *Flow) checkAccounts(e wire.Effect, headers map[string]string) error {
	if err := checkResponseHeaders(e); err != nil {
		return err
	}
	if e.Method != "GET" || len(e.Body) > 0 || !slices.Contains(f.locked, wire.SlotWorkspace) {
		return violation("a question where a workspace's calls go", "that is more than that, or without its lock")
	}
	names := []string{headerAuthorization}
	if account := f.account(); account != "" {
		if headers[headerAccount] != account {
			return violation("an account", "that is not the call's")
		}
		names = append(names, headerAccount)
	}
	if f.call.Credentials.FedRAMP {
		if headers[headerFedRAMP] != "true" {
			return violation("a request", "that is not marked as FedRAMP's")
		}
		names = append(names, headerFedRAMP)
	}
	return f.profile.checkCall(f, headers, names)
}

// checkRoute wants an answer whose call goes where it may.
func (f *Flow) checkRoute(a wire.Authorization) error {
	if a.ResponsesOrigin == "" && a.AccountRoutingOverride == "" {
		return nil
	}
	if !f.routes() || a.Mode == core.ModeNone {
		return violation("an origin", "for a call that goes to the base URL")
	}
	if o := a.AccountRoutingOverride; o != "" && o != "us" && o != "us_cr" {
		return violation("a routing override", "that is none")
	}
	if a.ResponsesOrigin != "" && core.CheckResponsesOrigin(a.ResponsesOrigin, f.call.Config.TrustedHosts) != nil {
		return violation("an origin", "that is not supported")
	}
	return nil
}
