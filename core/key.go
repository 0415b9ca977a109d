package core

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"strings"

	"filippo.io/edwards25519"

	"github.com/agentassert/agentassert/core/wire"
)

const (
	seedSize      = 32
	publicSize    = 32
	signatureSize = 64
)

// The DER around an Ed25519 seed in PKCS#8 (RFC 8410, section 7). Version 1
// ends with the seed; version 2 goes on with the public key.
var (
	pkcs8V1Prefix = []byte{
		0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
	}
	pkcs8V2Prefix = []byte{
		0x30, 0x51, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
	}
	pkcs8V2Middle = []byte{0x81, 0x21, 0x00}
)

const (
	pkcs8V1Size = 16 + seedSize
	pkcs8V2Size = 16 + seedSize + 3 + 32
)

// PrivateKey is an agent's Ed25519 key, expanded: what RFC 8032, section 5.1.5,
// derives from the seed is derived once. It is immutable, and safe for
// concurrent use. Formatting it shows no secret.
type PrivateKey struct {
	seed [seedSize]byte
	signer
	public PublicKey
}

// signer is what a signature takes of a key.
type signer struct {
	scalar *edwards25519.Scalar // s, clamped
	prefix [32]byte             // the second half of SHA-512(seed)
	public [32]byte             // A, encoded
}

// signerSize is how long a signer is as bytes.
const signerSize = 3 * 32

// bytes returns the signer in a form of ours: scalar, prefix and public key. It is a
// secret.
func (s *signer) bytes() []byte {
	b := append(make([]byte, 0, signerSize), s.scalar.Bytes()...)
	return append(append(b, s.prefix[:]...), s.public[:]...)
}

// readSigner reads what bytes has returned.
func readSigner(b []byte) (s *signer, ok bool) {
	if len(b) != signerSize {
		return nil, false
	}
	scalar, err := edwards25519.NewScalar().SetCanonicalBytes(b[:32])
	if err != nil {
		return nil, false
	}
	return &signer{scalar, [32]byte(b[32:64]), [32]byte(b[64:])}, true
}

// PublicKey is an agent's Ed25519 public key. It is immutable, and safe for
// concurrent use. The zero value is not a valid key.
type PublicKey struct {
	encoded [32]byte
	point   *edwards25519.Point
}

// NewPrivateKey returns the key whose seed is entropy, 32 uniformly random
// bytes. The error's code is CodeInvalidEntropy.
func NewPrivateKey(entropy []byte) (*PrivateKey, error) {
	if len(entropy) != seedSize {
		return nil, fail(CodeInvalidEntropy, "a key is made from exactly 32 bytes of entropy")
	}
	k := &PrivateKey{seed: [seedSize]byte(entropy)}
	h := sha512.Sum512(entropy)
	// The error is for a wrong length only.
	k.scalar, _ = edwards25519.NewScalar().SetBytesWithClamping(h[:32])
	copy(k.prefix[:], h[32:])
	k.public.point = new(edwards25519.Point).ScalarBaseMult(k.scalar)
	k.public.encoded = [32]byte(k.public.point.Bytes())
	k.signer.public = k.public.encoded
	return k, nil
}

// authAPIEntropy is what a key of the profile auth-api is made of, in bytes.
const authAPIEntropy = 64

// GenerateKey returns the key that clients of a profile make from entropy, uniformly
// random bytes. In the profile auth-api there are 64 of them, and the seed is the
// first half of SHA-512 of "codex-agent-identity-ed25519-v1" and these; in the others
// they are the seed, 32 bytes.
//
// Errors: CodeInvalidEntropy, CodeInvalidConfig.
func GenerateKey(profile string, entropy []byte) (*PrivateKey, error) {
	switch profile {
	case wire.ProfileBiscuit, wire.ProfileInstances:
		return NewPrivateKey(entropy)
	case wire.ProfileAuthAPI:
		if len(entropy) != authAPIEntropy {
			return nil, fail(CodeInvalidEntropy, "a key of the profile auth-api is made from exactly 64 bytes of entropy")
		}
		h := sha512.Sum512(append([]byte("codex-agent-identity-ed25519-v1"), entropy...))
		return NewPrivateKey(h[:seedSize])
	}
	return nil, errUnknownProfile()
}

// ParsePrivateKey reads base64 (standard alphabet, padded) of PKCS#8 DER,
// version 1 or 2, of exactly the bytes that RFC 8410 gives an Ed25519 key
// without attributes. In version 2 the public key must match the seed. The
// error's code is CodeInvalidPrivateKey.
func ParsePrivateKey(pkcs8 string) (*PrivateKey, error) {
	der, err := base64.StdEncoding.Strict().DecodeString(pkcs8)
	if err != nil || strings.ContainsAny(pkcs8, "\r\n") {
		return nil, fail(CodeInvalidPrivateKey, "the private key is not base64 in the padded standard alphabet")
	}
	switch {
	case len(der) == pkcs8V1Size && bytes.HasPrefix(der, pkcs8V1Prefix):
		return NewPrivateKey(der[len(pkcs8V1Prefix):])
	case len(der) == pkcs8V2Size && bytes.HasPrefix(der, pkcs8V2Prefix) &&
		bytes.HasPrefix(der[len(pkcs8V2Prefix)+seedSize:], pkcs8V2Middle):
		k, err := NewPrivateKey(der[len(pkcs8V2Prefix) : len(pkcs8V2Prefix)+seedSize])
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(k.public.encoded[:], der[pkcs8V2Size-32:]) {
			return nil, fail(CodeInvalidPrivateKey, "the private key's public half does not belong to its seed")
		}
		return k, nil
	}
	return nil, fail(CodeInvalidPrivateKey, "the private key is not an Ed25519 key in PKCS#8, version 1 or 2")
}

// PKCS8 returns base64 (standard alphabet, padded) of the key in PKCS#8,
// version 2: what the reference client stores. It is a secret.
func (k *PrivateKey) PKCS8() string {
	der := make([]byte, 0, pkcs8V2Size)
	der = append(der, pkcs8V2Prefix...)
	der = append(der, k.seed[:]...)
	der = append(der, pkcs8V2Middle...)
	der = append(der, k.public.encoded[:]...)
	return base64.StdEncoding.EncodeToString(der)
}

// Public returns the key's public half.
func (k *PrivateKey) Public() *PublicKey { return &k.public }

// sign returns the Ed25519 signature of message (RFC 8032, section 5.1.6).
func (s *signer) sign(message []byte) []byte {
	r := hashToScalar(s.prefix[:], message)
	R := new(edwards25519.Point).ScalarBaseMult(r).Bytes()
	S := edwards25519.NewScalar().MultiplyAdd(challenge(R, s.public[:], message), s.scalar, r)
	return append(append(make([]byte, 0, signatureSize), R...), S.Bytes()...)
}

// verify checks an Ed25519 signature of message (RFC 8032, section 5.1.7, the
// equation without the cofactor): S must be reduced, and R is compared as bytes.
func (p *PublicKey) verify(message, signature []byte) bool {
	if len(signature) != signatureSize {
		return false
	}
	S, err := edwards25519.NewScalar().SetCanonicalBytes(signature[32:])
	if err != nil {
		return false
	}
	// R = S·B − k·A
	minusA := new(edwards25519.Point).Negate(p.point)
	R := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(challenge(signature[:32], p.encoded[:], message), minusA, S)
	return bytes.Equal(R.Bytes(), signature[:32])
}

// challenge returns k = SHA-512(R ‖ A ‖ message) mod L.
func challenge(R, A, message []byte) *edwards25519.Scalar {
	return hashToScalar(R, A, message)
}

// hashToScalar returns SHA-512 of all parts, one after the other, mod L.
func hashToScalar(parts ...[]byte) *edwards25519.Scalar {
	joined := make([]byte, 0, 512) // on the stack, unless there is more
	for _, p := range parts {
		joined = append(joined, p...)
	}
	h := sha512.Sum512(joined)
	s, _ := edwards25519.NewScalar().SetUniformBytes(h[:]) // the error is for a wrong length only
	return s
}

// sshKeyPrefix stands before the 32 bytes of an Ed25519 key in OpenSSH's wire
// form (RFC 8709, section 4): two strings with 4-byte big-endian lengths.
const sshKeyPrefix = "\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"

const sshKeyType = "ssh-ed25519 "

// ParsePublicKey reads a public key in OpenSSH form, without a comment. It
// refuses encodings that are not canonical, and points of small order, for
// which anybody can make signatures. The error's code is CodeInvalidPublicKey.
func ParsePublicKey(openSSH string) (*PublicKey, error) {
	encoded, ok := strings.CutPrefix(openSSH, sshKeyType)
	if !ok {
		return nil, fail(CodeInvalidPublicKey, `the public key does not start with "ssh-ed25519 "`)
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return nil, fail(CodeInvalidPublicKey, "the public key is not base64 in the padded standard alphabet, without a comment")
	}
	key, ok := bytes.CutPrefix(blob, []byte(sshKeyPrefix))
	if !ok || len(key) != publicSize {
		return nil, fail(CodeInvalidPublicKey, "the public key is not an Ed25519 key in OpenSSH form")
	}
	return newPublicKey(string(key))
}

// newPublicKey returns the key of 32 bytes, as RFC 8032, section 5.1.2, has it, if it is one
// that [ParsePublicKey] takes.
func newPublicKey(key string) (*PublicKey, error) {
	if len(key) != publicSize {
		return nil, invalidPublicKey("has not 32 bytes")
	}
	point, err := new(edwards25519.Point).SetBytes([]byte(key))
	if err != nil || string(point.Bytes()) != key {
		return nil, invalidPublicKey("is not the canonical encoding of a point on the curve")
	}
	if new(edwards25519.Point).MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return nil, invalidPublicKey("is a point of small order")
	}
	return &PublicKey{encoded: [32]byte([]byte(key)), point: point}, nil
}

// OpenSSH returns the key in OpenSSH form, without a comment: "ssh-ed25519 "
// and base64.
func (p *PublicKey) OpenSSH() string {
	blob := make([]byte, 0, len(sshKeyPrefix)+32)
	blob = append(blob, sshKeyPrefix...)
	blob = append(blob, p.encoded[:]...)
	return sshKeyType + base64.StdEncoding.EncodeToString(blob)
}

// String is OpenSSH.
func (p *PublicKey) String() string { return p.OpenSSH() }

// WarmUp fills the tables of base point multiples that the curve arithmetic
// keeps, so that the first signature and the first verification are as fast as
// the next. The guest calls it before its memory is written out.
func WarmUp() {
	k, err := NewPrivateKey(make([]byte, seedSize))
	if err != nil {
		panic(err)
	}
	k.public.verify(nil, k.sign(nil))
}

// Equal reports whether p and q are the same key.
func (p *PublicKey) Equal(q *PublicKey) bool { return p.encoded == q.encoded }
