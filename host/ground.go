package host

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/hidden"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/policy"
)

// signed is a flow that has ended with an assertion, and can make another: for another
// second or, with a runtime agent instance, for another request.
type signed struct {
	// state has the agent's key.
	state  hidden.Value[[]byte]
	policy *policy.Flow
	apiKey bool
}

// signOnce keeps what makes another assertion, where each is for one request.
func (a *answer) signOnce(s *signed) {
	if a.RuntimeAgentInstance != "" {
		a.signed = s
	}
}

// again makes another assertion of a flow's, of that task where it is another one than
// the flow's.
func (m *Manager) again(ctx context.Context, s *signed, c call, task string) (a Authorization, second int64, err error) {
	event := wire.Event{Type: wire.EventAgain, Now: m.config.Now().Unix(), TaskID: task}
	if m.wire.Profile == wire.ProfileInstances {
		if event.Entropy, err = m.entropy(entropySize); err != nil {
			return Authorization{}, 0, fail(CodeNoEntropy, "there is no entropy for an assertion's id", err)
		}
	}
	step, err := m.step(ctx, wire.FlowStepParams{State: s.state.Get(), Event: event})
	if err != nil {
		return Authorization{}, 0, err
	}
	if step.Effect.Type != wire.EffectDone || step.Effect.Authorization == nil {
		return Authorization{}, 0, fail(CodeSandboxFailed, "the core's flow does not end", nil)
	}
	if err := s.policy.Again(*step.Effect.Authorization, task, event.Entropy, event.Now); err != nil {
		return Authorization{}, 0, err
	}
	a = newAuthorization(*step.Effect.Authorization, nil)
	a.call, a.apiKey = c, s.apiKey
	return a, event.Now, nil
}

// step takes a step of a flow that has ended. In this process no message has to be encoded
// for it, which costs as much as the signature.
func (m *Manager) step(ctx context.Context, p wire.FlowStepParams) (wire.FlowStep, error) {
	if n, ok := m.config.Engine.(*Native); ok {
		return n.step(p)
	}
	return Call[wire.FlowStep](context.WithoutCancel(ctx), m.config.Engine, wire.MethodFlowStep, p)
}

// ground is what a flow stands on that has only read, and has ended with an assertion:
// as long as all of that is the same, another second takes another assertion, and
// nothing else. The flow could be the same with another conversation, if all that it has
// read of its own is that one's task.
type ground struct {
	*signed
	credentials hidden.Value[Credentials]
	// read is what was in the slots, a thread's excepted.
	read []found
	// agent is the agent's id, and ofThread says that the task is the conversation's own.
	agent    string
	ofThread bool
}

// found is what a slot had in it when it was loaded, as far as it takes to tell whether
// it still has.
type found struct {
	slot string
	// version is the store's, from before the slot was loaded. It can be empty.
	version string
	// sum is of what the store had, and kept what took its place.
	sum  sum
	kept *kept
}

// sum stands for a record.
type sum [16]byte

func recordSum(record []byte) sum {
	s := sha256.Sum256(record)
	return sum(s[:])
}

// sameCredentials reports whether credentials are the same, to the byte.
func sameCredentials(a, b Credentials) bool {
	if p, q := a.Problem, b.Problem; p != q && (p == nil || q == nil || *p != *q) {
		return false
	}
	a.Problem, b.Problem = nil, nil
	return a == b
}

// holds reports whether a slot still has in it what was found there. It says how that can
// be told the next time.
func (m *Manager) holds(ctx context.Context, f found) (found, bool) {
	if inMemory(f.slot) {
		return f, recordSum(m.memory.load(f.slot)) == f.sum
	}
	return m.store.holds(ctx, f)
}

// renew makes another answer of what the last flow for such a call has found, if all of
// that is still there, on its caller's account. It returns none if it is not, or if there
// has been no such flow; tried says that another try would come to the same. Where others
// are about it, it waits for them if it may. The error is that of a module that is not to
// be trusted, or of a panic.
func (m *Manager) renew(ctx context.Context, c call, mayWait bool) (a *answer, tried bool, err error) {
	if c.place == placeNowhere || c.rejected != nil {
		return nil, true, nil
	}
	g := m.answers.grounds[c.place].Load()
	if g == nil {
		return nil, true, nil
	}
	if !m.underway.enter() {
		return nil, true, nil // who asks is told why
	}
	defer m.underway.leave()
	defer func() {
		if p := recover(); p != nil {
			a, tried, err = nil, true, panicked(p)
		}
	}()
	if !g.ofThread {
		// The answer is the same for all, and one makes it.
		renewing := &m.answers.renewing[c.place]
		if !renewing.TryLock() {
			if !mayWait {
				return nil, false, nil
			}
			renewing.Lock()
		}
		defer renewing.Unlock()
		if a := m.answers.find(c, m.config.Now().Unix()); a != nil {
			another := *a
			another.Authorization = a.of(c)
			return &another, true, nil
		}
	}
	ctx, end := m.within(ctx)
	defer end()
	credentials, err := m.config.Credentials.Credentials(ctx)
	if err != nil {
		return nil, true, nil // a whole flow says so
	}
	task, ok := m.stands(ctx, g, c, credentials)
	if !ok {
		return nil, true, nil
	}
	renewed, second, err := m.again(ctx, g.signed, c, task)
	switch {
	case core.Code(err) == CodePolicyViolation:
		return nil, true, err
	case err != nil:
		return nil, true, nil // a whole flow gets over it, or says what it is
	}
	a = m.conclude(ctx, renewed, second, credentials)
	a.isCommon = !g.ofThread
	a.signOnce(g.signed)
	if m.ctx.Err() == nil {
		m.answers.keep(c, a)
	}
	return a, true, nil
}

// within returns a context that ends with the manager's, too, and what gives it back.
func (m *Manager) within(ctx context.Context) (within context.Context, end func()) {
	if ctx.Done() == nil {
		return endless{ctx, m.ctx}, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(m.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// endless is a context that has no end of its own, but another's.
type endless struct {
	context.Context
	other context.Context
}

func (e endless) Done() <-chan struct{}       { return e.other.Done() }
func (e endless) Err() error                  { return e.other.Err() }
func (e endless) Deadline() (time.Time, bool) { return e.other.Deadline() }

// stands reports whether an answer can stand on a ground, and returns the task that the
// call asserts, if it is not the ground's.
func (m *Manager) stands(ctx context.Context, g *ground, c call, credentials Credentials) (task string, ok bool) {
	if !sameCredentials(g.credentials.Get(), credentials) {
		return "", false
	}
	var told []found
	for i, was := range g.read {
		is, ok := m.holds(ctx, was)
		if !ok {
			return "", false
		}
		if is.version != was.version {
			if told == nil {
				told = slices.Clone(g.read)
			}
			told[i] = is
		}
	}
	if told != nil {
		another := *g
		another.read = told
		m.answers.grounds[c.place].CompareAndSwap(g, &another)
	}
	if !g.ofThread {
		return "", true
	}
	return m.renewThread(ctx, c.thread, g.agent)
}

// settle takes note of what an answer stands on, once a whole flow has ended with it.
func (m *Manager) settle(c *carrier, a *answer, s *signed, credentials Credentials) {
	if c.call.place == placeNowhere {
		return
	}
	place := &m.answers.grounds[c.call.place]
	if !a.asserts() || a.Cause != nil || c.hasChanged {
		// What one conversation has registered changes nothing for the others.
		if g := place.Load(); g != nil && (!a.asserts() || g.agent != a.AgentRuntimeID) {
			place.CompareAndSwap(g, nil)
		}
		return
	}
	g := &ground{signed: s, credentials: hidden.Of(credentials), agent: a.AgentRuntimeID}
	for _, f := range c.read {
		if f.slot != wire.SlotThread+c.call.thread || c.call.thread == "" {
			g.read = append(g.read, f)
			continue
		}
		g.ofThread = true
		m.answers.conversations.keep(c.call.thread, conversation{
			agent: a.AgentRuntimeID, task: a.TaskID, version: f.version, sum: f.sum, kept: f.kept,
		})
	}
	place.Store(g)
}
