package core

import (
	"crypto/sha512"
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

func (authAPI) use(s Surface, _ wire.Config, credentials wire.Credentials) use {
	if s.Scope == ScopeThread && credentials.Kind != wire.CredentialsAgentIdentity {
		return use{ReasonThreadTask, ScopeThread}
	}
	return use{ReasonBackgroundTask, ScopeBackground}
}

func (authAPI) registrar(c wire.Config) string { return AuthAPIURL(c) }

// AuthAPIURL returns the URL, without slashes at its end, below which the profile
// auth-api registers: the configured one or, where there is none, that of the base
// URL's environment. It is empty for every other backend, where nobody knows: the
// user's access token would go to a party that has nothing to do with it.
//
// The environments are the reference client's (protocol.md).
func AuthAPIURL(c wire.Config) string {
	if c.AuthAPIURL != "" {
		return strings.TrimRight(c.AuthAPIURL, "/")
	}
	o, _, err := parseURL(c.BaseURL, notInBaseURL)
	if err != nil || o.scheme != "https" {
		return ""
	}
	switch o.host {
	case "chatgpt.com", "chat.openai.com":
		return "https://auth.openai.com/api/accounts"
	case "chatgpt-staging.com":
		return "https://auth.api.openai.org/api/accounts"
	}
	return ""
}

// authAPIEntropy is what a key is made of, in bytes.
const authAPIEntropy = 64

func (authAPI) keyEntropy() int64 { return authAPIEntropy }

func (authAPI) newKey(_ *flow, entropy []byte) (*PrivateKey, error) {
	return NewAuthAPIPrivateKey(entropy)
}

// NewAuthAPIPrivateKey returns the key that clients of the profile auth-api make
// from entropy, 64 uniformly random bytes: its seed is the first half of SHA-512 of
// "codex-agent-identity-ed25519-v1" and the entropy. The error's code is
// CodeInvalidEntropy.
func NewAuthAPIPrivateKey(entropy []byte) (*PrivateKey, error) {
	if len(entropy) != authAPIEntropy {
		return nil, fail(CodeInvalidEntropy, "a key of the profile auth-api is made from exactly 64 bytes of entropy")
	}
	h := sha512.Sum512(append([]byte("codex-agent-identity-ed25519-v1"), entropy...))
	return NewPrivateKey(h[:seedSize])
}

func (authAPI) taskEntropy() int64   { return 0 }
func (authAPI) taskNeedsToken() bool { return false }

func (authAPI) identityRequest(f *flow) (wire.Effect, error) {
	headers := []wire.Header{{Name: "authorization", Value: "Bearer " + f.Credentials.AccessToken}}
	if f.Credentials.FedRAMP {
		headers = append(headers, wire.Header{Name: fedRAMPHeader, Value: "true"})
	}
	return f.registerIdentity(`["responsesapi"]`, []any{"ttl", jsonText("null")}, headers...)
}

// authAPITaskTimeoutMS is the time-out of a task's registration, in milliseconds.
const authAPITaskTimeoutMS = 30_000

func (authAPI) taskRequest(f *flow, _ *identity) (wire.Effect, error) {
	return f.registerTask(authAPITaskTimeoutMS)
}

// readTask knows four names for the task id. One in the clear wins over a sealed
// one, snake case over camel case.
func (authAPI) readTask(k *PrivateKey, body []byte) (string, error) {
	root, err := parseJSON(body, maxNetworkJSON)
	if err != nil {
		return "", fail(CodeInvalidResponse, "the response is not JSON: "+err.Error())
	}
	for _, name := range []string{"task_id", "taskId"} {
		if id, ok := root.stringMember(name); ok {
			return id, checkTaskID(id)
		}
	}
	for _, name := range []string{"encrypted_task_id", "encryptedTaskId"} {
		if sealed, ok := root.stringMember(name); ok {
			return OpenTaskID(k, sealed)
		}
	}
	return "", fail(CodeInvalidResponse, "the response has none of the strings task_id, taskId, encrypted_task_id and encryptedTaskId")
}

// The tries of the profile auth-api: how many there are, and the wait before the
// second, in milliseconds, which doubles.
const (
	authAPITries  = 3
	authAPIWaitMS = 1000
)

func (authAPI) wait(tries int64) int64 {
	if tries >= authAPITries {
		return 0
	}
	return authAPIWaitMS << (tries - 1)
}

func (authAPI) pause(int64) int64 { return maxPause }
