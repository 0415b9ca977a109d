//go:build !wasip1

package core

import (
	"fmt"

	"github.com/agentassert/agentassert/internal/hidden"
)

// Format implements fmt.Formatter, and hides the key.
func (k PrivateKey) Format(f fmt.State, _ rune) { hidden.Format(f, k) }

// Format implements fmt.Formatter, and hides the key that the guest keeps.
func (g Guest) Format(f fmt.State, _ rune) { hidden.Format(f, g) }
