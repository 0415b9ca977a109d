package core

import (
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// authAPI is the profile auth-api, of Codex CLI from 0.132 on (protocol.md). An
// identity and its task are registered at an authority of their own, the auth API:
// the identity with the access token, the task with its signature alone.
type authAPI struct{}

func (authAPI) takes(kind string) bool {
	return kind == wire.CredentialsChatGPT || kind == wire.CredentialsAgentIdentity
}

// use has only calls to responses assert, and all with the identity's one task,
// whichever conversation they belong to; the others carry the bearer token, unless
// the configuration has all surfaces assert. With an identity in place of a sign-in
// there is no such token.
func (authAPI) use(s Surface, c wire.Config, credentials wire.Credentials) (u use, asserts bool) {
	if s.Name == SurfaceResponses || credentials.Kind == wire.CredentialsAgentIdentity {
		return use{ReasonIdentityTask, ModeAgentAssertion, false}, true
	}
	return use{ReasonAllSurfaces, ModeAgentAssertion, false}, c.AllSurfaces
}

// A turn falls back to the bearer token, for as long as the pause takes, where the
// auth API cannot be reached or has no time. Any other failure ends it; the reference
// client registers another identity with each retry then, and this one pauses.
func (authAPI) turnsFallBack() bool { return true }
func (authAPI) turnsPause() bool    { return true }

func (authAPI) check(wire.Config) error          { return nil }
func (authAPI) identitySlot() string             { return wire.SlotIdentity }
func (authAPI) backoffKey(account string) string { return account }

func (p authAPI) proceed(f *flow) (wire.Effect, error) { return f.proceedWithTask(p) }

func (authAPI) registrar(c wire.Config) string {
	return registrarOf(c, "https://auth.openai.com/api/accounts", "https://auth.api.openai.org/api/accounts")
}

// registrarOf returns the URL that is configured or, where there is none, the one
// of the base URL's environment. For every other backend nobody knows: the user's
// access token would go to a party that has nothing to do with it.
//
// The environments are the reference client's (protocol.md).
func registrarOf(c wire.Config, production, staging string) string {
	if c.AuthAPIURL != "" {
		return strings.TrimRight(c.AuthAPIURL, "/")
	}
	o, _, err := parseURL(c.BaseURL, notInBaseURL)
	if err != nil || o.scheme != "https" {
		return ""
	}
	switch o.host {
	case "chatgpt.com", "chat.openai.com":
		return production
	case "chatgpt-staging.com":
		return staging
	}
	return ""
}

func (authAPI) keyEntropy() int64 { return authAPIEntropy }

func (authAPI) newKey(_ *flow, entropy []byte) (*PrivateKey, error) {
	return GenerateKey(wire.ProfileAuthAPI, entropy)
}

func (authAPI) taskEntropy() int64   { return 0 }
func (authAPI) taskNeedsToken() bool { return false }

func (authAPI) identityRequest(f *flow) (wire.Effect, error) {
	headers := []wire.Header{{Name: "authorization", Value: "Bearer " + f.Credentials.AccessToken}}
	if f.Credentials.FedRAMP {
		headers = append(headers, wire.Header{Name: fedRAMPHeader, Value: "true"})
	}
	return f.registerIdentity(headers...)
}

func (authAPI) identityRegistered(f *flow, body []byte) (wire.Effect, error) {
	return f.saveIdentity(body)
}

// authAPITaskTimeoutMS is the time-out of a task's registration, in milliseconds.
const authAPITaskTimeoutMS = 30_000

func (authAPI) taskRequest(f *flow, _ *identity) (wire.Effect, error) {
	return f.registerTask(authAPITaskTimeoutMS)
}

// readTask knows four names for the task id. One in the clear wins over a sealed
// one, snake case over camel case. An empty one leaves room for a sealed one.
func (authAPI) readTask(k *PrivateKey, body []byte) (string, error) {
	root, err := parseJSON(body, maxNetworkJSON)
	if err != nil {
		return "", fail(CodeInvalidResponse, "the response is not JSON: "+err.Error())
	}
	isEmpty := false
	for _, name := range []string{"task_id", "taskId"} {
		switch id, ok := root.stringMember(name); {
		case id != "":
			if err := checkTaskID(id); err != nil {
				return "", err
			}
			return id, nil
		case ok:
			isEmpty = true
		}
	}
	for _, name := range []string{"encrypted_task_id", "encryptedTaskId"} {
		if sealed, ok := root.stringMember(name); ok {
			return OpenTaskID(k, sealed)
		}
	}
	if isEmpty {
		return "", checkTaskID("")
	}
	return "", fail(CodeInvalidResponse, "the response has none of the strings task_id, taskId, encrypted_task_id and encryptedTaskId")
}

// The tries of later clients: how many there are, and the wait before the second, in
// milliseconds, which doubles. It is longer where the backend asks for it, but not for
// too long.
const (
	maxTries    = 3
	firstWaitMS = 100
	maxWaitMS   = 5000
)

func (authAPI) replaces(code string) bool { return biscuit{}.replaces(code) }

func (authAPI) wait(tries, retryAfter int64) (ms int64, again bool) {
	return laterWait(tries, retryAfter)
}

func laterWait(tries, retryAfter int64) (ms int64, again bool) {
	ms = max(firstWaitMS<<(tries-1), retryAfter*1000)
	return ms, tries < maxTries && ms <= maxWaitMS
}

func (authAPI) pauses() wire.Pauses { return wire.Pauses{First: maxPause, Most: maxPause} }

func (authAPI) sign(f *flow) (wire.Effect, error) { return f.signTask() }
