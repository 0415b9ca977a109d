package authority

import (
	"net/http"

	"github.com/agentassert/agentassert/core"
)

// TaskResponse is what a task registration answers with: the name of the one
// member of its JSON object. Clients of the profile auth-api take any of the four.
type TaskResponse string

const (
	TaskResponsePlain       TaskResponse = "task_id"           // the id itself
	TaskResponsePlainCamel  TaskResponse = "taskId"            // the id itself
	TaskResponseSealed      TaskResponse = "encrypted_task_id" // sealed to the agent's key, see [core.SealTaskID]
	TaskResponseSealedCamel TaskResponse = "encryptedTaskId"   // sealed likewise
)

// TaskResponses returns all four.
func TaskResponses() []TaskResponse {
	return []TaskResponse{TaskResponsePlain, TaskResponsePlainCamel, TaskResponseSealed, TaskResponseSealedCamel}
}

// taskAnswer is the answer to a task registration.
func (a *Authority) taskAnswer(shape TaskResponse, key *core.PublicKey, taskID string) (map[TaskResponse]string, error) {
	if shape == TaskResponsePlain || shape == TaskResponsePlainCamel {
		return map[TaskResponse]string{shape: taskID}, nil
	}
	entropy, err := a.random(32)
	if err != nil {
		return nil, err
	}
	sealed, err := core.SealTaskID(key, entropy, taskID)
	if err != nil {
		return nil, fail(http.StatusInternalServerError, CodeInternal, err.Error())
	}
	return map[TaskResponse]string{shape: sealed}, nil
}
