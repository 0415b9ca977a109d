package host

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/hidden"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/policy"
)

const (
	// maxSteps bounds a flow. The longest takes some 65 steps.
	maxSteps = 96
	// saveTimeout bounds a save, and all those together that come after maxHeld.
	saveTimeout = 10 * time.Second
	// maxHeld bounds the time for which a flow does anything else while it holds locks
	// that others wait for. A registration of an identity and a task, with a backend that
	// answers at the last moment each time, takes some three minutes.
	maxHeld = MaxLockTime - saveTimeout
	// stepsAfter is how many steps a flow has left after that: to store what the backend
	// has granted, and that it is to be left alone.
	stepsAfter = 8
)

// flow runs the core's flow for a call, and carries out its effects. Its patience ends
// when nobody waits for it any more.
func (m *Manager) flow(f *flight, c call, activity *activity) (_ *answer, err error) {
	ctx, patience := f.ctx, f.patience
	activity.waitsFor(effectCredentials)
	credentials, err := m.config.Credentials.Credentials(patience)
	if err != nil {
		if isAbandoned(ctx, patience) {
			return nil, errAbandoned
		}
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
		ThreadID: c.thread, Rejected: m.rejected(c), Entropy: entropy,
	}
	var a Authorization
	carrier := carrier{Manager: m, flight: f, ctx: ctx, patience: patience, activity: activity, call: c, secret: credentials.AccessToken, policy: policy.New(policy.Call{
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
			if carrier.abandoned && step.Effect.Authorization.Cause != nil {
				return nil, errAbandoned
			}
			a = carrier.authorization(*step.Effect.Authorization)
			m.noteRejection(c, a)
			c.rejected, c.refusal = nil, nil
			a.call = c
			a.apiKey = credentials.Kind == wire.CredentialsAPIKey
			concluded := m.conclude(ctx, a, event.Now, credentials)
			concluded.isCommon = a.Cause == nil && !carrier.hasRead(wire.SlotThread+c.thread)
			s := &signed{state: hidden.Of(step.State), policy: carrier.policy, apiKey: a.apiKey}
			concluded.signOnce(s)
			m.settle(&carrier, concluded, s, credentials)
			return concluded, nil
		}
		if err := carrier.policy.Effect(step.Effect); err != nil {
			return nil, err
		}
		state = step.State
		activity.waitsFor(step.Effect.Type)
		event = carrier.carryOut(step.Effect)
	}
	return nil, fail(CodeSandboxFailed, "the core's flow does not end", nil)
}

// conclude tells whom it concerns of an authorization.
func (m *Manager) conclude(ctx context.Context, a Authorization, second int64, credentials Credentials) *answer {
	m.note(a)
	if o := m.config.Observer; o != nil {
		o.Decided(a)
	}
	m.sign(ctx, a)
	return &answer{Authorization: a, second: second, lacks: m.insist(a, credentials)}
}

// carrier carries out the effects of one flow.
type carrier struct {
	*Manager
	flight *flight
	// ctx is the flow's; from when a registration begins, the observer's; and from when
	// a lock is held, one that ends.
	ctx context.Context
	// patience is that of the flow's callers: what waits or reads ends with it, what has
	// been asked of the backend does not. abandoned says that something has.
	patience  context.Context
	abandoned bool
	// asked says that the backend has been asked to register something, and unsaved that
	// it has granted what is to be saved.
	asked, unsaved bool
	activity       *activity
	// secret is the access token, which a backend may quote.
	secret string
	// heldUntil is when the time under a lock is over.
	heldUntil time.Time
	// release ends what bounds the time under a lock. It is nil where none was taken.
	release context.CancelFunc
	call    call
	policy  *policy.Flow
	// unlock gives back the locks that are held, by their slots.
	unlock map[string]func()
	// stored is what the store has in the slots that were loaded, and read what was found
	// there. hasChanged says that the flow has done something else than read, or could not.
	stored     map[string][]byte
	read       []found
	hasChanged bool
	// registered tells the observer how the registration ended, if one began.
	registered func(a Authorization, err error)
	// storeErr is the store's last failure, requestErr that of a request, or of what it
	// needs, in the host's own words.
	storeErr, requestErr error
	// refusal is the last answer of a backend's that was not what the flow asked for.
	refusal *core.Refusal
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
	c.hasChanged = c.hasChanged || err != nil || e.Type != wire.EffectLoad
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
	case c.ctx.Err() != nil && !c.isLate(), c.abandoned:
		event.Failure = wire.FailureCanceled
	}
	return event
}

// patiently carries out what waits or reads, in a context that ends with the patience of
// the flow's callers, unless there is something that has to be saved. The context goes on
// for as long as its end is not called.
func (c *carrier) patiently(do func(ctx context.Context) error) (end context.CancelFunc, err error) {
	ctx, end := context.WithCancel(c.ctx)
	if !c.unsaved {
		stop := context.AfterFunc(c.patience, end)
		defer stop()
	}
	err = do(ctx)
	if err != nil && !c.unsaved && isAbandoned(c.ctx, c.patience) {
		c.abandoned = true
	}
	return end, err
}

// isAbandoned reports whether a patience has ended, and not what it was made from.
func isAbandoned(ctx, patience context.Context) bool {
	return ctx.Err() == nil && patience.Err() != nil
}

// authorization takes over the core's answer.
func (c *carrier) authorization(a wire.Authorization) Authorization {
	return newAuthorization(a, c.behind(a.Cause, a.AccountID))
}

// behind returns the error that the core was told of as the failure which it names as
// the cause. There are failures that it gets over, and they are no part of what
// follows.
func (c *carrier) behind(cause *wire.Error, account string) error {
	if cause == nil {
		return nil
	}
	switch cause.Code {
	case core.CodeStoreFailed, core.CodeStoreReadOnly:
		return c.storeErr
	case core.CodeRequestFailed:
		return c.requestErr
	case core.CodeHTTPStatus, core.CodeUnknownAgent, core.CodeClockSkew, core.CodeTaskRejected, core.CodeInstanceRejected, core.CodeAssertionRejected:
		// What the flow was refused, or else what the call was that it is to recover from.
		if r := cmp.Or(c.refusal, c.call.refusal); r != nil {
			return answered{r}
		}
	case core.CodeBackingOff:
		if f := c.failure.Load(); f != nil && f.account == account {
			return f.cause
		}
	}
	return nil
}

// failure is why a manager's last registration has failed: what is behind the pauses
// that follow.
type failure struct {
	account string
	cause   error
}

// note takes note of how a flow has ended.
func (m *Manager) note(a Authorization) {
	switch core.Code(a.Cause) {
	case core.CodeHTTPStatus, core.CodeRequestFailed, core.CodeUnknownAgent:
		if !a.RetryAt.IsZero() {
			m.failure.Store(&failure{a.AccountID, a.Cause})
		}
	case "":
		if a.asserts() && m.failure.Load() != nil {
			m.failure.Store(nil)
		}
	}
}

func (c *carrier) try(e wire.Effect) (wire.Event, error) {
	done := wire.Event{Type: wire.EventDone}
	switch e.Type {
	case wire.EffectLoad:
		record, err := c.load(e.Slot)
		return wire.Event{Type: wire.EventLoaded, Record: record}, err
	case wire.EffectLock:
		return done, c.lock(e.Slot)
	case wire.EffectProbe:
		return done, c.probe(e.Slot)
	case wire.EffectUnlock:
		if unlock := c.unlock[e.Slot]; unlock != nil {
			delete(c.unlock, e.Slot)
			unlock()
		}
		return done, nil
	case wire.EffectSave, wire.EffectDelete, wire.EffectSwap:
		if inMemory(e.Slot) {
			c.memory.save(e.Slot, e.Record)
			return done, nil
		}
		err := c.write(e)
		if e.Slot == wire.SlotBackoff {
			// The failure that is to be remembered is the one to report.
			return done, nil
		}
		c.unsaved = c.unsaved && core.Code(err) == core.CodeRecordChanged
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

func (c *carrier) load(slot string) (record []byte, err error) {
	if inMemory(slot) {
		record = c.memory.load(slot)
		c.read = append(c.read, found{slot: slot, sum: recordSum(record)})
		return record, nil
	}
	end, err := c.patiently(func(ctx context.Context) (err error) {
		is := found{slot: slot, version: c.store.version(ctx, slot)}
		var stored []byte
		record, stored, is.kept, err = c.store.load(ctx, slot)
		c.setStored(slot, stored)
		is.sum = recordSum(stored)
		c.read = append(c.read, is)
		return err
	})
	end()
	return record, err
}

// hasRead reports whether the flow has read a slot.
func (c *carrier) hasRead(slot string) bool {
	return slices.ContainsFunc(c.read, func(f found) bool { return f.slot == slot })
}

func (c *carrier) probe(slot string) error {
	p, ok := c.config.Store.(Prober)
	if !ok {
		return nil
	}
	end, err := c.patiently(func(ctx context.Context) error { return p.Probe(ctx, slot) })
	end()
	return err
}

// lock takes a lock, until it is given back or the flow ends, and so long its context
// lives: in a database, a lock can be a transaction's.
func (c *carrier) lock(slot string) error {
	take := c.store.lock
	if inMemory(slot) {
		take = c.memory.turns.Take
	}
	if slot != wire.SlotWorkspace {
		c.observe()
	}
	var unlock func()
	end, err := c.patiently(func(ctx context.Context) (err error) {
		unlock, err = take(ctx, slot)
		return err
	})
	if unlock == nil {
		end()
		return err
	}
	if c.unlock == nil {
		c.unlock = make(map[string]func())
	}
	c.unlock[slot] = func() {
		unlock()
		end()
	}
	c.boundHeld()
	return err
}

// errHeld ends what a flow does under a lock.
var errHeld = errors.New("the registration took too long for others who wait for it")

// boundHeld bounds the time for which the flow can hold a lock. What it does after
// that fails, except that records are saved.
func (c *carrier) boundHeld() {
	if c.release == nil {
		c.heldUntil = time.Now().Add(c.held)
		c.ctx, c.release = context.WithDeadlineCause(c.ctx, c.heldUntil, errHeld)
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
		until := time.Now().Add(saveTimeout)
		if last := c.heldUntil.Add(saveTimeout); c.release != nil && last.Before(until) {
			until = last
		}
		saving, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
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
		c.flight.registration = c.ctx
	}
}

// send carries out a request, and tells the observer of it. The first is not sent where
// nobody waits for what would follow; what has begun is brought to its end.
func (c *carrier) send(e wire.Effect) (wire.Event, error) {
	if c.abandoned = !c.asked && isAbandoned(c.ctx, c.patience); c.abandoned {
		return wire.Event{Type: wire.EventFailed, Failure: wire.FailureCanceled}, errAbandoned
	}
	c.asked = true
	ctx, done := c.ctx, func(int, error) {}
	if o := c.config.Observer; o != nil {
		ctx, done = o.Request(c.ctx, e.Method, e.URL)
	}
	event, err := c.exchange.exchange(ctx, e)
	done(int(event.Status), err)
	if r := refusalOf(e, event, c.config.Now(), c.secret); r != nil {
		c.refusal = r
	}
	if isPassing(event) {
		err = passing{err}
	}
	c.unsaved = c.unsaved || 200 <= event.Status && event.Status < 300
	c.policy.Answered(e, event)
	return event, err
}
