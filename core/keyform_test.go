package core

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/agentassert/agentassert/core/wire"
)

// What is taken for a key in PKCS#8 the standard library takes for the same.
func FuzzParseKeyInfo(f *testing.F) {
	k, err := NewPrivateKey([]byte("a seed of 32 bytes for the tests"))
	if err != nil {
		f.Fatal(err)
	}
	v2, err := base64.StdEncoding.DecodeString(k.PKCS8())
	if err != nil {
		f.Fatal(err)
	}
	v1 := append(bytes.Clone(pkcs8V1Prefix), k.seed[:]...)
	f.Add(v1)
	f.Add(v2)
	// Version 2 with attributes, and with the public key as older code has it.
	f.Add(append(append([]byte{0x30, 0x55, 2, 1, 1, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20}, k.seed[:]...), append([]byte{0xa0, 2, 0x31, 0, 0x81, 0x21, 0}, k.public.encoded[:]...)...))
	f.Add(append(append([]byte{0x30, 0x53, 2, 1, 1, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20}, k.seed[:]...), append([]byte{0xa1, 0x23, 3, 0x21, 0}, k.public.encoded[:]...)...))
	f.Fuzz(func(t *testing.T, der []byte) {
		k, err := parseKeyInfo(string(der))
		if err != nil {
			if Code(err) != CodeInvalidPrivateKey {
				t.Errorf("code %s", Code(err))
			}
			return
		}
		parsed, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			t.Fatalf("the standard library does not: %v", err)
		}
		if std, ok := parsed.(ed25519.PrivateKey); !ok || !bytes.Equal(std.Seed(), k.seed[:]) {
			t.Error("the standard library reads another key")
		}
	})
}

// What is taken for an OpenSSH key has the seed and both public halves that make it.
func FuzzParseOpenSSH(f *testing.F) {
	const encoded = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz" +
		"c2gtZWQyNTUxOQAAACAfd4OfMn4tVnoQdtuN5rFgxRdRrt+0mRhDNBQY15b3qwAA" +
		"AJBkT2uCZE9rggAAAAtzc2gtZWQyNTUxOQAAACAfd4OfMn4tVnoQdtuN5rFgxRdR" +
		"rt+0mRhDNBQY15b3qwAAAEBhIHNlZWQgb2YgMzIgYnl0ZXMgZm9yIHRoZSB0ZXN0" +
		"cx93g58yfi1WehB2243msWDFF1Gu37SZGEM0FBjXlverAAAACWEgY29tbWVudAEC" +
		"AwQ="
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(openSSHMagic))
	f.Fuzz(func(t *testing.T, raw []byte) {
		k, err := parseOpenSSH(string(raw))
		if err != nil {
			if Code(err) != CodeInvalidPrivateKey {
				t.Errorf("code %s", Code(err))
			}
			return
		}
		if !bytes.Contains(raw, append(bytes.Clone(k.seed[:]), k.public.encoded[:]...)) || bytes.Count(raw, k.public.encoded[:]) < 3 {
			t.Error("the key is not in it")
		}
	})
}

// keyTexts are what the fuzzers of whole keys begin with.
var keyTexts = []string{
	"", "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----", `-----BEGIN X-----\n-----END X-----`,
	"616161616161616161616161616161616161616161616161616161616161616161", "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE",
	"MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop me@here",
	"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
	`{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
	`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","alg":"EdDSA","use":"sig"}`,
	"# a key\n# of mine\nYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE",
}

// Whatever form a private key is read from, it is written out in each that there is, and
// read again, and is no public key. An error quotes nothing of it.
func FuzzImportPrivateKey(f *testing.F) {
	for _, text := range keyTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ImportPrivateKey(data)
		fromText, textErr := ImportPrivateKey(string(data))
		if textErr == nil && isText(data) && (err != nil || fromText.seed != k.seed) {
			t.Fatalf("as bytes it is another: %v", err)
		}
		checkImportError(t, data, err, CodeInvalidPrivateKey)
		checkImportError(t, data, textErr, CodeInvalidPrivateKey)
		if err != nil {
			return
		}
		if again, err := ParsePrivateKey(k.PKCS8()); err != nil || again.seed != k.seed {
			t.Errorf("as it is kept it is another: %v", err)
		}
		for _, format := range []string{wire.KeyFormatPKCS8V1, wire.KeyFormatPEM, wire.KeyFormatJWK, wire.KeyFormatRaw, wire.KeyFormatOpenSSH} {
			exported, err := k.Export(format)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := ImportPrivateKey(exported); err != nil || again.seed != k.seed {
				t.Errorf("%s is another: %v", format, err)
			}
		}
		if _, err := ImportPublicKey(data); err == nil && textErr == nil && !isThirtyTwo(data) {
			t.Error("it is taken for a public key")
		}
	})
}

// isText reports whether bytes are read as the same text would be.
func isText(data []byte) bool {
	return hasNoControls(string(data)) && utf8.Valid(data) && len(data) != seedSize && len(data) != 2*seedSize
}

// isThirtyTwo reports whether data is 32 bytes in whatever encoding, which can be either half.
func isThirtyTwo(data []byte) bool { return len(readKeyFormBytes(data).text) == seedSize }

// The same of public keys.
func FuzzImportPublicKey(f *testing.F) {
	for _, text := range keyTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ImportPublicKey(data)
		fromText, textErr := ImportPublicKey(string(data))
		if textErr == nil && isText(data) && (err != nil || !fromText.Equal(p)) {
			t.Fatalf("as bytes it is another: %v", err)
		}
		checkImportError(t, data, err, CodeInvalidPublicKey)
		checkImportError(t, data, textErr, CodeInvalidPublicKey)
		if err != nil {
			return
		}
		if again, err := ParsePublicKey(p.OpenSSH()); err != nil || !again.Equal(p) {
			t.Errorf("as it is kept it is another: %v", err)
		}
		for _, format := range []string{wire.KeyFormatSPKI, wire.KeyFormatPEM, wire.KeyFormatJWK, wire.KeyFormatRaw} {
			exported, err := p.Export(format)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := ImportPublicKey(exported); err != nil || !again.Equal(p) {
				t.Errorf("%s is another: %v", format, err)
			}
		}
	})
}

// checkImportError holds an error to its code, and to quoting nothing of the key.
func checkImportError(t *testing.T, data []byte, err error, code string) {
	t.Helper()
	if err == nil {
		return
	}
	if Code(err) != code {
		t.Errorf("code %s", Code(err))
	}
	for _, part := range bytes.Fields(data) {
		if len(part) > 24 && strings.Contains(err.Error(), string(part)) {
			t.Error("the error quotes the key")
		}
	}
}

// What is taken for a JWK of a private key has both halves as another reader of JSON sees them.
func FuzzJWK(f *testing.F) {
	for _, text := range keyTexts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parseJSON([]byte(text), maxNetworkJSON)
		if err != nil || v.kind != jsonObject {
			return
		}
		k, err := privateKeyOfJWK(v)
		if err != nil {
			return
		}
		var members map[string]json.RawMessage // package json compares names of structs without case
		if err := json.Unmarshal([]byte(text), &members); err != nil {
			t.Fatal(err)
		}
		member := func(name string) (text string) {
			if err := json.Unmarshal(members[name], &text); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return text
		}
		d, err := base64.RawURLEncoding.DecodeString(member("d"))
		if err != nil || member("kty") != "OKP" || member("crv") != "Ed25519" {
			t.Fatalf("it is of another kind: %v", err)
		}
		x, err := base64.RawURLEncoding.DecodeString(member("x"))
		if err != nil || !bytes.Equal(ed25519.NewKeyFromSeed(d), append(bytes.Clone(k.seed[:]), x...)) {
			t.Errorf("the halves differ: %v", err)
		}
	})
}
