// Package policy is what a host lets a module do: which of the effects that a flow
// asks for it carries out, and which answers it believes. wasm/ABI.md has the rules,
// and testvectors/hosts the vectors. The module that runs may be anybody's, so
// nothing here asks it: what is right follows from the host's own configuration, from
// the call, and from what the backend has answered in the same flow.
package policy

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// CodeViolation is a module that asks for what no module may have, or answers what
// cannot be true. Package host has it as its own.
const CodeViolation = "policy_violation"

// The bounds. Each is above what the core ever asks for.
const (
	// maxEntropy is a key and the ids of two requests, in bytes.
	maxEntropy = 64
	// maxWaitMS is one pause between two tries.
	maxWaitMS = 10_000
	// maxTimeoutMS is the longest that a client of the protocol waits for an answer.
	maxTimeoutMS = 30_000
	// maxResponse is the largest answer that the protocol has, in bytes.
	maxResponse = 64 << 10
	// maxRequest is the largest body of a registration, in bytes: three texts of 4096
	// bytes, with every byte escaped, and the rest.
	maxRequest = 80 << 10
	// maxRequests is how many requests one flow makes: two registrations, each tried
	// three times, and the same again for an agent that the backend does not know.
	maxRequests = 16
	// maxRecord is the largest record, in bytes.
	maxRecord = 512 << 10
	// maxSegment is the longest id in a URL, in bytes: 4096 of them, all escaped.
	maxSegment = 3 * 4096
	// maxMessage is the longest text for people, in bytes.
	maxMessage = 4096
	// maxTime is the end of the year 9999, in Unix seconds.
	maxTime = 253402300799
)

// Call is what a host knows of a flow. None of it comes from the module.
type Call struct {
	// Config is the host's, with a base URL that the host has normalized.
	Config wire.Config
	// Surface is the call's, and ThreadID its conversation's, where it has one.
	Surface, ThreadID string
	// Credentials are those that the flow begins with.
	Credentials wire.Credentials
}

// Flow checks the effects and the answer of one flow. It is for one goroutine.
type Flow struct {
	call Call
	// decided is what the call carries if the agent can be had.
	decided wire.Decision
	// refusal is why there is no such decision.
	refusal error
	// biscuits are those that the backend has minted in this flow and that are not
	// used, by the URL that each is for.
	biscuits map[string]string
	requests int
	// locked are the slots whose locks the flow has asked for, and not given back.
	locked []string
	// setAside says that an identity has been set aside.
	setAside bool
}

// New returns the policy for one flow.
func New(c Call) *Flow {
	f := &Flow{call: c}
	f.decided, f.refusal = core.Decide(wire.DecideParams{
		Config: c.Config, Surface: c.Surface, Credentials: c.Credentials, Agent: wire.AgentAvailable,
	})
	return f
}

// Effect returns an error, with CodeViolation, for an effect that is not to be
// carried out. The flow then ends.
func (f *Flow) Effect(e wire.Effect) error {
	if f.refusal != nil || f.decided.Mode != core.ModeAgentAssertion {
		return violation("an effect", "for a call that no agent can make")
	}
	switch e.Type {
	case wire.EffectLoad:
		return f.checkSlot(e, wire.SlotIdentity, wire.SlotBackoff, wire.SlotBackend, wire.SlotSetAside)
	case wire.EffectLock:
		return f.checkLock(e)
	case wire.EffectUnlock:
		return f.checkUnlock(e)
	case wire.EffectProbe:
		return f.checkSlot(e, wire.SlotIdentity)
	case wire.EffectSave:
		return f.checkSave(e)
	case wire.EffectDelete:
		return f.checkSlot(e, wire.SlotBackoff)
	case wire.EffectSwap:
		return f.checkSwap(e)
	case wire.EffectEntropy:
		return between("entropy", e.Size, maxEntropy)
	case wire.EffectWait:
		if !f.isLater() {
			return violation("a pause", "in a profile that has none")
		}
		return between("a pause", e.WaitMS, maxWaitMS)
	case wire.EffectHTTP:
		return f.checkHTTP(e)
	}
	return violation("an effect", "that this host does not know")
}

// checkLock lets pass a lock that the flow does not have, and none of a thread's after
// the identity's: two flows could then wait for each other.
func (f *Flow) checkLock(e wire.Effect) error {
	if err := f.checkSlot(e, wire.SlotIdentity); err != nil {
		return err
	}
	if slices.Contains(f.locked, e.Slot) || slices.Contains(f.locked, wire.SlotIdentity) {
		return violation("a lock", "that it could wait for for good")
	}
	f.locked = append(f.locked, e.Slot)
	return nil
}

func (f *Flow) checkUnlock(e wire.Effect) error {
	i := slices.Index(f.locked, e.Slot)
	if i < 0 {
		return violation("to give back a lock", "that it does not have")
	}
	f.locked = slices.Delete(f.locked, i, i+1)
	return nil
}

// checkSlot lets pass the slots that are named, and the slot of the call's thread.
func (f *Flow) checkSlot(e wire.Effect, slots ...string) error {
	for _, slot := range slots {
		if e.Slot == slot {
			return nil
		}
	}
	if f.call.ThreadID != "" && e.Slot == wire.SlotThread+f.call.ThreadID && f.call.Credentials.Kind != wire.CredentialsAgentIdentity {
		return nil
	}
	return violation("a slot", "that is none of this call's for the effect "+e.Type)
}

// checkSave lets pass everything but the identity, which is swapped.
func (f *Flow) checkSave(e wire.Effect) error {
	if err := f.checkSlot(e, wire.SlotBackoff, wire.SlotBackend, wire.SlotSetAside); err != nil {
		return err
	}
	if err := between("a record", int64(len(e.Record)), maxRecord); err != nil {
		return err
	}
	f.setAside = f.setAside || e.Slot == wire.SlotSetAside
	return nil
}

// checkSwap lets an identity be replaced, and removed once it has been set aside.
func (f *Flow) checkSwap(e wire.Effect) error {
	if e.Slot != wire.SlotIdentity {
		return violation("a slot", "that is none of this call's for the effect swap")
	}
	if len(e.Record) == 0 && !f.setAside {
		return violation("the removal of an identity", "that was not set aside")
	}
	if len(e.Record) > maxRecord || len(e.Expected) > maxRecord {
		return violation("a record", "that is too large")
	}
	return nil
}

// isLater reports whether the flow registers as later clients do. Without an access
// token, as with an identity that arrived as a JWT, there are no biscuits.
func (f *Flow) isLater() bool {
	return f.call.Config.Profile == wire.ProfileAuthAPI || f.call.Credentials.Kind == wire.CredentialsAgentIdentity
}

// The header fields of the requests, in lower case.
const (
	headerAuthorization    = "authorization"
	headerBiscuit          = "x-openai-authorization"
	headerContentType      = "content-type"
	headerFedRAMP          = "x-openai-fedramp"
	headerOriginalMethod   = "x-original-method"
	headerOriginalURL      = "x-original-url"
	headerRequestID        = "x-request-id"
	requestIDPrefix        = "codex-agent-identity-"
	requestIDSize          = 22 // 16 bytes in base64url
	responseDate           = "date"
	responseRetryAfter     = "retry-after"
	identityPath           = "/v1/agent/register"
	biscuitPath            = "/authenticate_app_v2"
	taskPrefix, taskSuffix = "/v1/agent/", "/task/register"
)

// checkHTTP lets pass the requests of a registration, as the profile has them.
func (f *Flow) checkHTTP(e wire.Effect) error {
	headers, err := headersOf(e.Headers)
	if err != nil {
		return err
	}
	if err := between("a time-out", e.TimeoutMS, maxTimeoutMS); err != nil {
		return err
	}
	if err := between("an answer", e.SizeLimit, maxResponse); err != nil {
		return err
	}
	if len(e.Body) > maxRequest {
		return violation("a request", "that is too large")
	}
	if f.requests++; f.requests > maxRequests {
		return violation("a request", "after more than any flow makes")
	}
	if len(f.locked) == 0 {
		return violation("a request", "without a lock")
	}
	base := f.call.Config.BaseURL
	if f.isLater() {
		if base = core.AuthAPIURL(f.call.Config); base == "" {
			return violation("a request", "to an auth API that nobody knows")
		}
	}
	isBiscuit := !f.isLater() && e.URL == base+biscuitPath
	for _, name := range e.ResponseHeaders {
		if name != responseDate && name != responseRetryAfter && !(isBiscuit && name == headerBiscuit) {
			return violation("a header field of the answer", "that is not the flow's")
		}
	}
	switch {
	case isBiscuit:
		return f.checkBiscuit(e, headers)
	case e.URL == base+identityPath && f.call.Credentials.Kind == wire.CredentialsChatGPT:
		return f.checkRegistration(e, headers, true)
	case isTaskURL(base, e.URL):
		return f.checkRegistration(e, headers, false)
	}
	return violation("a request to a URL", "that is none of a registration's")
}

// checkBiscuit is for the request that mints a biscuit. It is the one that carries the
// access token in the first profile.
func (f *Flow) checkBiscuit(e wire.Effect, headers map[string]string) error {
	id, ok := strings.CutPrefix(headers[headerRequestID], requestIDPrefix)
	original := headers[headerOriginalURL]
	base := f.call.Config.BaseURL
	switch {
	case e.Method != "GET" || len(e.Body) > 0:
		return violation("a request for a biscuit", "that is more than that")
	case !ok || len(id) != requestIDSize || !isBase64URL(id):
		return violation("a request's id", "that is no such id")
	case headers[headerOriginalMethod] != "POST" || original != base+identityPath && !isTaskURL(base, original):
		return violation("a biscuit", "for something else than a registration")
	}
	return f.checkHeaders(headers, headerAuthorization, headerRequestID, headerOriginalMethod, headerOriginalURL)
}

// checkRegistration is for the request that registers an identity or a task.
func (f *Flow) checkRegistration(e wire.Effect, headers map[string]string, identity bool) error {
	switch {
	case e.Method != "POST":
		return violation("a registration", "that is none")
	case headers[headerContentType] != "application/json":
		return violation("a registration", "of another content type")
	case !f.isLater():
		biscuit := f.biscuits[e.URL]
		if biscuit == "" || headers[headerBiscuit] != biscuit {
			return violation("a biscuit", "that was not minted for this")
		}
		delete(f.biscuits, e.URL) // it is good for one request
		return f.checkHeaders(headers, headerContentType, headerBiscuit)
	case !identity:
		return f.checkHeaders(headers, headerContentType)
	case f.call.Credentials.FedRAMP:
		if headers[headerFedRAMP] != "true" {
			return violation("a registration", "that is not marked as FedRAMP's")
		}
		return f.checkHeaders(headers, headerContentType, headerAuthorization, headerFedRAMP)
	}
	return f.checkHeaders(headers, headerContentType, headerAuthorization)
}

// checkHeaders wants these header fields and no others. The access token is sent
// where it is among them, and nothing else as an authorization.
func (f *Flow) checkHeaders(headers map[string]string, names ...string) error {
	for _, name := range names {
		value, ok := headers[name]
		if !ok {
			return violation("a request", "that lacks the header field "+name)
		}
		token := f.call.Credentials.AccessToken
		if name == headerAuthorization && (token == "" || value != "Bearer "+token) {
			return violation("an authorization", "that is not the user's")
		}
	}
	if len(headers) != len(names) {
		return violation("a header field", "that the request does not have")
	}
	return nil
}

// headersOf returns header fields by their names, each of which is there once.
func headersOf(headers []wire.Header) (map[string]string, error) {
	byName := make(map[string]string, len(headers))
	for _, h := range headers {
		if _, twice := byName[h.Name]; twice {
			return nil, violation("a header field", "that stands twice")
		}
		byName[h.Name] = h.Value
	}
	return byName, nil
}

// isTaskURL reports whether a URL is that of a task's registration, for an agent of
// whatever id: one segment, of which no server can make several.
func isTaskURL(base, url string) bool {
	id, ok := strings.CutPrefix(url, base+taskPrefix)
	id, isTask := strings.CutSuffix(id, taskSuffix)
	if !ok || !isTask || id == "" || len(id) > maxSegment || id == "." || id == ".." {
		return false
	}
	for i := 0; i < len(id); i++ {
		switch c := id[i]; {
		case c == '%':
			if i+2 >= len(id) || !isHex(id[i+1]) || !isHex(id[i+2]) {
				return false
			}
			i += 2
		case !isBase64URL(id[i:i+1]) && c != '.' && c != '~':
			return false
		}
	}
	return true
}

// isHex reports whether c is a hexadecimal digit, as escapes are written.
func isHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

func isBase64URL(s string) bool {
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// Answered takes note of the answer to a request that was let pass: a biscuit in it
// can be used once, for what it was minted for.
func (f *Flow) Answered(e wire.Effect, response wire.Event) {
	if f.isLater() || e.URL != f.call.Config.BaseURL+biscuitPath {
		return
	}
	headers, _ := headersOf(e.Headers)
	for _, h := range response.Headers {
		if strings.EqualFold(h.Name, headerBiscuit) && h.Value != "" {
			if f.biscuits == nil {
				f.biscuits = make(map[string]string)
			}
			f.biscuits[headers[headerOriginalURL]] = h.Value
			return
		}
	}
}

// Answer returns an error, with CodeViolation, for an answer that is not to be
// believed. Now is the time of the event that it follows from, in Unix seconds.
//
// Whether the assertion's signature is good is not looked at: whoever makes a wrong
// one has only made a call that fails.
func (f *Flow) Answer(a wire.Authorization, now int64) error {
	if f.refusal != nil {
		return violation("an answer", "to a call that has none")
	}
	account := f.call.Config.ForcedWorkspaceID
	if account == "" {
		account = f.call.Credentials.AccountID
	}
	switch {
	case a.ValidUntil != now:
		return violation("an answer", "for another second")
	case a.RetryAt < 0 || a.RetryAt > maxTime:
		return violation("a pause", "until a time that is none")
	case a.AccountID != account && (a.AccountID != "" || a.Mode != core.ModeNone):
		return violation("an account", "that is not the call's")
	case a.FedRAMP != (f.call.Credentials.FedRAMP && a.Mode != core.ModeNone):
		return violation("a mark for FedRAMP", "that is not the call's")
	case !isReason(a.Reason):
		return violation("a reason", "that is none")
	case !isError(a.Cause) || !isError(a.Notice):
		return violation("an error", "whose code is none")
	}
	switch a.Mode {
	case core.ModeNone:
		if a.Header != "" || a.AgentRuntimeID != "" || a.TaskID != "" {
			return violation("an authorization", "where there is none")
		}
		return nil
	case core.ModeBearer:
		if !f.mayBear() || a.Header != "Bearer "+f.call.Credentials.AccessToken || a.AgentRuntimeID != "" || a.TaskID != "" {
			return violation("a bearer token", "that is not the user's, or not for this call")
		}
	case core.ModeAgentAssertion:
		if f.decided.Mode != core.ModeAgentAssertion {
			return violation("an assertion", "for a call that no agent can make")
		}
		return checkAssertion(a, now)
	default:
		return violation("a mode", "that is none")
	}
	return nil
}

// mayBear reports whether a call can carry the user's token: one in a conversation
// does not where the agent could have been had.
func (f *Flow) mayBear() bool {
	if f.call.Credentials.AccessToken == "" || f.decided.Mode == core.ModeNone {
		return false
	}
	return f.decided.Reason != core.ReasonThreadTask
}

// checkAssertion wants a header that says what the answer does, in its canonical form,
// and nothing else.
func checkAssertion(a wire.Authorization, now int64) error {
	if !core.IsAssertion(a.Header, a.AgentRuntimeID, a.TaskID, now) {
		return violation("an assertion", "that does not say what the answer does")
	}
	return nil
}

func isReason(s string) bool {
	switch s {
	case core.ReasonNoChatGPTCredentials, core.ReasonBearerOnlySurface, core.ReasonFeatureOff, core.ReasonUnsupportedHost,
		core.ReasonNoAccountID, core.ReasonBackgroundTask, core.ReasonThreadTask, core.ReasonRegistrationFailed,
		core.ReasonStoreFailed, core.ReasonNoAccessToken:
		return true
	}
	return false
}

func isError(e *wire.Error) bool { return e == nil || IsCode(e.Code) }

// IsCode reports whether an error's code has the form of one: programs compare it,
// and logs index it.
func IsCode(code string) bool {
	return code != "" && len(code) <= 64 && strings.Trim(code, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// Text returns an error's message as it can be shown to a person: what a terminal
// would take for a command is not in it, and it ends.
func Text(message string) string {
	message = strings.ToValidUTF8(message, "\ufffd")
	message = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control) {
			return '\ufffd'
		}
		return r
	}, message)
	if len(message) <= maxMessage {
		return message
	}
	end := maxMessage
	for !utf8.RuneStart(message[end]) {
		end--
	}
	return message[:end] + "…"
}

func between(what string, n, most int64) error {
	if n < 1 || n > most {
		return violation(what, "of "+strconv.FormatInt(n, 10)+" where "+strconv.FormatInt(most, 10)+" is the most")
	}
	return nil
}

// violation is an error about a module. It says nothing of what the module has sent,
// which may hold a secret.
func violation(what, which string) error {
	return &core.Error{Code: CodeViolation, Message: "the module was refused " + what + " " + which +
		"; it is not agentassert's, or not of this host's version"}
}
