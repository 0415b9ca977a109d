package core

import (
	"strconv"

	"github.com/agentassert/agentassert/core/wire"
)

// Where the configuration asks for it, a turn's calls to responses go where the
// account's workspace is kept, as clients from 0.156 on have it (protocol.md): the
// backend is asked once, and the answer is kept for a while, in memory. It comes last
// in a flow, whatever the call carries; where it fails there is no turn.

const (
	accountsPath      = "/wham/accounts/check"
	noConstraint      = "NO_CONSTRAINT"
	routingLifetime   = 300 // seconds
	accountHeaderName = "chatgpt-account-id"
	assertionHeader   = "x-openai-agent-assertion"
)

// wantsRouting reports whether a flow that would end with this authorization finds out
// first where the call goes.
func (f *flow) wantsRouting(a *wire.Authorization) bool {
	return f.Config.WorkspaceRouting && f.Surface == SurfaceResponses && f.Credentials.Kind == wire.CredentialsChatGPT &&
		f.Credentials.AccessToken != "" && a.Mode != ModeNone
}

// route begins to find out where the call goes that would carry a. The lock of the
// identity, which others wait for, is given back.
func (f *flow) route(a wire.Authorization) wire.Effect {
	key := ""
	if f.signer != nil {
		key, f.signer = f.signer.PKCS8(), nil
	}
	a.Header, a.AgentAssertion = "", ""
	f.FlowState = wire.FlowState{
		Surface: f.Surface, Config: f.Config, Credentials: f.Credentials,
		PrivateKey: key, Entropy: f.Entropy, Result: &a, Locked: f.Locked,
	}
	if f.isLocked(wire.SlotIdentity) {
		effect := f.unlockIdentity()
		f.Step = stepUnlockForRouting
		return effect
	}
	return f.loadWorkspace()
}

func (f *flow) loadWorkspace() wire.Effect { return f.load(stepLoadWorkspace, wire.SlotWorkspace) }

// workspaceLoaded goes on with what is known of the workspace, and asks the backend
// under the slot's lock.
func (f *flow) workspaceLoaded(record []byte) (wire.Effect, error) {
	w, ok := f.readWorkspace(record)
	switch {
	case ok:
		f.CheckedAt = w.checkedAt
		f.Result.ResponsesOrigin, f.Result.AccountRoutingOverride = w.origin, w.override
		return f.routed()
	case !f.isLocked(wire.SlotWorkspace):
		return f.lock(stepLockWorkspace, wire.SlotWorkspace), nil
	}
	headers, err := f.accountsHeaders()
	if err != nil {
		return wire.Effect{}, err
	}
	f.Step = stepAccounts
	return wire.Effect{
		Type:            wire.EffectHTTP,
		Method:          "GET",
		URL:             f.Config.BaseURL + accountsPath,
		Headers:         headers,
		TimeoutMS:       timeoutMS,
		SizeLimit:       maxNetworkJSON,
		ResponseHeaders: []string{dateHeader, retryAfterHeader},
	}, nil
}

// accountsHeaders are the header fields of the request: the bearer token, except that
// a runtime agent instance asserts itself there, too.
func (f *flow) accountsHeaders() ([]wire.Header, error) {
	a := wire.Authorization{Header: "Bearer " + f.Credentials.AccessToken}
	if f.Result.RuntimeAgentInstance != "" {
		k, err := f.parseKey(f.PrivateKey)
		if err != nil {
			return nil, fail(CodeInvalidState, "the state holds no key")
		}
		a = *f.Result
		if err := f.assert(&a, k); err != nil {
			return nil, err
		}
	}
	headers := []wire.Header{{Name: "authorization", Value: a.Header}}
	if a.AgentAssertion != "" {
		headers = append(headers, wire.Header{Name: assertionHeader, Value: a.AgentAssertion})
	}
	if account := f.account(); account != "" {
		headers = append(headers, wire.Header{Name: accountHeaderName, Value: account})
	}
	if f.Credentials.FedRAMP {
		headers = append(headers, wire.Header{Name: fedRAMPHeader, Value: "true"})
	}
	return headers, nil
}

// accountsAnswered keeps what the backend says.
func (f *flow) accountsAnswered(e wire.Event) (wire.Effect, error) {
	const doing = "asking where the workspace's calls go: "
	if e.Status < 200 || e.Status > 299 {
		return f.notRouted(fail(CodeHTTPStatus, doing+"the backend answered "+strconv.FormatInt(e.Status, 10)))
	}
	w, err := f.parseAccounts(e.Body)
	if err != nil {
		return f.notRouted(fail(Code(err), doing+err.Error()))
	}
	f.Result.ResponsesOrigin, f.Result.AccountRoutingOverride = w.origin, w.override
	f.CheckedAt = f.now
	checkedAt, err := formatTimestamp(f.now)
	if err != nil {
		return wire.Effect{}, err
	}
	return f.write(stepSaveWorkspace, wire.SlotWorkspace, appendJSONObject(nil,
		"account_id", f.account(),
		"base_url", f.Config.BaseURL,
		"origin", w.origin,
		"override", w.override,
		"checked_at", checkedAt)), nil
}

// afterWorkspace draws another id for the call's own assertion, where each request has
// one.
func (f *flow) afterWorkspace() (wire.Effect, error) {
	if f.Result.RuntimeAgentInstance == "" {
		return f.routed()
	}
	return f.entropy(stepCallEntropy, uuidSize), nil
}

// routed ends the flow, with an assertion of this second.
func (f *flow) routed() (wire.Effect, error) {
	a := *f.Result
	a.ValidUntil = f.now
	if a.Mode == ModeBearer {
		a.Header = "Bearer " + f.Credentials.AccessToken
		return wire.Effect{Type: wire.EffectDone, Authorization: &a}, nil
	}
	k, err := f.parseKey(f.PrivateKey)
	if err != nil {
		return wire.Effect{}, fail(CodeInvalidState, "the state holds no key")
	}
	if err := f.assert(&a, k); err != nil {
		return wire.Effect{}, err
	}
	f.signer = k
	return wire.Effect{Type: wire.EffectDone, Authorization: &a}, nil
}

// notRouted ends the flow as a turn that cannot be.
func (f *flow) notRouted(cause error) (wire.Effect, error) {
	return wire.Effect{Type: wire.EffectDone, Authorization: &wire.Authorization{
		Mode: ModeNone, Reason: ReasonRoutingFailed, AccountID: f.Result.AccountID, ValidUntil: f.now, Cause: wireError(cause),
	}}, nil
}

// workspace says where calls to responses go: to another origin, or with an override,
// unless these are empty. checkedAt is when the backend said so, in Unix seconds.
type workspace struct {
	origin, override string
	checkedAt        int64
}

// parseAccounts reads the answer. Exactly one entry is the account's.
func (f *flow) parseAccounts(body []byte) (workspace, error) {
	root, err := parseJSON(body, maxNetworkJSON)
	if err != nil {
		return workspace{}, fail(CodeInvalidResponse, "the response is not JSON: "+err.Error())
	}
	accounts := root.member("accounts")
	if accounts == nil || accounts.kind != jsonArray {
		return workspace{}, fail(CodeInvalidResponse, "the response lacks the array accounts")
	}
	var found *jsonValue
	for e := range accounts.elements(body) {
		if id, ok := e.stringMember("id"); !ok || id != f.account() {
			continue
		}
		if found != nil {
			return workspace{}, fail(CodeUnknownWorkspace, "the account is there twice")
		}
		found = &e
	}
	if found == nil {
		return workspace{}, fail(CodeUnknownWorkspace, "the account is not there")
	}
	var w workspace
	origin, hasOrigin := found.stringMember("workspace_backend_origin")
	override, hasOverride := found.stringMember("account_routing_override")
	switch {
	case !hasOrigin || !hasOverride:
		return workspace{}, fail(CodeInvalidResponse, "the account's entry lacks workspace_backend_origin or account_routing_override")
	case override == "us" || override == "us_cr":
		w.override = override
	case override != noConstraint:
		return workspace{}, fail(CodeInvalidResponse, "the account's routing override is one that this version does not know")
	}
	if origin == noConstraint {
		return w, nil
	}
	if err := CheckResponsesOrigin(origin, f.Config.TrustedHosts); err != nil {
		return workspace{}, err
	}
	w.origin = origin
	return w, nil
}

// CheckResponsesOrigin refuses an origin that calls to responses must not be sent to,
// with what they carry: one that is not an https origin (CodeInvalidResponse), or whose
// host is not supported, nor trusted (CodeUnsupportedOrigin).
//
// Errors: these, and CodeInvalidTrustedHost.
func CheckResponsesOrigin(origin string, trustedHosts []string) error {
	o, path, err := parseURL(origin, notInBaseURL)
	if err != nil || o.scheme != "https" || path != "" {
		return fail(CodeInvalidResponse, "the workspace's origin is not an https origin")
	}
	supported, err := supportedHost(o.host, trustedHosts)
	if err != nil {
		return err
	}
	if !supported {
		return fail(CodeUnsupportedOrigin, "the workspace's origin is a host that is not supported; trust it if that is meant")
	}
	return nil
}

// readWorkspace returns what is known of the call's workspace, if it is known at all
// and not for too long. The record is this process's alone.
func (f *flow) readWorkspace(record []byte) (workspace, bool) {
	root, err := parseJSON(record, maxNetworkJSON)
	if err != nil {
		return workspace{}, false
	}
	account, _ := root.stringMember("account_id")
	baseURL, _ := root.stringMember("base_url")
	checked, _ := root.stringMember("checked_at")
	at, err := parseTimestamp(checked)
	if err != nil || account != f.account() || baseURL != f.Config.BaseURL || f.now < at || f.now >= at+routingLifetime {
		return workspace{}, false
	}
	w := workspace{checkedAt: at}
	w.origin, _ = root.stringMember("origin")
	w.override, _ = root.stringMember("override")
	if w.origin != "" && CheckResponsesOrigin(w.origin, f.Config.TrustedHosts) != nil {
		return workspace{}, false
	}
	return w, true
}
