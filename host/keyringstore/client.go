package keyringstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	system "github.com/zalando/go-keyring"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

const (
	// clientService is the service of the reference client's entry.
	clientService = "Codex Auth"
	// maxClientEntry is the largest that is read, in bytes, as it is of auth.json.
	maxClientEntry = 512 << 10
)

// ClientCredentials is the sign-in of a reference client that keeps it in the
// system's keyring. It is a host.CredentialSource, reads only, and is safe for
// concurrent use.
type ClientCredentials struct {
	keyring *patient
	// Account is the entry's, under the service "Codex Auth". It names no person: it
	// is a hash of the home folder's path.
	Account string
}

// NewClientCredentials returns the sign-in of the client with that home folder
// (CODEX_HOME, ~/.codex by default), which has to exist. Timeout bounds each access to
// the keyring; 0 is 30 s.
//
// The entry's account is "cli|" and the first 16 hexadecimal digits of the SHA-256 of
// the folder's canonical path: absolute, and links followed. On Linux three releases
// of the client, 0.123.0 to 0.171.0, were seen to write that entry and no other. On
// macOS and Windows none has been seen. On Windows the path is taken as Rust has it,
// with \\?\ before it; but the library by which the client writes there is documented
// to name entries in another way than the one that reads here, so that
// [CodeNotSignedIn] is to be expected.
//
// The error's code is core.CodeInvalidConfig.
func NewClientCredentials(home string, timeout time.Duration) (*ClientCredentials, error) {
	return newClientCredentials(home, timeout, systemKeyring{}, clientPlaces)
}

func newClientCredentials(home string, timeout time.Duration, k keyring, places places) (*ClientCredentials, error) {
	switch {
	case home == "":
		return nil, fail(core.CodeInvalidConfig, "the client's home folder is missing: name CODEX_HOME, or .codex in the user's home folder", nil)
	case timeout < 0:
		return nil, fail(core.CodeInvalidConfig, "the time-out is negative", nil)
	}
	canonical, err := filepath.Abs(home)
	if err == nil {
		canonical, err = filepath.EvalSymlinks(canonical)
	}
	if err != nil {
		return nil, fail(core.CodeInvalidConfig, "the client's home folder cannot be found; check its path", err)
	}
	if runtime.GOOS == "windows" {
		canonical = verbatim(canonical)
	}
	return &ClientCredentials{
		keyring: &patient{k, cmp.Or(timeout, defaultTimeout), places},
		Account: clientAccount(canonical),
	}, nil
}

// verbatim returns an absolute path of Windows in the form that Rust's canonical paths
// have.
func verbatim(path string) string {
	if strings.HasPrefix(path, `\\?\`) {
		return path
	}
	if share, isUNC := strings.CutPrefix(path, `\\`); isUNC {
		return `\\?\UNC\` + share
	}
	return `\\?\` + path
}

// clientAccount is the account of the entry of a client with that home folder.
func clientAccount(canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	return "cli|" + hex.EncodeToString(sum[:8])
}

// Credentials returns the credentials in the entry, which is read as an auth.json is.
// Where they are none that can be used, their Problem says why: with CodeNotSignedIn
// where there is no entry, or a code of core.ReadCredentials.
//
// Errors: CodeUnavailable, CodeTooLarge, CodeCanceled, and those of
// core.ReadCredentials.
func (c *ClientCredentials) Credentials(ctx context.Context) (wire.Credentials, error) {
	value, _, err := access(ctx, c.keyring, func(k keyring) (string, error) { return k.Get(clientService, c.Account) })
	switch {
	case err == nil:
		return readEntry(value)
	case errors.Is(err, system.ErrNotFound):
		return wire.Credentials{Kind: wire.CredentialsNone, Problem: &wire.Error{
			Code:    CodeNotSignedIn,
			Message: fmt.Sprintf("the keyring has no entry %q of the service %q: sign in with the client, or check which home folder it uses", c.Account, clientService),
		}}, nil
	case ctx.Err() != nil:
		return wire.Credentials{}, canceled(ctx)
	default:
		return wire.Credentials{}, fail(CodeUnavailable, "the system's keyring, with the client's sign-in, cannot be read; unlock it or start one", err)
	}
}

// readEntry reads the client's entry.
func readEntry(value string) (wire.Credentials, error) {
	if len(value) > maxClientEntry {
		return wire.Credentials{}, fail(CodeTooLarge, "the client's entry in the keyring is larger than 512 KiB, as no sign-in is; sign in with the client again", nil)
	}
	// What is said of an auth.json is true of the entry; where it is has to be said, too.
	const where = "the client's auth.json in the keyring: "
	credentials, err := core.ReadCredentials([]byte(value))
	var known *core.Error
	if errors.As(err, &known) {
		return wire.Credentials{}, fail(known.Code, where+known.Message, nil)
	}
	if credentials.Problem != nil {
		credentials.Problem = &wire.Error{Code: credentials.Problem.Code, Message: where + credentials.Problem.Message}
	}
	return credentials, err
}

// String hides what the keyring holds.
func (c *ClientCredentials) String() string { return "ClientCredentials(" + c.Account + ")" }

// GoString is String.
func (c *ClientCredentials) GoString() string { return c.String() }
