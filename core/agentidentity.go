package core

import (
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// Identity is an agent identity that is used in place of a sign-in, or kept by a program
// in a place of its own, such as a row of a database.
//
// It is shown by its name only, whoever prints or logs it, and encoding/json fails to
// encode it: what would be encoded so by accident is either a secret in a log or, if it
// were hidden, an identity that is lost. To store one, store what [Identity.Record]
// returns. encoding/json decodes it, in all forms that [ImportIdentity] reads.
type Identity struct {
	// AgentRuntimeID is the id that the backend gave the agent.
	AgentRuntimeID string `json:"agent_runtime_id"`
	// PrivateKey is the agent's key: base64 of PKCS#8. It is a secret.
	PrivateKey string `json:"agent_private_key"`
	// TaskID is the task that assertions name, empty until there is one.
	TaskID string `json:"task_id,omitempty"`
	// AccountID is the account that the agent belongs to, and that calls name.
	AccountID string `json:"account_id,omitempty"`
	// UserID, Email and PlanType are the user's, as far as they are known.
	UserID   string `json:"chatgpt_user_id,omitempty"`
	Email    string `json:"email,omitempty"`
	PlanType string `json:"plan_type,omitempty"`
	// FedRAMP says that the account is one that calls are marked for.
	FedRAMP bool `json:"chatgpt_account_is_fedramp,omitempty"`
	// BaseURL is that of the backend that knows the agent, empty where nobody has
	// noted it.
	BaseURL string `json:"base_url,omitempty"`
	// RegisteredAt is when the agent was registered: RFC 3339, UTC, whole seconds;
	// empty where nobody has noted it.
	RegisteredAt string `json:"registered_at,omitempty"`
}

// Key returns the agent's key, to sign with. The error's code is CodeInvalidPrivateKey.
func (i Identity) Key() (*PrivateKey, error) { return ParsePrivateKey(i.PrivateKey) }

// Credentials returns the credentials of a caller that has this identity and no token.
func (i Identity) Credentials() wire.Credentials {
	return wire.Credentials{
		Kind: wire.CredentialsAgentIdentity, AccountID: i.AccountID, UserID: i.UserID,
		FedRAMP: i.FedRAMP, Email: i.Email, PlanType: i.PlanType,
	}
}

// Check refuses an identity that could not be used: without an agent, with an id that
// must not be signed, or with what cannot be sent in a header field. All but the agent
// and its key can be missing.
//
// Errors: CodeInvalidAgentRuntimeID, CodeInvalidPrivateKey, CodeInvalidTaskID,
// CodeInvalidRecord.
func (i Identity) Check() error {
	_, err := i.check()
	return err
}

// check is Check, and returns the key.
func (i Identity) check() (*PrivateKey, error) {
	if err := checkAgentRuntimeID(i.AgentRuntimeID); err != nil {
		return nil, err
	}
	if _, err := taskRegistrationURL("", i.AgentRuntimeID); err != nil {
		return nil, err
	}
	k, err := i.Key()
	if err != nil {
		return nil, err
	}
	if i.TaskID != "" {
		if err := checkTaskID(i.TaskID); err != nil {
			return nil, err
		}
	}
	if !isHeaderValue(i.AccountID) || len(i.AccountID) > maxIDSize {
		return nil, fail(CodeInvalidRecord, "the identity's account_id is too long or has characters other than printable ASCII")
	}
	for _, m := range []struct{ name, text string }{
		{memberUserID, i.UserID}, {memberEmail, i.Email}, {memberPlanType, i.PlanType},
	} {
		if problem := idProblem(m.text); m.text != "" && problem != "" {
			return nil, fail(CodeInvalidRecord, "the identity's "+m.name+" "+problem)
		}
	}
	if i.RegisteredAt != "" {
		if _, err := parseTimestamp(i.RegisteredAt); err != nil {
			return nil, fail(CodeInvalidRecord, "the identity's registered_at is not RFC 3339 in UTC with whole seconds, such as 2026-11-24T15:16:08Z")
		}
	}
	if i.BaseURL != "" {
		if base, err := NormalizeBaseURL(i.BaseURL, nil); err != nil || base.BaseURL != i.BaseURL {
			return nil, fail(CodeInvalidRecord, "the identity's base_url is not a normalized base URL")
		}
	}
	return k, nil
}

// Record returns the identity as a JSON object, the form in which auth.json has it under
// agent_identity, for the caller to store: it is a secret. The private key is in PKCS#8,
// version 2. Clients of some versions want registered_at in an auth.json, which is there
// if RegisteredAt is. [ImportIdentity] reads it.
//
// Errors: those of [Identity.Check].
func (i Identity) Record() ([]byte, error) {
	k, err := i.check()
	if err != nil {
		return nil, err
	}
	plan, fedRAMP := i.PlanType, jsonText("false")
	if plan == "" {
		plan = unknownPlan
	}
	if i.FedRAMP {
		fedRAMP = "true"
	}
	members := []any{memberAgentRuntimeID, i.AgentRuntimeID, memberPrivateKey, k.PKCS8()}
	optional := func(name, text string) {
		if text != "" {
			members = append(members, name, text)
		}
	}
	optional(memberBaseURL, i.BaseURL)
	optional(memberEmail, i.Email)
	members = append(members, memberAccountID, i.AccountID, memberUserID, i.UserID, memberPlanType, plan,
		memberFedRAMP, fedRAMP, memberWorkspaceID, i.AccountID)
	optional(memberRegisteredAt, i.RegisteredAt)
	optional(memberTaskID, i.TaskID)
	optional(memberBackgroundTaskID, i.TaskID)
	return appendJSONObject(nil, members...), nil
}

// UnmarshalJSON implements json.Unmarshaler with [ImportIdentity]. JSON's null changes
// nothing.
func (i *Identity) UnmarshalJSON(text []byte) error {
	if strings.TrimSpace(string(text)) == "null" {
		return nil
	}
	imported, err := ImportIdentity(text)
	if err != nil {
		return err
	}
	*i = imported
	return nil
}
