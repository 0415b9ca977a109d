package core

import (
	"bytes"
	"slices"

	"github.com/agentassert/agentassert/core/wire"
)

// identity is a stored agent identity that can be used.
type identity struct {
	agentRuntimeID string
	key            *PrivateKey
	// taskID is the background task's, empty until there is one.
	taskID string
	// baseURL is the backend's that the identity belongs to, empty where the record
	// does not say.
	baseURL string
	// complete says that the record has all that one client or another wants.
	complete bool
}

// The members of an identity's record. Each client wants some of them and lets
// the others pass (protocol.md), so that one record can serve all.
const (
	memberAgentRuntimeID = "agent_runtime_id"
	memberPrivateKey     = "agent_private_key"
	memberUserID         = "chatgpt_user_id"
	memberEmail          = "email"
	memberRegisteredAt   = "registered_at"
	// memberWorkspaceID and memberBackgroundTaskID are the names of 0.123.
	memberWorkspaceID      = "workspace_id"
	memberBackgroundTaskID = "background_task_id"
	// memberAccountID and what follows are those of clients from 0.145 on, which
	// refuse the whole auth.json where one is missing, the task apart.
	memberAccountID = "account_id"
	memberPlanType  = "plan_type"
	memberFedRAMP   = "chatgpt_account_is_fedramp"
	memberTaskID    = "task_id"
	// memberBaseURL, memberTaskReplacedAt and memberIdentityReplacedAt are ours.
	memberBaseURL            = "base_url"
	memberTaskReplacedAt     = "task_replaced_at"
	memberIdentityReplacedAt = "identity_replaced_at"
)

// unknownPlan is the plan of an account whose id token does not name one.
const unknownPlan = "unknown"

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
	id, hasID := root.stringMember(memberAgentRuntimeID)
	key, hasKey := root.stringMember(memberPrivateKey)
	if !hasID && !hasKey {
		return nil, fail(CodeUnreadableIdentity, "the stored agent identity is in a form that this version cannot read, and was left as it is; remove agent_identity from the store to register a new one")
	}
	if recordAccount(root) != account {
		return nil, nil
	}
	if storedUser, _ := root.stringMember(memberUserID); user != "" && storedUser != user {
		return nil, nil
	}
	if checkAgentRuntimeID(id) != nil {
		return nil, nil
	}
	k, err := parseKey(key)
	if err != nil {
		return nil, nil
	}
	baseURL, _ := root.stringMember(memberBaseURL)
	return &identity{agentRuntimeID: id, key: k, taskID: recordTask(root), baseURL: baseURL, complete: isComplete(root)}, nil
}

// isComplete reports whether completeRecord would change nothing.
func isComplete(root *jsonValue) bool {
	for _, m := range wantedMembers {
		if v := root.member(m.name); v == nil || v.kind != m.kind {
			return false
		}
	}
	for _, name := range optionalMembers {
		if v := root.member(name); v != nil && v.kind != jsonString {
			return false
		}
	}
	background, _ := root.stringMember(memberBackgroundTaskID)
	task, _ := root.stringMember(memberTaskID)
	return background == task
}

// optionalMembers are texts that can be missing.
var optionalMembers = []string{memberEmail, memberTaskID, memberBackgroundTaskID}

// wantedMembers are those that some client cannot do without, of a record that has
// an identity.
var wantedMembers = []struct {
	name string
	kind jsonKind
}{
	{memberAccountID, jsonString},
	{memberUserID, jsonString},
	{memberPlanType, jsonString},
	{memberFedRAMP, jsonBool},
	{memberWorkspaceID, jsonString},
	{memberRegisteredAt, jsonString},
}

// recordAccount is the account that a record's identity is bound to.
func recordAccount(root *jsonValue) string {
	account, ok := root.stringMember(memberWorkspaceID)
	if !ok {
		account, _ = root.stringMember(memberAccountID)
	}
	return account
}

// recordTask is the background task in a record. Later clients know it by another
// name, and drop ours when they save. One that could not be asserted counts as
// none.
func recordTask(root *jsonValue) string {
	for _, name := range []string{memberBackgroundTaskID, memberTaskID} {
		if task, _ := root.stringMember(name); checkTaskID(task) == nil {
			return task
		}
	}
	return ""
}

// newIdentityRecord returns the record of a fresh identity that belongs to the
// backend at baseURL, if that is known.
func newIdentityRecord(account string, c wire.Credentials, agentRuntimeID, privateKey, baseURL string, now int64) ([]byte, error) {
	members := []any{memberAgentRuntimeID, agentRuntimeID, memberPrivateKey, privateKey}
	if baseURL != "" {
		members = append(members, memberBaseURL, baseURL)
	}
	if c.Email != "" {
		members = append(members, memberEmail, c.Email)
	}
	return completeRecord(appendJSONObject(nil, members...), account, c, now)
}

// completeRecord returns the record with the members that some client needs and
// that are missing, or of a kind that it could not read. All else stays as it was.
func completeRecord(record []byte, account string, c wire.Credentials, now int64) ([]byte, error) {
	registeredAt, err := formatTimestamp(now)
	if err != nil {
		return nil, err
	}
	plan := c.PlanType
	if plan == "" {
		plan = unknownPlan
	}
	fedRAMP := "false"
	if c.FedRAMP {
		fedRAMP = "true"
	}
	values := map[string][]byte{
		memberAccountID:    appendJSONString(nil, account),
		memberUserID:       appendJSONString(nil, c.UserID),
		memberPlanType:     appendJSONString(nil, plan),
		memberFedRAMP:      []byte(fedRAMP),
		memberWorkspaceID:  appendJSONString(nil, account),
		memberRegisteredAt: appendJSONString(nil, registeredAt),
	}
	root, err := parseJSON(record, maxStoredJSON)
	if err != nil || root.kind != jsonObject {
		return nil, fail(CodeInvalidRecord, "the record is not a JSON object")
	}
	task := recordTask(root)
	for _, m := range wantedMembers {
		if v := root.member(m.name); v != nil && v.kind == m.kind {
			continue
		}
		record = setJSONMember(record, root, m.name, values[m.name])
		if root, err = parseJSON(record, maxStoredJSON); err != nil {
			return nil, fail(CodeInvalidRecord, "the record is too large")
		}
	}
	if email := root.member(memberEmail); email != nil && email.kind != jsonString {
		if record, err = setRecordMember(record, memberEmail, c.Email); err != nil {
			return nil, err
		}
	}
	return setRecordTask(record, task)
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
// where taskID is empty, under both of its names.
func setRecordTask(record []byte, taskID string) ([]byte, error) {
	record, err := setRecordMember(record, memberTaskID, taskID)
	if err != nil {
		return nil, err
	}
	return setRecordMember(record, memberBackgroundTaskID, taskID)
}

// The ages that a task or an identity which has taken the place of another has to
// have before it is replaced in turn, in seconds. Where a backend rejects
// whatever it is shown, a new one does not help.
const (
	minTaskAge     int64 = 60
	minIdentityAge       = maxPause
)

// isYoungReplacement reports whether a record, an identity's or a thread's, says
// under that name that something has been replaced less than age seconds ago.
func isYoungReplacement(record []byte, name string, age, now int64) bool {
	root, err := parseJSON(record, maxStoredJSON)
	if err != nil {
		return false
	}
	text, _ := root.stringMember(name)
	at, err := parseTimestamp(text)
	return err == nil && at <= now && now < at+age
}

// newThreadRecord returns the record of a thread's task, its members in the
// order of the reference client.
func newThreadRecord(agentRuntimeID, taskID string, now int64) ([]byte, error) {
	registeredAt, err := formatTimestamp(now)
	if err != nil {
		return nil, err
	}
	return appendJSONObject(nil,
		memberAgentRuntimeID, agentRuntimeID,
		memberTaskID, taskID,
		memberRegisteredAt, registeredAt), nil
}

// readThreadTask returns the task in a thread's record, or nothing where there
// is none, it is damaged, or it was granted to another identity.
func readThreadTask(record []byte, agentRuntimeID string) string {
	root, err := parseJSON(record, maxNetworkJSON)
	if err != nil {
		return ""
	}
	if id, _ := root.stringMember(memberAgentRuntimeID); id != agentRuntimeID {
		return ""
	}
	task, _ := root.stringMember(memberTaskID)
	if checkTaskID(task) != nil {
		return ""
	}
	return task
}

// An identity belongs to the backend that registered it: an assertion names no
// audience, so whoever gets one can show it to another backend. The record says
// which that is; for an identity whose record does not, because another program
// wrote it last, the slot SlotBackend does, an object with a base URL for each
// agent runtime id, the newest last.

// maxBackends is how many identities the slot remembers the backend of.
const maxBackends = 64

// readBackend returns the base URL that the record in SlotBackend has for an
// identity, or nothing.
func readBackend(record []byte, agentRuntimeID string) string {
	root, err := parseJSON(record, maxStoredJSON)
	if err != nil {
		return ""
	}
	baseURL, _ := root.stringMember(agentRuntimeID)
	return baseURL
}

// setBackend returns the record for SlotBackend with one more identity. One that
// is damaged starts anew.
func setBackend(record []byte, agentRuntimeID, baseURL string) []byte {
	root, err := parseJSON(record, maxStoredJSON)
	if err != nil || root.kind != jsonObject {
		record = []byte("{}")
		root, _ = parseJSON(record, len(record))
	}
	for len(root.members) >= maxBackends {
		record = setJSONMember(record, root, root.members[0].name, nil)
		root, _ = parseJSON(record, len(record))
	}
	return setJSONMember(record, root, agentRuntimeID, appendJSONString(nil, baseURL))
}

// isSameBackend reports whether two base URLs lead to one backend: they have the
// same origin, or are two names of the public one.
func isSameBackend(a, b string) bool {
	x, _, errX := parseURL(a, notInBaseURL)
	y, _, errY := parseURL(b, notInBaseURL)
	if errX != nil || errY != nil {
		return false
	}
	for _, o := range []*origin{&x, &y} {
		if o.host == "chat.openai.com" {
			o.host = "chatgpt.com"
		}
	}
	return x == y
}

// maxSetAside bounds the record in SlotSetAside, in bytes. Beyond that the oldest
// go.
const maxSetAside = 256 << 10

// setAside returns the record for SlotSetAside with one more identity: an array
// of objects, the newest last, each with the identity, when and why it was set
// aside. One that is there already is not added again.
func setAside(record, identity []byte, reason string, now int64) ([]byte, error) {
	at, err := formatTimestamp(now)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	if root, err := parseJSON(record, maxStoredJSON); err == nil && root.kind == jsonArray {
		for e := range root.elements(record) {
			entries = append(entries, record[e.start:e.end])
			if was := e.member(identityMember); was != nil && isSameJSON(record[was.start:was.end], identity) {
				return record, nil
			}
		}
	}
	entries = append(entries, appendJSONObject(nil,
		"set_aside_at", at,
		"reason", reason,
		identityMember, jsonText(identity)))
	for len(entries) > 1 && len(bytes.Join(entries, nil)) > maxSetAside {
		entries = entries[1:]
	}
	return slices.Concat([]byte{'['}, bytes.Join(entries, []byte{','}), []byte{']'}), nil
}
