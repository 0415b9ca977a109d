package doctor

import (
	"errors"
	"fmt"
	"strings"

	"github.com/agentassert/agentassert/core"
)

// The levels of findings.
const (
	// OK is as it should be.
	OK = "ok"
	// Note works, and should be known.
	Note = "note"
	// Problem does not work, or is a danger.
	Problem = "problem"
)

// Finding is what a check has to say. It holds no secret.
type Finding struct {
	Check string `json:"check"`
	Level string `json:"level"`
	// Message says how it is, Advice what to do, where something is to be done.
	Message string `json:"message"`
	Advice  string `json:"advice,omitempty"`
}

// Report is what all checks have to say, in their order.
type Report struct {
	Findings []Finding `json:"findings"`
	// OK is whether there is no problem.
	OK bool `json:"ok"`
}

func newReport(findings []Finding) Report {
	r := Report{Findings: findings, OK: true}
	for _, f := range findings {
		r.OK = r.OK && f.Level != Problem
	}
	return r
}

func (e *examination) add(check, level, message, advice string) {
	e.findings = append(e.findings, Finding{check, level, message, advice})
}

func (e *examination) ok(check, format string, args ...any) {
	e.add(check, OK, fmt.Sprintf(format, args...), "")
}

func (e *examination) note(check, advice, format string, args ...any) {
	e.add(check, Note, fmt.Sprintf(format, args...), advice)
}

func (e *examination) problem(check, advice, format string, args ...any) {
	e.add(check, Problem, fmt.Sprintf(format, args...), advice)
}

// failed adds an error of this project's, which says after its last semicolon what to do,
// and behind that what the system said.
func (e *examination) failed(check, level string, err error) {
	text, cause := err.Error(), ""
	if known, ok := errors.AsType[*core.Error](err); ok && known.Err != nil {
		if before, found := strings.CutSuffix(text, ": "+known.Err.Error()); found {
			text, cause = before, " ("+oneLine(known.Err.Error())+")"
		}
	}
	message, advice := oneLine(text), ""
	if at := strings.LastIndex(message, "; "); at > 0 {
		message, advice = message[:at], message[at+2:]
	}
	e.add(check, level, message+cause, advice)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// shown is a text of somebody else's, fit for a terminal.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
}
