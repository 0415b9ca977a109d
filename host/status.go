package host

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/policy"
)

// Status is what a manager would answer, for every surface, at one time.
type Status struct {
	At time.Time
	// BaseURL is the backend's, normalized.
	BaseURL string
	// Surfaces are those of the protocol's table, in its order, and background for
	// all that it does not list.
	Surfaces []SurfaceStatus
}

// SurfaceStatus is what a call on one surface would carry, and why. It holds no
// secret.
type SurfaceStatus struct {
	// Surface is one of the core.Surface constants.
	Surface string
	Scope   core.Scope
	// Thread is the conversation, on a thread's surface. It is empty for one that
	// has no task yet.
	Thread string
	// Mode and Reason are those of the authorization. Of a strict manager whose call would
	// fail with CodeNoAssertion the mode is core.ModeNone, and that error the Cause.
	Mode, Reason string
	// FallsBack says that a call is to carry an assertion, and does not.
	FallsBack bool
	// Registers says that a call would first register what is missing, an
	// identity and a task, or a task. Mode and Reason are those of success then:
	// whether the store would take it is not tried.
	Registers bool
	AccountID string
	// AgentRuntimeID and TaskID are those of an assertion, and in wire.ProfileInstances
	// RuntimeAgentInstance is in their place.
	AgentRuntimeID, TaskID, RuntimeAgentInstance string
	// IdentityRegisteredAt and TaskRegisteredAt are zero where the store does not
	// say. Of a background task it never does: such a task is at most as old as its
	// identity.
	IdentityRegisteredAt, TaskRegisteredAt time.Time
	// IdentityReplacedAt is when the identity took the place of one that the backend no
	// longer knew. It is zero for one that has not.
	IdentityReplacedAt time.Time
	// RetryAt is until when a failed registration is not tried again.
	RetryAt time.Time
	// Cause is what failed, where something did: a *core.Error.
	Cause error
	// Notice is what the user should know although nothing failed: a *core.Error.
	Notice error
}

// newThread stands for a conversation that has no task yet. Nothing is loaded for
// it.
const newThread = "new"

// Status returns what calls would get now, without getting it: it reads the store
// and the credentials, and neither writes, nor locks, nor sends, nor registers.
// The rows of the threads' surfaces are repeated for each of the threads; without
// one they are those of a new conversation. Answers that are kept for this second
// do not count.
//
// Errors: core.CodeInvalidThreadID, CodeCanceled, CodeClosed, those of the
// credential source and of the engine. A store that fails is no error: what calls
// would get then has a reason too.
func (m *Manager) Status(ctx context.Context, threads ...string) (Status, error) {
	ctx, end, err := m.join(ctx, "a status")
	if err != nil {
		return Status{}, err
	}
	defer end()
	credentials, err := m.config.Credentials.Credentials(ctx)
	if err != nil {
		return Status{}, err
	}
	other, err := core.LookupSurface(core.SurfaceBackground)
	if err != nil {
		return Status{}, err
	}
	if len(threads) == 0 {
		threads = []string{""}
	}
	status := Status{At: m.config.Now().UTC().Truncate(time.Second), BaseURL: m.BaseURL()}
	type flow struct {
		scope  core.Scope
		thread string
		// responses can carry something else than the thread's other calls.
		responses bool
	}
	seen := make(map[flow]SurfaceStatus)
	for _, s := range append(core.Surfaces(), other) {
		of := []string{""}
		if s.Scope == core.ScopeThread {
			of = threads
		}
		for _, thread := range of {
			f := flow{s.Scope, thread, s.Name == core.SurfaceResponses}
			row, ok := seen[f]
			if !ok {
				if row, err = m.look(ctx, status.At, credentials, s, thread); err != nil {
					return Status{}, err
				}
				seen[f] = row
			}
			row.Surface = s.Name
			m.compare(&row, credentials)
			status.Surfaces = append(status.Surfaces, row)
		}
	}
	return status, nil
}

// compare says what a row falls short of.
func (m *Manager) compare(row *SurfaceStatus, credentials Credentials) {
	a := Authorization{Mode: row.Mode, Reason: row.Reason, Cause: row.Cause, call: call{surface: row.Surface}}
	row.FallsBack = m.wire.AgentIdentity && !a.asserts() && m.wants(row.Surface, credentials)
	if err := m.insist(a, credentials); err != nil {
		row.Mode, row.Cause = core.ModeNone, err
	}
}

// look runs the core's flow for a call as long as it reads. Where it would do
// more it would register.
func (m *Manager) look(ctx context.Context, at time.Time, credentials Credentials, s core.Surface, thread string) (SurfaceStatus, error) {
	row := SurfaceStatus{Scope: s.Scope, Thread: thread}
	event := wire.Event{Type: wire.EventStart, Config: &m.wire, Surface: s.Name, Credentials: &credentials}
	if s.Scope == core.ScopeThread {
		if event.ThreadID = thread; thread == "" {
			event.ThreadID = newThread
		}
	}
	var state []byte
	if m.wire.Profile == wire.ProfileInstances {
		event.Entropy = make([]byte, entropySize) // for an assertion that nobody sends
	}
	carrier := carrier{Manager: m, ctx: ctx, patience: ctx, policy: policy.New(policy.Call{
		Config: m.wire, Surface: s.Name, ThreadID: event.ThreadID, Entropy: event.Entropy, Credentials: credentials,
	})}
	var identity, task registered
	locked := false
	for range maxSteps {
		if err := ctx.Err(); err != nil {
			return row, fail(CodeCanceled, "the caller stopped waiting for the status", err)
		}
		event.Now = at.Unix()
		step, err := Call[wire.FlowStep](context.WithoutCancel(ctx), m.config.Engine, wire.MethodFlowStep,
			wire.FlowStepParams{State: state, Event: event})
		if err != nil {
			return row, err
		}
		state = step.State
		if step.Effect.Type != wire.EffectDone {
			if err := carrier.policy.Effect(step.Effect); err != nil {
				return row, err
			}
		}
		switch e := step.Effect; e.Type {
		case wire.EffectDone:
			if e.Authorization == nil {
				return row, fail(CodeSandboxFailed, "the core's flow ended with nothing", nil)
			}
			if err := carrier.policy.Answer(*e.Authorization, event.Now); err != nil {
				return row, err
			}
			row.answered(carrier.authorization(*e.Authorization), identity, task)
			return row, nil
		case wire.EffectLoad:
			event = wire.Event{Type: wire.EventLoaded}
			isThread := strings.HasPrefix(e.Slot, wire.SlotThread)
			if !isThread || thread != "" {
				event = carrier.carryOut(e)
			}
			switch {
			case isThread:
				task = readRegistered(event.Record)
			case e.Slot == wire.SlotIdentity:
				identity = readRegistered(event.Record)
			case e.Slot == wire.SlotSetAside:
				row.Notice = fail(core.CodeIdentitySetAside, "the stored agent identity is of another account or user, or damaged; it will be set aside, and another takes its place", nil)
			}
		case wire.EffectLock, wire.EffectProbe:
			// Nothing is going to be written. What the flow checks under the lock
			// can still be a reason not to register.
			locked = locked || e.Type == wire.EffectLock
			event = wire.Event{Type: wire.EventDone}
		default:
			// The note of which backend an identity belongs to, and what other clients
			// want of its record: nothing that the answer depends on.
			isNote := e.Type == wire.EffectSave && e.Slot == wire.SlotBackend
			isCompletion := e.Type == wire.EffectSwap && !locked
			if !isNote && !isCompletion {
				return row, m.wouldRegister(&row, credentials, s)
			}
			event = wire.Event{Type: wire.EventDone}
		}
	}
	return row, fail(CodeSandboxFailed, "the core's flow does not end", nil)
}

// answered takes over an authorization, and the age of what it was made with.
func (s *SurfaceStatus) answered(a Authorization, identity, task registered) {
	s.Mode, s.Reason, s.AccountID = a.Mode, a.Reason, a.AccountID
	s.AgentRuntimeID, s.TaskID, s.RuntimeAgentInstance = a.AgentRuntimeID, a.TaskID, a.RuntimeAgentInstance
	s.RetryAt, s.Cause, s.Notice = a.RetryAt, a.Cause, a.Notice
	if a.AgentRuntimeID != "" && identity.AgentRuntimeID == a.AgentRuntimeID {
		s.IdentityRegisteredAt = parseTime(identity.RegisteredAt)
		s.IdentityReplacedAt = parseTime(identity.IdentityReplacedAt)
	}
	if a.TaskID != "" && task.TaskID == a.TaskID {
		s.TaskRegisteredAt = parseTime(task.RegisteredAt)
	}
}

// wouldRegister tells what a call gets once a registration has succeeded.
func (m *Manager) wouldRegister(row *SurfaceStatus, credentials Credentials, s core.Surface) error {
	d, err := core.Decide(wire.DecideParams{Config: m.wire, Surface: s.Name, Credentials: credentials, Agent: wire.AgentAvailable})
	if err != nil {
		return err
	}
	row.Mode, row.Reason, row.AccountID, row.Registers = d.Mode, d.Reason, d.AccountID, true
	return nil
}

// registered is what a stored record says of its registration. Whether the record
// can be used at all is for the core to say.
type registered struct {
	AgentRuntimeID     string `json:"agent_runtime_id"`
	TaskID             string `json:"task_id"`
	RegisteredAt       string `json:"registered_at"`
	IdentityReplacedAt string `json:"identity_replaced_at"`
}

// readRegistered returns nothing where a record has another form.
func readRegistered(record []byte) registered {
	var r registered
	if json.Unmarshal(record, &r) != nil {
		return registered{}
	}
	return r
}

// parseTime returns the zero time for what is none.
func parseTime(timestamp string) time.Time {
	t, err := time.Parse(time.RFC3339, timestamp)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
