package core

import (
	"encoding/base64"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// The time-outs of the requests of a registration, in milliseconds: of each, and of
// a task's in the later profile.
const (
	timeoutMS            = 15_000
	authAPITaskTimeoutMS = 30_000
)

// AuthAPIURL returns the URL, without slashes at its end, below which the later
// profile registers: the configured one or, where there is none, that of the base
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

// maxBiscuitSize is the longest biscuit that is sent on, in bytes.
const maxBiscuitSize = 8 << 10

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

// identityRegistrationBody is the body of POST {base}/v1/agent/register. Later
// clients say what the agent can do, and send one more member.
func identityRegistrationBody(a wire.ABOM, p *PublicKey, profile string) []byte {
	abom := appendJSONObject(nil,
		"agent_version", a.AgentVersion,
		"agent_harness_id", a.AgentHarnessID,
		"running_location", a.RunningLocation)
	capabilities := jsonText("[]")
	if profile == wire.ProfileAuthAPI {
		capabilities = `["responsesapi"]`
	}
	members := []any{"abom", jsonText(abom), "agent_public_key", p.OpenSSH(), "capabilities", capabilities}
	if profile == wire.ProfileAuthAPI {
		members = append(members, "ttl", jsonText("null"))
	}
	return appendJSONObject(nil, members...)
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

// biscuitRequest asks for a biscuit that authorizes one POST to url.
func biscuitRequest(base, url, accessToken string, requestID []byte) wire.Effect {
	return wire.Effect{
		Type:   wire.EffectHTTP,
		Method: "GET",
		URL:    base + "/authenticate_app_v2",
		Headers: []wire.Header{
			{Name: "authorization", Value: "Bearer " + accessToken},
			{Name: "x-request-id", Value: "codex-agent-identity-" + base64.RawURLEncoding.EncodeToString(requestID)},
			{Name: "x-original-method", Value: "POST"},
			{Name: "x-original-url", Value: url},
		},
		TimeoutMS:       timeoutMS,
		SizeLimit:       maxNetworkJSON,
		ResponseHeaders: []string{biscuitHeader, dateHeader, retryAfterHeader},
	}
}

const (
	// biscuitHeader carries a biscuit, in both directions.
	biscuitHeader = "x-openai-authorization"
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

// parseTaskResponse takes the task id from the response to a task registration.
// Later backends have four names for it; an id in the clear wins over a sealed
// one.
func parseTaskResponse(k *PrivateKey, body []byte, profile string) (string, error) {
	if profile != wire.ProfileAuthAPI {
		sealed, err := parseResponseString(body, "encrypted_task_id")
		if err != nil {
			return "", err
		}
		return OpenTaskID(k, sealed)
	}
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
