package authority

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

const (
	// DefaultSkew is how far a timestamp may be from the verifier's clock, in
	// either direction, unless something else is asked for.
	DefaultSkew = 5 * time.Minute
	// MaxSkew is the most that can be asked for: whoever reads an assertion can use
	// it for up to twice the skew, and a clock that is further off is not imprecise
	// but wrong.
	MaxSkew = 15 * time.Minute
)

// ErrUnknownAgent is what a [Directory] returns, itself or wrapped, for an agent
// that it does not know or no longer trusts.
var ErrUnknownAgent = errors.New("unknown agent")

// Agent is what a [Verifier] has to know of an agent.
type Agent struct {
	// RuntimeID is the agent's id as the directory has it.
	RuntimeID string
	// PublicKey is the key that the agent registered, from
	// [core.ParsePublicKey].
	PublicKey *core.PublicKey
	// AccountID is the account that it registered for. Where it is empty, the
	// account that a request names is not checked.
	AccountID string
	// FedRAMP says that this is a FedRAMP account: its requests must carry
	// X-OpenAI-Fedramp: true.
	FedRAMP bool
}

// Task is what a [Verifier] has to know of a task. The zero Task is one that there
// is not.
type Task struct {
	// ID and AgentRuntimeID are the task's id, and that of the agent it was granted
	// to, as the directory has them.
	ID, AgentRuntimeID string
	Status             TaskStatus
}

// TaskStatus is how a task stands.
type TaskStatus int

// The zero value lets nobody in.
const (
	TaskUnknown TaskStatus = iota // never granted to this agent
	TaskActive                    // granted
	TaskExpired                   // granted once, and taken back
)

// Directory is where a [Verifier] looks agents and tasks up. Its methods are
// called by several goroutines at once, with the ids of whoever sends a request:
// UTF-8 of 1 to 4096 bytes without control characters.
//
// They return ids as they are stored, and not as they were asked for. A database
// can take two spellings for the same text (another case, another form of
// Unicode, spaces at the end), and a handler that keeps records by a
// principal's id cannot: a [Verifier] lets nobody in by another spelling.
//
// Nor does the verifier's own time tell whether there is an agent. The time of a
// look-up that finds nothing is the directory's to keep alike.
type Directory interface {
	// Agent returns an agent, or ErrUnknownAgent. Any other error means that the
	// directory could not tell.
	Agent(ctx context.Context, agentRuntimeID string) (Agent, error)
	// Task returns a task of that agent; another agent's task is the zero Task. It
	// is asked only about agents that have proven their key. An error means that the
	// directory could not tell.
	Task(ctx context.Context, agentRuntimeID, taskID string) (Task, error)
}

// Principal is who has proven a key: an agent, on a task that it was granted, or a
// runtime agent instance. Neither is ever the other.
type Principal struct {
	// Form is wire.FormTask, with AgentRuntimeID and TaskID, or wire.FormInstance, with
	// RuntimeAgentInstance.
	Form string
	// These and the next two are the directory's, never the request's.
	AgentRuntimeID, TaskID, RuntimeAgentInstance string
	AccountID                                    string
	FedRAMP                                      bool
	// Beside says that the assertion stands in X-OpenAI-Agent-Assertion, and that the
	// verifier has not looked at the bearer token that goes with it in Authorization.
	Beside bool
	// Timestamp is when the assertion was made, by the agent's clock.
	Timestamp time.Time
}

// Decision is what a [Verifier] decided about one request. It holds no secret.
type Decision struct {
	// Time is when it was decided, by the verifier's clock.
	Time time.Time
	// ClaimedAgentRuntimeID and ClaimedTaskID are what the request says, up to 4096
	// bytes each, and prove nothing; empty where there was no assertion to read.
	ClaimedAgentRuntimeID, ClaimedTaskID, ClaimedRuntimeAgentInstance string
	// Principal is who was let in, and zero where nobody was.
	Principal Principal
	// Remembered says that the signature was good a moment ago, and was not checked again.
	Remembered bool
	// Duration is how long it took, most of it the directory's and the hook's, Replayed.
	Duration time.Duration
	// Err is nil where the request was let in, and otherwise what
	// [Verifier.Verify] returns. [Reason] says why.
	Err error

	// verified says that the credential was good, whatever became of the rest of
	// the request, and accountID whose it was.
	verified  bool
	accountID string
	// assertionID is that of a runtime agent instance's assertion.
	assertionID string
}

// VerifierOptions are a verifier's.
type VerifierOptions struct {
	// Agents must be set.
	Agents Directory
	// Instances is where runtime agent instances are looked up; nil lets none in.
	Instances InstanceDirectory
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Skew is how far a timestamp may be from Now: whole seconds, and at most
	// MaxSkew; zero is DefaultSkew.
	Skew time.Duration
	// Decided, if not nil, is told of each decision, before the request goes on or is
	// answered, by several goroutines at once. Unlike the client it learns the
	// reason.
	// [LogDecisions] is one.
	Decided func(context.Context, Decision)
	// MaxRemembered bounds how many verified headers are remembered, for some seconds:
	// the calls that a client makes on a task within a second carry the same header, and
	// so cost one check of a signature. Everything else, such as the timestamp, and the
	// directory's agent, key and task, is looked at for each request, so that what is
	// revoked is refused at once. Zero is DefaultMaxRemembered, which takes some 3 MB and
	// at most 8; a negative number remembers none. Headers of more than 1 KiB are not remembered,
	// nor are assertions of runtime agent instances.
	MaxRemembered int
	// Replayed, if not nil, is asked about each assertion that is good in every
	// other respect, by several goroutines at once. It reports whether the assertion
	// was used before, and remembers it, in one step; an error means that it could
	// not tell, and the request is refused. [MemoryReplays] is one; several servers
	// need one that they share, as package pgreplays has it.
	//
	// Nil lets an assertion be used until its timestamp is too old, and that is how
	// clients of this protocol expect it: time counts in seconds for them, so the
	// calls that they make on a task within one second carry the same assertion. A
	// hook has to let it pass for some seconds, or else they fail.
	//
	// It is otherwise with runtime agent instances, each of whose assertions is for one
	// request: with nil, they are remembered in this process, as MemoryReplays does by
	// default.
	Replayed func(context.Context, Use) (replayed bool, err error)
}

// Verifier checks AgentAssertions. [NewVerifier] makes one. It is safe for
// concurrent use.
//
// An assertion does not cover the request that carries it, and can be sent again
// until its timestamp is too old, unless [VerifierOptions.Replayed] remembers it:
// serve it over TLS, and treat it as the credential that it is.
type Verifier struct {
	agents    Directory
	instances InstanceDirectory
	now       func() time.Time
	skew      int64 // in seconds
	decided   func(context.Context, Decision)
	replayed  func(context.Context, Use) (bool, error)
	// instanceReplayed is for runtime agent instances.
	instanceReplayed func(context.Context, Use) (bool, error)
	proofs           proofs
	verified         *verifiedHeaders // or nil
}

// proofs checks what agents sign.
type proofs struct {
	assertion    func(a core.ReceivedAssertion, p *core.PublicKey) error
	registration func(p *core.PublicKey, agentRuntimeID string, proof wire.RegistrationProof, now, skew int64) error
}

// NewVerifier returns a verifier. The error is an [*Error] with
// CodeInvalidOptions: there is no directory, or the skew is negative, or not in
// whole seconds, or more than MaxSkew.
func NewVerifier(o VerifierOptions) (*Verifier, error) {
	if o.Agents == nil {
		return nil, invalidOptions("VerifierOptions.Agents is nil; a verifier needs a directory")
	}
	if o.Skew < 0 || o.Skew > MaxSkew || o.Skew%time.Second != 0 {
		return nil, invalidOptions("VerifierOptions.Skew is not in whole seconds from 0, for the default, to 15 minutes")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	v := &Verifier{
		agents:           o.Agents,
		instances:        o.Instances,
		now:              o.Now,
		skew:             int64(cmp.Or(o.Skew, DefaultSkew) / time.Second),
		decided:          o.Decided,
		replayed:         o.Replayed,
		instanceReplayed: o.Replayed,
		proofs:           proofs{core.ReceivedAssertion.CheckSignature, core.VerifyRegistration},
	}
	if o.MaxRemembered >= 0 {
		v.verified = newVerifiedHeaders(cmp.Or(o.MaxRemembered, DefaultMaxRemembered))
	}
	if o.Instances != nil && o.Replayed == nil {
		memory, err := NewMemoryReplays(MemoryReplaysOptions{})
		if err != nil {
			return nil, err
		}
		v.instanceReplayed = memory.Replayed
	}
	return v, nil
}

// Verify says who sent a request: the agent whose task's assertion is in
// Authorization, or the runtime agent instance whose assertion is there or in
// X-OpenAI-Agent-Assertion. It also reads ChatGPT-Account-ID, which may be absent, and
// for a FedRAMP account X-OpenAI-Fedramp; it refuses a request that has one of them
// twice, or two assertions.
//
// The error is an [*Error]. With status 401, CodeUnauthenticated (there is no
// assertion), CodeInvalidAssertion, CodeUnknownAgent, CodeTimestampSkew,
// CodeAccountMismatch, CodeUnknownTask, CodeTaskExpired, CodeInstanceRevoked; and
// CodeInvalidRequest,
// CodeFedRAMPRequired, CodeReplayedAssertion, CodeReplayCheckFailed,
// CodeDirectoryFailed, CodeInternal. Whoever lacks the agent's key gets the same
// CodeUnknownAgent whether there is such an agent or not; [Reason] tells the two
// apart, and is not for the client to know.
func (v *Verifier) Verify(r *http.Request) (Principal, error) { return v.verify(r, nil) }

// verify is Verify, for a request whose bearer token is of owner's, if that is not nil.
func (v *Verifier) verify(r *http.Request, owner *string) (Principal, error) {
	if v.agents == nil {
		return Principal{}, fail(http.StatusInternalServerError, CodeInternal, "the verifier was not made by NewVerifier")
	}
	if v.decided == nil {
		d := v.decide(r, v.now(), owner)
		return d.Principal, d.Err
	}
	start := time.Now()
	d := v.decide(r, v.now(), owner)
	d.Duration = time.Since(start)
	v.decided(r.Context(), d)
	return d.Principal, d.Err
}

// decide decides about a request whose bearer token is of owner's, if that is not nil.
func (v *Verifier) decide(r *http.Request, now time.Time, owner *string) Decision {
	d := Decision{Time: now}
	p, err := v.authenticate(r, &d)
	if err == nil {
		d.verified, d.accountID = true, p.AccountID
		err = checkOwner(p, owner)
	}
	if err == nil {
		err = checkFedRAMP(r, p.FedRAMP)
	}
	if err == nil { // last, so that a request that is refused uses nothing up
		if err = v.checkReplay(r.Context(), p, d.assertionID, now); err != nil {
			d.verified, d.accountID = false, ""
		}
	}
	if err != nil {
		d.Err = err
		return d
	}
	d.Principal = p
	return d
}

// checkOwner refuses an assertion beside the bearer token of another account. A
// principal without an account is everybody's.
func checkOwner(p Principal, owner *string) error {
	if owner == nil || p.AccountID == "" || p.AccountID == *owner {
		return nil
	}
	return fail(http.StatusUnauthorized, CodeAccountMismatch, "the bearer token is of another account than the runtime agent instance")
}

// authenticate checks the credential alone, which leaves out the header
// X-OpenAI-Fedramp and what was used before.
func (v *Verifier) authenticate(r *http.Request, d *Decision) (Principal, error) {
	header, err := singleHeader(r, authorizationHeader)
	if err != nil {
		return Principal{}, err
	}
	beside, err := singleHeader(r, assertionHeader)
	if err != nil {
		return Principal{}, err
	}
	scheme, credential := cutScheme(header)
	account, err := singleHeader(r, accountHeader)
	switch {
	case err != nil:
		return Principal{}, err
	case scheme != SchemeAgentAssertion && beside == "":
		return Principal{}, fail(http.StatusUnauthorized, CodeUnauthenticated, "the request carries no AgentAssertion")
	case scheme == SchemeAgentAssertion && beside != "":
		return Principal{}, fail(http.StatusBadRequest, CodeInvalidRequest, "the request carries two assertions, in Authorization and in X-OpenAI-Agent-Assertion")
	case beside != "" && !strings.HasPrefix(beside, instanceVersion):
		return Principal{}, fail(http.StatusUnauthorized, CodeInvalidAssertion, "the header X-OpenAI-Agent-Assertion has no assertion of a runtime agent instance")
	case beside != "":
		return v.authenticateInstance(r, beside, account, true, d)
	case strings.HasPrefix(strings.TrimLeft(credential, " "), instanceVersion):
		return v.authenticateInstance(r, header, account, false, d)
	}
	return v.authenticateTask(r, header, account, d)
}

// authenticateTask checks the assertion of a task.
func (v *Verifier) authenticateTask(r *http.Request, header, account string, d *Decision) (Principal, error) {
	known := v.verified.find(header)
	claims := known.claims
	var received core.ReceivedAssertion
	if known.by == nil {
		var err error
		if received, err = core.ReadAssertion(header); err != nil {
			return Principal{}, fail(http.StatusUnauthorized, CodeInvalidAssertion, err.Error())
		}
		claims = received.AssertionClaims
	}
	d.ClaimedAgentRuntimeID, d.ClaimedTaskID = claims.AgentRuntimeID, claims.TaskID
	agent, unknown, err := v.lookUp(r.Context(), claims.AgentRuntimeID)
	if err != nil {
		return Principal{}, err
	}
	// Signature and time come before everything that only the agent itself is to be told.
	d.Remembered = known.by != nil && known.by.Equal(agent.PublicKey)
	if !d.Remembered {
		if known.by != nil { // with another key, and it could be read then
			received, _ = core.ReadAssertion(header)
		}
		err = v.proofs.assertion(received, agent.PublicKey)
	}
	if err == nil {
		err = claims.CheckTime(d.Time.Unix(), v.skew)
	}
	if err := v.refuseAssertion(unknown, err); err != nil {
		return Principal{}, err
	}
	if !d.Remembered {
		v.verified.add(d.Time, header, verifiedHeader{claims, agent.PublicKey})
	}
	if account != "" && agent.AccountID != "" && account != agent.AccountID {
		return Principal{}, fail(http.StatusUnauthorized, CodeAccountMismatch, "the header ChatGPT-Account-ID names another account than the agent's")
	}
	task, err := v.agents.Task(r.Context(), agent.RuntimeID, claims.TaskID)
	if err != nil {
		return Principal{}, directoryFailed(err)
	}
	if err := refuseTask(task, agent.RuntimeID, claims.TaskID); err != nil {
		return Principal{}, err
	}
	return Principal{
		Form:           wire.FormTask,
		AgentRuntimeID: agent.RuntimeID,
		TaskID:         task.ID,
		AccountID:      agent.AccountID,
		FedRAMP:        agent.FedRAMP,
		Timestamp:      time.Unix(claims.Timestamp, 0).UTC(),
	}, nil
}

// nobody is a key that nobody has.
var nobody = sync.OnceValue(func() *core.PublicKey {
	seed := make([]byte, 32)
	_, _ = rand.Read(seed)             // it never fails
	k, err := core.NewPrivateKey(seed) // nor does this, for 32 bytes
	if err != nil {
		panic(err)
	}
	return k.Public()
})

// lookUp returns an agent; one that there is not has a key that nobody has, so
// that checking its signature takes as long as another's, and comes with the
// reason why it is unknown.
func (v *Verifier) lookUp(ctx context.Context, agentRuntimeID string) (agent Agent, unknown, err error) {
	agent, err = v.agents.Agent(ctx, agentRuntimeID)
	switch {
	case errors.Is(err, ErrUnknownAgent):
		unknown = fail(http.StatusUnauthorized, CodeUnknownAgent, "the directory does not know the agent")
	case err != nil:
		return Agent{}, nil, directoryFailed(err)
	case agent.PublicKey == nil:
		return Agent{}, nil, directoryFailed(errors.New("the directory returned an agent without a key"))
	case agent.RuntimeID != agentRuntimeID:
		unknown = fail(http.StatusUnauthorized, CodeOtherSpelling, "the directory found an agent whose id is spelled otherwise")
	}
	if unknown != nil {
		return Agent{PublicKey: nobody()}, unknown, nil
	}
	return agent, nil, nil
}

// refuseAssertion is what the client is told where the agent is unknown, or
// its signature or its time is not good.
func (v *Verifier) refuseAssertion(unknown, err error) error {
	if unknown == nil && core.Code(err) == core.CodeBadSignature {
		unknown = fail(http.StatusUnauthorized, CodeInvalidSignature, err.Error())
	}
	switch {
	case unknown != nil:
		return because(unknown, http.StatusUnauthorized, CodeUnknownAgent, "no agent with this id and this key is registered here, or it was revoked")
	case core.Code(err) == core.CodeTimestampSkew:
		return fail(http.StatusUnauthorized, CodeTimestampSkew, err.Error())
	case err != nil:
		return fail(http.StatusInternalServerError, CodeInternal, err.Error())
	}
	return nil
}

// refuseTask is what an agent is told about a task that it cannot use.
func refuseTask(t Task, agentRuntimeID, taskID string) error {
	const message = "the agent was granted no such task"
	switch {
	case t.Status != TaskActive && t.Status != TaskExpired:
		return fail(http.StatusUnauthorized, CodeUnknownTask, message)
	case t.ID != taskID || t.AgentRuntimeID != agentRuntimeID:
		return because(fail(http.StatusUnauthorized, CodeOtherSpelling, "the directory found a task whose id, or whose agent's, is spelled otherwise"),
			http.StatusUnauthorized, CodeUnknownTask, message)
	case t.Status == TaskExpired:
		return fail(http.StatusUnauthorized, CodeTaskExpired, "the task has expired; register a new one")
	}
	return nil
}

func directoryFailed(cause error) error {
	return because(cause, http.StatusServiceUnavailable, CodeDirectoryFailed, "the agent could not be looked up; try again later")
}

// cutScheme splits the value of an Authorization header, whose scheme may be in
// any case (RFC 9110, section 11.1).
func cutScheme(header string) (scheme, credential string) {
	name, credential, _ := strings.Cut(header, " ")
	switch {
	case strings.EqualFold(name, core.Scheme):
		return SchemeAgentAssertion, credential
	case strings.EqualFold(name, "Bearer"):
		return SchemeBearer, strings.Trim(credential, " ")
	}
	return SchemeNone, ""
}
