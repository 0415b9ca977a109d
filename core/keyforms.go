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
	text = strings.ReplaceAll(strings.ReplaceAll(text, `\r`, "\r"), `\n`, "\n")
	if strings.Contains(text, "-----BEGIN") {
		return importPEM(text)
	}
	encoded := withoutSpace(text)
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
	s = strings.TrimRight(strings.ReplaceAll(strings.ReplaceAll(s, "-", "+"), "_", "/"), "=")
	raw, err := base64.RawStdEncoding.Strict().DecodeString(s)
	return raw, err == nil
}

// importPEM reads the one key in a text in PEM (RFC 7468).
func importPEM(text string) (*PrivateKey, error) {
	const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"
	_, rest, _ := strings.Cut(text, begin)
	label, rest, _ := strings.Cut(rest, dashes)
	encoded, rest, ok := strings.Cut(rest, end+label+dashes)
	if !ok {
		return nil, invalidKey("is in PEM that is damaged or cut off")
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
	}
	return parseKeyInfo(raw)
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
	derSequence    = 0x30
	// derAttributes, derPublicKey and derOldPublicKey are those of the optional parts.
	derAttributes   = 0xa0
	derPublicKey    = 0x81
	derOldPublicKey = 0xa1
)

// ed25519Algorithm is id-Ed25519, without parameters (RFC 8410, section 3).
var ed25519Algorithm = []byte{0x06, 0x03, 0x2b, 0x65, 0x70}

// parseKeyInfo reads PKCS#8 (RFC 5958), version 1 or 2, of an Ed25519 key. Attributes
// are let pass. The public key can have either of the tags that are around: the one of
// the RFC, or the one of older implementations, which put a bit string into it.
func parseKeyInfo(der []byte) (*PrivateKey, error) {
	invalid := invalidKey("is neither PKCS#8 of an Ed25519 key nor a seed of 32 bytes")
	outer := derReader{der}
	info, _ := outer.read(derSequence) // without one there is no version
	parts := derReader{info}
	if version, _ := parts.read(derInteger); len(version) != 1 || version[0] > 1 || len(outer.rest) > 0 {
		return nil, invalid
	}
	if algorithm, _ := parts.read(derSequence); !bytes.Equal(algorithm, ed25519Algorithm) {
		return nil, invalidKey("is of another algorithm than Ed25519")
	}
	wrapped, _ := parts.read(derOctetString)
	inner := derReader{wrapped}
	seed, _ := inner.read(derOctetString)
	if len(seed) != seedSize || len(inner.rest) > 0 {
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

// read returns the content of the next value, if it has that tag. Lengths have one byte:
// of a key that is worth reading no part is longer.
func (d *derReader) read(tag byte) (content []byte, ok bool) {
	if len(d.rest) < 2 || d.rest[0] != tag || d.rest[1] >= 0x80 || len(d.rest)-2 < int(d.rest[1]) {
		return nil, false
	}
	end := 2 + int(d.rest[1])
	content, d.rest = d.rest[2:end], d.rest[end:]
	return content, true
}

const (
	// openSSHMagic is what a key in OpenSSH's own form begins with, and openSSHPlain what
	// one without a passphrase does (PROTOCOL.key of OpenSSH): cipher and key derivation
	// are none, and there is one key.
	openSSHMagic = "openssh-key-v1\x00"
	openSSHPlain = openSSHMagic + "\x00\x00\x00\x04none\x00\x00\x00\x04none\x00\x00\x00\x00\x00\x00\x00\x01"
	// openSSHCheck and openSSHSeed are where a number, which is there twice, and the seed
	// are behind that. Before the number is the size of what follows.
	openSSHCheck = 4 + len(sshKeyPrefix) + 32 + 4
	openSSHSeed  = openSSHCheck + 4 + 4 + len(sshKeyPrefix) + 32 + 4
)

// parseOpenSSH reads a key in OpenSSH's own form, without a passphrase. All but the
// comment and what fills the last block is known from the seed, and compared.
func parseOpenSSH(raw []byte) (*PrivateKey, error) {
	rest, ok := bytes.CutPrefix(raw, []byte(openSSHPlain))
	if !ok {
		return nil, invalidKey("has a passphrase, or is not in OpenSSH's form; remove the passphrase first, with ssh-keygen -p")
	}
	invalid := invalidKey("is not the OpenSSH form of an Ed25519 key")
	if len(rest) < openSSHSeed+seedSize {
		return nil, invalid
	}
	k, err := NewPrivateKey(rest[openSSHSeed : openSSHSeed+seedSize])
	if err != nil {
		return nil, err
	}
	public, check := string(k.public.encoded[:]), string(rest[openSSHCheck:openSSHCheck+4])
	want := binary.BigEndian.AppendUint32(nil, uint32(len(sshKeyPrefix)+32))
	want = append(want, sshKeyPrefix+public...)
	want = binary.BigEndian.AppendUint32(want, uint32(len(rest)-openSSHCheck))
	want = append(want, check+check+sshKeyPrefix+public...)
	want = binary.BigEndian.AppendUint32(want, 2*seedSize)
	want = append(append(want, k.seed[:]...), public...)
	if !bytes.HasPrefix(rest, want) {
		return nil, invalid
	}
	return k, nil
}
