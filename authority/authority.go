package authority

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base32"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/hidden"
)

// DefaultBiscuitLifetime is how long a biscuit can be used unless something
// else is asked for.
const DefaultBiscuitLifetime = time.Minute

// The limits that stand unless others are asked for.
const (
	DefaultMaxIdentities           = 10_000
	DefaultMaxIdentitiesPerAccount = 1_000
	DefaultMaxTasks                = 100_000
	DefaultMaxTasksPerAccount      = 10_000
	DefaultMaxBiscuits             = 10_000
	DefaultMaxBiscuitsPerAccount   = 1_000
	DefaultMaxInstances            = 10_000
	DefaultMaxInstancesPerAccount  = 1_000
)

// taskMemory is how long a task is remembered after it has expired, for its
// agent to be told so. It is longer than a proof can be good for (twice MaxSkew),
// so that there are never more proofs to remember than there are tasks.
const taskMemory = time.Hour

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
	// token's claims if it is a JWT, or else empty. What a runtime agent instance is
	// registered with has claims, or the answer names an actor that stands for nobody.
	AcceptAnyBearer bool
	// Skew is how far a timestamp may be from Now: whole seconds, and at most
	// MaxSkew; zero is DefaultSkew.
	Skew time.Duration
	// BiscuitLifetime is how long a biscuit can be used; zero is
	// DefaultBiscuitLifetime.
	BiscuitLifetime time.Duration
	// TaskLifetime is how long a task can be used; zero is until
	// [Authority.ExpireTask] or [Authority.RevokeAgent]. An expired task is forgotten
	// an hour later, and is then an unknown one.
	TaskLifetime time.Duration
	// MaxIdentities, MaxTasks, MaxBiscuits and MaxInstances bound what is kept in memory.
	// What is zero in them is the constant of that name.
	MaxIdentities, MaxTasks, MaxBiscuits, MaxInstances Limit
	// Workspace, if not nil, says where an account's calls to responses go, by several
	// goroutines at once; nil puts no constraint on them.
	Workspace func(accountID string) Workspace
	// FedRAMP makes every account a FedRAMP one, those of AcceptAnyBearer
	// included. Their calls must then carry X-OpenAI-Fedramp: true.
	FedRAMP bool
	// TaskResponse is what a task registration of the profile auth-api answers
	// with; empty is TaskResponseSealed. The default profile always answers with
	// TaskResponseSealed.
	TaskResponse TaskResponse
	// JWTKey signs the identities of IssueIdentityJWT, with RS256, and has 2048 bits
	// or more (RFC 7518, section 3.3); nil is a key of 2048 bits from crypto/rand,
	// which takes a moment and is made when an identity or the JWKS is first asked
	// for.
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
	// known and before it is sent, by several goroutines at once. [Log.Observe]
	// writes what it is told to a file.
	Observe func(Request)
	// Replayed is [VerifierOptions.Replayed], for backend calls.
	Replayed func(context.Context, Use) (replayed bool, err error)
}

// GobEncode implements gob.GobEncoder, and fails: it would encode JWTKey.
func (o Options) GobEncode() ([]byte, error) { return hidden.Gob(o) }

// Authority is the backend's side of the protocol, in memory, for all profiles at
// once: identities and tasks are the same, however they were registered.
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
//   - GET {base}/wham/accounts/check is a backend call whose answer says where the
//     account's calls to responses go ([Options.Workspace]),
//   - everything else, in any method, is a backend call. It is answered with
//     what was authenticated, {"scheme":"agent-assertion", "agent_runtime_id",
//     "task_id", "account_id", "timestamp"} or {"scheme":"bearer", "account_id"},
//     with "runtime_agent_instance" in place of the two ids for such an instance, and
//     the scheme "dual-header" where a bearer token stands beside it; and with
//     "fedramp":true for a FedRAMP account.
//
// Runtime agent instances register at POST http://{host}/agent/register, with the
// user's access token or an API key in the body, and an idempotency key. Each of their
// assertions is let in once.
//
// The profile auth-api, that of clients from 0.132 on, registers elsewhere, at the
// auth API http://{host}/api/accounts:
//
//   - POST {authapi}/v1/agent/register registers an identity, for a bearer token,
//   - POST {authapi}/v1/agent/{id}/task/register registers a task. It refuses a
//     request with an authorization of whatever kind: the signature is the proof.
//     Its proof says nothing but the agent and the second, so the same again, as
//     clients send it that begin twice in one second, is answered with the same task,
//     as long as that is not expired (CodeReplayedRegistration).
//
// What requests can make it remember is bounded, for each account and in all, and
// forgotten when it has expired. Nothing makes room for anything else. Sessions are
// not bounded: no request makes any.
//
// Where the protocol is silent, the authority is lenient: it takes a
// registration with or without "ttl", of any value, and lets X-OpenAI-Fedramp
// pass where it is not due. It is due on backend calls for a FedRAMP account, and
// on its identity's registration in the profile auth-api; the default profile's
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
	sessions *table[secretHash, account]
	biscuits *table[secretHash, biscuit]
	agents   *table[string, Agent] // by runtime id
	tasks    *table[string, task]  // by task id
	// instances are by their ids, idempotent those whose registration can come again.
	instances  *table[string, Instance]
	idempotent *table[idempotency, accepted]
	// proofs are those of task registrations that were accepted, and are not too old
	// yet to be accepted again, with their tasks.
	proofs   *table[proof, string]
	accepted Counts
	refusal  int // HTTP status, or 0
}

// account is whom a credential was issued for.
type account struct {
	id      string
	fedRAMP bool
	user    string
	// apiKey says that the credential is an API key.
	apiKey bool
}

type task struct {
	agentRuntimeID string
	expires        time.Time // zero is never
}

// proof is what an agent signs to register a task. The signature is no part of it:
// the owner of a key can sign a text in many ways.
type proof struct{ agentRuntimeID, timestamp string }

type secretHash [sha256.Size]byte

func hashSecret(secret string) secretHash { return sha256.Sum256([]byte(secret)) }

// New returns an authority that knows nobody. The error is an [*Error] with
// CodeInvalidOptions, and says which option cannot be used.
func New(o Options) (*Authority, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.BiscuitLifetime < 0 || o.TaskLifetime < 0 {
		return nil, invalidOptions("Options.BiscuitLifetime or TaskLifetime is negative; use zero for the default")
	}
	o.BiscuitLifetime = cmp.Or(o.BiscuitLifetime, DefaultBiscuitLifetime)
	for _, m := range []struct {
		limit             *Limit
		total, perAccount int
	}{
		{&o.MaxIdentities, DefaultMaxIdentities, DefaultMaxIdentitiesPerAccount},
		{&o.MaxTasks, DefaultMaxTasks, DefaultMaxTasksPerAccount},
		{&o.MaxBiscuits, DefaultMaxBiscuits, DefaultMaxBiscuitsPerAccount},
		{&o.MaxInstances, DefaultMaxInstances, DefaultMaxInstancesPerAccount},
	} {
		var ok bool
		if *m.limit, ok = m.limit.or(m.total, m.perAccount); !ok {
			return nil, invalidOptions("Options.MaxIdentities, MaxTasks, MaxBiscuits or MaxInstances is negative; use zero for the default")
		}
	}
	o.TaskResponse = cmp.Or(o.TaskResponse, TaskResponseSealed)
	if !slices.Contains(TaskResponses(), o.TaskResponse) {
		return nil, invalidOptions("Options.TaskResponse is not one of the constants")
	}
	if o.JWTKey != nil && o.JWTKey.N.BitLen() < signingKeyBits {
		return nil, invalidOptions("Options.JWTKey has fewer than 2048 bits")
	}
	a := &Authority{
		options:  o,
		signer:   sync.OnceValues(func() (identitySigner, error) { return newIdentitySigner(o.JWTKey) }),
		sessions: newTable[secretHash, account](Limit{math.MaxInt, math.MaxInt}),
		biscuits: newTable[secretHash, biscuit](o.MaxBiscuits),
		agents:   newTable[string, Agent](o.MaxIdentities),
		tasks:    newTable[string, task](o.MaxTasks),
		proofs:   newTable[proof, string](o.MaxTasks),

		instances:  newTable[string, Instance](o.MaxInstances),
		idempotent: newTable[idempotency, accepted](o.MaxInstances),
	}
	var err error
	if a.verifier, err = NewVerifier(VerifierOptions{Agents: a, Instances: a, Now: o.Now, Skew: o.Skew, Replayed: o.Replayed}); err != nil {
		return nil, err
	}
	return a, nil
}

// Agent makes the authority a [Directory].
func (a *Authority) Agent(_ context.Context, agentRuntimeID string) (Agent, error) {
	now := a.options.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	agent, ok := a.agents.get(now, agentRuntimeID)
	if !ok {
		return Agent{}, ErrUnknownAgent
	}
	return agent, nil
}

// Task makes the authority a [Directory].
func (a *Authority) Task(_ context.Context, agentRuntimeID, taskID string) (Task, error) {
	now := a.options.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.tasks.get(now, taskID)
	if !ok || t.agentRuntimeID != agentRuntimeID {
		return Task{}, nil
	}
	status := TaskActive
	if !t.expires.IsZero() && !now.Before(t.expires) {
		status = TaskExpired
	}
	return Task{ID: taskID, AgentRuntimeID: t.agentRuntimeID, Status: status}, nil
}

// Counts are numbers of identities, tasks and runtime agent instances.
type Counts struct{ Identities, Tasks, Instances int }

// Counts says what the authority holds: the identities that are not revoked, and
// their tasks, those included that have expired and are not forgotten yet, and so with
// runtime agent instances.
func (a *Authority) Counts() Counts {
	now := a.options.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	return Counts{Identities: a.agents.len(now), Tasks: a.tasks.len(now), Instances: a.instances.len(now)}
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
	now := a.options.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.tasks.get(now, taskID)
	if ok && (t.expires.IsZero() || now.Before(t.expires)) {
		t.expires = now
		a.tasks.replace(taskID, now.Add(taskMemory), t)
	}
	return ok
}

// RevokeAgent forgets an agent and its tasks: it is refused with
// CodeUnknownAgent from now on. It reports whether there was such an agent.
func (a *Authority) RevokeAgent(agentRuntimeID string) bool {
	now := a.options.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.agents.get(now, agentRuntimeID)
	a.agents.remove(agentRuntimeID)
	a.tasks.removeFunc(func(_ string, t task) bool { return t.agentRuntimeID == agentRuntimeID })
	a.proofs.removeFunc(func(p proof, _ string) bool { return p.agentRuntimeID == agentRuntimeID })
	return ok
}

// ServeHTTP serves one request.
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	seen := Request{
		Time:   a.options.Now(),
		Method: r.Method,
		Path:   path,
		Scheme: SchemeNone,
		Status: http.StatusOK,
	}
	// Clients compare their clocks with it. The time of the network is another than
	// that of Options.Now.
	w.Header().Set("Date", seen.Time.UTC().Format(http.TimeFormat))
	to := parseRoute(path)
	answer, err := a.serve(w, r, to, &seen)
	var refusal *Error
	if err != nil {
		refusal = asError(err)
		seen.Status, seen.Error, seen.Reason = refusal.Status, refusal.Code, Reason(refusal)
	}
	if a.options.Observe != nil {
		a.options.Observe(seen.bounded())
	}
	switch {
	case refusal == nil:
		writeJSON(w, http.StatusOK, answer)
	case to.endpoint == endpointCall, to.endpoint == endpointAccounts:
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
	if to.endpoint == endpointBiscuit || to.endpoint == endpointJWKS || to.endpoint == endpointAccounts {
		method = http.MethodGet
	}
	if r.Method != method {
		w.Header().Set("Allow", method)
		return nil, fail(http.StatusMethodNotAllowed, CodeMethodNotAllowed, "this endpoint has only the method "+method)
	}
	switch to.endpoint {
	case endpointJWKS:
		return a.jwks()
	case endpointAccounts:
		who, err := a.call(r, seen)
		if err != nil {
			return nil, err
		}
		return a.accounts(who.AccountID), nil
	}
	if err := a.intercept(w, r); err != nil {
		return nil, err
	}
	switch to.endpoint {
	case endpointBiscuit:
		return a.mintBiscuit(w, r, to, seen)
	case endpointIdentity:
		return a.registerIdentity(w, r, to, seen)
	case endpointInstance:
		return a.registerInstance(w, r, seen)
	default:
		return a.registerTask(w, r, to, seen)
	}
}

// caller is what a backend call is answered with: what was authenticated.
type caller struct {
	Scheme               string `json:"scheme"`
	AgentRuntimeID       string `json:"agent_runtime_id,omitempty"`
	TaskID               string `json:"task_id,omitempty"`
	RuntimeAgentInstance string `json:"runtime_agent_instance,omitempty"`
	AccountID            string `json:"account_id"`
	FedRAMP              bool   `json:"fedramp,omitempty"`
	Timestamp            string `json:"timestamp,omitempty"`
}

// call authenticates a backend call.
func (a *Authority) call(r *http.Request, seen *Request) (*caller, error) {
	scheme, _ := cutScheme(r.Header.Get("Authorization"))
	beside := len(r.Header.Values(assertionHeader)) > 0
	var owner account
	var ownerID *string // where it is known
	if scheme != SchemeAgentAssertion {
		var err error
		if owner, err = a.bearer(r, seen); err != nil {
			return nil, err
		}
		if err := checkFedRAMP(r, owner.fedRAMP); err != nil {
			return nil, err
		}
		if !beside {
			return &caller{Scheme: SchemeBearer, AccountID: owner.id, FedRAMP: owner.fedRAMP}, nil
		}
		if owner.id != "" {
			ownerID = &owner.id
		}
	}
	seen.Scheme = SchemeAgentAssertion
	if beside {
		seen.Scheme = SchemeDualHeader
	}
	d := a.verifier.decide(r, seen.Time, ownerID)
	seen.AgentRuntimeID, seen.TaskID, seen.RuntimeAgentInstance = d.ClaimedAgentRuntimeID, d.ClaimedTaskID, d.ClaimedRuntimeAgentInstance
	seen.Verified, seen.AccountID = d.verified, d.accountID
	if d.Err != nil {
		return nil, d.Err
	}
	p := d.Principal
	return &caller{
		Scheme:               seen.Scheme,
		AgentRuntimeID:       p.AgentRuntimeID,
		TaskID:               p.TaskID,
		RuntimeAgentInstance: p.RuntimeAgentInstance,
		AccountID:            p.AccountID,
		FedRAMP:              p.FedRAMP,
		Timestamp:            p.Timestamp.Format(time.RFC3339),
	}, nil
}

// holdAgent keeps an agent. The caller holds a.mu.
func (a *Authority) holdAgent(now time.Time, agent Agent) error {
	return a.agents.add(now, agent.RuntimeID, agent.AccountID, time.Time{}, agent)
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
