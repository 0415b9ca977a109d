package host

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// CodeNotOurs is an authorization, or a task, that is another manager's, or nobody's:
// there is nothing here to replace it with.
const CodeNotOurs = "not_ours"

func errNotOurs() error {
	return fail(CodeNotOurs, "the authorization is not of this manager's; let the manager that has made it recover", nil)
}

// Recover returns what a call carries in place of an assertion that the backend has
// rejected. The assertion's task is replaced, if it is still the stored one; of any
// number of calls that were rejected with one task, in any number of processes, one
// registers. It is the same with a runtime agent instance, in this manager. An
// authorization of this manager's that is no assertion comes back as it is: a rejected
// bearer token says nothing about a task.
//
// The response decides what is replaced, by the code in its body: the task where the
// backend does not accept it, the identity where it does not know the agent, and nothing
// where it names another reason (core.CodeAssertionRejected), or where a clock is wrong.
// A response without a code stands for the task. So does no response: the caller has
// decided that the task is bad. The body is read as [ReadRefusal] reads it. What the
// backend has said is in the chain of the answer's Cause, as a *core.Refusal.
//
// Errors: CodeNotOurs, for an authorization of another manager's, and for one that no
// manager has made. The others, and what a failed registration leads to, are those of
// the method that the authorization came from.
func (m *Manager) Recover(ctx context.Context, rejected Authorization, response *http.Response) (Authorization, error) {
	if rejected.call.manager != m.id {
		return Authorization{}, errNotOurs()
	}
	if !rejected.asserts() {
		return rejected, nil
	}
	c := rejected.call
	c.rejected = &wire.Rejection{
		AgentRuntimeID: rejected.AgentRuntimeID, TaskID: rejected.TaskID, RuntimeAgentInstance: rejected.RuntimeAgentInstance,
	}
	if response != nil {
		c.refusal = readRefusal(response, m.config.Now(), []string{rejected.Header(), rejected.AgentAssertion()})
		c.rejected.Date, c.rejected.Code = response.Header.Get("Date"), c.refusal.Code
	}
	return m.replace(ctx, c)
}

// recoverDecided is Recover where the caller has decided that what the assertion names is
// to be replaced: the code counts only where it says more than that.
func (m *Manager) recoverDecided(ctx context.Context, rejected Authorization, refusal *core.Refusal) (Authorization, error) {
	if rejected.call.manager != m.id {
		return Authorization{}, errNotOurs()
	}
	c := rejected.call
	c.refusal, c.rejected = refusal, &wire.Rejection{
		AgentRuntimeID: rejected.AgentRuntimeID, TaskID: rejected.TaskID, RuntimeAgentInstance: rejected.RuntimeAgentInstance,
	}
	if refusal.Code == core.CodeUnknownAgent {
		c.rejected.Code = refusal.Code
	}
	return m.replace(ctx, c)
}

// RecoverTask is [Manager.Recover] for a caller that has kept no more than the ids which
// the rejected assertion carried, in the profiles that assert tasks: those of a
// background call, or of any call where all share one task, as in wire.ProfileAuthAPI.
// For a conversation's own task there is [Thread.RecoverTask]. The refusal can be nil:
// the caller has decided that the task is bad.
//
// Errors: CodeNotOurs, if the agent is none that the store has, or has set aside; the
// others are those of [Manager.Authorization] and, with wire.ProfileAuthAPI,
// [Thread.Authorization].
func (m *Manager) RecoverTask(ctx context.Context, agentRuntimeID, taskID string, refusal *core.Refusal) (Authorization, error) {
	c := call{manager: m.id, surface: core.SurfaceBackground, place: placeBackground}
	if m.wire.Profile == wire.ProfileAuthAPI && !m.wire.AllSurfaces {
		// Only these assert, and all with the same task.
		c = call{manager: m.id, surface: core.SurfaceResponses, thread: newThread, place: placeNowhere}
	}
	return m.recoverTask(ctx, c, agentRuntimeID, taskID, refusal)
}

// RecoverTask is [Manager.RecoverTask] for the conversation's task.
func (t *Thread) RecoverTask(ctx context.Context, agentRuntimeID, taskID string, refusal *core.Refusal) (Authorization, error) {
	s, err := core.LookupSurface(core.SurfaceResponses)
	if err != nil {
		return Authorization{}, err
	}
	return t.manager.recoverTask(ctx, t.call(s), agentRuntimeID, taskID, refusal)
}

func (m *Manager) recoverTask(ctx context.Context, c call, agentRuntimeID, taskID string, refusal *core.Refusal) (Authorization, error) {
	if err := m.checkOurs(ctx, agentRuntimeID, taskID); err != nil {
		return Authorization{}, err
	}
	c.rejected = &wire.Rejection{AgentRuntimeID: agentRuntimeID, TaskID: taskID}
	if c.refusal = refusal; refusal != nil {
		c.rejected.Code = refusal.Code
	}
	return m.replace(ctx, c)
}

// replace asks for what takes the place of what the call's rejection names.
func (m *Manager) replace(ctx context.Context, c call) (Authorization, error) {
	a, err := m.ask(ctx, c)
	if err != nil || c.thread == "" {
		return a, err
	}
	return turn(a)
}

// checkOurs wants ids of an agent that the store has, or has set aside because another
// took its place.
func (m *Manager) checkOurs(ctx context.Context, agentRuntimeID, taskID string) error {
	ctx, end, err := m.join(ctx, "a task to recover")
	if err != nil {
		return err
	}
	defer end()
	if agentRuntimeID != "" && taskID != "" && m.wire.Profile != wire.ProfileInstances {
		for _, slot := range []string{wire.SlotIdentity, wire.SlotSetAside} {
			record, _, _, err := m.store.load(ctx, slot)
			if err != nil {
				return storeError("the store did not say whose task it is", err)
			}
			var stored any
			if json.Unmarshal(record, &stored) == nil && names(stored, agentRuntimeID) {
				return nil
			}
		}
	}
	return fail(CodeNotOurs, "the task is none of an agent's that this manager has, or has had; let the manager that has the agent recover", nil)
}

// names reports whether a JSON value has an object whose agent_runtime_id is that.
func names(value any, agentRuntimeID string) bool {
	switch v := value.(type) {
	case map[string]any:
		if v["agent_runtime_id"] == agentRuntimeID {
			return true
		}
		for _, member := range v {
			if names(member, agentRuntimeID) {
				return true
			}
		}
	case []any:
		for _, element := range v {
			if names(element, agentRuntimeID) {
				return true
			}
		}
	}
	return false
}
