package core

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
const ed25519Algorithm = "\x06\x03\x2b\x65\x70"

// parseKeyInfo reads PKCS#8 (RFC 5958), version 1 or 2, of an Ed25519 key. Attributes
// are let pass. The public key can have either of the tags that are around: the one of
// the RFC, or the one of older implementations, which put a bit string into it.
func parseKeyInfo(der string) (*PrivateKey, error) {
	seed, public, ok := readKeyInfo(der)
	switch {
	case !ok:
		return nil, invalidKey(otherwise(der, "is neither PKCS#8 of an Ed25519 key nor a seed of 32 bytes"))
	case public == "":
		return NewPrivateKey([]byte(seed))
	}
	return keyWithPublic(seed, public)
}

// readKeyInfo returns what is in it. The public key is empty if there is none.
func readKeyInfo(der string) (seed, public string, ok bool) {
	outer := derReader{der}
	parts := derReader{outer.read(derSequence)}
	version, algorithm := parts.read(derInteger), parts.read(derSequence)
	wrapped := derReader{parts.read(derOctetString)}
	seed = wrapped.read(derOctetString)
	if (version != "\x00" && version != "\x01") || algorithm != ed25519Algorithm || len(seed) != seedSize || wrapped.rest != "" || outer.rest != "" {
		return "", "", false
	}
	parts.read(derAttributes)
	if parts.rest == "" {
		return seed, "", true
	}
	bits := parts.read(derPublicKey)
	if old := (derReader{parts.read(derOldPublicKey)}); bits == "" {
		bits = old.read(derBitString)
		parts.rest += old.rest
	}
	if len(bits) != 1+publicSize || bits[0] != 0 || parts.rest != "" {
		return "", "", false
	}
	return seed, bits[1:], true
}

// derReader reads values of DER, one after the other.
type derReader struct{ rest string }

// read returns the content of the next value, if it has that tag, or nothing. Lengths have
// one byte: of a key that is worth reading no part is longer.
//
//go:noinline
func (d *derReader) read(tag byte) (content string) {
	if len(d.rest) < 2 || d.rest[0] != tag || d.rest[1] >= 0x80 || len(d.rest)-2 < int(d.rest[1]) {
		return ""
	}
	end := 2 + int(d.rest[1])
	content, d.rest = d.rest[2:end], d.rest[end:]
	return content
}
