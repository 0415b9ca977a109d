package core

import (
	"encoding/base64"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// timeoutMS is the time-out of a request of a registration, in milliseconds.
const timeoutMS = 15_000

// SignRegistration returns the proof with which an agent registers a task at
// the given Unix second.
//
// Errors: CodeInvalidAgentRuntimeID, CodeInvalidTime.
func SignRegistration(k *PrivateKey, agentRuntimeID string, now int64) (wire.RegistrationProof, error) {
	if err := checkAgentRuntimeID(agentRuntimeID); err != nil {
		return wire.RegistrationProof{}, err
	}
	timestamp, err := formatTimestamp(now)
	if err != nil {
		return wire.RegistrationProof{}, err
	}
	signature := k.sign([]byte(agentRuntimeID + ":" + timestamp))
	return wire.RegistrationProof{
		Signature: base64.StdEncoding.EncodeToString(signature),
		Timestamp: timestamp,
	}, nil
}

// VerifyRegistration checks that p signed proof for the agent, and that its
// timestamp is at most skew seconds from now, a Unix time.
//
// Errors: CodeInvalidAgentRuntimeID, CodeBadSignature, CodeTimestampSkew,
// CodeInvalidTime, CodeInvalidSkew.
func VerifyRegistration(p *PublicKey, agentRuntimeID string, proof wire.RegistrationProof, now, skew int64) error {
	if err := checkAgentRuntimeID(agentRuntimeID); err != nil {
		return err
	}
	timestamp, err := parseTimestamp(proof.Timestamp)
	if err != nil {
		return err
	}
	signature, err := decodeSignature(proof.Signature)
	if err != nil {
		return err
	}
	if !p.verify([]byte(agentRuntimeID+":"+proof.Timestamp), signature) {
		return fail(CodeBadSignature, "the signature was not made by this key for this agent and time")
	}
	return checkSkew(timestamp, now, skew)
}

// IdentityRegistrationBody returns the body of POST {registrar}/v1/agent/register, with
// which an identity is registered ([RegistrarURL]), in wire.ProfileBiscuit and, with
// other capabilities and a member more, in wire.ProfileAuthAPI.
func IdentityRegistrationBody(c wire.Config, p *PublicKey) []byte {
	abom := appendJSONObject(nil,
		"agent_version", c.ABOM.AgentVersion,
		"agent_harness_id", c.ABOM.AgentHarnessID,
		"running_location", c.ABOM.RunningLocation)
	isAuthAPI := c.Profile == wire.ProfileAuthAPI
	capabilities := c.Capabilities
	if len(capabilities) == 0 && isAuthAPI {
		capabilities = []string{"responsesapi"}
	}
	members := []any{"abom", jsonText(abom), "agent_public_key", p.OpenSSH(), "capabilities", jsonText(appendJSONStrings(nil, capabilities))}
	if isAuthAPI {
		members = append(members, "ttl", jsonText("null"))
	}
	return appendJSONObject(nil, members...)
}

// The most capabilities that an identity is registered with, and the longest, in bytes.
const (
	maxCapabilities   = 16
	maxCapabilitySize = 64
)

func checkCapabilities(c wire.Config) error {
	if len(c.Capabilities) == 0 {
		return nil
	}
	if c.Profile == wire.ProfileInstances {
		return fail(CodeInvalidConfig, "the profile instances registers no capabilities; leave them out")
	}
	if len(c.Capabilities) > maxCapabilities {
		return fail(CodeInvalidConfig, "there are more than 16 capabilities")
	}
	for _, capability := range c.Capabilities {
		if problem := idProblem(capability); problem != "" {
			return fail(CodeInvalidConfig, "a capability "+problem)
		}
		if len(capability) > maxCapabilitySize {
			return fail(CodeInvalidConfig, "a capability is longer than 64 bytes")
		}
	}
	return nil
}

// taskRegistrationBody is the body of POST {base}/v1/agent/{id}/task/register.
func taskRegistrationBody(proof wire.RegistrationProof) []byte {
	return appendJSONObject(nil, "signature", proof.Signature, "timestamp", proof.Timestamp)
}

func identityRegistrationURL(base string) string { return base + "/v1/agent/register" }

// taskRegistrationURL puts the id into the path as one segment.
func taskRegistrationURL(base, agentRuntimeID string) (string, error) {
	// Clients and proxies take these out of a path, escaped or not.
	if agentRuntimeID == "." || agentRuntimeID == ".." {
		return "", fail(CodeInvalidAgentRuntimeID, "the agent runtime id is a relative path, and cannot be part of a URL")
	}
	return base + "/v1/agent/" + escapeSegment(agentRuntimeID) + "/task/register", nil
}

// escapeSegment percent-encodes all but the unreserved characters of RFC 3986,
// section 2.3.
func escapeSegment(s string) string {
	const hex = "0123456789ABCDEF"
	var b []byte
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

const (
	// fedRAMPHeader marks the calls of FedRAMP accounts.
	fedRAMPHeader = "x-openai-fedramp"
	// dateHeader is RFC 9110, section 6.6.1, retryAfterHeader section 10.2.3.
	dateHeader       = "date"
	retryAfterHeader = "retry-after"
)

// registrationRequest posts body to url. What authorizes it, if anything, is in
// the headers.
func registrationRequest(url string, body []byte, timeoutMS int64, headers ...wire.Header) wire.Effect {
	return wire.Effect{
		Type:            wire.EffectHTTP,
		Method:          "POST",
		URL:             url,
		Headers:         append(headers, wire.Header{Name: "content-type", Value: "application/json"}),
		Body:            body,
		TimeoutMS:       timeoutMS,
		SizeLimit:       maxNetworkJSON,
		ResponseHeaders: []string{dateHeader, retryAfterHeader},
	}
}

// parseResponseString takes a string from the JSON object in a response.
func parseResponseString(body []byte, name string) (string, error) {
	root, err := parseJSON(body, maxNetworkJSON)
	if err != nil {
		return "", fail(CodeInvalidResponse, "the response is not JSON: "+err.Error())
	}
	s, ok := root.stringMember(name)
	if !ok {
		return "", fail(CodeInvalidResponse, "the response lacks the string "+name)
	}
	return s, nil
}

// errorCode returns the code in the body of a refusal, {"error":{"code":…}}, or
// nothing.
func errorCode(body []byte) string {
	root, err := parseJSON(body, maxNetworkJSON)
	if err != nil {
		return ""
	}
	e := root.member("error")
	if e == nil {
		return ""
	}
	code, _ := e.stringMember("code")
	return code
}

// header returns the value of a header field, or nothing.
func header(headers []wire.Header, name string) string {
	for _, h := range headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// isHeaderValue reports whether s can be sent as a header field's value and is
// taken out on the other side as it was put in.
func isHeaderValue(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// ParseIdentityRegistration reads the body of an identity registration, for the
// backend's side. Members that it does not know are let pass, for later clients
// send more.
//
// Errors: CodeInvalidRegistration, CodeInvalidPublicKey.
func ParseIdentityRegistration(body []byte) (wire.ABOM, *PublicKey, error) {
	var a wire.ABOM
	root, err := parseRegistration(body)
	if err != nil {
		return a, nil, err
	}
	abom := root.member("abom")
	if abom == nil || abom.kind != jsonObject {
		return a, nil, fail(CodeInvalidRegistration, "the registration lacks the object abom")
	}
	if c := root.member("capabilities"); c == nil || c.kind != jsonArray {
		return a, nil, fail(CodeInvalidRegistration, "the registration lacks the array capabilities")
	}
	key := ""
	for _, m := range []struct {
		of   *jsonValue
		name string
		at   *string
	}{
		{abom, "agent_version", &a.AgentVersion},
		{abom, "agent_harness_id", &a.AgentHarnessID},
		{abom, "running_location", &a.RunningLocation},
		{root, "agent_public_key", &key},
	} {
		if *m.at, err = registrationString(m.of, m.name); err != nil {
			return wire.ABOM{}, nil, err
		}
	}
	p, err := ParsePublicKey(key)
	if err != nil {
		return wire.ABOM{}, nil, err
	}
	return a, p, nil
}

// ParseTaskRegistration reads the body of a task registration, for the backend's
// side. [VerifyRegistration] says what it is worth.
//
// The error's code is CodeInvalidRegistration.
func ParseTaskRegistration(body []byte) (wire.RegistrationProof, error) {
	root, err := parseRegistration(body)
	if err != nil {
		return wire.RegistrationProof{}, err
	}
	var proof wire.RegistrationProof
	if proof.Signature, err = registrationString(root, "signature"); err != nil {
		return wire.RegistrationProof{}, err
	}
	if proof.Timestamp, err = registrationString(root, "timestamp"); err != nil {
		return wire.RegistrationProof{}, err
	}
	return proof, nil
}

// InstanceDetails are what a runtime agent instance is registered with.
type InstanceDetails struct {
	// Actor is the kind of credential, "oauth" or "platform_api_key".
	Actor          string
	InstallationID string
	PublicKey      *PublicKey
	// Harness, HarnessVersion and Role are what the instance says of itself.
	Harness, HarnessVersion, Role string
}

// ParseInstanceRegistration reads the body of the registration of a runtime agent
// instance, for the backend's side. The credential is a secret: a user's access token,
// or an API key. Members that it does not know are let pass.
//
// Errors: CodeInvalidRegistration, CodeInvalidPublicKey.
func ParseInstanceRegistration(body []byte) (r InstanceDetails, credential string, err error) {
	root, err := parseRegistration(body)
	if err != nil {
		return InstanceDetails{}, "", err
	}
	part := func(name string) *jsonValue {
		if m := root.member(name); m != nil {
			return m
		}
		return &jsonValue{}
	}
	key, hostAuth := "", ""
	for _, m := range []struct {
		of   *jsonValue
		name string
		at   *string
	}{
		{part("actor_auth"), "type", &r.Actor},
		{part("agent_host_auth"), "type", &hostAuth},
		{part("agent_host_auth"), "installation_id", &r.InstallationID},
		{root, "public_key", &key},
		{part("metadata"), "harness", &r.Harness},
		{part("metadata"), "harness_version", &r.HarnessVersion},
		{part("metadata"), "role", &r.Role},
	} {
		if *m.at, err = registrationString(m.of, m.name); err != nil {
			return InstanceDetails{}, "", err
		}
	}
	credential, ok := part("actor_auth").stringMember("credential")
	if !ok || credential == "" || r.Actor != actorOAuth && r.Actor != actorAPIKey || hostAuth != hostInstallationID {
		return InstanceDetails{}, "", fail(CodeInvalidRegistration, "the registration's actor_auth or agent_host_auth is of no kind that is known")
	}
	if r.PublicKey, err = ParsePublicKey(key); err != nil {
		return InstanceDetails{}, "", err
	}
	return r, credential, nil
}

// The kinds of credentials in the registration of a runtime agent instance.
const (
	actorOAuth         = "oauth"
	actorAPIKey        = "platform_api_key"
	hostInstallationID = "installation_id"
)

func parseRegistration(body []byte) (*jsonValue, error) {
	root, err := parseJSON(body, maxNetworkJSON)
	if err != nil {
		return nil, fail(CodeInvalidRegistration, "the registration is not JSON: "+err.Error())
	}
	if root.kind != jsonObject {
		return nil, fail(CodeInvalidRegistration, "the registration is not a JSON object")
	}
	return root, nil
}

func registrationString(v *jsonValue, name string) (string, error) {
	s, ok := v.stringMember(name)
	if !ok || len(s) > maxIDSize {
		return "", fail(CodeInvalidRegistration, "the registration lacks the string "+name+", or it is longer than 4096 bytes")
	}
	return s, nil
}
