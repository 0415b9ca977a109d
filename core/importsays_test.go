package core_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
)

// What is no key in its place is called by its name, with what to do.
func TestImportSays(t *testing.T) {
	k, err := core.NewPrivateKey(standardKey.Seed())
	if err != nil {
		t.Fatal(err)
	}
	inPEM := func(label string) string {
		return "-----BEGIN " + label + "-----\nMC4C\n-----END " + label + "-----\n"
	}
	// The beginnings of DER, up to the name of the algorithm.
	der := func(hexadecimal string) string { return hexadecimal + strings.Repeat("00", 40) }
	const (
		another   = "; an agent's key is an Ed25519 key"
		encrypted = "is encrypted; decrypt it first, with openssl pkey -in FILE -out OTHER"
		noForm    = "is neither PEM nor a JWK nor base64 nor hexadecimal"
		isPublic  = "is a public key; give the private one that belongs to it"
		isPrivate = "is a private key: give its public half instead, and if others have seen the private key here, make another"
		notPKCS8  = "is neither PKCS#8 of an Ed25519 key nor a seed of 32 bytes"
		notPublic = "is neither 32 bytes nor SubjectPublicKeyInfo nor OpenSSH's"
	)
	for _, tt := range []struct{ form, private, public string }{
		{"", "is empty", "is empty"},
		{" \ufeff\r\n", "is empty", "is empty"},
		{"# a comment", "is empty", "is empty"},
		{"#a\n \t# b", "is empty", "is empty"},
		{strings.Repeat("\xff", 64), "has a public half that does not belong to its seed", notPublic},
		{"!", noForm, noForm},
		{`\`, noForm, noForm},
		{`00\~`, noForm, noForm},
		{"0", noForm, noForm},
		{"00", notPKCS8, notPublic},
		{"\xff\xfea\x00", "is in UTF-16; save it as UTF-8", "is in UTF-16; save it as UTF-8"},
		{"\xfe\xff\x00a", "is in UTF-16; save it as UTF-8", "is in UTF-16; save it as UTF-8"},
		{"~\x01", notPKCS8, notPublic},
		{"a~\r\n\t", noForm, noForm},
		{strings.Repeat("~", 96), noForm, noForm},
		{"{", "begins as a JWK does, and is not JSON: want a name at offset 1", "begins as a JWK does, and is not JSON: want a name at offset 1"},
		{"-----BEGIN PRIVATE KEY-----", "is in PEM that is damaged or cut off", "is in PEM that is damaged or cut off"},
		{inPEM("PRIVATE KEY") + inPEM("PRIVATE KEY"), "is in PEM with more than one part", "is in PEM with more than one part"},
		{strings.Replace(inPEM("PRIVATE KEY"), "MC4C", "!", 1), "is in PEM whose content is not base64", "is in PEM whose content is not base64"},
		{inPEM("ENCRYPTED PRIVATE KEY"), encrypted, encrypted},
		{inPEM("CERTIFICATE"), "is a certificate; have its public key, with openssl x509 -in FILE -noout -pubkey", "is a certificate; have its public key, with openssl x509 -in FILE -noout -pubkey"},
		{inPEM("RSA PRIVATE KEY"), "is in PEM of another kind than PRIVATE KEY, OPENSSH PRIVATE KEY and PUBLIC KEY" + another, "is in PEM of another kind than PRIVATE KEY, OPENSSH PRIVATE KEY and PUBLIC KEY" + another},
		{inPEM("PRIVATE KEY"), notPKCS8, isPrivate},
		{inPEM("OPENSSH PRIVATE KEY"), "has a passphrase, or is not in OpenSSH's form; remove the passphrase first, with ssh-keygen -p -f FILE", isPrivate},
		{inPEM("PUBLIC KEY"), isPublic, "is not SubjectPublicKeyInfo of an Ed25519 key"},
		{"openssh-key-v1\x00", "has a passphrase, or is not in OpenSSH's form; remove the passphrase first, with ssh-keygen -p -f FILE", isPrivate},
		{k.PKCS8(), "", isPrivate},
		{k.Public().OpenSSH(), isPublic, ""},
		{"ssh-ed25519 ", isPublic, "is one of OpenSSH's of another type than ssh-ed25519" + another},
		{"ssh-rsa AAAA", isPublic, "is one of OpenSSH's of another type than ssh-ed25519" + another},
		{"ecdsa-sha2-nistp256 AAAA", isPublic, "is one of OpenSSH's of another type than ssh-ed25519" + another},
		{"sk-ssh-ed25519@openssh.com AAAA", isPublic, "is one of OpenSSH's of another type than ssh-ed25519" + another},
		{k.Public().OpenSSH() + "\n" + k.Public().OpenSSH(), isPublic, "is one of several lines; give the one that has it"},
		{"---- BEGIN SSH2 PUBLIC KEY ----", "is a public key in the form of RFC 4716; have it in OpenSSH's, with ssh-keygen -i -f FILE", "is a public key in the form of RFC 4716; have it in OpenSSH's, with ssh-keygen -i -f FILE"},
		{"PuTTY-User-Key-File-3: ssh-ed25519", "is in PuTTY's form; have it in OpenSSH's, with puttygen FILE -O private-openssh-new -o OTHER", "is in PuTTY's form; have it in OpenSSH's, with puttygen FILE -O private-openssh-new -o OTHER"},
		{"AGE-SECRET-KEY-1QQ", "is one of age's, for encryption" + another, "is one of age's, for encryption" + another},
		{der("309b305706092a864886f70d01050d"), encrypted, encrypted},
		{der("308204bd020100300d06092a864886f70d010101"), "is an RSA key" + another, "is an RSA key" + another},
		{der("308187020100301306072a8648ce3d0201"), "is an ECDSA key" + another, "is an ECDSA key" + another},
		{der("302e020100300506032b656e"), "is an X25519 key, for encryption" + another, "is an X25519 key, for encryption" + another},
		{`{"keys":[]}`, "is a set of JWKs; give one of its keys", "is a set of JWKs; give one of its keys"},
		{`{}`, "is a JWK whose kty is not OKP" + another, "is a JWK whose kty is not OKP" + another},
		{`{"kty":"OKP"}`, "is a JWK whose crv is not Ed25519" + another, "is a JWK whose crv is not Ed25519" + another},
		{`{"kty":"OKP","crv":"Ed25519"}`, "is a JWK whose x is not 32 bytes in base64url", "is a JWK whose x is not 32 bytes in base64url"},
		{`{"kty":"OKP","crv":"Ed25519","alg":"x"}`, "is a JWK whose alg is not EdDSA" + another, "is a JWK whose alg is not EdDSA" + another},
		{`{"kty":"OKP","crv":"Ed25519","use":"enc"}`, "is a JWK whose use is not sig" + another, "is a JWK whose use is not sig" + another},
		{`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, "is the JWK of a public key; give the one that has a d", ""},
		{`{"kty":"OKP","crv":"Ed25519","d":"","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, "is a JWK whose d is not 32 bytes in base64url", isPrivate},
	} {
		for _, half := range []struct {
			name, says, code string
			err              error
		}{
			{"private", tt.private, core.CodeInvalidPrivateKey, second(core.ImportPrivateKey([]byte(tt.form)))},
			{"public", tt.public, core.CodeInvalidPublicKey, second(core.ImportPublicKey([]byte(tt.form)))},
		} {
			want := "the " + half.name + " key " + half.says
			switch {
			case half.says == "" && half.err != nil:
				t.Errorf("%.40q, %s: %v", tt.form, half.name, half.err)
			case half.says != "" && (core.Code(half.err) != half.code || half.err.Error() != want):
				t.Errorf("%.40q: %v, and not %s", tt.form, half.err, want)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// An OpenSSH key has a comment of any length, and is filled up to a multiple of eight bytes.
func TestImportOpenSSHComments(t *testing.T) {
	k, err := core.NewPrivateKey(standardKey.Seed())
	if err != nil {
		t.Fatal(err)
	}
	uint32Of := func(n int) string { return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) }
	text := func(s string) string { return uint32Of(len(s)) + s }
	public := text("ssh-ed25519") + text(string(standardKey[32:]))
	for _, length := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 255, 256, 300, 65535, 65536, 70000} {
		secret := "\x00\x01\x02\x03\x00\x01\x02\x03" + public + text(string(standardKey)) + text(strings.Repeat("c", length))
		isFilled := len(secret)%8 != 0 // or else the comment is at the end, which can be any
		for fill := byte(1); len(secret)%8 != 0; fill++ {
			secret += string([]byte{fill})
		}
		whole := func(secret string) string {
			return "openssh-key-v1\x00" + text("none") + text("none") + text("") + uint32Of(1) + text(public) + text(secret)
		}
		got, err := core.ImportPrivateKey([]byte(whole(secret)))
		if err != nil || got.PKCS8() != k.PKCS8() {
			t.Errorf("a comment of %d bytes: %v", length, err)
		}
		got, err = core.ImportPrivateKey(base64.StdEncoding.EncodeToString([]byte(whole(secret))))
		if err != nil || got.PKCS8() != k.PKCS8() {
			t.Errorf("a comment of %d bytes, in base64: %v", length, err)
		}
		for name, other := range map[string]string{"more": secret + "\x01\x02\x03\x04\x05\x06\x07\x08", "less": secret[:len(secret)-1], "others": secret[:len(secret)-1] + "~"} {
			if _, err := core.ImportPrivateKey([]byte(whole(other))); err == nil && (name != "others" || isFilled) {
				t.Errorf("a comment of %d bytes: it is read with %s at its end", length, name)
			}
		}
	}
}
