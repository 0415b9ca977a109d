package host

import (
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/policy"
)

// Authorization is what a call carries, and why. It is a value: copies are
// independent, and nothing changes it. Formatting, logging and encoding it
// never shows the header.
type Authorization struct {
	// Mode is one of the core.Mode constants.
	Mode string
	// Reason is one of the core.Reason constants.
	Reason string
	// AccountID goes with the call in ChatGPT-Account-ID, unless it is empty.
	AccountID string
	// AgentRuntimeID and TaskID are those of an assertion, and in wire.ProfileInstances
	// RuntimeAgentInstance is in their place.
	AgentRuntimeID, TaskID, RuntimeAgentInstance string
	// ValidUntil is the last second in which the answer stays right. Ask again
	// for a later call.
	ValidUntil time.Time
	// RetryAt is, after a failed registration, when it is tried again.
	RetryAt time.Time
	// Cause is what failed, where something did: a *core.Error. The call can be
	// made all the same, with what the mode says. Of a registration that the backend has
	// refused, also of the one before a pause, the *core.Refusal is in its chain; whether
	// a failure passes, or what it is, errors.Is tells of core.ErrTemporary,
	// core.ErrAgentRevoked and core.ErrTaskExpired.
	Cause error
	// Notice is what the user should know although nothing failed: an access token
	// that has expired (core.CodeAccessTokenExpired), an identity that had to be set
	// aside (core.CodeIdentitySetAside). It is a *core.Error.
	Notice error

	// FedRAMP says that the call goes with X-OpenAI-Fedramp: true.
	FedRAMP bool
	// ResponsesOrigin, if not empty, is the https origin that the call goes to in place
	// of the base URL's, without redirects; a [Transport] sees to it. AccountRoutingOverride
	// goes with it in X-OpenAI-Account-Routing-Override.
	ResponsesOrigin, AccountRoutingOverride string

	// call is what it was made for.
	call call
	// apiKey says that the program's own API key is what authorizes its calls.
	apiKey bool
	// header and assertion are pointers because fmt prints what is behind one only at
	// the top: it calls no method of a value in an unexported field.
	header, assertion *string
}

// Header returns the value of the Authorization header, or "" in mode none. It
// is a secret.
func (a Authorization) Header() string {
	if a.header == nil {
		return ""
	}
	return *a.header
}

// AgentAssertion returns the value of the X-OpenAI-Agent-Assertion header, or "" in
// any mode but core.ModeDualHeader. It is a secret, and for one request.
func (a Authorization) AgentAssertion() string {
	if a.assertion == nil {
		return ""
	}
	return *a.assertion
}

// asserts reports whether the call carries an assertion.
func (a Authorization) asserts() bool {
	return a.Mode == core.ModeAgentAssertion || a.Mode == core.ModeDualHeader
}

// Headers returns the header fields of the call, for clients that are given these and no
// transport, such as those of WebSockets. Where such a call is answered with 401,
// [Manager.Recover] says what to dial with next. A call whose ResponsesOrigin is not
// empty goes there.
func (a Authorization) Headers() http.Header {
	h := make(http.Header)
	a.SetHeaders(h)
	return h
}

// The header fields of a call, beside Authorization, as http.Header has them: it would make
// each name anew for each request.
var (
	assertionField = http.CanonicalHeaderKey("X-OpenAI-Agent-Assertion")
	accountField   = http.CanonicalHeaderKey("ChatGPT-Account-ID")
	fedRAMPField   = http.CanonicalHeaderKey("X-OpenAI-Fedramp")
	routingField   = http.CanonicalHeaderKey("X-OpenAI-Account-Routing-Override")
)

// SetHeaders sets Authorization, X-OpenAI-Agent-Assertion, ChatGPT-Account-ID,
// X-OpenAI-Fedramp and X-OpenAI-Account-Routing-Override, or removes what h had under
// these names and the call must not carry. Where the user has signed in with an API
// key, Authorization is the program's own and stays, unless an assertion takes its
// place.
func (a Authorization) SetHeaders(h http.Header) {
	set := func(name, value string) {
		if value == "" {
			h.Del(name)
		} else {
			h.Set(name, value)
		}
	}
	if !a.apiKey || a.Header() != "" {
		set("Authorization", a.Header())
	}
	set(assertionField, a.AgentAssertion())
	account := a.AccountID
	if a.Mode == core.ModeNone {
		account = ""
	}
	set(accountField, account)
	fedRAMP := ""
	if a.FedRAMP {
		fedRAMP = "true"
	}
	set(fedRAMPField, fedRAMP)
	set(routingField, a.AccountRoutingOverride)
}

// String returns mode and reason.
func (a Authorization) String() string { return a.Mode + " (" + a.Reason + ")" }

// GoString hides the header.
func (a Authorization) GoString() string {
	return fmt.Sprintf("host.Authorization{Mode: %q, Reason: %q, header hidden}", a.Mode, a.Reason)
}

// LogValue implements slog.LogValuer, without the header.
func (a Authorization) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("mode", a.Mode), slog.String("reason", a.Reason)}
	if a.AgentRuntimeID != "" {
		attrs = append(attrs, slog.String("agent_runtime_id", a.AgentRuntimeID), slog.String("task_id", a.TaskID))
	}
	if a.RuntimeAgentInstance != "" {
		attrs = append(attrs, slog.String("runtime_agent_instance", a.RuntimeAgentInstance))
	}
	if a.Cause != nil {
		attrs = append(attrs, slog.String("cause", a.Cause.Error()))
	}
	if a.Notice != nil {
		attrs = append(attrs, slog.String("notice", a.Notice.Error()))
	}
	return slog.GroupValue(attrs...)
}

// newAuthorization takes over the core's answer. The error is the host's own
// account of what the core was told as a failure.
func newAuthorization(a wire.Authorization, hostErr error) Authorization {
	out := Authorization{
		Mode:                   a.Mode,
		Reason:                 a.Reason,
		AccountID:              a.AccountID,
		AgentRuntimeID:         a.AgentRuntimeID,
		TaskID:                 a.TaskID,
		RuntimeAgentInstance:   a.RuntimeAgentInstance,
		FedRAMP:                a.FedRAMP,
		ValidUntil:             time.Unix(a.ValidUntil, 0).UTC(),
		ResponsesOrigin:        a.ResponsesOrigin,
		AccountRoutingOverride: a.AccountRoutingOverride,
	}
	// Pointers to copies: those to the members would keep all of a.
	if header := a.Header; header != "" {
		out.header = &header
	}
	if assertion := a.AgentAssertion; assertion != "" {
		out.assertion = &assertion
	}
	if a.RetryAt != 0 {
		out.RetryAt = time.Unix(a.RetryAt, 0).UTC()
	}
	if a.Cause != nil {
		message := policy.Text(a.Cause.Message)
		if answered, ok := hostErr.(answered); ok { // it says that, and more
			message = strings.TrimSuffix(message, ": the backend answered "+strconv.Itoa(answered.refusal.Status))
		}
		out.Cause = fail(a.Cause.Code, message, hostErr)
	}
	if a.Notice != nil {
		out.Notice = fail(a.Notice.Code, policy.Text(a.Notice.Message), nil)
	}
	return out
}
