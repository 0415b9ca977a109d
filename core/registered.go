package core

import "github.com/agentassert/agentassert/core/wire"

// ReadBiscuit reads the answer to [BiscuitRequest].
//
// Errors: CodeInvalidResponse, and a *[Refusal] where the status is none of 2xx, whose
// body is cleared of the secrets, such as the access token.
func ReadBiscuit(a Answer, secrets ...string) (biscuit string, err error) {
	if err := granted(wire.StepBiscuit, a, secrets); err != nil {
		return "", err
	}
	return parseBiscuit([]wire.Header{{Name: biscuitHeader, Value: a.header(biscuitHeader)}})
}

// ReadIdentity reads the answer to [IdentityRegistration]: the agent's id, which
// belongs to the key that was registered, and is to be kept with it.
//
// Errors: CodeInvalidResponse, CodeInvalidAgentRuntimeID, and a *[Refusal] where the
// status is none of 2xx, whose body is cleared of the secrets, such as the access token.
func ReadIdentity(a Answer, secrets ...string) (agentRuntimeID string, err error) {
	if err := granted(wire.StepIdentity, a, secrets); err != nil {
		return "", err
	}
	return parseIdentityResponse(a.Body)
}

// ReadInstance reads the answer to [InstanceRegistration]: the id that
// [BuildInstanceAssertion] wants.
//
// Errors: CodeInvalidResponse, and a *[Refusal] where the status is none of 2xx, whose
// body is cleared of the secrets, such as the access token.
func ReadInstance(a Answer, secrets ...string) (runtimeAgentInstance string, err error) {
	if err := granted(wire.StepIdentity, a, secrets); err != nil {
		return "", err
	}
	return parseInstanceResponse(a.Body)
}

// ReadTask reads the answer to [TaskRegistration], in any profile: the task's id, which
// is opened with the agent's key if it is sealed. One in the clear wins over a sealed
// one, and task_id over taskId.
//
// Errors: CodeInvalidResponse, CodeInvalidTaskID, CodeInvalidSealedTaskID,
// CodeInvalidPrivateKey (there is none), and a *[Refusal] where the status is none of
// 2xx, whose body is cleared of the secrets, such as the biscuit.
func ReadTask(k *PrivateKey, a Answer, secrets ...string) (taskID string, err error) {
	if k == nil {
		return "", errNoKey()
	}
	if err := granted(wire.StepTask, a, secrets); err != nil {
		return "", err
	}
	return authAPI{}.readTask(k, a.Body)
}

// granted returns the refusal that an answer is, or nil.
func granted(step string, a Answer, secrets []string) error {
	if a.Status >= 200 && a.Status <= 299 {
		return nil
	}
	r := NewRefusal(a, secrets...)
	r.Step = step
	return r
}
