package core

// identity is a stored agent identity that can be used.
type identity struct {
	agentRuntimeID string
	key            *PrivateKey
	// taskID is the background task's, empty until there is one.
	taskID string
}

// readIdentity reads a stored record. It returns nil where there is none, or
// one that the protocol says to replace: of another workspace or user, or
// damaged. A record in a form that nobody here knows is an error,
// CodeUnreadableIdentity, because it may be somebody else's, and is left alone.
func readIdentity(record []byte, account, user string, parseKey func(string) (*PrivateKey, error)) (*identity, error) {
	if len(record) == 0 {
		return nil, nil
	}
	root, err := parseJSON(record, maxStoredJSON)
	if err != nil {
		return nil, fail(CodeUnreadableIdentity, "the stored agent identity is not JSON: "+err.Error())
	}
	if root.kind == jsonNull {
		return nil, nil
	}
	id, hasID := root.stringMember("agent_runtime_id")
	key, hasKey := root.stringMember("agent_private_key")
	if !hasID && !hasKey {
		return nil, fail(CodeUnreadableIdentity, "the stored agent identity is in a form that this version cannot read, and was left as it is; remove agent_identity from the store to register a new one")
	}
	// Later clients write account_id.
	workspace, ok := root.stringMember("workspace_id")
	if !ok {
		workspace, _ = root.stringMember("account_id")
	}
	if workspace != account {
		return nil, nil
	}
	if storedUser, ok := root.stringMember("chatgpt_user_id"); user != "" && (!ok || storedUser != user) {
		return nil, nil
	}
	if checkAgentRuntimeID(id) != nil {
		return nil, nil
	}
	k, err := parseKey(key)
	if err != nil {
		return nil, nil
	}
	// A task id that could not be asserted counts as none.
	task, _ := root.stringMember("background_task_id")
	if checkTaskID(task) != nil {
		task = ""
	}
	return &identity{agentRuntimeID: id, key: k, taskID: task}, nil
}

// newIdentityRecord returns the record of a fresh identity, its members in the
// order of the reference client (captures/enabled.auth.json).
func newIdentityRecord(account, user, agentRuntimeID, privateKey string, now int64) ([]byte, error) {
	registeredAt, err := formatTimestamp(now)
	if err != nil {
		return nil, err
	}
	members := []any{"workspace_id", account}
	if user != "" {
		members = append(members, "chatgpt_user_id", user)
	}
	members = append(members,
		"agent_runtime_id", agentRuntimeID,
		"agent_private_key", privateKey,
		"registered_at", registeredAt)
	return appendJSONObject(nil, members...), nil
}

// setRecordMember returns the record with a string set, or removed where it is
// empty, and all else as it was.
func setRecordMember(record []byte, name, text string) ([]byte, error) {
	root, err := parseJSON(record, maxStoredJSON)
	if err != nil || root.kind != jsonObject {
		return nil, fail(CodeInvalidRecord, "the record is not a JSON object")
	}
	var value []byte
	if text != "" {
		value = appendJSONString(nil, text)
	}
	return setJSONMember(record, root, name, value), nil
}

// setRecordTask returns the record with another background task, or without one
// where taskID is empty.
func setRecordTask(record []byte, taskID string) ([]byte, error) {
	return setRecordMember(record, "background_task_id", taskID)
}

// replacedAtMember is in the record of a task that has replaced a rejected one,
// and says when it did. The reference client does not have it.
const replacedAtMember = "task_replaced_at"

// minReplacementAge is how old a task that has replaced another has to be before
// it is replaced in turn, in seconds. Where a backend rejects every assertion,
// because a clock is wrong or an account is suspended, a new task does not help.
const minReplacementAge = 60

// isYoungReplacement reports whether the task in a record, an identity's or a
// thread's, has only just replaced another.
func isYoungReplacement(record []byte, now int64) bool {
	root, err := parseJSON(record, maxStoredJSON)
	if err != nil {
		return false
	}
	text, _ := root.stringMember(replacedAtMember)
	at, err := parseTimestamp(text)
	return err == nil && at <= now && now < at+minReplacementAge
}

// newThreadRecord returns the record of a thread's task, its members in the
// order of the reference client.
func newThreadRecord(agentRuntimeID, taskID string, now int64) ([]byte, error) {
	registeredAt, err := formatTimestamp(now)
	if err != nil {
		return nil, err
	}
	return appendJSONObject(nil,
		"agent_runtime_id", agentRuntimeID,
		"task_id", taskID,
		"registered_at", registeredAt), nil
}

// readThreadTask returns the task in a thread's record, or nothing where there
// is none, it is damaged, or it was granted to another identity.
func readThreadTask(record []byte, agentRuntimeID string) string {
	root, err := parseJSON(record, maxNetworkJSON)
	if err != nil {
		return ""
	}
	if id, _ := root.stringMember("agent_runtime_id"); id != agentRuntimeID {
		return ""
	}
	task, _ := root.stringMember("task_id")
	if checkTaskID(task) != nil {
		return ""
	}
	return task
}
