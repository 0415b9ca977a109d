//go:build !wasip1

package core

import (
	"fmt"

	"github.com/agentassert/agentassert/core/hidden"
)

// Format implements fmt.Formatter, and hides the key.
func (k PrivateKey) Format(f fmt.State, _ rune) { hidden.Format(f, k) }

// Format implements fmt.Formatter, and hides the key that the guest keeps.
func (g Guest) Format(f fmt.State, _ rune) { hidden.Format(f, g) }

// Format implements fmt.Formatter, and hides what a backend has granted.
func (a Answer) Format(f fmt.State, _ rune) { hidden.Format(f, a) }

// MarshalText implements encoding.TextMarshaler, and hides what a backend has granted.
func (a Answer) MarshalText() ([]byte, error) { return hidden.Text(a) }

// GobEncode implements gob.GobEncoder. It fails.
func (a Answer) GobEncode() ([]byte, error) { return hidden.Gob(a) }

// Format implements fmt.Formatter, and hides what authorizes the request.
func (p BiscuitRequestParams) Format(f fmt.State, _ rune) { hidden.Format(f, p) }

// MarshalText implements encoding.TextMarshaler, and hides what authorizes the request.
func (p BiscuitRequestParams) MarshalText() ([]byte, error) { return hidden.Text(p) }

// GobEncode implements gob.GobEncoder. It fails.
func (p BiscuitRequestParams) GobEncode() ([]byte, error) { return hidden.Gob(p) }

// Format implements fmt.Formatter, and hides what authorizes the request.
func (p IdentityRegistrationParams) Format(f fmt.State, _ rune) { hidden.Format(f, p) }

// MarshalText implements encoding.TextMarshaler, and hides what authorizes the request.
func (p IdentityRegistrationParams) MarshalText() ([]byte, error) { return hidden.Text(p) }

// GobEncode implements gob.GobEncoder. It fails.
func (p IdentityRegistrationParams) GobEncode() ([]byte, error) { return hidden.Gob(p) }

// Format implements fmt.Formatter, and hides what authorizes the request.
func (p InstanceRegistrationParams) Format(f fmt.State, _ rune) { hidden.Format(f, p) }

// MarshalText implements encoding.TextMarshaler, and hides what authorizes the request.
func (p InstanceRegistrationParams) MarshalText() ([]byte, error) { return hidden.Text(p) }

// GobEncode implements gob.GobEncoder. It fails.
func (p InstanceRegistrationParams) GobEncode() ([]byte, error) { return hidden.Gob(p) }

// Format implements fmt.Formatter, and hides what authorizes the request.
func (p TaskRegistrationParams) Format(f fmt.State, _ rune) { hidden.Format(f, p) }

// MarshalText implements encoding.TextMarshaler, and hides what authorizes the request.
func (p TaskRegistrationParams) MarshalText() ([]byte, error) { return hidden.Text(p) }

// GobEncode implements gob.GobEncoder. It fails.
func (p TaskRegistrationParams) GobEncode() ([]byte, error) { return hidden.Gob(p) }

// Format implements fmt.Formatter, and hides the signature.
func (a ReceivedAssertion) Format(f fmt.State, _ rune) { hidden.Format(f, a) }

// Format implements fmt.Formatter, and hides the identity.
func (i Identity) Format(f fmt.State, _ rune) { hidden.Format(f, i) }

// MarshalText implements encoding.TextMarshaler, and hides the identity.
func (i Identity) MarshalText() ([]byte, error) { return hidden.Text(i) }

// MarshalJSON implements json.Marshaler. It fails: see [Identity].
func (i Identity) MarshalJSON() ([]byte, error) {
	return nil, fail(CodeInvalidRecord, "core.Identity is not encoded by accident; store what its method Record returns")
}

// GobEncode implements gob.GobEncoder. It fails.
func (i Identity) GobEncode() ([]byte, error) { return hidden.Gob(i) }
