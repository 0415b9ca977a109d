package core

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// An assertion of a runtime agent instance is "1." and a JWS in compact
// serialization (RFC 7515, section 3.1), of EdDSA (RFC 8037), whose header and
// payload have one form each (protocol.md).
const (
	instanceVersion = "1."
	instanceHeader  = `{"alg":"EdDSA","typ":"openai-agent-assertion+jws"}`
)

// BuildInstanceAssertion returns the assertion of a runtime agent instance at the
// given Unix second: what X-OpenAI-Agent-Assertion carries and, behind
// "AgentAssertion ", Authorization. Entropy is 16 uniformly random bytes, of which the
// assertion's id is made, a UUID of version 4. Each request needs other ones: a
// backend takes the second use of an assertion for a replay.
//
// Errors: CodeInvalidAgentRuntimeID, CodeInvalidEntropy, CodeInvalidTime.
func BuildInstanceAssertion(k *PrivateKey, instance string, entropy []byte, now int64) (string, error) {
	return k.assertInstance(instance, entropy, now)
}

func (s *signer) assertInstance(instance string, entropy []byte, now int64) (string, error) {
	if problem := idProblem(instance); problem != "" {
		return "", fail(CodeInvalidAgentRuntimeID, "the id of the runtime agent instance "+problem)
	}
	if len(entropy) != uuidSize {
		return "", fail(CodeInvalidEntropy, "an assertion's id is made from exactly 16 bytes of entropy")
	}
	if now < 0 || now > maxTime {
		return "", fail(CodeInvalidTime, "the time is not between the years 1970 and 9999")
	}
	return encodeInstanceAssertion(s, instance, now, formatUUID(entropy)), nil
}

func encodeInstanceAssertion(s *signer, instance string, issuedAt int64, id string) string {
	text := instanceText(instance, issuedAt, id)
	return instanceVersion + text + "." + base64.RawURLEncoding.EncodeToString(s.sign([]byte(text)))
}

// instanceText is what such an assertion signs: header and payload of the JWS.
func instanceText(instance string, issuedAt int64, id string) string {
	payload := appendJSONObject(make([]byte, 0, 256),
		"version", jsonText("1"),
		"runtime_agent_instance", instance,
		"iat", jsonText(strconv.FormatInt(issuedAt, 10)),
		"id", id)
	text := make([]byte, 0, 512)
	text = append(base64.RawURLEncoding.AppendEncode(text, []byte(instanceHeader)), '.')
	return string(base64.RawURLEncoding.AppendEncode(text, payload))
}

// uuidSize is how much entropy a UUID takes.
const uuidSize = 16

// formatUUID returns the UUID of version 4 that is made of 16 random bytes (RFC
// 9562, section 5.4).
func formatUUID(entropy []byte) string {
	const hex = "0123456789abcdef"
	b := make([]byte, 0, 36)
	for i, c := range entropy {
		switch i {
		case 6:
			c = c&0x0f | 0x40
		case 8:
			c = c&0x3f | 0x80
		}
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, hex[c>>4], hex[c&15])
	}
	return string(b)
}

// instanceAssertion is a parsed assertion of an instance.
type instanceAssertion struct {
	wire.InstanceClaims
	signature []byte
	// text is what was signed.
	text string
}

// cutInstance returns what follows the version of an instance's assertion in a
// header, with or without the scheme.
func cutInstance(header string) (jws string, ok bool) {
	if scheme, credential, found := strings.Cut(header, " "); found && equalASCIIFold(scheme, Scheme) {
		header = strings.TrimLeft(credential, " ")
	}
	return strings.CutPrefix(header, instanceVersion)
}

func parseInstanceAssertion(jws string) (instanceAssertion, error) {
	invalid := func(problem string) (instanceAssertion, error) {
		return instanceAssertion{}, fail(CodeInvalidAssertion, problem)
	}
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		return invalid("the assertion of a runtime agent instance is not a JWS of three parts")
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || strings.ContainsAny(part, "\r\n") {
			return invalid("a part of the JWS is not base64url without padding")
		}
	}
	if string(decoded[0]) != instanceHeader {
		return invalid("the JWS has another header than that of an instance's assertion")
	}
	payload := decoded[1]
	root, err := parseJSON(payload, maxNetworkJSON)
	if err != nil {
		return invalid("the JWS's payload is not JSON: " + err.Error())
	}
	if root.kind != jsonObject {
		return invalid("the JWS's payload is not a JSON object")
	}
	a := instanceAssertion{signature: decoded[2], text: parts[0] + "." + parts[1]}
	if v := root.member("version"); v == nil || v.kind != jsonNumber || string(payload[v.start:v.end]) != "1" {
		return invalid("the JWS's version is not 1")
	}
	var ok bool
	if a.RuntimeAgentInstance, ok = root.stringMember("runtime_agent_instance"); !ok {
		return invalid("the JWS lacks the string runtime_agent_instance")
	}
	if a.ID, ok = root.stringMember("id"); !ok {
		return invalid("the JWS lacks the string id")
	}
	if a.IssuedAt, ok = secondsMember(root, "iat", payload); !ok {
		return invalid("the JWS lacks the time iat, a whole number of seconds")
	}
	if len(root.members) > 4 {
		return invalid("the JWS has members that no assertion has")
	}
	if problem := idProblem(a.RuntimeAgentInstance); problem != "" {
		return invalid("the id of the runtime agent instance " + problem)
	}
	if problem := idProblem(a.ID); problem != "" {
		return invalid("the assertion's id " + problem)
	}
	if len(a.signature) != signatureSize {
		return invalid("the JWS's signature is not 64 bytes")
	}
	a.Signature = parts[2]
	return a, nil
}

// isCanonical reports whether a header is what is built of the claims, in one of the
// two header fields.
func (a instanceAssertion) isCanonical(header string) bool {
	value := instanceVersion + instanceText(a.RuntimeAgentInstance, a.IssuedAt, a.ID) + "." + a.Signature
	return isUUID(a.ID) && (header == value || header == Scheme+" "+value)
}

// isUUID reports whether formatUUID could have made s.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, form := range []byte("xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx") {
		allowed := "0123456789abcdef"
		switch form {
		case '-', '4':
			allowed = string(form)
		case 'y':
			allowed = "89ab"
		}
		if strings.IndexByte(allowed, s[i]) < 0 {
			return false
		}
	}
	return true
}

// VerifyInstanceAssertion reads an assertion of a runtime agent instance, as it
// stands in Authorization or in X-OpenAI-Agent-Assertion, and checks that p signed it
// and that its time is at most skew seconds from now, a Unix time. That it was not
// used before is for the caller to check, by its id. No task's assertion passes.
//
// Errors: CodeInvalidAssertion, CodeBadSignature, CodeTimestampSkew,
// CodeInvalidSkew, CodeInvalidTime.
func VerifyInstanceAssertion(p *PublicKey, header string, now, skew int64) (wire.Inspection, error) {
	jws, ok := cutInstance(header)
	if !ok || len(header) > maxHeaderSize {
		return wire.Inspection{}, fail(CodeInvalidAssertion, "the header has no assertion of a runtime agent instance")
	}
	a, err := parseInstanceAssertion(jws)
	if err != nil {
		return wire.Inspection{}, err
	}
	if !p.verify([]byte(a.text), a.signature) {
		return wire.Inspection{}, fail(CodeBadSignature, "the signature was not made by this key over this assertion")
	}
	if err := checkSkew(a.IssuedAt, now, skew); err != nil {
		return wire.Inspection{}, err
	}
	return wire.Inspection{Form: wire.FormInstance, Instance: &a.InstanceClaims, Canonical: a.isCanonical(header)}, nil
}

// IsInstanceAssertion reports whether value is the canonical form of the assertion
// that is made of just this, whoever has signed it.
func IsInstanceAssertion(value, instance string, entropy []byte, now int64) bool {
	if idProblem(instance) != "" || len(entropy) != uuidSize || now < 0 || now > maxTime {
		return false
	}
	signature, ok := strings.CutPrefix(value, instanceVersion+instanceText(instance, now, formatUUID(entropy))+".")
	if !ok || len(signature) != base64.RawURLEncoding.EncodedLen(signatureSize) {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	return err == nil && !strings.ContainsAny(signature, "\r\n")
}
