package core

import (
	"crypto/sha256"
	"encoding/hex"
)

// ThreadFile returns what stands for a thread in names of files: the SHA-256 of its id, in
// hexadecimal. An id is whatever a harness chose: a path, too long for a name, or
// different from another only in case. The error is CodeInvalidThreadID.
func ThreadFile(threadID string) (string, error) {
	if err := CheckThreadID(threadID); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(threadID))
	return hex.EncodeToString(sum[:]), nil
}

// CheckThreadID wants an id that a thread can have: up to 4096 bytes of UTF-8 without control
// characters, and one at the least. The error is CodeInvalidThreadID.
func CheckThreadID(threadID string) error {
	if problem := idProblem(threadID); problem != "" {
		return fail(CodeInvalidThreadID, "the thread id "+problem)
	}
	return nil
}
