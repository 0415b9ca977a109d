package core

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// Scheme is the authentication scheme's name in the Authorization header.
const Scheme = "AgentAssertion"

// maxHeaderSize is the longest header that is read, in bytes: base64url of the
// largest JSON text, and the scheme.
const maxHeaderSize = len(Scheme) + 1 + maxNetworkJSON*4/3 + 2

// BuildAssertion returns the value of the Authorization header that proves that
// the agent is on the task at the given Unix second: "AgentAssertion " and
// base64url, without padding, of the envelope.
//
// Errors: CodeInvalidAgentRuntimeID, CodeInvalidTaskID, CodeInvalidTime.
func BuildAssertion(k *PrivateKey, agentRuntimeID, taskID string, now int64) (string, error) {
	return k.assertTask(agentRuntimeID, taskID, now)
}

func (s *signer) assertTask(agentRuntimeID, taskID string, now int64) (string, error) {
	if err := checkAgentRuntimeID(agentRuntimeID); err != nil {
		return "", err
	}
	if err := checkTaskID(taskID); err != nil {
		return "", err
	}
	timestamp, err := formatTimestamp(now)
	if err != nil {
		return "", err
	}
	return encodeAssertion(wire.Envelope{
		AgentRuntimeID: agentRuntimeID,
		Signature:      base64.StdEncoding.EncodeToString(s.sign(assertionText(agentRuntimeID, taskID, timestamp))),
		TaskID:         taskID,
		Timestamp:      timestamp,
	}), nil
}

// assertionText is what an assertion signs.
func assertionText(agentRuntimeID, taskID, timestamp string) []byte {
	return []byte(agentRuntimeID + ":" + taskID + ":" + timestamp)
}

// encodeAssertion writes the one canonical form of an envelope.
func encodeAssertion(e wire.Envelope) string {
	// On the stack, unless there is more.
	return string(appendAssertion(make([]byte, 0, 512), e))
}

func appendAssertion(b []byte, e wire.Envelope) []byte {
	envelope := appendJSONObject(make([]byte, 0, 512),
		"agent_runtime_id", e.AgentRuntimeID,
		"signature", e.Signature,
		"task_id", e.TaskID,
		"timestamp", e.Timestamp)
	return base64.RawURLEncoding.AppendEncode(append(b, Scheme+" "...), envelope)
}

// ParseAssertion reads the value of an Authorization header, or of
// X-OpenAI-Agent-Assertion, signed by whomever. The result says which of the two
// forms it has. The scheme's name may be in any case (RFC 9110, section 11.1), the
// envelope any JSON object with exactly the four members, all strings that an
// assertion could have been built from; whether the whole is canonical, byte for
// byte what [BuildAssertion] or [BuildInstanceAssertion] returns, is part of the
// result, too.
//
// The error's code is CodeInvalidAssertion, for whatever reason.
func ParseAssertion(header string) (wire.Inspection, error) {
	if jws, ok := cutInstance(header); ok && len(header) <= maxHeaderSize {
		a, err := parseInstanceAssertion(jws)
		if err != nil {
			return wire.Inspection{}, err
		}
		return wire.Inspection{Form: wire.FormInstance, Instance: &a.InstanceClaims, Canonical: a.isCanonical(header)}, nil
	}
	a, err := parseAssertion(header)
	if err != nil {
		return wire.Inspection{}, err
	}
	return a.inspection(header), nil
}

// assertion is a parsed assertion of a task.
type assertion struct {
	wire.Envelope
	signature []byte
	timestamp int64
}

func (a assertion) inspection(header string) wire.Inspection {
	return wire.Inspection{Form: wire.FormTask, Envelope: &a.Envelope, Canonical: encodeAssertion(a.Envelope) == header}
}

func parseAssertion(header string) (assertion, error) {
	invalid := func(problem string) (assertion, error) {
		return assertion{}, fail(CodeInvalidAssertion, problem)
	}
	if len(header) > maxHeaderSize {
		return invalid("the header is too long for an assertion")
	}
	scheme, encoded, ok := strings.Cut(header, " ")
	if !ok || !equalASCIIFold(scheme, Scheme) {
		return invalid("the header's scheme is not AgentAssertion")
	}
	encoded = strings.TrimLeft(encoded, " ")
	envelope, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return invalid("the assertion is not base64url without padding")
	}
	root, err := parseJSON(envelope, maxNetworkJSON)
	if err != nil {
		return invalid("the envelope is not JSON: " + err.Error())
	}
	if root.kind != jsonObject {
		return invalid("the envelope is not a JSON object")
	}
	a := assertion{}
	e := &a.Envelope
	for _, m := range []struct {
		name string
		at   *string
	}{
		{"agent_runtime_id", &e.AgentRuntimeID},
		{"signature", &e.Signature},
		{"task_id", &e.TaskID},
		{"timestamp", &e.Timestamp},
	} {
		if *m.at, ok = root.stringMember(m.name); !ok {
			return invalid("the envelope lacks the string " + m.name)
		}
	}
	if len(root.members) > 4 {
		return invalid("the envelope has members that no assertion has")
	}
	if err := checkAgentRuntimeID(e.AgentRuntimeID); err != nil {
		return invalid(err.Error())
	}
	if err := checkTaskID(e.TaskID); err != nil {
		return invalid(err.Error())
	}
	if a.timestamp, err = parseTimestamp(e.Timestamp); err != nil {
		return invalid(err.Error())
	}
	if a.signature, err = decodeSignature(e.Signature); err != nil {
		return invalid(err.Error())
	}
	return a, nil
}

// IsAssertion reports whether a header is the canonical form of an assertion that says
// just this, whoever has signed it. Now is a Unix time.
func IsAssertion(header, agentRuntimeID, taskID string, now int64) bool {
	timestamp, err := formatTimestamp(now)
	if err != nil || checkAgentRuntimeID(agentRuntimeID) != nil || checkTaskID(taskID) != nil || len(header) > maxHeaderSize {
		return false
	}
	encoded, _ := strings.CutPrefix(header, Scheme+" ")
	envelope, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return false
	}
	// A quotation mark within a string is escaped, so this begins no earlier.
	_, rest, _ := bytes.Cut(envelope, []byte(`","signature":"`))
	signature := string(rest[:min(base64.StdEncoding.EncodedLen(signatureSize), len(rest))])
	if _, err := decodeSignature(signature); err != nil {
		return false
	}
	return header == string(appendAssertion(make([]byte, 0, 512), wire.Envelope{
		AgentRuntimeID: agentRuntimeID, Signature: signature, TaskID: taskID, Timestamp: timestamp,
	}))
}

// equalASCIIFold is strings.EqualFold for ASCII alone: a long s is no s in HTTP.
func equalASCIIFold(a, b string) bool {
	return len(a) == len(b) && strings.EqualFold(a, b)
}

func decodeSignature(s string) ([]byte, error) {
	signature, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(signature) != signatureSize || strings.ContainsAny(s, "\r\n") {
		return nil, fail(CodeBadSignature, "the signature is not 64 bytes in padded standard base64")
	}
	return signature, nil
}

// VerifyAssertion reads the value of an Authorization header, an assertion of a
// task, and checks that p signed it and that its timestamp is at most skew seconds
// from now, a Unix time. The signature is checked first, so that only the key's
// owner learns about the verifier's clock. An envelope that is not canonical can
// verify. No runtime agent instance's assertion passes.
//
// Errors: CodeInvalidAssertion, CodeBadSignature, CodeTimestampSkew,
// CodeInvalidSkew, CodeInvalidTime.
func VerifyAssertion(p *PublicKey, header string, now, skew int64) (wire.Inspection, error) {
	a, err := parseAssertion(header)
	if err != nil {
		return wire.Inspection{}, err
	}
	if !p.verify(assertionText(a.AgentRuntimeID, a.TaskID, a.Timestamp), a.signature) {
		return wire.Inspection{}, fail(CodeBadSignature, "the signature was not made by this key over this envelope")
	}
	if err := checkSkew(a.timestamp, now, skew); err != nil {
		return wire.Inspection{}, err
	}
	return a.inspection(header), nil
}
