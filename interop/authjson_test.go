//go:build interop && unix

package interop

import (
	"bytes"
	"cmp"
	"encoding/json"
	"testing"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
)

// authJSON is what these tests look at in an auth.json.
type authJSON struct {
	Tokens struct {
		IDToken      string `json:"id_token"`
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		AccountID    string `json:"account_id"`
	} `json:"tokens"`
	Identity identityRecord `json:"agent_identity"`
}

// identityRecord has the members of all clients' records. Where there are two for
// the same thing, the first is that of 0.123.
type identityRecord struct {
	WorkspaceID      string `json:"workspace_id"`
	AccountID        string `json:"account_id"`
	UserID           string `json:"chatgpt_user_id"`
	AgentRuntimeID   string `json:"agent_runtime_id"`
	PrivateKey       string `json:"agent_private_key"`
	BackgroundTaskID string `json:"background_task_id"`
	TaskID           string `json:"task_id"`
}

// account is the account that the identity belongs to.
func (i identityRecord) account() string { return cmp.Or(i.WorkspaceID, i.AccountID) }

// task is the task that is stored with the identity.
func (i identityRecord) task() string { return cmp.Or(i.BackgroundTaskID, i.TaskID) }

// same reports whether both are one identity on one task, however recorded.
func (i identityRecord) same(other identityRecord) bool {
	return i.AgentRuntimeID == other.AgentRuntimeID && i.PrivateKey == other.PrivateKey &&
		i.account() == other.account() && i.UserID == other.UserID && i.task() == other.task()
}

func parseAuthJSON(document []byte) (a authJSON, err error) {
	err = json.Unmarshal(document, &a)
	return a, err
}

// identity returns the file's content, and fails the test unless the identity in
// it is one that the backend knows, whole, and beside the user's own tokens.
func (h home) identity(t *testing.T, b *backend) authJSON {
	t.Helper()
	a, err := parseAuthJSON(h.read(t))
	if err != nil {
		t.Fatalf("auth.json: %v", err)
	}
	checkTokens(t, a, b.newestTokens())
	i := a.Identity
	if i.account() != accountID || i.UserID != userID {
		t.Fatalf("auth.json has an identity of %q, %q", i.account(), i.UserID)
	}
	if i.AccountID != "" && i.AccountID != i.account() || i.TaskID != "" && i.TaskID != i.task() {
		t.Fatalf("the record in auth.json says two things: accounts %q and %q, tasks %q and %q",
			i.WorkspaceID, i.AccountID, i.BackgroundTaskID, i.TaskID)
	}
	key, err := core.ParsePrivateKey(i.PrivateKey)
	if err != nil {
		t.Fatalf("the private key in auth.json: %v", err)
	}
	agent, err := b.Agent(t.Context(), i.AgentRuntimeID)
	if err != nil {
		t.Fatalf("the backend does not know the agent in auth.json: %v", err)
	}
	if got, want := agent.PublicKey.OpenSSH(), key.Public().OpenSSH(); got != want {
		t.Fatalf("the backend has the public key %s, auth.json the private one of %s", got, want)
	}
	if task, err := b.Task(t.Context(), i.AgentRuntimeID, i.task()); task.Status != authority.TaskActive || err != nil {
		t.Fatalf("the task %q of auth.json: status %v, %v", i.task(), task.Status, err)
	}
	return a
}

// checkKept fails the test unless all that was in an auth.json still is, as it
// was. The identity's record may have got members that it lacked.
func checkKept(t *testing.T, before, after []byte) {
	t.Helper()
	const identity = "agent_identity"
	if bytes.Equal(before, after) {
		return
	}
	was, is := members(t, before), members(t, after)
	wasIdentity, isIdentity := members(t, was[identity]), members(t, is[identity])
	delete(was, identity)
	delete(is, identity)
	for name, value := range was {
		if got, ok := is[name]; !ok || !bytes.Equal(got, value) {
			t.Errorf("the member %q of auth.json is not as it was", name)
		}
	}
	for name := range is {
		if _, ok := was[name]; !ok {
			t.Errorf("auth.json has a new member %q", name)
		}
	}
	for name, value := range wasIdentity {
		if got, ok := isIdentity[name]; !ok || !bytes.Equal(got, value) {
			t.Errorf("the member %q of the identity in auth.json is not as it was", name)
		}
	}
	for name := range isIdentity {
		if _, ok := wasIdentity[name]; !ok {
			t.Logf("the identity in auth.json has a new member %q", name)
		}
	}
}

// members returns those of a JSON object; no text has none.
func members(t *testing.T, object []byte) map[string]json.RawMessage {
	t.Helper()
	m := make(map[string]json.RawMessage)
	if len(object) == 0 {
		return m
	}
	if err := json.Unmarshal(object, &m); err != nil {
		t.Fatalf("auth.json: %v", err)
	}
	return m
}
