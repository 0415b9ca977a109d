package core

import (
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// The requests of a registration and their answers, one by one: what a flow sends and
// reads, for programs that have a flow of their own.

// RegistrationRequest returns a request of a registration, in the configuration's
// profile: StepBiscuit, StepIdentity (of a runtime agent instance, too) or StepTask.
// The caller sends it as an effect of type http is sent.
//
// Errors: CodeInvalidConfig (a step that the profile does not have), CodeNoAuthAPI,
// CodeNoAccessToken, CodeInvalidEntropy, CodeInvalidPrivateKey,
// CodeInvalidAgentRuntimeID, CodeInvalidBiscuit, CodeInvalidTime, and those of
// [Decide].
func RegistrationRequest(p wire.RegistrationRequestParams) (wire.HTTPRequest, error) {
	return registrationRequestOf(p, ParsePrivateKey)
}

func registrationRequestOf(p wire.RegistrationRequestParams, parseKey func(string) (*PrivateKey, error)) (wire.HTTPRequest, error) {
	f, err := registering(p.Config, p.Credentials)
	if err != nil {
		return wire.HTTPRequest{}, err
	}
	f.now, f.parseKey, f.PrivateKey, f.RequestID = p.Now, parseKey, p.PrivateKey, p.Entropy
	var effect wire.Effect
	switch p.Step {
	case wire.StepBiscuit:
		effect, err = f.biscuitFor(p.AgentRuntimeID, p.Entropy)
	case wire.StepIdentity:
		effect, err = f.identityWith(p.Biscuit)
	case wire.StepTask:
		effect, err = f.taskWith(p.AgentRuntimeID, p.Biscuit)
	default:
		return wire.HTTPRequest{}, fail(CodeInvalidConfig, "the step is not biscuit, identity or task")
	}
	if err != nil {
		return wire.HTTPRequest{}, err
	}
	return wire.HTTPRequest{
		Method: effect.Method, URL: effect.URL, Headers: effect.Headers, Body: effect.Body,
		TimeoutMS: effect.TimeoutMS, SizeLimit: effect.SizeLimit, ResponseHeaders: effect.ResponseHeaders,
	}, nil
}

// registering returns a flow that has begun, and has nothing but its configuration.
func registering(c wire.Config, credentials wire.Credentials) (*flow, error) {
	f := &flow{FlowState: wire.FlowState{Config: c, Credentials: credentials}}
	if err := f.checkConfig(); err != nil {
		return nil, err
	}
	if err := checkCredentials(credentials, c); err != nil {
		return nil, err
	}
	base, err := NormalizeBaseURL(c.BaseURL, c.TrustedHosts)
	if err != nil {
		return nil, err
	}
	f.Config.BaseURL = base.BaseURL
	return f, nil
}

// biscuitFor asks for the biscuit of an identity's registration or, with an agent, of a
// task's.
func (f *flow) biscuitFor(agentRuntimeID string, entropy []byte) (wire.Effect, error) {
	p, ok := f.profile.(biscuit)
	if !ok {
		return wire.Effect{}, fail(CodeInvalidConfig, "the profile has no biscuits")
	}
	if len(entropy) != requestIDSize {
		return wire.Effect{}, fail(CodeInvalidEntropy, "a request's id is made from exactly 16 bytes of entropy")
	}
	if err := f.cannotRegister(true); err != nil {
		return wire.Effect{}, err
	}
	if agentRuntimeID == "" {
		return p.identityRequest(f)
	}
	if err := checkAgentRuntimeID(agentRuntimeID); err != nil {
		return wire.Effect{}, err
	}
	return p.taskRequest(f, &identity{agentRuntimeID: agentRuntimeID})
}

// identityWith is the registration itself.
func (f *flow) identityWith(value string) (wire.Effect, error) {
	switch p := f.profile.(type) {
	case biscuit:
		header, err := biscuitField(value)
		if err != nil {
			return wire.Effect{}, err
		}
		return f.registerIdentity(header)
	case instances:
		if len(f.RequestID) != uuidSize {
			return wire.Effect{}, fail(CodeInvalidEntropy, "an idempotency key is made from exactly 16 bytes of entropy")
		}
		if err := f.cannotRegister(true); err != nil {
			return wire.Effect{}, err
		}
		return p.identityRequest(f)
	}
	if f.Credentials.Kind == wire.CredentialsAgentIdentity {
		return wire.Effect{}, fail(CodeInvalidConfig, "an identity in place of a sign-in is registered already")
	}
	if err := f.cannotRegister(true); err != nil {
		return wire.Effect{}, err
	}
	return f.profile.identityRequest(f)
}

// taskWith is the registration itself.
func (f *flow) taskWith(agentRuntimeID, value string) (wire.Effect, error) {
	if _, ok := f.profile.(tasks); !ok {
		return wire.Effect{}, fail(CodeInvalidConfig, "the profile has no tasks")
	}
	if err := f.cannotRegister(false); err != nil {
		return wire.Effect{}, err
	}
	k, err := f.parseKey(f.PrivateKey)
	if err != nil {
		return wire.Effect{}, err
	}
	id := &identity{agentRuntimeID: agentRuntimeID, key: k}
	if _, ok := f.profile.(biscuit); !ok {
		return f.postTask(id, authAPITaskTimeoutMS)
	}
	header, err := biscuitField(value)
	if err != nil {
		return wire.Effect{}, err
	}
	return f.postTask(id, timeoutMS, header)
}

// biscuitField is the header field with a biscuit.
func biscuitField(value string) (wire.Header, error) {
	if _, err := parseBiscuit([]wire.Header{{Name: biscuitHeader, Value: value}}); err != nil {
		return wire.Header{}, fail(CodeInvalidBiscuit, "the registration needs a biscuit, of printable ASCII")
	}
	return wire.Header{Name: biscuitHeader, Value: value}, nil
}

// ReadRegistration reads the answer to a request of a registration: the biscuit, the
// agent's or the instance's id, or the task's id, which is opened if it is sealed.
//
// Errors: CodeHTTPStatus, CodeInvalidResponse, CodeInvalidAgentRuntimeID,
// CodeInvalidTaskID, CodeInvalidSealedTaskID, CodeInvalidPrivateKey,
// CodeInvalidConfig.
func ReadRegistration(p wire.RegistrationReadParams) (wire.RegistrationAnswer, error) {
	return readRegistration(p, ParsePrivateKey)
}

func readRegistration(p wire.RegistrationReadParams, parseKey func(string) (*PrivateKey, error)) (answer wire.RegistrationAnswer, err error) {
	profile, err := profileOf(wire.Config{Profile: p.Profile}, wire.Credentials{})
	if err != nil {
		return wire.RegistrationAnswer{}, err
	}
	if p.Status < 200 || p.Status > 299 {
		return wire.RegistrationAnswer{}, fail(CodeHTTPStatus, "the backend has refused the registration")
	}
	_, isBiscuit := profile.(biscuit)
	_, isInstance := profile.(instances)
	tasks, hasTasks := profile.(tasks)
	switch {
	case p.Step == wire.StepBiscuit && isBiscuit:
		answer.Biscuit, err = parseBiscuit(p.Headers)
	case p.Step == wire.StepIdentity && isInstance:
		answer.RuntimeAgentInstance, err = parseInstanceResponse(p.Body)
	case p.Step == wire.StepIdentity:
		answer.AgentRuntimeID, err = parseIdentityResponse(p.Body)
	case p.Step == wire.StepTask && hasTasks:
		var k *PrivateKey
		if k, err = parseKey(p.PrivateKey); err == nil {
			answer.TaskID, err = tasks.readTask(k, p.Body)
		}
	default:
		err = fail(CodeInvalidConfig, "the profile has no such step: biscuit, identity or task")
	}
	if err != nil {
		return wire.RegistrationAnswer{}, err
	}
	return answer, nil
}

// JWKSURL returns where a backend has the keys that verify identities which arrive as
// JWTs.
//
// Errors: those of [NormalizeBaseURL].
func JWKSURL(baseURL string) (string, error) {
	base, err := NormalizeBaseURL(baseURL, nil)
	if err != nil {
		return "", err
	}
	if strings.Contains(base.BaseURL, "/backend-api") {
		return base.BaseURL + "/wham/agent-identities/jwks", nil
	}
	return base.BaseURL + "/agent-identities/jwks", nil
}
