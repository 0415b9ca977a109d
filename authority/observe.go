package authority

import (
	"time"
	"unicode/utf8"
)

// The schemes by which a request can try to authenticate itself.
const (
	SchemeAgentAssertion = "agent-assertion"
	SchemeBearer         = "bearer"
	SchemeBiscuit        = "biscuit"
	// SchemeDualHeader is a bearer token, and beside it the assertion of a runtime agent
	// instance.
	SchemeDualHeader = "dual-header"
	// SchemeSignature is a task registration of the profile auth-api, which has
	// nothing else.
	SchemeSignature = "signature"
	SchemeNone      = "none"
)

// Request is what [Options.Observe] is told about one request. It never holds a
// token, a biscuit or a signature. What a client chose is cut off where it is long,
// and ends in "…" then: Method at 32 bytes, Path at 1024, and the ids at 256.
type Request struct {
	Time   time.Time `json:"time"`
	Method string    `json:"method"`
	// Path is percent-encoded as it was sent, without the query.
	Path string `json:"path"`
	// Scheme is one of the Scheme constants.
	Scheme string `json:"scheme"`
	// Verified says that the credential was good, whatever became of the rest
	// of the request.
	Verified bool `json:"verified"`
	// AgentRuntimeID and TaskID are those of the assertion or the registration;
	// where Verified is false they are only what the client claims.
	AgentRuntimeID string `json:"agent_runtime_id"`
	TaskID         string `json:"task_id"`
	// RuntimeAgentInstance is in the place of those two where such an instance calls, or
	// was registered.
	RuntimeAgentInstance string `json:"runtime_agent_instance,omitempty"`
	// AccountID is the account that the credential was accepted for; empty where
	// Verified is false.
	AccountID string `json:"account_id"`
	// Status is the HTTP status of the answer.
	Status int `json:"status"`
	// Error is the code of the refusal, empty where there was none.
	Error string `json:"error"`
	// Reason is the code of the true reason, where the client is not told which it
	// was; otherwise it is Error.
	Reason string `json:"reason"`
}

// bounded returns the request with all that a client chose cut to size.
func (r Request) bounded() Request {
	for _, field := range []struct {
		text *string
		size int
	}{
		{&r.Method, 32}, {&r.Path, 1024}, {&r.AgentRuntimeID, 256}, {&r.TaskID, 256}, {&r.RuntimeAgentInstance, 256}, {&r.AccountID, 256},
	} {
		*field.text = cut(*field.text, field.size)
	}
	return r
}

// cut returns at most n bytes of s, in whole characters, and then a mark that
// there was more.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for !utf8.RuneStart(s[n]) && n > 0 {
		n--
	}
	return s[:n] + "…"
}
