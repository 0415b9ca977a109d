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
	// Entropy is what the call gave for the id of an instance's assertion.
	Entropy []byte
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
	// profile says which requests and slots are the flow's.
	profile  profile
	requests int
	// locked are the slots whose locks the flow has asked for, and not given back.
	locked []string
	// answer is the one with an assertion.
	answer wire.Authorization
}

// New returns the policy for one flow.
func New(c Call) *Flow {
	f := &Flow{call: c, profile: profileOf(c)}
	f.decided, f.refusal = core.Decide(wire.DecideParams{
		Config: c.Config, Surface: c.Surface, Credentials: c.Credentials, Agent: wire.AgentAvailable,
	})
	return f
}

// profile is what the flows of one form of the protocol may do that others may not.
type profile interface {
	// checkRequest lets pass the requests of a registration below base.
	checkRequest(f *Flow, e wire.Effect, base string, headers map[string]string) error
	// answered takes note of the answer to one that was let pass.
	answered(e wire.Effect, response wire.Event)
	// waits reports whether a request is sent again after a pause.
	waits() bool
	// checkSlot lets pass an effect on a slot.
	checkSlot(f *Flow, e wire.Effect) error
	// checkCall lets pass the header fields of a backend call of the flow's own.
	checkCall(f *Flow, headers map[string]string, names []string) error
	// checkAssertion wants an authorization that says what its assertion does, which the
	// entropy was given for.
	checkAssertion(f *Flow, a wire.Authorization, entropy []byte, now int64) error
}

// profileOf returns the call's. Without an access token, as with an identity that
// takes the place of a sign-in, there are no biscuits.
func profileOf(c Call) profile {
	switch {
	case c.Config.Profile == wire.ProfileAuthAPI, c.Credentials.Kind == wire.CredentialsAgentIdentity:
		return authAPI{}
	case c.Config.Profile == wire.ProfileInstances:
		return instances{}
	}
	return &biscuit{}
}

// Effect returns an error, with CodeViolation, for an effect that is not to be
// carried out. The flow then ends.
func (f *Flow) Effect(e wire.Effect) error {
	routing := f.isRouting(e)
	if f.refusal != nil || !f.asserts() && !routing {
		return violation("an effect", "for a call that no agent can make")
	}
	switch e.Type {
	case wire.EffectLoad, wire.EffectProbe, wire.EffectDelete:
		return f.checkSlot(e)
	case wire.EffectLock:
		return f.checkLock(e)
	case wire.EffectUnlock:
		return f.checkUnlock(e)
	case wire.EffectSave:
		return f.checkSave(e)
	case wire.EffectSwap:
		return f.checkSwap(e)
	case wire.EffectEntropy:
		return between("entropy", e.Size, maxEntropy)
	case wire.EffectWait:
		if !f.profile.waits() {
			return violation("a pause", "in a profile that has none")
		}
		return between("a pause", e.WaitMS, maxWaitMS)
	case wire.EffectHTTP:
		return f.checkHTTP(e)
	}
	return violation("an effect", "that this host does not know")
}

// asserts reports whether the call carries an assertion if the agent can be had.
func (f *Flow) asserts() bool {
	return f.decided.Mode == core.ModeAgentAssertion || f.decided.Mode == core.ModeDualHeader
}

// checkLock lets pass a lock that the flow does not have, and none of a thread's after
// the identity's: two flows could then wait for each other.
func (f *Flow) checkLock(e wire.Effect) error {
	if err := f.checkSlot(e); err != nil {
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

// checkSlots lets pass an effect on a slot that is among those for effects of its
// type.
func checkSlots(e wire.Effect, slots map[string][]string) error {
	if !slices.Contains(slots[e.Type], e.Slot) {
		return violation("a slot", "that is none of this call's for the effect "+e.Type)
	}
	return nil
}

// identitySlots are those that the profiles with a stored identity use. It is
// swapped, and not saved, and nothing but the failures is ever removed.
var identitySlots = map[string][]string{
	wire.EffectLoad:   {wire.SlotIdentity, wire.SlotBackoff, wire.SlotBackend, wire.SlotSetAside},
	wire.EffectLock:   {wire.SlotIdentity},
	wire.EffectProbe:  {wire.SlotIdentity},
	wire.EffectSave:   {wire.SlotBackoff, wire.SlotBackend, wire.SlotSetAside},
	wire.EffectDelete: {wire.SlotBackoff},
	wire.EffectSwap:   {wire.SlotIdentity},
}

// checkSlot lets pass an effect on a slot of the profile's, or of the question where the
// call goes.
func (f *Flow) checkSlot(e wire.Effect) error {
	if f.isRouting(e) {
		return nil
	}
	if p := f.call.Config.Pauses; e.Slot == wire.SlotBackoff && p != nil && p.Most == 0 {
		return violation("what is remembered of failures", "where there are no pauses")
	}
	return f.profile.checkSlot(f, e)
}

func (f *Flow) checkSave(e wire.Effect) error {
	if err := f.checkSlot(e); err != nil {
		return err
	}
	return between("a record", int64(len(e.Record)), maxRecord)
}

// checkSwap lets an identity be replaced, and never removed.
func (f *Flow) checkSwap(e wire.Effect) error {
	if err := f.checkSlot(e); err != nil {
		return err
	}
	if len(e.Record) == 0 {
		return violation("the removal of an identity", "that no other takes the place of")
	}
	if len(e.Record) > maxRecord || len(e.Expected) > maxRecord {
		return violation("a record", "that is too large")
	}
	return nil
}

// The header fields of requests, in lower case.
const (
	headerAuthorization = "authorization"
	headerContentType   = "content-type"
	responseDate        = "date"
	responseRetryAfter  = "retry-after"
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
	if f.isRouting(e) {
		return f.checkAccounts(e, headers)
	}
	base, err := core.RegistrarURL(f.call.Config, f.call.Credentials)
	if err != nil || base == "" {
		return violation("a request", "to an auth API that nobody knows")
	}
	return f.profile.checkRequest(f, e, base, headers)
}

// checkResponseHeaders lets a request ask for what every answer can have, and for
// these header fields.
func checkResponseHeaders(e wire.Effect, others ...string) error {
	for _, name := range e.ResponseHeaders {
		if name != responseDate && name != responseRetryAfter && !slices.Contains(others, name) {
			return violation("a header field of the answer", "that is not the flow's")
		}
	}
	return nil
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

// Answered takes note of the answer to a request that was let pass, or of the entropy
// that was given.
func (f *Flow) Answered(e wire.Effect, answer wire.Event) {
	if e.Type == wire.EffectEntropy {
		if f.call.Config.Profile == wire.ProfileInstances && len(answer.Entropy) == assertionIDSize {
			f.call.Entropy = answer.Entropy // for the call's own assertion
		}
		return
	}
	f.profile.answered(e, answer)
}

// account is the account that the call is for.
func (f *Flow) account() string {
	if forced := f.call.Config.ForcedWorkspaceIDs; len(forced) == 1 && forced[0] != "" {
		return forced[0]
	}
	return f.call.Credentials.AccountID
}

// Again is Answer for one to the event again, with that entropy and, unless it is empty,
// that task: it is to be the flow's last answer, but for these, the assertion and a
// notice. Unlike the other methods it can be called by several goroutines at once.
func (f *Flow) Again(a wire.Authorization, task string, entropy []byte, now int64) error {
	last := &f.answer
	if task == "" {
		task = last.TaskID
	}
	if a.AgentRuntimeID != last.AgentRuntimeID || a.TaskID != task || a.RuntimeAgentInstance != last.RuntimeAgentInstance ||
		a.Mode != last.Mode || a.Reason != last.Reason ||
		a.ResponsesOrigin != last.ResponsesOrigin || a.AccountRoutingOverride != last.AccountRoutingOverride {
		return violation("an answer", "that is not the last one's")
	}
	return f.believe(a, entropy, now)
}

// Answer returns an error, with CodeViolation, for an answer that is not to be
// believed. Now is the time of the event that it follows from, in Unix seconds.
//
// Whether the assertion's signature is good is not looked at: whoever makes a wrong
// one has only made a call that fails.
func (f *Flow) Answer(a wire.Authorization, now int64) error {
	if err := f.believe(a, f.call.Entropy, now); err != nil {
		return err
	}
	if a.Mode == core.ModeAgentAssertion || a.Mode == core.ModeDualHeader {
		f.answer = a
		f.answer.Header, f.answer.AgentAssertion = "", "" // which are for this answer alone
	}
	return nil
}

// believe is Answer for a call that gave this entropy.
func (f *Flow) believe(a wire.Authorization, entropy []byte, now int64) error {
	if f.refusal != nil {
		return violation("an answer", "to a call that has none")
	}
	account := f.account()
	hasAgent := a.AgentRuntimeID != "" || a.TaskID != "" || a.RuntimeAgentInstance != "" || a.AgentAssertion != ""
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
	if err := f.checkRoute(a); err != nil {
		return err
	}
	switch a.Mode {
	case core.ModeNone:
		if a.Header != "" || hasAgent {
			return violation("an authorization", "where there is none")
		}
		return nil
	case core.ModeBearer:
		if !f.mayBear() || a.Header != f.bearer() || hasAgent {
			return violation("a bearer token", "that is not the user's, or not for this call")
		}
	case core.ModeAgentAssertion, core.ModeDualHeader:
		if f.decided.Mode != a.Mode || f.decided.Reason != a.Reason {
			return violation("an assertion", "for a call that no agent can make")
		}
		return f.profile.checkAssertion(f, a, entropy, now)
	default:
		return violation("a mode", "that is none")
	}
	return nil
}

// mayBear reports whether a call can carry the user's token: one in a conversation
// does not where the agent could have been had, except in the profile auth-api.
func (f *Flow) mayBear() bool {
	if f.call.Credentials.AccessToken == "" || f.decided.Mode == core.ModeNone {
		return false
	}
	if f.call.Credentials.Kind == wire.CredentialsAPIKey {
		return false
	}
	return !f.asserts() || !f.isTurn() || f.call.Config.Profile == wire.ProfileAuthAPI
}

// isTurn reports whether the call is one of a conversation's.
func (f *Flow) isTurn() bool {
	return f.call.ThreadID != "" && f.call.Credentials.Kind != wire.CredentialsAgentIdentity
}

// bearer is the header of a call that carries the user's token.
func (f *Flow) bearer() string { return "Bearer " + f.call.Credentials.AccessToken }

func isReason(s string) bool {
	switch s {
	case core.ReasonNoChatGPTCredentials, core.ReasonBearerOnlySurface, core.ReasonFeatureOff, core.ReasonUnsupportedHost,
		core.ReasonNoAccountID, core.ReasonBackgroundTask, core.ReasonThreadTask, core.ReasonRegistrationFailed,
		core.ReasonStoreFailed, core.ReasonNoAccessToken, core.ReasonWorkspaceNotAllowed, core.ReasonBearerSurface,
		core.ReasonRoutingFailed, core.ReasonAssertionRejected, core.ReasonIdentityTask, core.ReasonAllSurfaces, core.ReasonRuntimeInstance, core.ReasonRegistrationUnavailable:
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
