package doctor

import (
	"context"
	"errors"
	"time"

	"github.com/agentassert/agentassert/host/keyringstore"
)

const (
	checkNameKeyring = "keyring"
	// keyringTimeout bounds an access, which can wait for somebody to unlock the keyring.
	keyringTimeout = 10 * time.Second
)

// checkKeyring reads a client's sign-in from the system's keyring.
func (e *examination) checkKeyring(ctx context.Context) {
	if e.KeyringHome == "" {
		return
	}
	client, err := keyringstore.NewClientCredentials(e.KeyringHome, keyringTimeout)
	if err != nil {
		e.failed(checkNameKeyring, Problem, err)
		return
	}
	credentials, err := client.Credentials(ctx)
	switch {
	case err != nil:
		e.failed(checkNameKeyring, Problem, err)
	case credentials.Problem != nil:
		e.failed(checkNameKeyring, Problem, errors.New(credentials.Problem.Message))
	default:
		e.credentials = &credentials
		e.ok(checkNameKeyring, "the client's sign-in is in the system's keyring, and can be read")
	}
}
