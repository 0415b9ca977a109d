package core

import "strings"

// ImportPublicKey reads an Ed25519 public key in any form that is around:
//
//   - OpenSSH's, with a comment or without, or the base64 in it alone;
//   - SubjectPublicKeyInfo (RFC 8410): PEM, or DER, as it is or in base64, base64url or
//     hexadecimal;
//   - a JWK (RFC 8037);
//   - the 32 bytes (RFC 8032): as bytes, or in base64, base64url or hexadecimal.
//
// Text is a string, or bytes in UTF-8; what is binary is bytes. A private key is refused in
// whatever form: it is in the wrong place. (Only a seed alone nobody can tell from a public
// key.) So are, as by [ParsePublicKey], encodings that are not canonical, and points of small
// order.
//
// The error's code is CodeInvalidPublicKey. It says what was found instead, and what to do,
// and quotes nothing of it.
func ImportPublicKey[T string | []byte](key T) (*PublicKey, error) {
	return importPublicKey(formOf(key))
}

// importPublicKey makes a public key of what was read, unless that is a problem.
func importPublicKey(form keyForm) (*PublicKey, error) {
	raw := form.text
	switch form.kind {
	case formProblem:
		return nil, invalidPublicKey(form.text)
	case formJWK:
		return publicKeyOfJWK(form.jwk)
	case formLine:
		return publicKeyOfLine(form.text)
	case formBinary:
		switch {
		case len(raw) == publicSize:
			return newPublicKey(raw)
		case strings.HasPrefix(raw, sshKeyPrefix):
			return newPublicKey(raw[len(sshKeyPrefix):])
		}
	}
	if form.kind == formPublicPEM || strings.HasPrefix(raw, spkiPrefix) {
		if key, ok := strings.CutPrefix(raw, spkiPrefix); ok {
			return newPublicKey(key)
		}
		return nil, invalidPublicKey(otherwise(raw, "is not SubjectPublicKeyInfo of an Ed25519 key"))
	}
	// Whatever is left is a private key, or nothing.
	if _, err := importKey(form); err == nil || form.kind != formBinary || strings.HasPrefix(raw, openSSHMagic) {
		return nil, errPrivateForPublic()
	}
	return nil, invalidPublicKey(otherwise(raw, "is neither 32 bytes nor SubjectPublicKeyInfo nor OpenSSH's"))
}

//go:noinline // as is fail
func invalidPublicKey(problem string) *Error {
	return fail(CodeInvalidPublicKey, "the public key "+problem)
}

func errPrivateForPublic() *Error {
	return invalidPublicKey("is a private key: give its public half instead, and if others have seen the private key here, make another")
}

// spkiPrefix is the DER before the 32 bytes of an Ed25519 key in SubjectPublicKeyInfo (RFC
// 8410, section 4).
const spkiPrefix = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"

// publicKeyOfLine reads OpenSSH's form with a comment, as it stands in a .pub file.
func publicKeyOfLine(line string) (*PublicKey, error) {
	encoded, ok := strings.CutPrefix(line, sshKeyType)
	switch {
	case strings.IndexByte(line, '\n') >= 0:
		return nil, invalidPublicKey("is one of several lines; give the one that has it")
	case !ok:
		return nil, invalidPublicKey("is one of OpenSSH's of another type than ssh-ed25519" + notEd25519)
	}
	encoded, _, _ = strings.Cut(encoded, " ")
	return ParsePublicKey(sshKeyType + encoded)
}
