package authority

import (
	"encoding/json"
	"errors"
	"net/http"
)

// The codes of refusals: what [Error] holds and an error body carries.
const (
	// The codes of an AgentAssertion that is refused, all with status 401.

	// CodeInvalidAssertion is a header that is no AgentAssertion.
	CodeInvalidAssertion = "invalid_assertion"
	// CodeUnknownAgent says that there is no agent with this id and this key: it
	// was never registered, or has been revoked, or has another key; in a task
	// registration, with status 404, also that it is of another account than the
	// biscuit's. Nobody but the agent itself is told which of these it is.
	CodeUnknownAgent = "unknown_agent"
	// CodeUnknownTask is a task that the agent was never granted.
	CodeUnknownTask = "unknown_task"
	// CodeTaskExpired is a task that the agent no longer has.
	CodeTaskExpired = "task_expired"
	// CodeInstanceRevoked is a runtime agent instance that was revoked: the protocol's
	// own code.
	CodeInstanceRevoked = "runtime_instance_revoked"
	// CodeTimestampSkew is a timestamp too far from the verifier's clock; in a
	// task registration it has status 403.
	CodeTimestampSkew = "timestamp_skew"
	// CodeAccountMismatch is a header ChatGPT-Account-ID that names another
	// account than the credential's.
	CodeAccountMismatch = "account_mismatch"

	// CodeReplayedAssertion is an assertion that was used before, where a
	// [VerifierOptions.Replayed] finds that. It is a 403: upon a 401, a client would
	// replace the task, which is good.
	CodeReplayedAssertion = "replayed_assertion"
	// CodeReplayCheckFailed is a [VerifierOptions.Replayed] that gave no answer: 503.
	CodeReplayCheckFailed = "replay_check_failed"
	// CodeReplayedRegistration is a task registration of the profile auth-api that was
	// accepted before, and whose task has expired since: its proof, which says nothing
	// but the agent and the second, is good for no other. It is a 429 with Retry-After:
	// clients sign another one and try again.
	CodeReplayedRegistration = "replayed_registration"

	// CodeUnauthenticated is a request without a credential of a scheme that is
	// served there: 401.
	CodeUnauthenticated = "unauthenticated"
	// CodeInvalidToken is a bearer token that the authority did not issue, or
	// that has expired: 401.
	CodeInvalidToken = "invalid_token"
	// CodeInvalidBiscuit is a registration without a biscuit, or with one that
	// is unknown, used, expired, or minted for another URL: 403, because no
	// authentication scheme of HTTP carries biscuits, so that there is nothing
	// to challenge for with 401.
	CodeInvalidBiscuit = "invalid_biscuit"

	// CodeFedRAMPRequired is a request for a FedRAMP account that lacks the header
	// X-OpenAI-Fedramp: true. It is a 403: upon a 401, a client would replace the
	// task or the token, which are good.
	CodeFedRAMPRequired = "fedramp_required"

	// CodeInvalidRequest is a header or body that is not what the protocol says:
	// 400.
	CodeInvalidRequest = "invalid_request"
	// CodeInvalidPublicKey is a registration with a public key that cannot be
	// used: 400.
	CodeInvalidPublicKey = "invalid_public_key"
	// CodeBodyTooLarge is a registration of more than 64 KiB: 413.
	CodeBodyTooLarge = "body_too_large"
	// CodeMethodNotAllowed is a method that the endpoint does not have: 405.
	CodeMethodNotAllowed = "method_not_allowed"
	// CodeRegistrationRefused is what [Authority.RefuseRegistration] or
	// [Options.Intercept] asked for, with the status that they gave.
	CodeRegistrationRefused = "registration_refused"

	// CodeCapacityExceeded is an authority that holds as much as it may: 503.
	CodeCapacityExceeded = "capacity_exceeded"
	// CodeQuotaExceeded is an authority that holds as much of one account as it may:
	// 429.
	CodeQuotaExceeded = "quota_exceeded"
	// CodeDirectoryFailed is a [Directory] that gave no answer: 503.
	CodeDirectoryFailed = "directory_failed"
	// CodeInternal is an authority without randomness, with a key that does not
	// sign, or with a clock outside the years 0 to 9999: 500.
	CodeInternal = "internal"

	// The codes that no client is ever sent.

	// CodeInvalidSignature is the reason behind a CodeUnknownAgent: there is such an
	// agent, and its key did not sign this.
	CodeInvalidSignature = "invalid_signature"
	// CodeOtherSpelling is the reason behind a CodeUnknownAgent or CodeUnknownTask:
	// the directory found an id that is not the one it was asked for, byte for byte.
	CodeOtherSpelling = "other_spelling"
	// CodeInvalidOptions is an option that cannot be used.
	CodeInvalidOptions = "invalid_options"
)

// Error is a refusal. It holds no secret, and the client is sent its code and
// its message.
type Error struct {
	// Status is the HTTP status to answer with; for CodeInvalidOptions, which is for
	// nobody to be sent, it is 500.
	Status int
	// Code is one of the Code constants.
	Code string
	// Message is for people.
	Message string

	cause error
}

func (e *Error) Error() string { return e.Message }

// Is reports whether target is an *Error with the same code and either the
// same message or none, so that errors.Is(err, &authority.Error{Code: c}) asks
// for a code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && (t.Message == "" || t.Message == e.Message)
}

// Unwrap returns what the client is not told, or nil: the reason behind
// CodeUnknownAgent or CodeUnknownTask, and what failed behind
// CodeDirectoryFailed, CodeReplayCheckFailed or CodeInternal.
func (e *Error) Unwrap() error { return e.cause }

// Reason is the code of the true reason for a refusal: that of the innermost
// [*Error] in err, where the outermost is what the client is told. It is for logs
// and metrics, and empty where there is no Error.
func Reason(err error) (code string) {
	for e, ok := errors.AsType[*Error](err); ok; e, ok = errors.AsType[*Error](e.cause) {
		code = e.Code
	}
	return code
}

func fail(status int, code, message string) *Error {
	return &Error{Status: status, Code: code, Message: message}
}

// because is fail with a reason that the client is not told.
func because(cause error, status int, code, message string) *Error {
	return &Error{Status: status, Code: code, Message: message, cause: cause}
}

func invalidOptions(message string) *Error {
	return fail(http.StatusInternalServerError, CodeInvalidOptions, message)
}

func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return fail(http.StatusInternalServerError, CodeInternal, "the authority failed unexpectedly")
}

// writeError answers with e. A 401 must say what would be accepted (RFC 9110,
// section 15.5.2): the schemes are its challenges.
func writeError(w http.ResponseWriter, e *Error, schemes ...string) {
	if e.Status == http.StatusUnauthorized {
		for _, scheme := range schemes {
			w.Header().Add("WWW-Authenticate", scheme)
		}
	}
	type body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	writeJSON(w, e.Status, map[string]body{"error": {e.Code, e.Message}})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store") // answers hold biscuits, and differ by caller
	w.WriteHeader(status)
	// What can fail here is the connection, and there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(body)
}
