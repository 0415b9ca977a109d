package doctor

import (
	"encoding/json"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// maxSteps bounds how often the core is asked: it reads, and is content.
const maxSteps = 64

// fromDocument carries out an operation that reads the file, on what was read of it. What
// the core would write, or lock, is left undone.
func fromDocument(content []byte, modified, now time.Time, operation, slot string) wire.FileResult {
	event := wire.FileEvent{Type: wire.FileEventStart, Operation: operation, Slot: slot}
	var state []byte
	for range maxSteps {
		event.Now = now.Unix()
		step, err := core.FileStep(wire.FileStepParams{State: state, Event: event})
		if err != nil {
			break
		}
		state, event = step.State, wire.FileEvent{Type: wire.FileEventDone}
		switch e := step.Effect; {
		case e.Type == wire.FileEffectDone:
			return *e.Result
		case e.Type == wire.FileEffectRead && e.Name == wire.FileNameTarget:
			event.Content = content
			event.Stat = &wire.FileStat{Size: int64(len(content)), Modified: modified.UnixNano(), Links: 1}
		}
	}
	return wire.FileResult{}
}

// record is what is looked at of an identity's record. Whether it can be used is for the
// core to say.
type record struct {
	id, taskID                   string
	registered, replaced, byTask time.Time
	// isJWT says that there is a JWT in the place of a record.
	isJWT bool
}

func parseRecord(text []byte) (r record) {
	var members struct {
		ID         string `json:"agent_runtime_id"`
		Task       string `json:"background_task_id"`
		OtherTask  string `json:"task_id"`
		Registered string `json:"registered_at"`
		Replaced   string `json:"identity_replaced_at"`
		ByTask     string `json:"task_replaced_at"`
	}
	var jwt string
	if json.Unmarshal(text, &jwt) == nil && jwt != "" {
		r.isJWT = true
		return r
	}
	if json.Unmarshal(text, &members) != nil {
		return r
	}
	r.id, r.taskID = shown(members.ID), shown(members.Task)
	if r.taskID == "" {
		r.taskID = shown(members.OtherTask)
	}
	r.registered, r.replaced, r.byTask = parseTime(members.Registered), parseTime(members.Replaced), parseTime(members.ByTask)
	return r
}

// parseTime returns the zero time for what is none.
func parseTime(timestamp string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, timestamp)
	if err != nil {
		return time.Time{}
	}
	return t
}
