package policy

import (
	"fmt"

	"github.com/agentassert/agentassert/internal/hidden"
)

// Format implements fmt.Formatter, and hides the credentials.
func (c Call) Format(f fmt.State, _ rune) { hidden.Format(f, c) }

// MarshalText implements encoding.TextMarshaler, and hides the same.
func (c Call) MarshalText() ([]byte, error) { return hidden.Text(c) }

// GobEncode implements gob.GobEncoder, and fails.
func (c Call) GobEncode() ([]byte, error) { return hidden.Gob(c) }

// Format implements fmt.Formatter, and hides credentials and biscuits.
func (f Flow) Format(s fmt.State, _ rune) { hidden.Format(s, f) }

// MarshalText implements encoding.TextMarshaler, and hides the same.
func (f Flow) MarshalText() ([]byte, error) { return hidden.Text(f) }

// GobEncode implements gob.GobEncoder, and fails.
func (f Flow) GobEncode() ([]byte, error) { return hidden.Gob(f) }
