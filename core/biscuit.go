package core

import (
	"encoding/base64"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// biscuit is the default profile, of Codex CLI 0.123 (protocol.md, captures). An
// identity and its tasks are registered below the base URL. Each registration takes
// two requests: one with the access token, whose answer is a biscuit, a value that
// authorizes the other. Background calls assert the identity's background task, a
// conversation's calls a task of its own. A registration that fails is tried again
// after a pause that doubles.
type biscuit struct{}

func (biscuit) takes(kind string) bool { return kind == wire.CredentialsChatGPT }

func (biscuit) use(s Surface, _ wire.Config, _ wire.Credentials) (u use, asserts bool) {
	if s.Scope == ScopeThread {
		return use{ReasonThreadTask, ModeAgentAssertion, true}, true
	}
	return use{ReasonBackgroundTask, ModeAgentAssertion, false}, true
}

// A turn whose task cannot be had fails, and the next one tries again at once.
func (biscuit) turnsFallBack() bool { return false }
func (biscuit) turnsPause() bool    { return false }

func (biscuit) check(wire.Config) error          { return nil }
func (biscuit) registrar(c wire.Config) string   { return c.BaseURL }
func (biscuit) identitySlot() string             { return wire.SlotIdentity }
func (biscuit) backoffKey(account string) string { return account }

func (p biscuit) proceed(f *flow) (wire.Effect, error) { return f.proceedWithTask(p) }

// requestIDSize is how much entropy the id of a request for a biscuit takes.
const requestIDSize = 16

// keyEntropy is a seed and the ids of two requests for a biscuit.
func (biscuit) keyEntropy() int64 { return seedSize + 2*requestIDSize }

func (biscuit) newKey(f *flow, entropy []byte) (*PrivateKey, error) {
	f.RequestID = entropy[seedSize:]
	return NewPrivateKey(entropy[:seedSize])
}

func (biscuit) taskEntropy() int64   { return requestIDSize }
func (biscuit) taskNeedsToken() bool { return true }

func (p biscuit) identityRequest(f *flow) (wire.Effect, error) {
	return p.mint(f, stepIdentityBiscuit, identityRegistrationURL(f.Config.BaseURL)), nil
}

func (p biscuit) taskRequest(f *flow, id *identity) (wire.Effect, error) {
	url, err := taskRegistrationURL(f.Config.BaseURL, id.agentRuntimeID)
	if err != nil {
		return wire.Effect{}, err
	}
	return p.mint(f, stepTaskBiscuit, url), nil
}

// mint asks for a biscuit that authorizes one POST to url.
func (biscuit) mint(f *flow, step, url string) wire.Effect {
	f.Step = step
	requestID := f.RequestID[:requestIDSize]
	f.RequestID = f.RequestID[requestIDSize:]
	return wire.Effect{
		Type:   wire.EffectHTTP,
		Method: "GET",
		URL:    f.Config.BaseURL + "/authenticate_app_v2",
		Headers: []wire.Header{
			{Name: "authorization", Value: "Bearer " + f.Credentials.AccessToken},
			{Name: "x-request-id", Value: "codex-agent-identity-" + base64.RawURLEncoding.EncodeToString(requestID)},
			{Name: "x-original-method", Value: "POST"},
			{Name: "x-original-url", Value: url},
		},
		TimeoutMS:       timeoutMS,
		SizeLimit:       maxNetworkJSON,
		ResponseHeaders: []string{biscuitHeader, dateHeader, retryAfterHeader},
	}
}

// minted goes on with the registration that the biscuit is for.
func (biscuit) minted(f *flow, e wire.Event) (wire.Effect, error) {
	value, err := parseBiscuit(e.Headers)
	if err != nil {
		return wire.Effect{}, err
	}
	authorized := wire.Header{Name: biscuitHeader, Value: value}
	if f.Step == stepTaskBiscuit {
		return f.registerTask(timeoutMS, authorized)
	}
	return f.registerIdentity(authorized)
}

func (biscuit) identityRegistered(f *flow, body []byte) (wire.Effect, error) {
	return f.saveIdentity(body)
}

const (
	// biscuitHeader carries a biscuit, in both directions.
	biscuitHeader = "x-openai-authorization"
	// maxBiscuitSize is the longest biscuit that is sent on, in bytes.
	maxBiscuitSize = 8 << 10
)

// parseBiscuit takes the biscuit from a response's headers.
func parseBiscuit(headers []wire.Header) (string, error) {
	for _, h := range headers {
		if strings.EqualFold(h.Name, biscuitHeader) {
			if h.Value == "" || len(h.Value) > maxBiscuitSize || !isHeaderValue(h.Value) {
				return "", fail(CodeInvalidResponse, "the biscuit is empty, too long, or not printable ASCII")
			}
			return h.Value, nil
		}
	}
	return "", fail(CodeInvalidResponse, "the response has no header "+biscuitHeader)
}

// readTask opens the sealed task id, which is all that the answer has.
func (biscuit) readTask(k *PrivateKey, body []byte) (string, error) {
	sealed, err := parseResponseString(body, "encrypted_task_id")
	if err != nil {
		return "", err
	}
	return OpenTaskID(k, sealed)
}

func (biscuit) replaces(code string) bool { return code == "" || expiredTaskCodes[code] }

func (biscuit) wait(int64, int64) (ms int64, again bool) { return 0, false }

// The pauses of the default profile, in seconds.
const (
	firstPause int64 = 60
	maxPause   int64 = 3600
)

func (biscuit) pauses() wire.Pauses { return wire.Pauses{First: firstPause, Most: maxPause} }

func (biscuit) sign(f *flow) (wire.Effect, error) { return f.signTask() }
