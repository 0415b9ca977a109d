package pgstore

import (
	"encoding/base64"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/hidden"
	"github.com/agentassert/agentassert/internal/postgres"
)

// Key seals records. It is 32 random bytes. Formatting it shows none of them.
type Key [chacha20poly1305.KeySize]byte

// ParseKey returns the key that text has in base64, standard alphabet, padded:
// the form in which "openssl rand -base64 32" makes one.
//
// Errors: core.CodeInvalidConfig.
func ParseKey(text string) (Key, error) {
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(data) != len(Key{}) {
		return Key{}, postgres.Fail(core.CodeInvalidConfig, `the key is not base64 of 32 bytes; make one with "openssl rand -base64 32"`, nil)
	}
	return Key(data), nil
}

// Format implements fmt.Formatter, and hides the key.
func (k Key) Format(f fmt.State, _ rune) { hidden.Format(f, k) }

// MarshalText implements encoding.TextMarshaler, and hides the key.
func (k Key) MarshalText() ([]byte, error) { return hidden.Text(k) }

// GobEncode implements gob.GobEncoder, and fails.
func (k Key) GobEncode() ([]byte, error) { return hidden.Gob(k) }
