package core

import (
	"errors"

	"github.com/agentassert/agentassert/core/wire"
)

// The codes of errors. They are part of the ABI: the same in every language,
// and never reused for something else.
const (
	// CodeInvalidRequest is a request that is not the encoding of one message.
	CodeInvalidRequest = "invalid_request"
	// CodeUnknownMethod is a request for a method that this ABI does not have.
	CodeUnknownMethod = "unknown_method"
	// CodeInternal is a bug in the core.
	CodeInternal = "internal"

	// CodeInvalidEntropy is entropy of the wrong length.
	CodeInvalidEntropy = "invalid_entropy"
	// CodeInvalidPrivateKey is a private key that is no Ed25519 key in the form that is
	// asked for, or whose public half does not match.
	CodeInvalidPrivateKey = "invalid_private_key"
	// CodeInvalidPublicKey is a public key that is no Ed25519 key in the form that is
	// asked for, or is a point of small order.
	CodeInvalidPublicKey = "invalid_public_key"
	// CodeInvalidAgentRuntimeID is an agent runtime id that must not be signed.
	CodeInvalidAgentRuntimeID = "invalid_agent_runtime_id"
	// CodeInvalidTaskID is a task id that must not be signed.
	CodeInvalidTaskID = "invalid_task_id"
	// CodeInvalidTime is a time outside the years 0 to 9999, or a timestamp in
	// another form than RFC 3339, UTC, whole seconds.
	CodeInvalidTime = "invalid_time"
	// CodeInvalidSkew is a negative clock skew.
	CodeInvalidSkew = "invalid_skew"
	// CodeInvalidAssertion is a header that is no AgentAssertion.
	CodeInvalidAssertion = "invalid_assertion"
	// CodeBadSignature is a signature that does not verify.
	CodeBadSignature = "bad_signature"
	// CodeTimestampSkew is a timestamp too far from the verifier's clock.
	CodeTimestampSkew = "timestamp_skew"
	// CodeInvalidRegistration is a registration's body that is not what the
	// protocol says.
	CodeInvalidRegistration = "invalid_registration"
	// CodeInvalidBiscuit is a biscuit that cannot be sent.
	CodeInvalidBiscuit = "invalid_biscuit"
	// CodeInvalidSealedTaskID is a sealed box that does not open.
	CodeInvalidSealedTaskID = "invalid_sealed_task_id"

	// CodeInvalidBaseURL is a base URL that is not an absolute http or https URL.
	CodeInvalidBaseURL = "invalid_base_url"
	// CodeInvalidTrustedHost is a trusted host that is not a bare host name.
	CodeInvalidTrustedHost = "invalid_trusted_host"
	// CodeUnknownSurface is a surface that the protocol does not have.
	CodeUnknownSurface = "unknown_surface"
	// CodeThreadSurface is a thread's surface without a thread, or a thread
	// with another surface.
	CodeThreadSurface = "thread_surface"
	// CodeInvalidConfig is a configuration with a value out of range, or a profile or a
	// key's format that there is not.
	CodeInvalidConfig = "invalid_config"
	// CodeInvalidCredentials is an access token or account id that cannot be
	// sent in a header.
	CodeInvalidCredentials = "invalid_credentials"
	// CodeInvalidAuthJSON is a document that is not an auth.json.
	CodeInvalidAuthJSON = "invalid_auth_json"
	// CodeAuthJSONByteOrderMark and CodeAuthJSONUTF16 are documents in an encoding
	// that nobody who uses an auth.json reads.
	CodeAuthJSONByteOrderMark = "auth_json_byte_order_mark"
	CodeAuthJSONUTF16         = "auth_json_utf16"
	// CodeNotSignedIn, CodeAPIKeySignIn, CodeIdentityJWTSignIn and CodeOtherSignIn say
	// why credentials are none that an agent could act for.
	CodeNotSignedIn       = "not_signed_in"
	CodeAPIKeySignIn      = "api_key_sign_in"
	CodeIdentityJWTSignIn = "identity_jwt_sign_in"
	CodeOtherSignIn       = "other_sign_in"
	// CodeAccessTokenExpired is an access token that has expired by its own account.
	CodeAccessTokenExpired = "access_token_expired"
	// CodeInvalidRecord is a record that is not JSON, or says what no identity does.
	CodeInvalidRecord = "invalid_record"
	// CodeUnreadableIdentity is a stored identity in a form that this version
	// cannot read, and so leaves alone.
	CodeUnreadableIdentity = "unreadable_identity"

	// CodeInvalidIdentityJWT is an identity JWT whose claims are not what they
	// should be, or that has expired.
	CodeInvalidIdentityJWT = "invalid_identity_jwt"
	// CodeInvalidThreadID is a thread id that no thread can have.
	CodeInvalidThreadID = "invalid_thread_id"

	// CodeFileMissing is an auth.json that is not there.
	CodeFileMissing = "auth_file_missing"
	// CodeFileUnreadable is a file that cannot be read.
	CodeFileUnreadable = "auth_file_unreadable"
	// CodeFileIsFolder and CodeFileNotRegular are something else in its place.
	CodeFileIsFolder   = "auth_file_folder"
	CodeFileNotRegular = "auth_file_not_regular"
	// CodeFileLocked is a lock that others have held for too long.
	CodeFileLocked = "auth_file_locked"
	// CodeFileLockUnavailable is a file system, or a platform, without locks.
	CodeFileLockUnavailable = "auth_file_lock_unavailable"
	// CodeFileWriteFailed is a write that failed, on a full disk for example. The
	// file is as it was.
	CodeFileWriteFailed = "auth_file_write_failed"
	// CodeFileBusy is a file that others kept changing while it was to be changed.
	CodeFileBusy = "auth_file_busy"

	// CodeInvalidState is a flow's state that no step returned.
	CodeInvalidState = "invalid_state"
	// CodeStateExpired is the state of a flow that has ended, of which no other assertion
	// is made now: what it has found out is not good for this time.
	CodeStateExpired = "state_expired"
	// CodeUnexpectedEvent is an event that does not answer the last effect.
	CodeUnexpectedEvent = "unexpected_event"

	// CodeHTTPStatus is a response outside 2xx.
	CodeHTTPStatus = "http_status"
	// CodeInvalidResponse is a response that is not what the protocol says.
	CodeInvalidResponse = "invalid_response"
	// CodeRequestFailed is a request that got no response.
	CodeRequestFailed = "request_failed"
	// CodeStoreFailed is a store that did not load, lock, save or delete.
	CodeStoreFailed = "store_failed"
	// CodeStoreReadOnly is a store that can be read and not be written. What it
	// holds is used.
	CodeStoreReadOnly = "store_read_only"
	// CodeRecordChanged is a record that was not replaced, because it is no longer
	// the one that was to be replaced.
	CodeRecordChanged = "record_changed"
	// CodeBackingOff is a registration that is not tried now, because it failed
	// a short while ago.
	CodeBackingOff = "backing_off"
	// CodeTaskRejected is a task that the backend has rejected, and that is not
	// replaced, because it has only just replaced another.
	CodeTaskRejected = "task_rejected"
	// CodeAssertionRejected is an assertion that the backend has rejected for a reason of
	// its own, which no other task, identity or instance would change.
	CodeAssertionRejected = "assertion_rejected"
	// CodeInstanceRejected is a runtime agent instance that the backend has rejected,
	// and that is not replaced, because it has only just replaced another.
	CodeInstanceRejected = "instance_rejected"
	// CodeUnknownAgent is an identity that the backend no longer knows.
	CodeUnknownAgent = "unknown_agent"
	// CodeClockSkew is a clock that differs so much from the backend's that it
	// explains a rejection.
	CodeClockSkew = "clock_skew"
	// CodeOtherBackend is an identity that belongs to another backend than the one
	// that is called.
	CodeOtherBackend = "other_backend"
	// CodeIdentitySetAside is a notice: a stored identity that did not fit was kept
	// elsewhere, and another has taken its place.
	CodeIdentitySetAside = "identity_set_aside"
	// CodeNoAccessToken is a registration that cannot be tried, because there
	// is no access token to authorize it.
	CodeNoAccessToken = "no_access_token"
	// CodeUnknownWorkspace is an answer of the backend's in which the account is not, or
	// twice, so that nobody knows where its calls go.
	CodeUnknownWorkspace = "unknown_workspace"
	// CodeUnsupportedOrigin is an origin for calls to responses whose host is not
	// supported.
	CodeUnsupportedOrigin = "unsupported_origin"
	// CodeNoAuthAPI is a registration that is not tried, because the configuration does
	// not say where, and the base URL is none that does.
	CodeNoAuthAPI = "no_auth_api"
)

// Error is a failure with a stable code and a message for people. It holds no
// secret. It is the one type of error in the project: hosts add codes of their
// own.
type Error struct {
	Code    string
	Message string
	// Err is what caused it, where a host knows. It does not cross the ABI.
	Err error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error with the same code and no message, so
// that errors.Is(err, &core.Error{Code: c}) asks for a code. An error with
// CodeUnknownAgent is ErrAgentRevoked, too.
func (e *Error) Is(target error) bool {
	if target == ErrAgentRevoked {
		return e.Code == CodeUnknownAgent
	}
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == ""
}

// Code returns the code of the first *Error in err's chain, or CodeInternal
// where there is none. The code of nil is empty.
func Code(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// As a call it is half as large, and it stands in hundreds of places: all of them together
// are a hundredth of the module.
//
//go:noinline
func fail(code, message string) *Error { return &Error{Code: code, Message: message} }

// asError is err, which is one of this package's.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return fail(CodeInternal, err.Error())
}

// wireError is err as the ABI sends it.
func wireError(err error) *wire.Error {
	e := asError(err)
	return &wire.Error{Code: e.Code, Message: e.Message}
}
