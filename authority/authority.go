package authority

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base32"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentassert/agentassert/core"
)

// DefaultBiscuitLifetime is how long a biscuit can be used unless something
// else is asked for.
const DefaultBiscuitLifetime = time.Minute

// The limits that stand unless others are asked for.
const (
	DefaultMaxIdentities = 10_000
	DefaultMaxTasks      = 100_000
)

// Options are an authority's. The zero value is ready for use.
type Options struct {
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Rand is where tokens, biscuits and ids come from; nil is crypto/rand. It is
	// read by one goroutine at a time.
	Rand io.Reader
	// AcceptAnyBearer accepts every bearer token that is not empty, for clients
	// that bring tokens of their own. Nothing is then proven about the bearer: the
	// account is the one in the header ChatGPT-Account-ID or, without it, in the
	// token's claims if it is a JWT, or else empty.
	AcceptAnyBearer bool
	// Skew is how far a timestamp may be from Now, in whole seconds; zero or
	// less is DefaultSkew.
	Skew time.Duration
	// BiscuitLifetime is how long a biscuit can be used; zero or less is
	// DefaultBiscuitLifetime.
	BiscuitLifetime time.Duration
	// MaxIdentities and MaxTasks bound what is kept in memory: beyond them,
	// registrations are refused with CodeCapacityExceeded. Zero or less is the
	// default.
	MaxIdentities, MaxTasks int
	// FedRAMP makes every account a FedRAMP one, those of AcceptAnyBearer
	// included. Their calls must then carry X-OpenAI-Fedramp: true.
	FedRAMP bool
	// TaskResponse is what a task registration of the later profile answers
	// with; empty is TaskResponseSealed. New panics on a value that is not one of
	// the constants. The default profile always answers with TaskResponseSealed.
	TaskResponse TaskResponse
	// JWTKey signs the identities of IssueIdentityJWT, with RS256; nil is a key of
	// 2048 bits from crypto/rand, which takes a moment and is made when an identity
	// or the JWKS is first asked for. New panics on a key of fewer than 2048 bits
	// (RFC 7518, section 3.3).
	JWTKey *rsa.PrivateKey
	// Intercept, if not nil, is asked about each request to the biscuit and
	// registration endpoints of both profiles, by several goroutines at once, and
	// must leave the body alone. It returns 0 to have the request served, or a
	// redirect or an error (300 to 599) to refuse it with, with
	// CodeRegistrationRefused, and the header fields of that answer, such as
	// Retry-After. Other statuses panic. It is not asked while RefuseRegistration
	// is in force.
	Intercept func(r *http.Request) (status int, header http.Header)
	// Observe, if not nil, is called once for each request, when its answer is
	// known and before it is sent, by several goroutines at once.
	Observe func(Request)
}

// Authority is the backend's side of the protocol, in memory, for both profiles
// at once: identities and tasks are the same, however they were registered.
//
// It serves the base URLs http://{host}/backend-api and http://{host}:
//
//   - GET {base}/authenticate_app_v2 mints a biscuit,
//   - POST {base}/v1/agent/register registers an identity, for a biscuit,
//   - POST {base}/v1/agent/{id}/task/register registers a task, for a biscuit,
//   - GET http://{host}/backend-api/wham/agent-identities/jwks and GET
//     http://{host}/agent-identities/jwks, where clients look for it whose base
//     URL lacks /backend-api, have the key that verifies the identities of
//     [Authority.IssueIdentityJWT],
//   - everything else, in any method, is a backend call. It is answered with
//     what was authenticated, {"scheme":"agent-assertion", "agent_runtime_id",
//     "task_id", "account_id", "timestamp"} or {"scheme":"bearer", "account_id"},
//     and "fedramp":true for a FedRAMP account.
//
// The later profile, that of clients from 0.132 on, registers elsewhere, at the
// auth API http://{host}/api/accounts:
//
//   - POST {authapi}/v1/agent/register registers an identity, for a bearer token,
//   - POST {authapi}/v1/agent/{id}/task/register registers a task. It refuses a
//     request with an authorization of whatever kind: the signature is the proof.
//
// Where the protocol is silent, the authority is lenient: it takes a
// registration with or without "ttl", of any value, and lets X-OpenAI-Fedramp
// pass where it is not due. It is due on backend calls for a FedRAMP account, and
// on its identity's registration in the later profile; the default profile's
// registrations do without.
//
// Requests in absolute form are served too, so that it can stand in as the HTTP
// proxy of a client whose backend is elsewhere; it is no tunnel, so that backend
// must be one without TLS.
//
// An Authority is an [http.Handler] and a [Directory], and safe for concurrent
// use.
type Authority struct {
	options  Options
	verifier *Verifier
	signer   func() (identitySigner, error) // made at first use

	randMu sync.Mutex // guards options.Rand

	mu sync.Mutex // guards all below
	// Secrets are looked up by their hash, so that the time of a lookup tells
	// nothing about them.
	sessions map[secretHash]session
	biscuits map[secretHash]biscuit
	agents   map[string]Agent // by runtime id
	tasks    map[string]task  // by task id
	accepted Counts
	refusal  int // HTTP status, or 0
}

// account is whom a credential was issued for.
type account struct {
	id      string
	fedRAMP bool
}

type task struct {
	agentRuntimeID string
	expired        bool
}

type secretHash [sha256.Size]byte

func hashSecret(secret string) secretHash { return sha256.Sum256([]byte(secret)) }

// New returns an authority that knows nobody.
func New(o Options) *Authority {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.BiscuitLifetime <= 0 {
		o.BiscuitLifetime = DefaultBiscuitLifetime
	}
	if o.MaxIdentities <= 0 {
		o.MaxIdentities = DefaultMaxIdentities
	}
	if o.MaxTasks <= 0 {
		o.MaxTasks = DefaultMaxTasks
	}
	if o.TaskResponse == "" {
		o.TaskResponse = TaskResponseSealed
	}
	if !slices.Contains(TaskResponses(), o.TaskResponse) {
		panic("authority: Options.TaskResponse is not one of the constants")
	}
	if o.JWTKey != nil && o.JWTKey.N.BitLen() < signingKeyBits {
		panic("authority: Options.JWTKey has fewer than 2048 bits")
	}
	a := &Authority{
		options:  o,
		signer:   sync.OnceValues(func() (identitySigner, error) { return newIdentitySigner(o.JWTKey) }),
		sessions: make(map[secretHash]session),
		biscuits: make(map[secretHash]biscuit),
		agents:   make(map[string]Agent),
		tasks:    make(map[string]task),
	}
	a.verifier = &Verifier{Agents: a, Now: o.Now, Skew: o.Skew}
	return a
}

// Agent makes the authority a [Directory].
func (a *Authority) Agent(_ context.Context, agentRuntimeID string) (Agent, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	agent, ok := a.agents[agentRuntimeID]
	if !ok {
		return Agent{}, ErrUnknownAgent
	}
	return agent, nil
}

// Task makes the authority a [Directory].
func (a *Authority) Task(_ context.Context, agentRuntimeID, taskID string) (TaskStatus, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch t, ok := a.tasks[taskID]; {
	case !ok || t.agentRuntimeID != agentRuntimeID:
		return TaskUnknown, nil
	case t.expired:
		return TaskExpired, nil
	}
	return TaskActive, nil
}

// Counts are numbers of identities and tasks.
type Counts struct{ Identities, Tasks int }

// Counts says what the authority holds: the identities that are not revoked, and
// their tasks, the expired ones included.
func (a *Authority) Counts() Counts {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Counts{Identities: len(a.agents), Tasks: len(a.tasks)}
}

// Accepted says how many registrations were accepted, whatever has become of
// them since. Identities that [Authority.IssueIdentityJWT] issued are not among
// them: no client registered them.
func (a *Authority) Accepted() Counts {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.accepted
}

// ExpireTask lets a task expire: assertions for it are refused with
// CodeTaskExpired from now on. It reports whether there is such a task.
func (a *Authority) ExpireTask(taskID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.tasks[taskID]
	if ok {
		t.expired = true
		a.tasks[taskID] = t
	}
	return ok
}

// RevokeAgent forgets an agent and its tasks: it is refused with
// CodeUnknownAgent from now on. It reports whether there was such an agent.
func (a *Authority) RevokeAgent(agentRuntimeID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.agents[agentRuntimeID]
	delete(a.agents, agentRuntimeID)
	maps.DeleteFunc(a.tasks, func(_ string, t task) bool { return t.agentRuntimeID == agentRuntimeID })
	return ok
}

// ServeHTTP serves one request.
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seen := Request{
		Time:   a.options.Now(),
		Method: r.Method,
		Path:   r.URL.EscapedPath(),
		Scheme: SchemeNone,
		Status: http.StatusOK,
	}
	// Clients compare their clocks with it. The time of the network is another than
	// that of Options.Now.
	w.Header().Set("Date", seen.Time.UTC().Format(http.TimeFormat))
	to := parseRoute(seen.Path)
	answer, err := a.serve(w, r, to, &seen)
	var refusal *Error
	if err != nil {
		refusal = asError(err)
		seen.Status, seen.Error = refusal.Status, refusal.Code
	}
	if a.options.Observe != nil {
		a.options.Observe(seen)
	}
	switch {
	case refusal == nil:
		writeJSON(w, http.StatusOK, answer)
	case to.endpoint == endpointCall:
		writeError(w, refusal, core.Scheme, "Bearer")
	default:
		writeError(w, refusal, "Bearer")
	}
}

// serve returns the answer to a request, and sets headers of the response.
func (a *Authority) serve(w http.ResponseWriter, r *http.Request, to route, seen *Request) (any, error) {
	if r.Method == http.MethodConnect {
		w.Header().Set("Allow", "GET, POST")
		return nil, fail(http.StatusMethodNotAllowed, CodeMethodNotAllowed, "this is a backend that can be used as a proxy for itself, not a tunnel; give the client a base URL with http, not https")
	}
	if to.endpoint == endpointCall {
		return a.call(r, seen)
	}
	method := http.MethodPost
	if to.endpoint == endpointBiscuit || to.endpoint == endpointJWKS {
		method = http.MethodGet
	}
	if r.Method != method {
		w.Header().Set("Allow", method)
		return nil, fail(http.StatusMethodNotAllowed, CodeMethodNotAllowed, "this endpoint has only the method "+method)
	}
	if to.endpoint == endpointJWKS {
		return a.jwks()
	}
	if err := a.intercept(w, r); err != nil {
		return nil, err
	}
	switch to.endpoint {
	case endpointBiscuit:
		return a.mintBiscuit(w, r, to, seen)
	case endpointIdentity:
		return a.registerIdentity(w, r, to, seen)
	default:
		return a.registerTask(w, r, to, seen)
	}
}

// call answers a backend call with what it authenticated.
func (a *Authority) call(r *http.Request, seen *Request) (any, error) {
	type answer struct {
		Scheme         string `json:"scheme"`
		AgentRuntimeID string `json:"agent_runtime_id,omitempty"`
		TaskID         string `json:"task_id,omitempty"`
		AccountID      string `json:"account_id"`
		FedRAMP        bool   `json:"fedramp,omitempty"`
		Timestamp      string `json:"timestamp,omitempty"`
	}
	if scheme, _ := cutScheme(r.Header.Get("Authorization")); scheme != SchemeAgentAssertion {
		owner, err := a.bearer(r, seen)
		if err != nil {
			return nil, err
		}
		if err := checkFedRAMP(r, owner.fedRAMP); err != nil {
			return nil, err
		}
		return answer{Scheme: SchemeBearer, AccountID: owner.id, FedRAMP: owner.fedRAMP}, nil
	}
	seen.Scheme = SchemeAgentAssertion
	p, err := a.verifier.verify(r, seen.Time)
	seen.AgentRuntimeID, seen.TaskID = p.AgentRuntimeID, p.TaskID
	if err != nil {
		return nil, err
	}
	seen.Verified, seen.AccountID = true, p.AccountID
	if err := checkFedRAMP(r, p.FedRAMP); err != nil {
		return nil, err
	}
	return answer{
		Scheme:         SchemeAgentAssertion,
		AgentRuntimeID: p.AgentRuntimeID,
		TaskID:         p.TaskID,
		AccountID:      p.AccountID,
		FedRAMP:        p.FedRAMP,
		Timestamp:      p.Timestamp.Format(time.RFC3339),
	}, nil
}

// holdAgent keeps an agent under a new id. The caller holds a.mu.
func (a *Authority) holdAgent(id string, agent Agent) error {
	if len(a.agents) >= a.options.MaxIdentities {
		return capacityExceeded()
	}
	if _, ok := a.agents[id]; ok {
		return errNotRandom()
	}
	a.agents[id] = agent
	return nil
}

// random returns n random bytes. It fails only where Options.Rand does.
func (a *Authority) random(n int) ([]byte, error) {
	a.randMu.Lock()
	defer a.randMu.Unlock()
	b := make([]byte, n)
	if _, err := io.ReadFull(a.options.Rand, b); err != nil {
		return nil, fail(http.StatusInternalServerError, CodeInternal, "the authority has no randomness")
	}
	return b, nil
}

// newID returns a fresh id such as task-mzxw6ytboi3dkmrv. Ids are no secrets:
// 80 bits are to keep them unique.
func (a *Authority) newID(kind string) (string, error) {
	b, err := a.random(10)
	if err != nil {
		return "", err
	}
	return kind + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(b)), nil
}
