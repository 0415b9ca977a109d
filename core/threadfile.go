package core

import (
	"crypto/sha256"
	"encoding/hex"
)

// ThreadFile returns what stands for a thread in names of files: the SHA-256 of its id, in
// hexadecimal. An id is whatever a harness chose: a path, too long for a name, or
// different from another only in case. The error is CodeInvalidThreadID.
func ThreadFile(threadID string) (string, error) {
	if err := checkThreadID(threadID); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(threadID))
	return hex.EncodeToString(sum[:]), nil
}

// checkThreadID wants an id that a thread can have.
func checkThreadID(threadID string) error {
	if problem := idProblem(threadID); problem != "" {
		return fail(CodeInvalidThreadID, "the thread id "+problem)
	}
	return nil
}
