package core

import (
	"encoding/base64"
	"strings"
)

// privateKeyOfJWK reads an Ed25519 key of a JWK (RFC 8037, section 2).
func privateKeyOfJWK(jwk *jsonValue) (*PrivateKey, error) {
	problem := checkJWK(jwk)
	switch {
	case problem != "":
	case jwk.member("d") == nil:
		problem = "is the JWK of a public key; give the one that has a d"
	default:
		seed := jwkBytes(jwk, "d")
		if seed != "" {
			return keyWithPublic(seed, jwkBytes(jwk, "x"))
		}
		problem = "is a JWK whose d is not 32 bytes in base64url"
	}
	return nil, invalidKey(problem)
}

// publicKeyOfJWK reads an Ed25519 public key of a JWK (RFC 8037, section 2).
func publicKeyOfJWK(jwk *jsonValue) (*PublicKey, error) {
	if jwk.member("d") != nil {
		return nil, errPrivateForPublic()
	}
	if problem := checkJWK(jwk); problem != "" {
		return nil, invalidPublicKey(problem)
	}
	return newPublicKey(jwkBytes(jwk, "x"))
}

// checkJWK says what a JWK is instead of one of an Ed25519 key that signs. Members that say
// nothing of that, such as kid and key_ops, are let pass.
func checkJWK(jwk *jsonValue) (problem string) {
	if jwk.member("keys") != nil {
		return "is a set of JWKs; give one of its keys"
	}
	for _, m := range [...]struct{ name, is, or string }{
		{"kty", "OKP", "OKP"},
		{"crv", "Ed25519", "Ed25519"},
		// The names of RFC 8037, section 3.1, and RFC 9864.
		{"alg", "EdDSA", "Ed25519"},
		{"use", "sig", "sig"},
	} {
		v := jwk.member(m.name)
		if v == nil && m.name != "kty" && m.name != "crv" {
			continue
		}
		if v == nil || v.text != m.is && v.text != m.or {
			return "is a JWK whose " + m.name + " is not " + m.is + notEd25519
		}
	}
	if jwkBytes(jwk, "x") == "" {
		return "is a JWK whose x is not 32 bytes in base64url"
	}
	return ""
}

// jwkBytes returns the 32 bytes of a JWK's member, or nothing.
func jwkBytes(jwk *jsonValue, name string) string {
	text, _ := jwk.stringMember(name)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != seedSize || strings.ContainsAny(text, "\r\n") {
		return ""
	}
	return string(raw)
}

// jwkText returns a JWK, its members in the order of RFC 7638, with a private half if the
// seed is there.
func (p *PublicKey) jwkText(seed []byte) string {
	encode := base64.RawURLEncoding.EncodeToString
	d := ""
	if len(seed) > 0 {
		d = `"d":"` + encode(seed) + `",`
	}
	return `{"crv":"Ed25519",` + d + `"kty":"OKP","x":"` + encode(p.encoded[:]) + `"}`
}
