package policy

import (
	"fmt"

	"github.com/agentassert/agentassert/core/hidden"
)

// Format implements fmt.Formatter, and hides the credentials.
func (c Call) Format(f fmt.State, _ rune) { hidden.Format(f, c) }

// MarshalText implements encoding.TextMarshaler, and hides the same.
func (c Call) MarshalText() ([]byte, error) { return hidden.Text(c) }

// GobEncode implements gob.GobEncoder, and fails.
func (c Call) GobEncode() ([]byte, error) { return hidden.Gob(c) }

// Format implements fmt.Formatter, and hides what was handed to a module and what it asks.
func (q Question) Format(f fmt.State, _ rune) { hidden.Format(f, q) }

// MarshalText implements encoding.TextMarshaler, and hides the same.
func (q Question) MarshalText() ([]byte, error) { return hidden.Text(q) }

// GobEncode implements gob.GobEncoder, and fails.
func (q Question) GobEncode() ([]byte, error) { return hidden.Gob(q) }

// Format implements fmt.Formatter, and hides the effect.
func (d Done) Format(f fmt.State, _ rune) { hidden.Format(f, d) }

// MarshalText implements encoding.TextMarshaler, and hides the same.
func (d Done) MarshalText() ([]byte, error) { return hidden.Text(d) }

// GobEncode implements gob.GobEncoder, and fails.
func (d Done) GobEncode() ([]byte, error) { return hidden.Gob(d) }

// Format implements fmt.Formatter, and hides credentials and biscuits.
func (f Flow) Format(s fmt.State, _ rune) { hidden.Format(s, f) }

// MarshalText implements encoding.TextMarshaler, and hides the same.
func (f Flow) MarshalText() ([]byte, error) { return hidden.Text(f) }

// GobEncode implements gob.GobEncoder, and fails.
func (f Flow) GobEncode() ([]byte, error) { return hidden.Gob(f) }
