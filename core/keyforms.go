package core

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// importKey reads a private key in any form that is around: PKCS#8 in PEM, base64,
// base64url or hexadecimal, an OpenSSH key, or the seed alone, or with the public key
// behind it, in base64, base64url or hexadecimal. White space does not matter. Errors
// have no part of the text.
func importKey(text string) (*PrivateKey, error) {
	// Keys that come out of environments have their line breaks escaped.
	text = strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(text)
	if strings.Contains(text, "-----BEGIN") {
		return importPEM(text)
	}
	encoded := withoutSpace(text)
	if encoded == "" {
		return nil, invalidKey("is empty")
	}
	if raw, err := hex.DecodeString(encoded); err == nil {
		return importRawKey(raw)
	}
	raw, ok := decodeBase64(encoded)
	if !ok {
		return nil, invalidKey("is neither PEM nor base64 nor hexadecimal")
	}
	return importRawKey(raw)
}

func invalidKey(problem string) *Error {
	return fail(CodeInvalidPrivateKey, "the private key "+problem)
}

// withoutSpace returns a text without white space.
func withoutSpace(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n", r) {
			return -1
		}
		return r
	}, s)
}

// decodeBase64 reads base64 in either alphabet, padded or not.
func decodeBase64(s string) (raw []byte, ok bool) {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(s)
	if unpadded := strings.TrimRight(s, "="); len(s)-len(unpadded) <= 2 {
		s = unpadded
	}
	raw, err := base64.RawStdEncoding.Strict().DecodeString(s)
	return raw, err == nil
}

// importPEM reads the one key in a text in PEM (RFC 7468).
func importPEM(text string) (*PrivateKey, error) {
	const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"
	_, rest, _ := strings.Cut(text, begin)
	label, rest, ok := strings.Cut(rest, dashes)
	if !ok || len(label) > 32 {
		return nil, invalidKey("is in PEM whose first line is damaged")
	}
	encoded, rest, ok := strings.Cut(rest, end+label+dashes)
	if !ok {
		return nil, invalidKey("is in PEM that has no end")
	}
	if strings.Contains(rest, begin) {
		return nil, invalidKey("is in PEM with more than one part")
	}
	raw, ok := decodeBase64(withoutSpace(encoded))
	if !ok {
		return nil, invalidKey("is in PEM whose content is not base64")
	}
	switch label {
	case "PRIVATE KEY":
		return parseKeyInfo(raw)
	case "OPENSSH PRIVATE KEY":
		return parseOpenSSH(raw)
	case "ENCRYPTED PRIVATE KEY":
		return nil, invalidKey("is encrypted; decrypt it first")
	}
	return nil, invalidKey("is in PEM of another kind than PRIVATE KEY and OPENSSH PRIVATE KEY")
}

// importRawKey reads a key by its length and its beginning.
func importRawKey(raw []byte) (*PrivateKey, error) {
	switch {
	case len(raw) == seedSize:
		return NewPrivateKey(raw)
	case len(raw) == 2*seedSize:
		return keyWithPublic(raw[:seedSize], raw[seedSize:])
	case bytes.HasPrefix(raw, []byte(openSSHMagic)):
		return parseOpenSSH(raw)
	case len(raw) > 0 && raw[0] == derSequence:
		return parseKeyInfo(raw)
	}
	return nil, invalidKey("is not an Ed25519 key: neither PKCS#8 nor a seed of 32 bytes")
}

// keyWithPublic makes a key of its seed, and compares the public half.
func keyWithPublic(seed, public []byte) (*PrivateKey, error) {
	k, err := NewPrivateKey(seed)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(k.public.encoded[:], public) {
		return nil, invalidKey("has a public half that does not belong to its seed")
	}
	return k, nil
}

// The tags of DER that a key has.
const (
	derInteger     = 0x02
	derBitString   = 0x03
	derOctetString = 0x04
	derOID         = 0x06
	derSequence    = 0x30
	// derAttributes, derPublicKey and derOldPublicKey are those of the optional parts.
	derAttributes   = 0xa0
	derPublicKey    = 0x81
	derOldPublicKey = 0xa1
)

// ed25519OID is id-Ed25519 (RFC 8410, section 3).
var ed25519OID = []byte{0x2b, 0x65, 0x70}

// parseKeyInfo reads PKCS#8 (RFC 5958), version 1 or 2, of an Ed25519 key. Attributes
// are let pass. The public key can have either of the tags that are around: the one of
// the RFC, or the one of older implementations, which put a bit string into it.
func parseKeyInfo(der []byte) (*PrivateKey, error) {
	invalid := invalidKey("is not PKCS#8 of an Ed25519 key")
	outer := derReader{der}
	info, ok := outer.read(derSequence)
	if !ok || len(outer.rest) > 0 {
		return nil, invalid
	}
	parts := derReader{info}
	version, ok := parts.read(derInteger)
	if !ok || len(version) != 1 || version[0] > 1 {
		return nil, invalid
	}
	algorithm, ok := parts.read(derSequence)
	if !ok {
		return nil, invalid
	}
	named := derReader{algorithm}
	if oid, ok := named.read(derOID); !ok || !bytes.Equal(oid, ed25519OID) || len(named.rest) > 0 {
		return nil, invalidKey("is of another algorithm than Ed25519")
	}
	wrapped, ok := parts.read(derOctetString)
	if !ok {
		return nil, invalid
	}
	inner := derReader{wrapped}
	seed, ok := inner.read(derOctetString)
	if !ok || len(inner.rest) > 0 || len(seed) != seedSize {
		return nil, invalid
	}
	_, _ = parts.read(derAttributes)
	bits, hasPublic := parts.read(derPublicKey)
	if old, ok := parts.read(derOldPublicKey); ok && !hasPublic {
		within := derReader{old}
		if bits, hasPublic = within.read(derBitString); !hasPublic || len(within.rest) > 0 {
			return nil, invalid
		}
	}
	if len(parts.rest) > 0 || hasPublic && (len(bits) != 1+32 || bits[0] != 0) {
		return nil, invalid
	}
	if !hasPublic {
		return NewPrivateKey(seed)
	}
	return keyWithPublic(seed, bits[1:])
}

// derReader reads values of DER, one after the other.
type derReader struct{ rest []byte }

// read returns the content of the next value, if it has that tag. Lengths have at most
// one byte more than the first: no key is longer.
func (d *derReader) read(tag byte) (content []byte, ok bool) {
	if len(d.rest) < 2 || d.rest[0] != tag {
		return nil, false
	}
	size, header := int(d.rest[1]), 2
	if size == 0x81 && len(d.rest) > 2 && d.rest[2] >= 0x80 {
		size, header = int(d.rest[2]), 3
	} else if size >= 0x80 {
		return nil, false
	}
	if len(d.rest) < header+size {
		return nil, false
	}
	content, d.rest = d.rest[header:header+size], d.rest[header+size:]
	return content, true
}

// openSSHMagic is what an OpenSSH key begins with.
const openSSHMagic = "openssh-key-v1\x00"

// parseOpenSSH reads the private key of OpenSSH's own form (PROTOCOL.key of OpenSSH),
// without a passphrase.
func parseOpenSSH(raw []byte) (*PrivateKey, error) {
	invalid := invalidKey("is not the OpenSSH form of an Ed25519 key")
	rest, ok := bytes.CutPrefix(raw, []byte(openSSHMagic))
	if !ok {
		return nil, invalid
	}
	outer := sshReader{rest: rest}
	cipher, kdf, options := outer.string(), outer.string(), outer.string()
	count, public, private := outer.uint32(), outer.string(), outer.string()
	switch {
	case outer.bad || len(outer.rest) > 0 || count != 1:
		return nil, invalid
	case string(cipher) != "none" || string(kdf) != "none" || len(options) > 0:
		return nil, invalidKey("has a passphrase; remove it first, with ssh-keygen -p")
	}
	inner := sshReader{rest: private}
	check1, check2 := inner.uint32(), inner.uint32()
	kind, half, whole := inner.string(), inner.string(), inner.string()
	inner.string() // the comment
	if inner.bad || check1 != check2 || string(kind)+" " != sshKeyType || len(half) != 32 || len(whole) != 2*seedSize || !bytes.Equal(whole[seedSize:], half) {
		return nil, invalid
	}
	for i, c := range inner.rest { // padding
		if int(c) != i+1 {
			return nil, invalid
		}
	}
	k, err := keyWithPublic(whole[:seedSize], half)
	if err != nil {
		return nil, err
	}
	if string(public) != sshKeyPrefix+string(k.public.encoded[:]) {
		return nil, invalidKey("has a public half that does not belong to its seed")
	}
	return k, nil
}

// sshReader reads values of SSH (RFC 4251, section 5), one after the other.
type sshReader struct {
	rest []byte
	bad  bool
}

func (s *sshReader) uint32() uint32 {
	if len(s.rest) < 4 {
		s.bad = true
		return 0
	}
	n := binary.BigEndian.Uint32(s.rest)
	s.rest = s.rest[4:]
	return n
}

func (s *sshReader) string() []byte {
	n := s.uint32()
	if s.bad || uint64(n) > uint64(len(s.rest)) {
		s.bad = true
		return nil
	}
	text := s.rest[:n]
	s.rest = s.rest[n:]
	return text
}
