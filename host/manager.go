package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// maxSteps bounds a flow. The longest takes 17 steps.
const maxSteps = 64

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
	// AgentIdentity is the feature gate. While it is off, which is the default,
	// every call gets the bearer token.
	AgentIdentity bool
	// TrustedHosts are hosts, without port, whose background calls carry
	// assertions too: self-hosted backends.
	TrustedHosts []string
	// ForcedWorkspaceID, if not empty, takes the place of the account id of the
	// credentials.
	ForcedWorkspaceID string
	// ABOM describes the agent.
	ABOM ABOM
	// HTTPClient lends its Transport to registrations. The default is
	// http.DefaultTransport.
	HTTPClient *http.Client
	// Now is the clock. The default is time.Now.
	Now func() time.Time
	// Rand is the source of entropy. The default is crypto/rand.
	Rand io.Reader
}

// Manager decides which authorization a backend call gets, and gets it: it loads
// the agent's identity, registers one if there is none, signs, and falls back
// to the bearer token where the protocol says so. It is safe for concurrent use.
type Manager struct {
	config   ManagerConfig
	wire     wire.Config
	exchange exchanger

	// ctx ends with Close. Flows belong to the manager, not to whoever asked
	// first: others wait for the same one.
	ctx    context.Context
	cancel context.CancelFunc

	// mu makes Close wait for flows that have begun.
	mu     sync.Mutex
	closed bool
	flows  sync.WaitGroup

	flight singleflight.Group
	// background and bearerOnly are the last answers, each for one scope.
	background, bearerOnly atomic.Pointer[answer]

	// backoff is the record that the store would not save. Flows of one
	// manager that touch it run one at a time.
	backoff []byte
}

// answer is an authorization and the second for which it was made.
type answer struct {
	Authorization
	second int64
}

// NewManager returns a manager. It makes no request, and touches no store, until
// it is asked for an authorization.
//
// Errors: CodeInvalidManagerConfig, core.CodeInvalidBaseURL,
// core.CodeInvalidTrustedHost, and those of the engine.
func NewManager(c ManagerConfig) (*Manager, error) {
	for name, missing := range map[string]bool{
		"Engine": c.Engine == nil, "Store": c.Store == nil, "Credentials": c.Credentials == nil,
	} {
		if missing {
			return nil, fail(CodeInvalidManagerConfig, "the manager's configuration lacks "+name, nil)
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Manager{
		config:   c,
		exchange: newExchanger(c.HTTPClient),
		ctx:      ctx,
		cancel:   cancel,
		wire: wire.Config{
			AgentIdentity:     c.AgentIdentity,
			TrustedHosts:      c.TrustedHosts,
			ForcedWorkspaceID: c.ForcedWorkspaceID,
			ABOM:              c.ABOM,
		},
	}
	base, err := Call[wire.BaseURL](ctx, c.Engine, wire.MethodBaseURLNormalize,
		wire.BaseURLNormalizeParams{URL: c.BaseURL, TrustedHosts: c.TrustedHosts})
	if err != nil {
		cancel()
		return nil, err
	}
	m.wire.BaseURL = base.BaseURL
	return m, nil
}

// BaseURL returns the normalized base URL, below which the surfaces' paths are.
func (m *Manager) BaseURL() string { return m.wire.BaseURL }

// Authorization returns what a call on a background or bearer-only surface
// carries now; the surfaces are core's Surface constants. Where the agent cannot
// be had the answer is the bearer token, or nothing, and its Cause says why: that
// is no error.
//
// The first call may register an identity and a task, which can take as long
// as the backend does; calls at the same time wait for the same registration. A
// caller that stops waiting does not stop it. Within one second the answer is
// kept, and costs less than a microsecond.
//
// Errors: core.CodeUnknownSurface, core.CodeThreadSurface, CodeCanceled,
// CodeClosed, those of the credential source and of the engine.
func (m *Manager) Authorization(ctx context.Context, surface string) (Authorization, error) {
	s, err := core.LookupSurface(surface)
	if err != nil {
		return Authorization{}, err
	}
	kept := &m.background
	if s.Scope == core.ScopeBearerOnly {
		kept = &m.bearerOnly
	}
	if a := kept.Load(); a != nil && a.second == m.config.Now().Unix() && s.Scope != core.ScopeThread {
		return a.Authorization, nil
	}
	return m.ask(ctx, s, kept)
}

// Bearer returns the bearer token's authorization: what a bootstrap call, or a
// server configuration that asks for the user's own token, carries. Its errors
// are those of Authorization.
func (m *Manager) Bearer(ctx context.Context) (Authorization, error) {
	return m.Authorization(ctx, core.SurfaceBootstrap)
}

// ask runs a flow, or waits for the one that is under way for the scope.
func (m *Manager) ask(ctx context.Context, s core.Surface, kept *atomic.Pointer[answer]) (Authorization, error) {
	if err := ctx.Err(); err != nil {
		return Authorization{}, fail(CodeCanceled, "the caller stopped waiting for its authorization", err)
	}
	result := m.flight.DoChan(string(s.Scope), func() (v any, err error) {
		if err := m.begin(); err != nil {
			return Authorization{}, err
		}
		defer m.flows.Done()
		defer func() {
			// A store or a transport of the caller's can panic.
			if p := recover(); p != nil {
				err = fail(core.CodeInternal, fmt.Sprintf("a panic ended the flow (%T)", p), nil)
			}
		}()
		a, err := m.flow(m.ctx, s.Name)
		if err == nil {
			kept.Store(&answer{a, a.ValidUntil.Unix()})
		}
		return a, err
	})
	select {
	case r := <-result:
		a, _ := r.Val.(Authorization)
		return a, r.Err
	case <-ctx.Done():
		return Authorization{}, fail(CodeCanceled, "the caller stopped waiting for its authorization", ctx.Err())
	}
}

// begin counts a flow in, unless the manager is closed.
func (m *Manager) begin() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return fail(CodeClosed, "the manager is closed", nil)
	}
	m.flows.Add(1)
	return nil
}

// Close ends what is under way and waits for it. The store's lock is free then,
// and the manager holds no header any more.
func (m *Manager) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	m.flows.Wait()
	m.background.Store(nil)
	m.bearerOnly.Store(nil)
}

// flow runs the core's flow for a surface, and carries out its effects.
func (m *Manager) flow(ctx context.Context, surface string) (Authorization, error) {
	credentials, err := m.config.Credentials.Credentials(ctx)
	if err != nil {
		return Authorization{}, err
	}
	// The core has the whole configuration; what it wants of the host comes back
	// as effects.
	var state []byte
	event := wire.Event{Type: wire.EventStart, Config: &m.wire, Surface: surface, Credentials: &credentials}
	carrier := carrier{Manager: m}
	defer carrier.unlock()
	for range maxSteps {
		event.Now = m.config.Now().Unix()
		step, err := Call[wire.FlowStep](context.WithoutCancel(ctx), m.config.Engine, wire.MethodFlowStep,
			wire.FlowStepParams{State: state, Event: event})
		if err != nil {
			return Authorization{}, err
		}
		if step.Effect.Type == wire.EffectDone {
			if step.Effect.Authorization == nil {
				break
			}
			return newAuthorization(*step.Effect.Authorization, carrier.err), nil
		}
		state = step.State
		event = carrier.carryOut(ctx, step.Effect)
	}
	return Authorization{}, fail(CodeSandboxFailed, "the core's flow does not end", nil)
}

// carrier carries out the effects of one flow.
type carrier struct {
	*Manager
	unlockStore func()
	// err is the last failure, in the host's own words.
	err error
}

func (c *carrier) unlock() {
	if c.unlockStore != nil {
		c.unlockStore()
	}
}

// carryOut does what an effect asks for. A failure becomes an event: what
// follows from it is the core's to say.
func (c *carrier) carryOut(ctx context.Context, e wire.Effect) wire.Event {
	event, err := c.try(ctx, e)
	if err != nil {
		c.err = err
		if event.Type != wire.EventFailed {
			event = wire.Event{Type: wire.EventFailed, Failure: wire.FailureStore}
			if ctx.Err() != nil {
				event.Failure = wire.FailureCanceled
			}
		}
	}
	return event
}

func (c *carrier) try(ctx context.Context, e wire.Effect) (wire.Event, error) {
	done := wire.Event{Type: wire.EventDone}
	switch e.Type {
	case wire.EffectLoad:
		record, err := c.config.Store.Load(ctx, e.Slot)
		if e.Slot == wire.SlotBackoff && c.backoff != nil {
			record, err = c.backoff, nil // what is stored, if anything, is older
		}
		return wire.Event{Type: wire.EventLoaded, Record: record}, err
	case wire.EffectLock:
		unlock, err := c.config.Store.Lock(ctx)
		c.unlockStore = unlock
		return done, err
	case wire.EffectSave:
		err := c.config.Store.Save(ctx, e.Slot, e.Record)
		if e.Slot == wire.SlotBackoff {
			c.backoff = nil
			if err != nil {
				c.backoff = e.Record
			}
			// The failure that is to be remembered is the one to report.
			return done, nil
		}
		return done, err
	case wire.EffectDelete:
		if e.Slot == wire.SlotBackoff {
			c.backoff = nil
		}
		return done, c.config.Store.Delete(ctx, e.Slot)
	case wire.EffectEntropy:
		entropy := make([]byte, e.Size)
		_, err := io.ReadFull(c.config.Rand, entropy)
		return wire.Event{Type: wire.EventEntropy, Entropy: entropy}, err
	case wire.EffectHTTP:
		return c.exchange.exchange(ctx, e)
	}
	return wire.Event{}, errors.New("the core asks for an effect that this host does not know: " + e.Type)
}
