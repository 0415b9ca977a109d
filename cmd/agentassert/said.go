package main

import (
	"fmt"
	"slices"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/host"
)

// whatToDo is, for reasons without an error that would say it, why a call does not
// carry an assertion, and what to do about it.
var whatToDo = map[string]string{
	core.ReasonNoChatGPTCredentials: "nobody is signed in with a ChatGPT account; sign in",
	core.ReasonWorkspaceNotAllowed:  "the sign-in is of another account than those of --forced-workspace-id; sign in with one of these",
	core.ReasonUnsupportedHost:      "the backend's host is none that knows assertions; name it with --trust-host if it does",
	core.ReasonNoAccountID:          "the sign-in does not say for which account it is; sign in again",
	core.ReasonNoAccessToken:        "the sign-in has no access token; sign in again",
}

// said is what a person should hear of an answer, a line for each: why it is no
// assertion where one was hoped for, and what to know otherwise.
func said(mode, reason string, cause, notice error) (lines []string) {
	why := whatToDo[reason]
	if cause != nil {
		why = oneLine(cause)
	}
	if why != "" && mode != core.ModeAgentAssertion && mode != core.ModeDualHeader {
		lines = append(lines, fmt.Sprintf("%s (%s): %s", instead(mode), reason, why))
	}
	if notice != nil {
		lines = append(lines, oneLine(notice))
	}
	return lines
}

// instead says what a call carries in place of an assertion.
func instead(mode string) string {
	if mode == core.ModeBearer {
		return "the bearer token, and no assertion"
	}
	return "no authorization"
}

// saidOfStatus is once each what calls of one kind or another would be told.
func saidOfStatus(s host.Status) (lines []string) {
	for _, r := range s.Surfaces {
		if r.Scope == core.ScopeBearerOnly {
			continue
		}
		for _, line := range said(r.Mode, r.Reason, r.Cause, r.Notice) {
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}
