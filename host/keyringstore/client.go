package keyringstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	system "github.com/zalando/go-keyring"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

const (
	// clientService is the service of the reference client's entry.
	clientService = "Codex Auth"
	// maxClientEntry is the largest that is read, in bytes.
	maxClientEntry = 512 << 10
)

// CodeNotSignedIn is a keyring without an entry of the client's.
const CodeNotSignedIn = "keyring_not_signed_in"

// ClientCredentials is the sign-in of a reference client that keeps it in the
// system's keyring. It is a host.CredentialSource, reads only, and is safe for
// concurrent use.
type ClientCredentials struct {
	keyring *patient
	// Account is the entry's, under the service "Codex Auth".
	Account string
}

// NewClientCredentials returns the sign-in of the client with that home folder
// (CODEX_HOME, ~/.codex by default). The entry's account is "cli|" and the first 16
// hexadecimal digits of the SHA-256 of the folder's canonical path: absolute, and
// links followed. That was read in the client's source; on Windows, where such a path
// has another form, it has not been seen. Timeout bounds each access; 0 is 30 s.
//
// The error's code is core.CodeInvalidConfig.
func NewClientCredentials(home string, timeout time.Duration) (*ClientCredentials, error) {
	return newClientCredentials(home, timeout, systemKeyring{})
}

func newClientCredentials(home string, timeout time.Duration, k keyring) (*ClientCredentials, error) {
	canonical, err := filepath.Abs(home)
	if err == nil {
		canonical, err = filepath.EvalSymlinks(canonical)
	}
	if err != nil {
		return nil, fail(core.CodeInvalidConfig, "the client's home folder cannot be found; check its path", err)
	}
	return &ClientCredentials{
		keyring: newPatient(k, cmp.Or(timeout, defaultTimeout)),
		Account: clientAccount(canonical),
	}, nil
}

// clientAccount is the account of the entry of a client with that home folder.
func clientAccount(canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	return "cli|" + hex.EncodeToString(sum[:8])
}

// Credentials returns the credentials in the entry. Where there is none, their
// Problem says so: CodeNotSignedIn.
//
// Errors: CodeUnavailable, CodeCanceled, and those of core.ReadCredentials.
func (c *ClientCredentials) Credentials(ctx context.Context) (wire.Credentials, error) {
	value, err := access(ctx, c.keyring, func(k keyring) (string, error) { return k.Get(clientService, c.Account) })
	switch {
	case errors.Is(err, system.ErrNotFound):
		return wire.Credentials{Kind: wire.CredentialsNone, Problem: &wire.Error{
			Code:    CodeNotSignedIn,
			Message: fmt.Sprintf("the keyring has no entry %q of the service %q: sign in with the client, or check which home folder it uses", c.Account, clientService),
		}}, nil
	case ctx.Err() != nil:
		return wire.Credentials{}, canceled(ctx)
	case err != nil:
		return wire.Credentials{}, fail(CodeUnavailable, "the system's keyring cannot be read; unlock it or start one", err)
	case len(value) > maxClientEntry:
		return wire.Credentials{}, fail(CodeUnavailable, "the client's entry in the keyring is larger than 512 KiB, and surely not what it should be", nil)
	}
	return core.ReadCredentials([]byte(value))
}

// String hides what the keyring holds.
func (c *ClientCredentials) String() string { return "ClientCredentials(" + c.Account + ")" }

// GoString is String.
func (c *ClientCredentials) GoString() string { return c.String() }
