package host

import (
	"context"
	"errors"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/hidden"
	"github.com/agentassert/agentassert/internal/policy"
)

const (
	// maxSteps bounds a flow. The longest takes some 65 steps.
	maxSteps = 96
	// saveTimeout bounds a save.
	saveTimeout = 10 * time.Second
	// maxHeld bounds the time for which a flow holds locks that others wait for. A
	// registration of an identity and a task, with a backend that answers at the last
	// moment each time, takes some three minutes.
	maxHeld = 4 * time.Minute
	// stepsAfter is how many steps a flow has left after that: to store what the backend
	// has granted, and that it is to be left alone.
	stepsAfter = 8
)

// flow runs the core's flow for a call, and carries out its effects.
func (m *Manager) flow(ctx context.Context, c call) (_ *answer, err error) {
	credentials, err := m.config.Credentials.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	var entropy []byte
	if m.wire.Profile == wire.ProfileInstances {
		if entropy, err = m.entropy(entropySize); err != nil {
			return nil, fail(CodeNoEntropy, "there is no entropy for an assertion's id", err)
		}
	}
	// The core has the whole configuration; what it wants of the host comes back
	// as effects.
	var state []byte
	event := wire.Event{
		Type: wire.EventStart, Config: &m.wire, Surface: c.surface, Credentials: &credentials,
		ThreadID: c.thread, Rejected: c.rejected, Entropy: entropy,
	}
	var a Authorization
	carrier := carrier{Manager: m, ctx: ctx, call: c, policy: policy.New(policy.Call{
		Config: m.wire, Surface: c.surface, ThreadID: c.thread, Entropy: entropy, Credentials: credentials,
	})}
	defer func() { carrier.end(a, err) }()
	after := 0
	for range maxSteps {
		if carrier.isLate() {
			if after++; after > stepsAfter {
				break
			}
		}
		event.Now = m.config.Now().Unix()
		step, err := Call[wire.FlowStep](context.WithoutCancel(ctx), m.config.Engine, wire.MethodFlowStep,
			wire.FlowStepParams{State: state, Event: event})
		if err != nil {
			return nil, err
		}
		if step.Effect.Type == wire.EffectDone {
			if step.Effect.Authorization == nil {
				break
			}
			if err := carrier.policy.Answer(*step.Effect.Authorization, event.Now); err != nil {
				return nil, err
			}
			a = newAuthorization(*step.Effect.Authorization, carrier.behind(step.Effect.Authorization.Cause))
			c.rejected = nil
			a.call = c
			a.apiKey = credentials.Kind == wire.CredentialsAPIKey
			if o := m.config.Observer; o != nil {
				o.Decided(a)
			}
			kept := &answer{Authorization: a, second: event.Now}
			if a.RuntimeAgentInstance != "" {
				// The state has the private key: it is kept where it is needed, and nowhere else.
				kept.state, kept.policy = hidden.Of(step.State), carrier.policy
			}
			return kept, nil
		}
		if err := carrier.policy.Effect(step.Effect); err != nil {
			return nil, err
		}
		state = step.State
		event = carrier.carryOut(step.Effect)
	}
	return nil, fail(CodeSandboxFailed, "the core's flow does not end", nil)
}

// carrier carries out the effects of one flow.
type carrier struct {
	*Manager
	// ctx is the flow's; from when a registration begins, the observer's; and from when
	// a lock is held, one that ends.
	ctx context.Context
	// release ends what bounds the time under a lock. It is nil where none was taken.
	release context.CancelFunc
	call    call
	policy  *policy.Flow
	// unlock gives back the locks that are held, by their slots.
	unlock map[string]func()
	// stored is what the store has in the slots that were loaded.
	stored map[string][]byte
	// registered tells the observer how the registration ended, if one began.
	registered func(a Authorization, err error)
	// storeErr is the store's last failure, requestErr that of a request, or of what it
	// needs, in the host's own words.
	storeErr, requestErr error
}

// end is called at the end of the flow, with what it came to: with neither an
// authorization nor an error after a panic.
func (c *carrier) end(a Authorization, err error) {
	for _, unlock := range c.unlock {
		unlock()
	}
	if c.release != nil {
		c.release()
	}
	if c.registered != nil {
		if err == nil && a.Mode == "" {
			err = fail(core.CodeInternal, "a panic ended the flow", nil)
		}
		c.registered(a, err)
	}
}

// carryOut does what an effect asks for. A failure becomes an event: what
// follows from it is the core's to say.
func (c *carrier) carryOut(e wire.Effect) wire.Event {
	event, err := c.try(e)
	if err == nil {
		return event
	}
	switch e.Type {
	case wire.EffectHTTP, wire.EffectEntropy, wire.EffectWait:
		c.requestErr = err
	default:
		c.storeErr = err
	}
	if event.Type == wire.EventFailed {
		return event
	}
	event = wire.Event{Type: wire.EventFailed, Failure: wire.FailureStore}
	switch {
	case core.Code(err) == core.CodeRecordChanged:
		event.Failure = wire.FailureChanged
	case core.Code(err) == core.CodeStoreReadOnly:
		event.Failure = wire.FailureReadOnly
	case c.ctx.Err() != nil && !c.isLate():
		event.Failure = wire.FailureCanceled
	}
	return event
}

// behind returns the error that the core was told of as the failure which it names as
// the cause. There are failures that it gets over, and they are no part of what
// follows.
func (c *carrier) behind(cause *wire.Error) error {
	if cause == nil {
		return nil
	}
	switch cause.Code {
	case core.CodeStoreFailed, core.CodeStoreReadOnly:
		return c.storeErr
	case core.CodeRequestFailed:
		return c.requestErr
	}
	return nil
}

func (c *carrier) try(e wire.Effect) (wire.Event, error) {
	done := wire.Event{Type: wire.EventDone}
	if inMemory(e.Slot) && e.Type != wire.EffectUnlock {
		if e.Type == wire.EffectLock && e.Slot == wire.SlotInstance {
			c.observe()
		}
		event, unlock, err := c.memory.try(c.ctx, e)
		c.holds(e.Slot, unlock)
		return event, err
	}
	switch e.Type {
	case wire.EffectLoad:
		record, stored, err := c.store.load(c.ctx, e.Slot)
		c.setStored(e.Slot, stored)
		return wire.Event{Type: wire.EventLoaded, Record: record}, err
	case wire.EffectLock:
		c.observe()
		unlock, err := c.store.lock(c.ctx, e.Slot)
		c.holds(e.Slot, unlock)
		return done, err
	case wire.EffectUnlock:
		if unlock := c.unlock[e.Slot]; unlock != nil {
			delete(c.unlock, e.Slot)
			unlock()
		}
		return done, nil
	case wire.EffectProbe:
		if p, ok := c.config.Store.(Prober); ok {
			return done, p.Probe(c.ctx, e.Slot)
		}
		return done, nil
	case wire.EffectSave, wire.EffectDelete, wire.EffectSwap:
		err := c.write(e)
		if e.Slot == wire.SlotBackoff {
			// The failure that is to be remembered is the one to report.
			return done, nil
		}
		return done, err
	case wire.EffectEntropy:
		entropy, err := c.entropy(e.Size)
		event := wire.Event{Type: wire.EventEntropy, Entropy: entropy}
		c.policy.Answered(e, event)
		return event, err
	case wire.EffectHTTP:
		return c.send(e)
	case wire.EffectWait:
		return wire.Event{Type: wire.EventWoke}, c.wait(c.ctx, time.Duration(e.WaitMS)*time.Millisecond)
	}
	return wire.Event{}, errors.New("the core asks for an effect that this host does not know: " + e.Type)
}

// holds takes note of a lock, if there is one.
func (c *carrier) holds(slot string, unlock func()) {
	if unlock == nil {
		return
	}
	if c.unlock == nil {
		c.unlock = make(map[string]func())
	}
	c.unlock[slot] = unlock
	c.boundHeld()
}

// errHeld ends what a flow does under a lock.
var errHeld = errors.New("the registration took too long for others who wait for it")

// boundHeld bounds the time for which the flow can hold a lock. What it does after
// that fails, except that records are saved.
func (c *carrier) boundHeld() {
	if c.release == nil {
		c.ctx, c.release = context.WithTimeoutCause(c.ctx, c.held, errHeld)
	}
}

// isLate reports whether that time is over.
func (c *carrier) isLate() bool {
	return c.ctx.Err() != nil && errors.Is(context.Cause(c.ctx), errHeld)
}

// write changes a record.
func (c *carrier) write(e wire.Effect) error {
	ctx := c.ctx
	if len(e.Record) > 0 {
		// The backend may have registered it: even a manager that is being closed keeps
		// it.
		saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
		defer cancel()
		ctx = saving
	}
	if e.Type == wire.EffectSwap {
		return c.store.swap(ctx, e.Slot, e.Expected, e.Record)
	}
	err := c.store.write(ctx, e.Slot, c.stored[e.Slot], e.Record)
	if err == nil {
		c.setStored(e.Slot, e.Record)
	}
	return err
}

func (c *carrier) setStored(slot string, record []byte) {
	if c.stored == nil {
		c.stored = make(map[string][]byte)
	}
	c.stored[slot] = record
}

// wait returns after d, or early with the context's error.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// observe tells the observer that a registration begins.
func (c *carrier) observe() {
	if o := c.config.Observer; o != nil && c.registered == nil {
		c.ctx, c.registered = o.Registering(c.ctx, Registration{
			Surface: c.call.surface, ThreadID: c.call.thread, Recovery: c.call.rejected != nil,
		})
	}
}

// send carries out a request, and tells the observer of it.
func (c *carrier) send(e wire.Effect) (wire.Event, error) {
	ctx, done := c.ctx, func(int, error) {}
	if o := c.config.Observer; o != nil {
		ctx, done = o.Request(c.ctx, e.Method, e.URL)
	}
	event, err := c.exchange.exchange(ctx, e)
	done(int(event.Status), err)
	c.policy.Answered(e, event)
	return event, err
}
