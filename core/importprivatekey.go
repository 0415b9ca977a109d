package core

import "strings"

// ImportPrivateKey reads an Ed25519 private key in any form that is around:
//
//   - PKCS#8 (RFC 5958, RFC 8410), version 1 or 2: PEM, or DER, as it is or in base64,
//     base64url or hexadecimal;
//   - OpenSSH's own form without a passphrase, in PEM, as it is or in base64;
//   - a JWK (RFC 8037);
//   - the seed alone (RFC 8032), or with the public key behind it, as libsodium and Go have
//     it: as bytes, or in base64, base64url or hexadecimal.
//
// Text is a string, or bytes in UTF-8; what is binary is bytes. White space in a text does not
// matter, nor do lines before the key that begin with #. A public half has to belong to the
// seed, wherever there is one.
//
// The error's code is CodeInvalidPrivateKey. It says what was found instead, and what to
// do, and quotes nothing of it.
func ImportPrivateKey[T string | []byte](key T) (*PrivateKey, error) { return importKey(formOf(key)) }

// formOf reads a key's form from text or bytes.
func formOf[T string | []byte](key T) keyForm {
	if text, ok := any(key).(string); ok {
		return readKeyForm(text)
	}
	return readKeyFormBytes([]byte(key))
}

// importKey makes a private key of what was read, unless that is a problem.
func importKey(form keyForm) (*PrivateKey, error) {
	raw := form.text
	switch form.kind {
	case formProblem:
		return nil, invalidKey(form.text)
	case formJWK:
		return privateKeyOfJWK(form.jwk)
	case formPrivatePEM:
		return parseKeyInfo(raw)
	case formOpenSSHPEM:
		return parseOpenSSH(raw)
	case formBinary:
		switch {
		case len(raw) == seedSize:
			return NewPrivateKey([]byte(raw))
		case len(raw) == 2*seedSize:
			return keyWithPublic(raw[:seedSize], raw[seedSize:])
		case strings.HasPrefix(raw, openSSHMagic):
			return parseOpenSSH(raw)
		case !strings.HasPrefix(raw, sshKeyPrefix) && !strings.HasPrefix(raw, spkiPrefix):
			return parseKeyInfo(raw)
		}
	}
	return nil, invalidKey("is a public key; give the private one that belongs to it")
}

//go:noinline // as is fail
func invalidKey(problem string) *Error {
	return fail(CodeInvalidPrivateKey, "the private key "+problem)
}

// keyWithPublic makes a key of its seed, and compares the public half.
func keyWithPublic(seed, public string) (*PrivateKey, error) {
	k, err := NewPrivateKey([]byte(seed))
	if err == nil && string(k.public.encoded[:]) != public {
		return nil, invalidKey("has a public half that does not belong to its seed")
	}
	return k, err
}
