package core

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"testing"
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

// Whatever form a key is read from, it is written out as the one that is used here.
func FuzzImportKey(f *testing.F) {
	for _, text := range []string{
		"", "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----", `-----BEGIN X-----\n-----END X-----`,
		"616161616161616161616161616161616161616161616161616161616161616161", "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE",
		"MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ImportPrivateKey(text)
		if err != nil {
			if Code(err) != CodeInvalidPrivateKey {
				t.Errorf("code %s", Code(err))
			}
			return
		}
		if again, err := ParsePrivateKey(k.PKCS8()); err != nil || again.seed != k.seed {
			t.Errorf("the key is another one, written out: %v", err)
		}
	})
}
