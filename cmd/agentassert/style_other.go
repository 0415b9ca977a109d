//go:build !windows

package main

import "io"

// takesSequences reports whether a terminal takes escape sequences.
func takesSequences(io.Writer) bool { return true }
