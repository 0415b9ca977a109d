package core

import (
	"crypto/sha512"
	"encoding/hex"

	"github.com/agentassert/agentassert/core/wire"
)

// instances is the profile of runtime agent instances, of Codex CLI 0.169 and 0.171
// (protocol.md, captures). Each process registers an instance, with a key of its own,
// and keeps both in memory. Every call asserts it, in one of two header fields, with
// an assertion that is another one for each request: nothing of it is used twice.
// There are no tasks. A registration that fails ends the turn; what belongs to no
// conversation falls back to the bearer token.
type instances struct{}

// takes API keys, too, which have a platform's agent.
func (instances) takes(kind string) bool {
	return kind == wire.CredentialsChatGPT || kind == wire.CredentialsAPIKey
}

func (instances) use(_ Surface, c wire.Config, _ wire.Credentials) (u use, asserts bool) {
	if c.Instance != nil && c.Instance.HeaderMode == wire.HeaderModeAssertionOnly {
		return use{ReasonRuntimeInstance, ModeAgentAssertion, false}, true
	}
	return use{ReasonRuntimeInstance, ModeDualHeader, false}, true
}

// A turn whose instance cannot be had fails, and the next one tries again at once.
func (instances) turnsFallBack() bool { return false }
func (instances) turnsPause() bool    { return false }

func (instances) check(c wire.Config) error {
	i := c.Instance
	if i == nil {
		return fail(CodeInvalidConfig, "the profile instances needs the configuration's instance: header mode, installation id, harness and role")
	}
	if i.HeaderMode != wire.HeaderModeDual && i.HeaderMode != wire.HeaderModeAssertionOnly {
		return fail(CodeInvalidConfig, "the header mode is neither dual_header nor assertion_only")
	}
	for name, text := range map[string]string{"installation_id": i.InstallationID, "harness": i.Harness, "role": i.Role} {
		if problem := idProblem(text); problem != "" {
			return fail(CodeInvalidConfig, "the instance's "+name+" "+problem)
		}
	}
	return nil
}

func (instances) registrar(c wire.Config) string {
	return registrarOf(c, "https://auth.openai.com", "https://auth.api.openai.org")
}

func (instances) identitySlot() string { return wire.SlotInstance }

// backoffKey keeps the failures apart from those of identities, which are
// registered elsewhere.
func (instances) backoffKey(account string) string { return "instance:" + account }

// instance is a registered instance.
type instance struct {
	id  string
	key *PrivateKey
}

// The members of an instance's record, which is this process's alone.
const (
	memberInstance           = "runtime_agent_instance"
	memberInstanceFor        = "registered_for"
	memberInstanceReplacedAt = "instance_replaced_at"
)

// read returns the instance in a record, or nil where there is none or it was
// registered for others.
func (p instances) read(f *flow) *instance {
	root, err := parseJSON(f.Record, maxStoredJSON)
	if err != nil {
		return nil
	}
	id, _ := root.stringMember(memberInstance)
	encoded, _ := root.stringMember(memberPrivateKey)
	if registeredFor, _ := root.stringMember(memberInstanceFor); registeredFor != p.actor(f) || idProblem(id) != "" {
		return nil
	}
	k, err := f.parseKey(encoded)
	if err != nil {
		return nil
	}
	return &instance{id, k}
}

// actor tells apart whom instances are registered for, where, and whose calls they
// make: a digest, so that the record has no API key in it. A user's token is replaced
// now and then, and is not in it.
func (instances) actor(f *flow) string {
	who := []any{"kind", f.Credentials.Kind, "account", f.account(), "user", f.Credentials.UserID,
		"base_url", f.Config.BaseURL, "registrar", f.profile.registrar(f.Config)}
	if f.Credentials.Kind == wire.CredentialsAPIKey {
		who = append(who, "api_key", f.Credentials.AccessToken)
	}
	digest := sha512.Sum512(appendJSONObject(nil, who...)) // the one hash that the core has
	return hex.EncodeToString(digest[:32])
}

func (p instances) proceed(f *flow) (wire.Effect, error) {
	in := p.read(f)
	rejected := in != nil && f.Rejected != nil && f.Rejected.RuntimeAgentInstance == in.id
	switch {
	case in != nil && !rejected:
		return f.clearBackoff()
	case rejected && isYoungReplacement(f.Record, memberInstanceReplacedAt, minTaskAge, f.now):
		return f.giveUp(wire.AgentRegistrationFailed, fail(CodeInstanceRejected, "the backend rejects the runtime agent instance that has just replaced another"))
	}
	if effect, wanted, err := f.lockAndLook(wire.SlotInstance); wanted || err != nil {
		return effect, err
	}
	if err := f.cannotRegister(true); err != nil {
		return f.giveUp(wire.AgentRegistrationFailed, err)
	}
	return f.entropy(stepEntropy, p.keyEntropy()), nil
}

// keyEntropy is a seed and the registration's idempotency key.
func (instances) keyEntropy() int64 { return seedSize + uuidSize }

func (instances) newKey(f *flow, entropy []byte) (*PrivateKey, error) {
	f.RequestID = entropy[seedSize:]
	return NewPrivateKey(entropy[:seedSize])
}

// identityRequest has the same idempotency key in each try.
func (instances) identityRequest(f *flow) (wire.Effect, error) {
	k, err := f.parseKey(f.PrivateKey)
	if err != nil {
		return wire.Effect{}, err
	}
	f.Step = stepIdentity
	return registrationRequest(f.profile.registrar(f.Config)+"/agent/register",
		InstanceRegistrationBody(f.Config, f.Credentials, k.Public()), timeoutMS,
		wire.Header{Name: "idempotency-key", Value: formatUUID(f.RequestID)}), nil
}

// InstanceRegistrationBody returns the body of POST {registrar}/agent/register, with
// which a runtime agent instance is registered ([RegistrarURL]). The configuration's
// Instance must be there. The body is a secret: the access token is in it.
func InstanceRegistrationBody(c wire.Config, credentials wire.Credentials, p *PublicKey) []byte {
	actor := actorOAuth
	if credentials.Kind == wire.CredentialsAPIKey {
		actor = actorAPIKey
	}
	return appendJSONObject(nil,
		"actor_auth", jsonText(appendJSONObject(nil, "type", actor, "credential", credentials.AccessToken)),
		"agent_host_auth", jsonText(appendJSONObject(nil, "type", hostInstallationID, "installation_id", c.Instance.InstallationID)),
		"public_key", p.OpenSSH(),
		"metadata", jsonText(appendJSONObject(nil,
			"harness", c.Instance.Harness,
			"harness_version", c.ABOM.AgentVersion,
			"role", c.Instance.Role)))
}

// parseInstanceResponse takes the instance's id from the answer to its registration.
func parseInstanceResponse(body []byte) (string, error) {
	id, err := parseResponseString(body, "runtime_agent_instance_id")
	if err != nil {
		return "", err
	}
	if problem := idProblem(id); problem != "" {
		return "", fail(CodeInvalidResponse, "the id of the runtime agent instance "+problem)
	}
	return id, nil
}

func (p instances) identityRegistered(f *flow, body []byte) (wire.Effect, error) {
	id, err := parseInstanceResponse(body)
	if err != nil {
		return wire.Effect{}, err
	}
	record := appendJSONObject(nil, memberInstance, id, memberPrivateKey, f.PrivateKey, memberInstanceFor, p.actor(f))
	if f.Rejected != nil {
		if record, err = f.stamp(record, memberInstanceReplacedAt); err != nil {
			return wire.Effect{}, err
		}
	}
	f.PrivateKey, f.RequestID, f.Registered = "", nil, record
	return f.write(stepSaveIdentity, wire.SlotInstance, record), nil
}

func (instances) replaces(code string) bool {
	return code == "" || code == codeInstanceRevoked || code == CodeUnknownAgent
}

func (instances) wait(tries, retryAfter int64) (ms int64, again bool) {
	return laterWait(tries, retryAfter)
}

func (instances) pauses() wire.Pauses { return biscuit{}.pauses() }

func (p instances) sign(f *flow) (wire.Effect, error) {
	in := p.read(f)
	if in == nil {
		return wire.Effect{}, fail(CodeInvalidState, "the state holds no runtime agent instance")
	}
	return f.sign(in.key, func(a *wire.Authorization) { a.RuntimeAgentInstance = in.id })
}
