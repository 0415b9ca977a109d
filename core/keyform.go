package core

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"
)

// keyForm is what a key was found to be written as, before anybody knows whether it is one,
// and of which kind.
type keyForm struct {
	kind keyFormKind
	// text is the bytes of a binary form, without what they were encoded in; or the line; or
	// the problem, which quotes nothing of what was read.
	text string
	jwk  *jsonValue
}

type keyFormKind byte

const (
	formProblem    keyFormKind = iota
	formBinary                 // without a word on what it is
	formPrivatePEM             // PRIVATE KEY
	formPublicPEM              // PUBLIC KEY
	formOpenSSHPEM             // OPENSSH PRIVATE KEY
	formLine                   // a text that begins with the name of a type of key, as in OpenSSH
	formJWK                    // a JSON object
)

// The kinds of PEM that keys are read from and written to.
const (
	pemPrivate = "PRIVATE KEY"
	pemOpenSSH = "OPENSSH PRIVATE KEY"
	pemPublic  = "PUBLIC KEY"
)

func problemForm(problem string) keyForm { return keyForm{formProblem, problem, nil} }

// notEd25519 ends what is said of keys of other algorithms.
const notEd25519 = "; an agent's key is an Ed25519 key"

// readKeyForm reads a key's text: PEM, JSON, a line of OpenSSH's, base64, base64url or
// hexadecimal. White space does not matter, nor do lines before the key that begin with #.
func readKeyForm(text string) keyForm {
	const space = "\ufeff \t\r\n"
	text = strings.Trim(text, space)
	for strings.HasPrefix(text, "#") {
		_, text, _ = strings.Cut(text, "\n")
		text = strings.TrimLeft(text, space)
	}
	if strings.HasPrefix(text, "{") {
		v, err := parseJSON([]byte(text), maxNetworkJSON)
		if err != nil {
			return problemForm("begins as a JWK does, and is not JSON: " + err.Error())
		}
		return keyForm{formJWK, "", v}
	}
	if _, rest, ok := strings.Cut(text, pemBegin); ok {
		return readPEM(rest)
	}
	for _, other := range [...]struct{ prefix, problem string }{
		{"ssh-", ""}, {"ecdsa-", ""}, {"sk-", ""},
		{"---- BEGIN SSH2", "is a public key in the form of RFC 4716; have it in OpenSSH's, with ssh-keygen -i -f FILE"},
		{"PuTTY-", "is in PuTTY's form; have it in OpenSSH's, with puttygen FILE -O private-openssh-new -o OTHER"},
		{"AGE-SECRET-KEY-", "is one of age's, for encryption" + notEd25519},
	} {
		if strings.HasPrefix(text, other.prefix) {
			if other.problem == "" {
				return keyForm{formLine, text, nil}
			}
			return problemForm(other.problem)
		}
	}
	encoded := plainBase64(text)
	raw, ok := decodeHex(encoded)
	if !ok {
		raw, ok = decodeBase64(encoded)
	}
	switch {
	case text == "":
		return problemForm("is empty")
	case !ok:
		return problemForm("is neither PEM nor a JWK nor base64 nor hexadecimal")
	}
	return keyForm{formBinary, raw, nil}
}

// readKeyFormBytes reads a key's bytes. 32 of them are the key itself, whatever they are; so
// is anything else that is no text.
func readKeyFormBytes(data []byte) keyForm {
	text := string(data)
	switch {
	case len(text) == seedSize || len(text) == 2*seedSize && !utf8.ValidString(text):
	case strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff"):
		return problemForm("is in UTF-16; save it as UTF-8")
	case hasNoControls(text):
		return readKeyForm(text)
	}
	return keyForm{formBinary, text, nil}
}

// hasNoControls reports whether s has no control characters but white space. What is
// binary has some, but for 64 bytes that chance made; and a comment can be in any encoding.
func hasNoControls(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && strings.IndexByte("\t\r\n", s[i]) < 0 {
			return false
		}
	}
	return true
}

const pemBegin, pemEnd, pemDashes = "-----BEGIN ", "-----END ", "-----"

// readPEM reads the one part of a text in PEM (RFC 7468), from where its label begins.
func readPEM(text string) keyForm {
	label, rest, _ := strings.Cut(text, pemDashes)
	encoded, rest, ok := strings.Cut(rest, pemEnd+label+pemDashes)
	if !ok {
		return problemForm("is in PEM that is damaged or cut off")
	}
	if strings.Contains(rest, pemBegin) {
		return problemForm("is in PEM with more than one part")
	}
	kind := formProblem
	switch label {
	case pemPrivate:
		kind = formPrivatePEM
	case pemPublic:
		kind = formPublicPEM
	case pemOpenSSH:
		kind = formOpenSSHPEM
	case "ENCRYPTED PRIVATE KEY":
		return problemForm(encryptedProblem)
	case "CERTIFICATE":
		return problemForm("is a certificate; have its public key, with openssl x509 -in FILE -noout -pubkey")
	default:
		return problemForm("is in PEM of another kind than " + pemPrivate + ", " + pemOpenSSH + " and " + pemPublic + notEd25519)
	}
	raw, ok := decodeBase64(plainBase64(encoded))
	if !ok {
		return problemForm("is in PEM whose content is not base64")
	}
	return keyForm{kind, raw, nil}
}

const encryptedProblem = "is encrypted; decrypt it first, with openssl pkey -in FILE -out OTHER"

// otherwise says what DER holds that is no Ed25519 key, as far as the name of an algorithm in
// it tells; or else the problem.
func otherwise(der, problem string) string {
	der = der[:min(len(der), 32)] // it stands near the beginning
	for _, a := range [...]struct{ oid, problem string }{
		// PBES1 and PBES2 (RFC 8018).
		{"\x2a\x86\x48\x86\xf7\x0d\x01\x05", encryptedProblem},
		{"\x2a\x86\x48\x86\xf7\x0d\x01\x01", "is an RSA key" + notEd25519},
		{"\x2a\x86\x48\xce\x3d\x02\x01", "is an ECDSA key" + notEd25519},
		{"\x06\x03\x2b\x65\x6e", "is an X25519 key, for encryption" + notEd25519},
	} {
		if strings.Contains(der, a.oid) {
			return a.problem
		}
	}
	return problem
}

// plainBase64 returns a text in the standard alphabet of base64, without white space. Keys
// that come out of environments have their line breaks escaped.
func plainBase64(s string) string {
	plain := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			continue
		case c == '\\' && i+1 < len(s) && strings.IndexByte("rn", s[i+1]) >= 0:
			i++
			continue
		case c == '-':
			c = '+'
		case c == '_':
			c = '/'
		}
		plain = append(plain, c)
	}
	return string(plain)
}

// decodeHex reads hexadecimal. Package encoding/hex would bring package fmt into the module.
func decodeHex(s string) (raw string, ok bool) {
	b := make([]byte, 0, len(s)/2)
	for ; len(s) >= 2; s = s[2:] {
		c, err := strconv.ParseUint(s[:2], 16, 8)
		if err != nil {
			return "", false
		}
		b = append(b, byte(c))
	}
	return string(b), s == ""
}

// decodeBase64 reads base64 in the standard alphabet, padded or not.
func decodeBase64(s string) (raw string, ok bool) {
	b, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(s, "="))
	return string(b), err == nil
}
