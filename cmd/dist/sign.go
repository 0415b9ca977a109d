package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"aead.dev/minisign"
)

// signer signs with a secret key of minisign.
type signer struct {
	key    minisign.PrivateKey
	public minisign.PublicKey
}

// String has no key.
func (s *signer) String() string { return "the signing key of " + s.public.String() }

// decrypt takes a second and a gigabyte of memory, by the key's own choice; tests do without.
var decrypt = minisign.DecryptKey

// readSigner reads a key, and its password, if it has one, from a file or from MINISIGN_PASSWORD.
func readSigner(keyFile, passwordFile string) (*signer, error) {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	var key minisign.PrivateKey
	if minisign.IsEncrypted(text) {
		password := os.Getenv("MINISIGN_PASSWORD")
		if passwordFile != "" {
			line, err := os.ReadFile(passwordFile)
			if err != nil {
				return nil, err
			}
			password = strings.TrimRight(string(line), "\r\n")
		}
		if password == "" {
			return nil, fmt.Errorf("%s is encrypted; give its password in MINISIGN_PASSWORD, or in a file by -signing-password-file", keyFile)
		}
		if key, err = decrypt(password, text); err != nil {
			return nil, fmt.Errorf("%s could not be decrypted: the password is another, or the file is no secret key of minisign", keyFile)
		}
	} else if key.UnmarshalText(text) != nil {
		return nil, fmt.Errorf("%s is no secret key of minisign; minisign -G makes one", keyFile)
	}
	public, ok := key.Public().(minisign.PublicKey)
	if !ok {
		return nil, errors.New("the key has no public part")
	}
	return &signer{key, public}, nil
}

// sign signs SHA256SUMS in the form that minisign makes, of the hash. What is signed along with it names the version, so that the
// checksums of an older release are not taken for those of a newer one. There is no time in it: the same key gives
// the same bytes.
func (s *signer) sign(sums []byte, version string) ([]byte, error) {
	reader := minisign.NewReader(bytes.NewReader(sums))
	if _, err := io.Copy(io.Discard, reader); err != nil {
		return nil, err
	}
	signature := reader.SignWithComments(s.key, "agentassert "+version+" SHA256SUMS", "signature of SHA256SUMS by the key "+fmt.Sprintf("%016X", s.key.ID()))
	return signature, nil
}
