package core

import (
	"errors"
	"strconv"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// What an error means for the one who has to go on, whatever its text: ask with
// errors.Is. What is none of these stays as it is if it is tried again, and costs
// nothing that is stored.
var (
	// ErrAgentRevoked says that the backend does not know the agent, or the runtime
	// agent instance, any more. Only another registration helps.
	ErrAgentRevoked = errors.New("the backend does not know the agent, or has revoked it")
	// ErrTaskExpired says that the backend does not accept the task any more. Another
	// task helps.
	ErrTaskExpired = errors.New("the backend does not accept the task any more")
	// ErrTemporary says that the same may succeed later.
	ErrTemporary = errors.New("the failure is one that passes")
)

// maxRefusalBody is how much is kept of a refusal's body, in bytes.
const maxRefusalBody = 2 << 10

// Refusal is an error: a backend's answer that is not what was asked for. It holds no
// secret, as far as [NewRefusal] can tell.
type Refusal struct {
	// Step is the step of the registration that was refused, one of wire's Step
	// constants, and empty where it was another call.
	Step string `json:"step,omitempty"`
	// Status is the answer's status code.
	Status int `json:"status"`
	// Code is the code of the error that the body names, empty if it names none, or
	// none that has the form of one.
	Code string `json:"code,omitempty"`
	// RetryAfter is how long the backend asks to be left alone, in seconds, at most a
	// day, and 0 where it does not ask.
	RetryAfter int64 `json:"retry_after,omitempty"`
	// Body is the beginning of the body, at most 2 KiB of printable text on one line,
	// with [hidden] in place of secrets.
	Body string `json:"body,omitempty"`
}

// NewRefusal returns what an answer says that is not what was asked for.
//
// The body is cleared of the secrets that are given, such as the access token, the
// private key or the whole header field of the request, and of what looks like one: a
// JWT, what follows the name of an authentication scheme, an assertion, a private key,
// a biscuit or another long random text. They are found in JSON, too, whatever is
// escaped there, and where the body ends in the middle of one. A backend that sends
// back a secret in yet another form is beyond this.
func NewRefusal(a Answer, secrets ...string) *Refusal {
	body := a.Body[:min(len(a.Body), maxNetworkJSON)]
	code := refusalCode(body)
	if clearSecrets([]byte(code), secrets) != code {
		code = ""
	}
	return &Refusal{
		Status:     a.Status,
		Code:       code,
		RetryAfter: a.retryAfter(),
		Body:       clearSecrets(body, secrets),
	}
}

// Error says which status and code the answer has. The body is not quoted.
func (r *Refusal) Error() string {
	text := "the backend answered " + strconv.Itoa(r.Status)
	if r.Code != "" {
		text += " (" + r.Code + ")"
	}
	if doing, ok := doings[r.Step]; ok {
		text = doing + ": " + text
	}
	if r.RetryAfter > 0 {
		text += "; it asks to be left alone for " + span(r.RetryAfter)
	}
	return text
}

var doings = map[string]string{
	wire.StepBiscuit:  "minting a biscuit",
	wire.StepIdentity: "registering the agent",
	wire.StepTask:     "registering a task",
}

// Is reports whether target is the one of ErrAgentRevoked, ErrTaskExpired and
// ErrTemporary that the answer amounts to.
//
// The agent is revoked where a task's registration is answered with 404 or 410, and
// where any answer of 4xx has the code unknown_agent or runtime_instance_revoked. The
// task has expired where a 401 has one of the codes invalid_task_id, task_not_found,
// task_expired and unknown_task. Answers of 408, 425, 429 and 5xx pass.
func (r *Refusal) Is(target error) bool {
	switch target {
	case ErrAgentRevoked:
		gone := r.Step == wire.StepTask && (r.Status == 404 || r.Status == 410)
		return gone || r.Status >= 400 && r.Status <= 499 && (r.Code == CodeUnknownAgent || r.Code == codeInstanceRevoked)
	case ErrTaskExpired:
		return r.Status == 401 && expiredTaskCodes[r.Code]
	case ErrTemporary:
		return r.Status == 408 || r.Status == 425 || r.Status == 429 || r.Status >= 500
	}
	return false
}

// Unwrap returns an *Error with CodeHTTPStatus.
func (r *Refusal) Unwrap() error { return fail(CodeHTTPStatus, r.Error()) }

// codeInstanceRevoked is the protocol's.
const codeInstanceRevoked = "runtime_instance_revoked"

// expiredTaskCodes are what backends call a task that they do not accept.
var expiredTaskCodes = map[string]bool{
	"invalid_task_id": true,
	"task_not_found":  true,
	"task_expired":    true,
	"unknown_task":    true,
}

// maxRefusalCode is the longest code that is taken for one, in bytes.
const maxRefusalCode = 128

// refusalCode returns the code in the body of a refusal, in the forms that backends
// use, or nothing. What follows the JSON value does not matter.
func refusalCode(body []byte) string {
	p := jsonParser{data: body}
	p.space()
	root, _ := p.value(0) // without an object there are no members
	var candidates []*jsonValue
	for _, name := range []string{"error", "detail"} {
		if m := root.member(name); m != nil {
			candidates = append(candidates, m.member("code"))
		}
	}
	for _, code := range append(candidates, root.member("code"), root.member("error")) {
		if code != nil && code.kind == jsonString && isRefusalCode(code.text) {
			return code.text
		}
	}
	return ""
}

// isRefusalCode tells codes from sentences.
func isRefusalCode(s string) bool {
	return s != "" && len(s) <= maxRefusalCode && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_.-", r))
	})
}
