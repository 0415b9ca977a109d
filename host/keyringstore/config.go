package keyringstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

const (
	// defaultLockTimeout is longer than anybody holds a lock of a registration.
	defaultLockTimeout = (wire.MaxLockSeconds + 20) * time.Second
	// defaultService is the name under which a keyring's own window shows the items.
	defaultService = "agentassert"
	// defaultTimeout is time enough to type a password.
	defaultTimeout = 30 * time.Second
	// maxName keeps an item's name and value within what macOS takes.
	maxName = 128
)

// Config says where in the keyring a store keeps its records.
type Config struct {
	// Account tells apart the identities that one user of the computer has: an
	// account id, for example. Required. Letters, digits and -_.@+, 128 at most.
	Account string
	// Service is the program that owns the items, in the same letters. The
	// default is agentassert. Programs that share an identity name the same.
	Service string
	// LockFolder is where the lock files are, which are empty. It is made where
	// it does not exist. The default is agentassert in the user's configuration
	// folder.
	LockFolder string
	// LockTimeout bounds the wait for the lock. The default is longer than a registration
	// can take: host.MaxLockTime and 20 s.
	LockTimeout time.Duration
	// Timeout bounds each access to the keyring, which can wait for somebody to unlock
	// it, or for accesses before it. A caller's context can end it earlier. The default
	// is 30 s.
	Timeout time.Duration
}

// Open returns the store that config describes, once the keyring has answered.
//
// Errors: CodeUnavailable, CodeCanceled, core.CodeInvalidConfig.
func Open(ctx context.Context, config Config) (*Store, error) {
	return open(ctx, config, systemKeyring{}, storePlaces)
}

func open(ctx context.Context, config Config, keyring keyring, places places) (*Store, error) {
	config.Service = cmp.Or(config.Service, defaultService)
	config.LockTimeout = cmp.Or(config.LockTimeout, defaultLockTimeout)
	config.Timeout = cmp.Or(config.Timeout, defaultTimeout)
	switch {
	case !isName(config.Account):
		return nil, fail(core.CodeInvalidConfig, "the keyring's account must be 1 to 128 letters, digits and -_.@+", nil)
	case !isName(config.Service):
		return nil, fail(core.CodeInvalidConfig, "the keyring's service must be 1 to 128 letters, digits and -_.@+", nil)
	case config.LockTimeout < 0 || config.Timeout < 0:
		return nil, fail(core.CodeInvalidConfig, "a time-out is negative", nil)
	}
	if config.LockFolder == "" {
		folder, err := os.UserConfigDir()
		if err != nil {
			return nil, fail(core.CodeInvalidConfig, "this user has no configuration folder; name a folder for the lock files", err)
		}
		config.LockFolder = filepath.Join(folder, defaultService)
	}
	owner := sha256.Sum256([]byte(config.Service + "\x00" + config.Account))
	s := &Store{
		keyring:     &patient{keyring, config.Timeout, places},
		service:     config.Service,
		account:     config.Account,
		locks:       filepath.Join(config.LockFolder, "keyring-"+hex.EncodeToString(owner[:16])),
		lockTimeout: config.LockTimeout,
	}
	// No item has this name; the question is whether the keyring can say so.
	if _, _, err := s.get(ctx, s.account); err != nil {
		return nil, err
	}
	return s, nil
}

// isName reports whether every keyring takes the name, and no quoting is needed
// on the command line by which the one of macOS is reached.
func isName(name string) bool {
	return name != "" && len(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("-_.@+", r)
	})
}
