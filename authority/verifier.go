package authority

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/agentassert/agentassert/core"
)

// DefaultSkew is how far a timestamp may be from the verifier's clock, in
// either direction, unless something else is asked for.
const DefaultSkew = 5 * time.Minute

// accountHeader names the account that a call is made for.
const accountHeader = "ChatGPT-Account-ID"

// ErrUnknownAgent is what a [Directory] returns, itself or wrapped, for an agent
// that it does not know or no longer trusts.
var ErrUnknownAgent = errors.New("unknown agent")

// Agent is what a [Verifier] has to know of an agent.
type Agent struct {
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
type Directory interface {
	// Agent returns an agent, or ErrUnknownAgent. Any other error means that the
	// directory could not tell.
	Agent(ctx context.Context, agentRuntimeID string) (Agent, error)
	// Task says how a task of that agent stands; another agent's task is
	// TaskUnknown. It is asked only about agents that have proven their key. An
	// error means that the directory could not tell.
	Task(ctx context.Context, agentRuntimeID, taskID string) (TaskStatus, error)
}

// Principal is an agent that has proven its key, on a task that it was granted.
type Principal struct {
	AgentRuntimeID string
	TaskID         string
	// AccountID and FedRAMP are the directory's, never the request's.
	AccountID string
	FedRAMP   bool
	// Timestamp is when the assertion was made, by the agent's clock.
	Timestamp time.Time
}

// Verifier checks AgentAssertions. It is safe for concurrent use as long as its
// fields stay as they are.
//
// An assertion does not cover the request that carries it, and can be sent again
// until its timestamp is too old: serve it over TLS, and treat it as the
// credential that it is.
type Verifier struct {
	// Agents must be set.
	Agents Directory
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Skew is how far a timestamp may be from Now, in whole seconds; zero or
	// less is DefaultSkew.
	Skew time.Duration
}

// Verify says who sent a request. It reads the headers Authorization,
// ChatGPT-Account-ID, which may be absent, and for a FedRAMP account
// X-OpenAI-Fedramp; it refuses a request that has one of them twice.
//
// The error is an [*Error]. With status 401, CodeUnauthenticated (there is no
// assertion), CodeInvalidAssertion, CodeUnknownAgent, CodeTimestampSkew,
// CodeAccountMismatch, CodeUnknownTask, CodeTaskExpired; and CodeInvalidRequest,
// CodeFedRAMPRequired, CodeDirectoryFailed, CodeInternal.
func (v *Verifier) Verify(r *http.Request) (Principal, error) {
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	p, err := v.verify(r, now())
	if err != nil {
		return Principal{}, err
	}
	if err := checkFedRAMP(r, p.FedRAMP); err != nil {
		return Principal{}, err
	}
	return p, nil
}

// verify checks the credential alone, which leaves out the header
// X-OpenAI-Fedramp. With an error it returns what the request claims, for the
// log.
func (v *Verifier) verify(r *http.Request, now time.Time) (Principal, error) {
	header, err := singleHeader(r, "Authorization")
	if err != nil {
		return Principal{}, err
	}
	if scheme, _ := cutScheme(header); scheme != SchemeAgentAssertion {
		return Principal{}, fail(http.StatusUnauthorized, CodeUnauthenticated, "the request carries no AgentAssertion")
	}
	account, err := singleHeader(r, accountHeader)
	if err != nil {
		return Principal{}, err
	}
	claim, err := core.ParseAssertion(header)
	if err != nil {
		return Principal{}, fail(http.StatusUnauthorized, CodeInvalidAssertion, err.Error())
	}
	p := Principal{AgentRuntimeID: claim.Envelope.AgentRuntimeID, TaskID: claim.Envelope.TaskID}
	agent, err := v.Agents.Agent(r.Context(), p.AgentRuntimeID)
	switch {
	case errors.Is(err, ErrUnknownAgent):
		return p, fail(http.StatusUnauthorized, CodeUnknownAgent, "the agent is not registered here, or was revoked")
	case err != nil:
		return p, directoryFailed(err)
	case agent.PublicKey == nil:
		return p, directoryFailed(errors.New("the directory returned an agent without a key"))
	}
	if err := v.verifySignature(agent, header, now); err != nil {
		return p, err
	}
	if account != "" && agent.AccountID != "" && account != agent.AccountID {
		return p, fail(http.StatusUnauthorized, CodeAccountMismatch, "the header ChatGPT-Account-ID names another account than the agent's")
	}
	status, err := v.Agents.Task(r.Context(), p.AgentRuntimeID, p.TaskID)
	switch {
	case err != nil:
		return p, directoryFailed(err)
	case status == TaskExpired:
		return p, fail(http.StatusUnauthorized, CodeTaskExpired, "the task has expired; register a new one")
	case status != TaskActive:
		return p, fail(http.StatusUnauthorized, CodeUnknownTask, "the agent was granted no such task")
	}
	p.AccountID, p.FedRAMP = agent.AccountID, agent.FedRAMP
	// It cannot fail: its form was checked with the assertion.
	p.Timestamp, _ = time.Parse(time.RFC3339, claim.Envelope.Timestamp)
	return p, nil
}

// verifySignature also checks the timestamp. Both come before everything that
// only the agent itself is to be told.
func (v *Verifier) verifySignature(agent Agent, header string, now time.Time) error {
	_, err := core.VerifyAssertion(agent.PublicKey, header, now.Unix(), v.skewSeconds())
	switch core.Code(err) {
	case "":
		return nil
	case core.CodeTimestampSkew:
		return fail(http.StatusUnauthorized, CodeTimestampSkew, err.Error())
	case core.CodeBadSignature:
		return fail(http.StatusUnauthorized, CodeInvalidAssertion, err.Error())
	}
	return fail(http.StatusInternalServerError, CodeInternal, err.Error())
}

func (v *Verifier) skewSeconds() int64 {
	skew := v.Skew
	if skew <= 0 {
		skew = DefaultSkew
	}
	return int64(skew / time.Second)
}

func directoryFailed(cause error) error {
	e := fail(http.StatusServiceUnavailable, CodeDirectoryFailed, "the agent could not be looked up; try again later")
	e.cause = cause
	return e
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

type principalKey struct{}

// Wrap returns a handler that calls next for requests that [Verifier.Verify]
// accepts, with the principal in the request's context, and answers all others
// itself, with the error as JSON.
func (v *Verifier) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := v.Verify(r)
		if err != nil {
			writeError(w, asError(err), core.Scheme)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey{}, p)))
	})
}

// PrincipalFromContext returns who sent the request, in a handler behind
// [Verifier.Wrap].
func PrincipalFromContext(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}
