package core

import (
	"encoding/base64"

	"github.com/agentassert/agentassert/core/wire"
)

// Export returns the key in a form that other software reads. It is a secret.
//
//   - wire.KeyFormatPKCS8V1: base64 (standard alphabet, padded) of PKCS#8 version 1 (RFC
//     8410), which OpenSSL 3.0 and older implementations of Web Crypto read, unlike version 2;
//   - wire.KeyFormatPEM: the same DER in PEM;
//   - wire.KeyFormatJWK: a JWK (RFC 8037), compact;
//   - wire.KeyFormatRaw: the seed's 32 bytes;
//   - wire.KeyFormatOpenSSH: OpenSSH's own form in PEM, without a passphrase or a comment.
//
// All but the seed are ASCII. [PrivateKey.PKCS8] is the form that is kept. The error's code is
// CodeInvalidConfig, for another format.
func (k *PrivateKey) Export(format string) ([]byte, error) {
	text, err := k.export(format)
	return []byte(text), err
}

func (k *PrivateKey) export(format string) (string, error) {
	v1 := string(pkcs8V1Prefix) + string(k.seed[:])
	switch format {
	case wire.KeyFormatPKCS8V1:
		return base64.StdEncoding.EncodeToString([]byte(v1)), nil
	case wire.KeyFormatPEM:
		return pemText(pemPrivate, v1, pemLine), nil
	case wire.KeyFormatJWK:
		return k.public.jwkText(k.seed[:]), nil
	case wire.KeyFormatRaw:
		return string(k.seed[:]), nil
	case wire.KeyFormatOpenSSH:
		// The number is for a passphrase, of which there is none.
		return pemText(pemOpenSSH, k.openSSH("\x00\x00\x00\x00", ""), openSSHLine), nil
	}
	return "", fail(CodeInvalidConfig, "a private key is exported as pkcs8-v1, pem, jwk, raw or openssh")
}

// Export returns the key in a form that other software reads.
//
//   - wire.KeyFormatSPKI: base64 (standard alphabet, padded) of SubjectPublicKeyInfo (RFC
//     8410);
//   - wire.KeyFormatPEM: the same DER in PEM;
//   - wire.KeyFormatJWK: a JWK (RFC 8037), compact, as its thumbprint is made of (RFC 7638);
//   - wire.KeyFormatRaw: the 32 bytes.
//
// All but the last are ASCII. [PublicKey.OpenSSH] is the form that is kept. The error's code
// is CodeInvalidConfig, for another format.
func (p *PublicKey) Export(format string) ([]byte, error) {
	text, err := p.export(format)
	return []byte(text), err
}

func (p *PublicKey) export(format string) (string, error) {
	spki := spkiPrefix + string(p.encoded[:])
	switch format {
	case wire.KeyFormatSPKI:
		return base64.StdEncoding.EncodeToString([]byte(spki)), nil
	case wire.KeyFormatPEM:
		return pemText(pemPublic, spki, pemLine), nil
	case wire.KeyFormatJWK:
		return p.jwkText(nil), nil
	case wire.KeyFormatRaw:
		return string(p.encoded[:]), nil
	}
	return "", fail(CodeInvalidConfig, "a public key is exported as spki, pem, jwk or raw")
}

// How long a line of PEM is: by RFC 7468, and in OpenSSH's files.
const (
	pemLine     = 64
	openSSHLine = 70
)

// pemText returns PEM (RFC 7468).
func pemText(label, der string, line int) string {
	text := pemBegin + label + pemDashes + "\n"
	for encoded := base64.StdEncoding.EncodeToString([]byte(der)); encoded != ""; {
		n := min(line, len(encoded))
		text += encoded[:n] + "\n"
		encoded = encoded[n:]
	}
	return text + pemEnd + label + pemDashes + "\n"
}
