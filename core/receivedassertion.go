package core

import (
	"github.com/agentassert/agentassert/core/wire"
)

// AssertionClaims is what an assertion says, of either form, and proves nothing.
type AssertionClaims struct {
	// Form is wire.FormTask, with AgentRuntimeID and TaskID, or wire.FormInstance, with
	// RuntimeAgentInstance and ID, the assertion's own id.
	Form                     string
	AgentRuntimeID, TaskID   string
	RuntimeAgentInstance, ID string
	// Timestamp is a Unix time.
	Timestamp int64
}

// CheckTime checks that the timestamp is at most skew seconds from now, a Unix time.
//
// Errors: CodeTimestampSkew, CodeInvalidSkew, CodeInvalidTime.
func (c AssertionClaims) CheckTime(now, skew int64) error {
	return checkSkew(c.Timestamp, now, skew)
}

// ReceivedAssertion is an assertion that has been read, once, before it is known whose
// key is to have signed it. Where that is known, [VerifyAssertion] and
// [VerifyInstanceAssertion] are one call for all.
//
// It is immutable, and safe for concurrent use. It is a credential: formatting it does
// not show the signature.
type ReceivedAssertion struct {
	AssertionClaims
	signed, signature []byte
}

// ReadAssertion reads what [ParseAssertion] does. The error's code is
// CodeInvalidAssertion, for whatever reason.
//
// Check the signature before the time, so that only the key's owner learns about the
// verifier's clock.
func ReadAssertion(header string) (ReceivedAssertion, error) {
	if jws, ok := cutInstance(header); ok && len(header) <= maxHeaderSize {
		a, err := parseInstanceAssertion(jws)
		if err != nil {
			return ReceivedAssertion{}, err
		}
		return ReceivedAssertion{AssertionClaims{
			Form: wire.FormInstance, RuntimeAgentInstance: a.RuntimeAgentInstance, ID: a.ID, Timestamp: a.IssuedAt,
		}, []byte(a.text), a.signature}, nil
	}
	a, err := parseAssertion(header)
	if err != nil {
		return ReceivedAssertion{}, err
	}
	return ReceivedAssertion{AssertionClaims{
		Form: wire.FormTask, AgentRuntimeID: a.AgentRuntimeID, TaskID: a.TaskID, Timestamp: a.timestamp,
	}, assertionText(a.AgentRuntimeID, a.TaskID, a.Timestamp), a.signature}, nil
}

// CheckSignature checks that p signed the assertion. The error's code is
// CodeBadSignature.
func (a ReceivedAssertion) CheckSignature(p *PublicKey) error {
	if !p.verify(a.signed, a.signature) {
		return fail(CodeBadSignature, "the signature was not made by this key over this assertion")
	}
	return nil
}
