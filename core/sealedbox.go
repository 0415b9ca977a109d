package core

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"strings"

	"golang.org/x/crypto/curve25519"
	"golang.org/x/crypto/nacl/box"
)

// SealTaskID seals a task id to an agent: base64 (standard alphabet, padded) of
// a libsodium sealed box to the X25519 form of the agent's key. The entropy, 32
// uniformly random bytes, becomes the ephemeral secret key.
//
// Errors: CodeInvalidEntropy, CodeInvalidTaskID.
func SealTaskID(p *PublicKey, entropy []byte, taskID string) (string, error) {
	if len(entropy) != 32 {
		return "", fail(CodeInvalidEntropy, "a sealed box is made with exactly 32 bytes of entropy")
	}
	if err := checkTaskID(taskID); err != nil {
		return "", err
	}
	recipient := [32]byte(p.point.BytesMontgomery())
	sealed, err := box.SealAnonymous(nil, []byte(taskID), &recipient, bytes.NewReader(entropy))
	if err != nil {
		return "", fail(CodeInternal, "sealing failed")
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// OpenTaskID opens what [SealTaskID] seals.
//
// Errors: CodeInvalidSealedTaskID, and CodeInvalidTaskID where the box opens but
// holds no task id.
func OpenTaskID(k *PrivateKey, encryptedTaskID string) (string, error) {
	sealed, err := base64.StdEncoding.Strict().DecodeString(encryptedTaskID)
	if err != nil || strings.ContainsAny(encryptedTaskID, "\r\n") {
		return "", fail(CodeInvalidSealedTaskID, "the sealed task id is not base64 in the padded standard alphabet")
	}
	secret := k.x25519()
	// As libsodium does, and package box does not: refuse an ephemeral key of
	// small order, for whose box anybody knows the shared secret.
	if len(sealed) < box.AnonymousOverhead {
		return "", fail(CodeInvalidSealedTaskID, "the sealed task id is shorter than an empty sealed box")
	}
	if _, err := curve25519.X25519(secret[:], sealed[:32]); err != nil {
		return "", fail(CodeInvalidSealedTaskID, "the sealed task id's ephemeral key is a point of small order")
	}
	public := [32]byte(k.public.point.BytesMontgomery())
	opened, ok := box.OpenAnonymous(nil, sealed, &public, &secret)
	if !ok {
		return "", fail(CodeInvalidSealedTaskID, "the sealed task id does not open with this key")
	}
	if err := checkTaskID(string(opened)); err != nil {
		return "", err
	}
	return string(opened), nil
}

// x25519 returns the key's X25519 secret, SHA-512(seed)[0:32]. X25519 clamps it
// (RFC 7748, section 5).
func (k *PrivateKey) x25519() [32]byte {
	h := sha512.Sum512(k.seed[:])
	return [32]byte(h[:32])
}
