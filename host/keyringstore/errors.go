package keyringstore

import "github.com/agentassert/agentassert/core"

// The codes of this package's errors, beside core.CodeInvalidConfig.
const (
	// CodeUnavailable is a keyring that is not there, cannot be reached, does not
	// let this process read, or does not answer.
	CodeUnavailable = "keyring_unavailable"
	// CodeWriteFailed is a keyring that did not take a change.
	CodeWriteFailed = "keyring_write_failed"
	// CodeDamaged is a record that is in the keyring in part, or in a form that
	// this version does not know.
	CodeDamaged = "keyring_record_damaged"
	// CodeTooLarge is a record, or an entry of the client's, larger than 512 KiB.
	CodeTooLarge = "keyring_record_too_large"
	// CodeLocked is a lock that others have held for too long.
	CodeLocked = "keyring_store_locked"
	// CodeLockFailed is a lock file that cannot be made.
	CodeLockFailed = "keyring_lock_file_failed"
	// CodeNotSignedIn is a keyring without an entry of the client's. It is no
	// error's, but that of the Problem of credentials.
	CodeNotSignedIn = "keyring_not_signed_in"
	// CodeCanceled is a caller that stopped waiting. It is host.CodeCanceled.
	CodeCanceled = "canceled"
)

func fail(code, message string, err error) error {
	return &core.Error{Code: code, Message: message, Err: err}
}
