package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/agentassert/agentassert/core"
)

// style says how words are set off: in colours on a terminal, and not at all elsewhere.
// What a command says must be understood without. The zero value sets nothing off.
type style struct{ colours bool }

// The sequences of ECMA-48, section 8.3.117, that every terminal knows.
const (
	sgrBold   = "1"
	sgrRed    = "31"
	sgrGreen  = "32"
	sgrYellow = "33"
)

// styleOf is the style of what is written to w.
func styleOf(w io.Writer) style {
	return style{coloured(os.Getenv, isTerminal(w)) && (!isTerminal(w) || takesSequences(w))}
}

// coloured reports whether there are to be colours. NO_COLOR, if it is not empty, turns
// them off (no-color.org). CLICOLOR_FORCE, if it is neither empty nor 0, turns them on
// where there is no terminal, such as in the log of a CI run.
func coloured(env func(string) string, terminal bool) bool {
	switch force := env("CLICOLOR_FORCE"); {
	case env("NO_COLOR") != "":
		return false
	case force != "" && force != "0":
		return true
	}
	return terminal && env("TERM") != "dumb"
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

func (s style) set(sgr, text string) string {
	if !s.colours || text == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// ok is for what is as it should be.
func (s style) ok(text string) string { return s.set(sgrGreen, text) }

// warn is for what works, and is not what was hoped for.
func (s style) warn(text string) string { return s.set(sgrYellow, text) }

// no is for what is wrong.
func (s style) no(text string) string { return s.set(sgrRed, text) }

// ofMode is for what a call of a scope carries.
func (s style) ofMode(mode string, scope core.Scope) func(string) string {
	switch {
	case mode == core.ModeAgentAssertion || mode == core.ModeDualHeader:
		return s.ok
	case mode == core.ModeNone:
		return s.no
	case scope == core.ScopeBearerOnly:
		return nil // as it is to be
	}
	return s.warn
}

// strong is for headings.
func (s style) strong(text string) string { return s.set(sgrBold, text) }
