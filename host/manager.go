package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/hidden"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/egress"
)

// ABOM says what the agent is made of; it is sent once, when an identity is
// registered.
type ABOM = wire.ABOM

// ManagerConfig says whose calls a manager authorizes, and with what.
type ManagerConfig struct {
	// Engine runs the core: a [Sandbox], or a [Native]. The manager does not
	// close it. Required.
	Engine Engine
	// Store keeps the agent's identity. Required.
	Store Store
	// Credentials knows who is signed in. Required.
	Credentials CredentialSource
	// BaseURL is the backend's, as configured; the manager normalizes it.
	// Required.
	BaseURL string
	// AllowHTTP allows a BaseURL and an AuthAPIURL with http for other hosts than this
	// one. Whoever is on the way then reads the user's token.
	AllowHTTP bool
	// AgentIdentity is the feature gate. While it is off, which is the default,
	// every call gets the bearer token.
	AgentIdentity bool
	// TrustedHosts are hosts, without port, whose background calls carry
	// assertions too: self-hosted backends.
	TrustedHosts []string
	// ForcedWorkspaceIDs, if there is one, is the account that takes the place of that
	// of the credentials. If there are several, calls of another account are not
	// authorized at all (core.ReasonWorkspaceNotAllowed).
	ForcedWorkspaceIDs []string
	// ABOM describes the agent.
	ABOM ABOM
	// Profile says which form of the protocol is spoken: wire.ProfileBiscuit, the
	// default, wire.ProfileAuthAPI, which is what clients do today, or
	// wire.ProfileInstances.
	Profile string
	// AuthAPIURL is below which wire.ProfileAuthAPI and wire.ProfileInstances register,
	// and the tasks of a JWTIdentity. The default is that of BaseURL's environment;
	// another backend has none, and without a URL nothing is registered
	// (core.CodeNoAuthAPI).
	AuthAPIURL string
	// AllSurfaces has calls on all surfaces assert in wire.ProfileAuthAPI, for backends
	// that want it, and not only those to responses.
	AllSurfaces bool
	// Instance is for wire.ProfileInstances, which needs it.
	Instance *InstanceConfig
	// WorkspaceRouting has calls to responses go where the account's workspace is kept,
	// as clients from 0.156 on do: the backend is asked once in a while, and a turn fails
	// where that fails.
	WorkspaceRouting bool
	// Identity takes the place of Store and Credentials where an identity is kept
	// elsewhere, such as in a row of a database. Calls on all surfaces assert, with the
	// identity's one task, which is registered as in wire.ProfileAuthAPI. Nothing is
	// removed, and the identity is never replaced: one that the backend does not know is
	// core.ErrAgentRevoked. What is remembered of failures ends with the manager.
	Identity *IdentitySource
	// Pauses are how long the backend is left alone after a registration has failed. The
	// default is the profile's own: from a minute to an hour, and in wire.ProfileAuthAPI an
	// hour.
	Pauses *Pauses
	// Capabilities are what an identity is registered with, at most 16 texts of 1 to 64
	// bytes. The default is the profile's own; wire.ProfileInstances has none.
	Capabilities []string
	// JWTIdentity, from package identityjwt, takes the place of Store and
	// Credentials: its task is registered once per manager, and stored nowhere.
	JWTIdentity *wire.JWTIdentity
	// Strict has calls that are to carry an assertion carry one or fail, with
	// CodeNoAssertion: they go out neither with the user's token nor with nothing. Which
	// calls those are is the profile's to say; a bootstrap call still carries the token. It
	// needs AgentIdentity.
	Strict bool
	// Logger is told, with level warn, that calls carry the user's token because an
	// assertion cannot be had: once, until the reason changes or they assert again. The
	// default is slog.Default(); one that discards, of slog.DiscardHandler, is for those
	// who have looked for another sign, such as an Authorization's Reason.
	Logger *slog.Logger
	// Observer, if not nil, is told what happens. It costs nothing when nil.
	Observer Observer
	// HTTPClient lends its Transport to registrations. The default is
	// http.DefaultTransport.
	HTTPClient *http.Client
	// Now is the clock. The default is time.Now.
	Now func() time.Time
	// Rand is the source of entropy; the manager reads it from one goroutine at a
	// time. The default is crypto/rand.
	Rand io.Reader
}

// Manager decides which authorization a backend call gets, and gets it: it loads
// the agent's identity, registers one if there is none, signs, and falls back
// to the bearer token where the protocol says so. It is safe for concurrent use.
type Manager struct {
	id       uint64
	config   ManagerConfig
	wire     wire.Config
	exchange exchanger
	wait     func(ctx context.Context, d time.Duration) error
	held     time.Duration // maxHeld

	// ctx ends with Close.
	ctx    context.Context
	cancel context.CancelFunc

	underway underway
	flights  flights
	answers  *answers

	// store is the configuration's, and what that would not take.
	store overlay
	// memory has what is in no store.
	memory memory
	// failure is behind the pause that there may be.
	failure atomic.Pointer[failure]
	// rejection is what calls do without until the pause is over.
	rejection atomic.Pointer[rejection]
	// signs is what has been logged of calls without assertions.
	signs signs
	// randMu is for the configuration's Rand: threads register at the same time.
	randMu sync.Mutex
}

// Format implements fmt.Formatter. Of what callers have configured it can show nothing,
// for a type of theirs that hides a secret is not asked to, in here.
func (m *Manager) Format(f fmt.State, _ rune) { hidden.Format(f, m) }

// managers counts them, for their ids.
var managers atomic.Uint64

// NewManager returns a manager. It makes no request, and touches no store, until
// it is asked for an authorization.
//
// Errors: CodeInvalidManagerConfig, CodeInsecureBaseURL, core.CodeInvalidConfig,
// core.CodeInvalidBaseURL, core.CodeInvalidTrustedHost, core.CodeInvalidCredentials (a
// forced workspace's id).
func NewManager(c ManagerConfig) (*Manager, error) {
	if c.Identity != nil {
		if err := c.Identity.use(&c); err != nil {
			return nil, err
		}
	}
	if c.JWTIdentity != nil {
		if err := useJWTIdentity(&c); err != nil {
			return nil, err
		}
	}
	for name, missing := range map[string]bool{
		"Engine": c.Engine == nil, "Store": c.Store == nil, "Credentials": c.Credentials == nil,
	} {
		if missing {
			return nil, fail(CodeInvalidManagerConfig, "the manager's configuration lacks "+name, nil)
		}
	}
	if c.Strict && !c.AgentIdentity {
		return nil, fail(CodeInvalidManagerConfig, "the manager is strict about assertions, and its feature gate is off; set AgentIdentity, or leave Strict out", nil)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	// Not the engine's: a module must not choose the backend.
	base, err := core.NormalizeBaseURL(c.BaseURL, c.TrustedHosts)
	if err != nil {
		return nil, err
	}
	for _, u := range []string{base.BaseURL, c.AuthAPIURL} {
		if !c.AllowHTTP && egress.IsInsecure(u) {
			return nil, errInsecure()
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Manager{
		id:       managers.Add(1),
		config:   c,
		store:    overlay{store: c.Store},
		exchange: newExchanger(c.HTTPClient),
		wait:     wait,
		ctx:      ctx,
		cancel:   cancel,
		answers:  new(answers),
		held:     maxHeld,
		wire: wire.Config{
			BaseURL:            base.BaseURL,
			AgentIdentity:      c.AgentIdentity,
			TrustedHosts:       c.TrustedHosts,
			ForcedWorkspaceIDs: c.ForcedWorkspaceIDs,
			ABOM:               c.ABOM,
			Profile:            c.Profile,
			AuthAPIURL:         c.AuthAPIURL,
			AllSurfaces:        c.AllSurfaces,
			Instance:           c.Instance,
			WorkspaceRouting:   c.WorkspaceRouting,
			Pauses:             c.Pauses.wire(),
			Capabilities:       c.Capabilities,
		},
	}
	if err := checkConfig(m.wire); err != nil {
		cancel()
		return nil, err
	}
	return m, nil
}

// checkConfig returns the error that every flow with that configuration would begin with.
// It asks the core natively, as what follows is for this host to hold against a module.
func checkConfig(c wire.Config) error {
	_, err := core.Step(wire.FlowStepParams{Event: wire.Event{
		Type: wire.EventStart, Config: &c, Surface: core.SurfaceBackground,
		Credentials: &Credentials{Kind: wire.CredentialsNone}, Entropy: make([]byte, entropySize),
	}})
	return err
}

func errInsecure() error {
	return fail(CodeInsecureBaseURL, "a URL with http, to another machine, shows the user's token to whoever is on the way; use https, or where that is meant allow http (AllowHTTP, --allow-http)", nil)
}

// BaseURL returns the normalized base URL, below which the surfaces' paths are.
func (m *Manager) BaseURL() string { return m.wire.BaseURL }

// Authorization returns what a call on a background or bearer-only surface
// carries now; the surfaces are core's Surface constants, for a thread's there is
// [Manager.Thread]. Where the agent cannot be had the answer is the bearer token,
// or nothing, and its Cause says why: that is no error.
//
// The first call may register an identity and a task, which can take as long
// as the backend does; calls at the same time wait for the same registration. A
// caller that stops waiting does not stop a registration that has begun; but where
// nobody waits any more, the store and the credential source are told so by their
// context, and nothing more begins. That context has the values of the first caller's.
// Within one second the answer is kept, and costs less than a microsecond.
//
// Errors: core.CodeUnknownSurface, core.CodeThreadSurface, CodeCanceled,
// CodeClosed, CodeNoAssertion of a strict manager, those of the credential source and of
// the engine.
func (m *Manager) Authorization(ctx context.Context, surface string) (Authorization, error) {
	s, err := core.LookupSurface(surface)
	if err != nil {
		return Authorization{}, err
	}
	c := call{manager: m.id, surface: s.Name, place: placeOf(s)}
	if s.Scope == core.ScopeThread {
		c.place = placeNowhere // the flow says what is wrong with it
	} else if a, ok, err := m.recall(ctx, c); ok {
		return a, err
	}
	return m.ask(ctx, c)
}

// Bearer returns the bearer token's authorization: what a bootstrap call, or a
// server configuration that asks for the user's own token, carries. Its errors
// are those of Authorization.
func (m *Manager) Bearer(ctx context.Context) (Authorization, error) {
	return m.Authorization(ctx, core.SurfaceBootstrap)
}

// Prewarm registers what background calls will need, so that the first of them
// does not wait. It is Authorization without the answer: a registration that
// fails is no error, unless the manager is strict.
func (m *Manager) Prewarm(ctx context.Context) error {
	_, err := m.Authorization(ctx, core.SurfaceBackground)
	return err
}

// Forget removes the stored task of a conversation that is over. Tasks that are not
// used for 90 days go by themselves where the store sees to it, as authfile does.
// The next call of such a conversation registers another; no call of it may be under
// way.
//
// Errors: CodeClosed, and those of the store, at best core.CodeStoreReadOnly: the
// manager does not use the task again, but another one will.
func (m *Manager) Forget(ctx context.Context, thread string) error {
	ctx, end, err := m.join(ctx, "a thread's task to forget")
	if err != nil {
		return err
	}
	defer end()
	m.answers.conversations.forget(thread)
	if err := m.store.remove(ctx, wire.SlotThread+thread); err != nil {
		return storeError("the store did not remove the thread's task", err)
	}
	return nil
}

// storeError is an error of a store's, which may be of any type.
func storeError(what string, err error) error {
	if _, ok := errors.AsType[*core.Error](err); ok {
		return err
	}
	return fail(core.CodeStoreFailed, what, err)
}

// call is what a flow is for.
type call struct {
	// manager is the id of the one whose backend the authorization is for. It is
	// no pointer: what is behind those, fmt would print with some verbs.
	manager uint64
	surface string
	thread  string
	place   place
	// rejected is the task or the instance to replace, or nil, and refusal how the
	// backend has rejected it, where that is known.
	rejected *wire.Rejection
	refusal  *core.Refusal
}

// key is the same for calls that one flow can serve.
func (c call) key() string {
	if c.rejected == nil && c.place != placeNowhere {
		return keys[c.place] + c.thread
	}
	// No id can look as if it were two.
	key := fmt.Sprintf("%d %q", c.place, c.thread)
	if c.place == placeNowhere {
		key += " on " + c.surface
	}
	if r := c.rejected; r != nil {
		key += fmt.Sprintf(" recovers %q %q %q %q", r.AgentRuntimeID, r.TaskID, r.RuntimeAgentInstance, r.Code)
	}
	return key
}

// keys begin those of the places.
var keys = [placeNowhere]string{
	placeBackground: "background ", placeBearerOnly: "bearer ", placeResponses: "responses ", placeRest: "rest ",
}

// join is begin for what runs on its caller's account. The context ends with the
// manager's, too.
func (m *Manager) join(ctx context.Context, what string) (joined context.Context, end func(), err error) {
	a, err := m.begin(what)
	if err != nil {
		return nil, nil, err
	}
	joined, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(m.ctx, cancel)
	return joined, func() {
		stop()
		cancel()
		a.end()
	}, nil
}

// entropy returns so many random bytes.
func (m *Manager) entropy(size int64) ([]byte, error) {
	m.randMu.Lock()
	defer m.randMu.Unlock()
	entropy := make([]byte, size)
	_, err := io.ReadFull(m.config.Rand, entropy)
	return entropy, err
}

// begin takes note of something that Close is to wait for, unless the manager is
// closed.
func (m *Manager) begin(what string) (*activity, error) { return m.underway.add(what) }

// Close ends what is under way and waits for it, until the context ends. Then the
// store's locks are free, and the manager holds no header any more; a thread gives none
// out from when Close is called. What is only being saved is not broken off, and has 10
// seconds. Close can be called again, to wait for the rest.
//
// The error's code is CodeNotClosed: the context has ended first, and its error is in
// the chain. The message says what is still under way, such as a store that does not
// return when its context ends.
func (m *Manager) Close(ctx context.Context) error {
	m.underway.close()
	m.cancel()
	if err := m.underway.wait(ctx); err != nil {
		return err
	}
	m.answers.clear()
	return nil
}
