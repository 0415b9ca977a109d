package core

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
)

func TestErrors(t *testing.T) {
	caused := &Error{Code: CodeStoreFailed, Message: "the store failed", Err: io.ErrUnexpectedEOF}
	for _, c := range []struct {
		name        string
		err, target error
		want        bool
	}{
		{"its code", caused, &Error{Code: CodeStoreFailed}, true},
		{"its code, further in", fmt.Errorf("a call: %w", caused), &Error{Code: CodeStoreFailed}, true},
		{"another code", caused, &Error{Code: CodeStoreReadOnly}, false},
		{"no code", caused, &Error{}, false},
		{"its code and a message", caused, &Error{Code: CodeStoreFailed, Message: "the store failed"}, false},
		{"itself", caused, caused, true},
		{"its cause", caused, io.ErrUnexpectedEOF, true},
		{"another error", caused, io.EOF, false},
		{"another type, with its code for a text", caused, errors.New(CodeStoreFailed), false},
		{"neither code nor message", &Error{Err: io.EOF}, &Error{}, true},
	} {
		if got := errors.Is(c.err, c.target); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if got, want := caused.Error(), "the store failed: unexpected EOF"; got != want {
		t.Errorf("the text is %q, want %q", got, want)
	}
	if got := fail(CodeStoreFailed, "the store failed").Error(); got != "the store failed" {
		t.Errorf("without a cause the text is %q", got)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{caused, "store_failed"},
		{fmt.Errorf("a call: %w", caused), "store_failed"},
		{io.EOF, "internal"},
	} {
		if got := Code(c.err); got != c.want {
			t.Errorf("the code of %v is %q, want %q", c.err, got, c.want)
		}
	}
}

// A reason that says what became of an agent has the agent's name.
func TestReasonsAreAgents(t *testing.T) {
	for reason, agent := range map[string]string{
		ReasonRegistrationFailed:      wire.AgentRegistrationFailed,
		ReasonRegistrationUnavailable: wire.AgentRegistrationUnavailable,
		ReasonStoreFailed:             wire.AgentStoreFailed,
	} {
		if reason != agent {
			t.Errorf("%q is %q", reason, agent)
		}
	}
}

// A flow has checked the trusted hosts long before; others may not have.
func TestResponsesOriginOfUncheckedHosts(t *testing.T) {
	for _, tt := range []struct {
		origin, trusted, code string
	}{
		{"https://chatgpt.com", "bad host/", CodeInvalidTrustedHost},
		{"https://chatgpt.com/a", "", CodeInvalidResponse},
		{"http://chatgpt.com", "", CodeInvalidResponse},
		{"https://elsewhere.example", "", CodeUnsupportedOrigin},
		{"https://elsewhere.example", "elsewhere.example", ""},
		{"https://eu.chatgpt.com", "", ""},
	} {
		var trusted []string
		if tt.trusted != "" {
			trusted = []string{tt.trusted}
		}
		if err := CheckResponsesOrigin(tt.origin, trusted); Code(err) != tt.code {
			t.Errorf("%s with %q: got %v, want %q", tt.origin, tt.trusted, err, tt.code)
		}
	}
}
