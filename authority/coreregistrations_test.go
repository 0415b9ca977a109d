package authority_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// In each profile, package core says all that a client of its own has to send, and reads
// all that it gets.
func TestRegisteredWithCore(t *testing.T) {
	backend, err := authority.New(authority.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(backend)
	defer server.Close()
	user := backend.SignIn("acct-1", "user-1")
	base, auth := server.URL+"/backend-api", server.URL+"/api/accounts"
	if err := backend.AddAPIKey("key-of-a-platform"); err != nil {
		t.Fatal(err)
	}
	want := func(step string, a core.Answer, status int) {
		t.Helper()
		if a.Status != status {
			t.Fatalf("%s: %d, %s", step, a.Status, a.Body)
		}
	}
	keyOf := func(profile string, size int) *core.PrivateKey {
		t.Helper()
		key, err := core.GenerateKey(profile, bytes.Repeat([]byte{byte(size)}, size))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	must := func(r wire.HTTPRequest, err error) core.Answer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return sendRequest(r)
	}

	t.Run("biscuit", func(t *testing.T) {
		key := keyOf(wire.ProfileBiscuit, 32)
		mint := core.BiscuitRequestParams{BaseURL: base, AccessToken: user.AccessToken, Entropy: make([]byte, 16)}
		biscuit, err := core.ReadBiscuit(must(core.BiscuitRequest(mint)), user.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		register := core.IdentityRegistrationParams{BaseURL: base, Biscuit: biscuit, Key: key}
		agent, err := core.ReadIdentity(must(core.IdentityRegistration(register)), biscuit)
		if err != nil {
			t.Fatal(err)
		}
		_, err = core.ReadIdentity(must(core.IdentityRegistration(register)), biscuit)
		if r, ok := errors.AsType[*core.Refusal](err); !ok || r.Status != 403 || r.Code != authority.CodeInvalidBiscuit {
			t.Errorf("with a biscuit that is used: %v", err)
		}
		mint.AgentRuntimeID = agent
		if biscuit, err = core.ReadBiscuit(must(core.BiscuitRequest(mint)), user.AccessToken); err != nil {
			t.Fatal(err)
		}
		task, err := core.ReadTask(key, must(core.TaskRegistration(core.TaskRegistrationParams{
			BaseURL: base, Biscuit: biscuit, AgentRuntimeID: agent, Key: key, Now: time.Now().Unix(),
		})))
		if err != nil {
			t.Fatal(err)
		}
		header, err := core.BuildAssertion(key, agent, task, time.Now().Unix())
		if err != nil {
			t.Fatal(err)
		}
		want("asserting", callWith(base+"/codex/models", header, "acct-1"), 200)
	})

	t.Run("auth-api", func(t *testing.T) {
		key := keyOf(wire.ProfileAuthAPI, 64)
		agent, err := core.ReadIdentity(must(core.IdentityRegistration(core.IdentityRegistrationParams{
			Profile: wire.ProfileAuthAPI, BaseURL: base, AuthAPIURL: auth, AccessToken: user.AccessToken, Key: key,
		})), user.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		register := core.TaskRegistrationParams{Profile: wire.ProfileAuthAPI, BaseURL: base, AuthAPIURL: auth, AgentRuntimeID: agent, Key: key, Now: time.Now().Unix()}
		if _, err := core.ReadTask(key, must(core.TaskRegistration(register))); err != nil {
			t.Fatal(err)
		}
		backend.RefuseRegistration(http.StatusServiceUnavailable)
		if _, err := core.ReadTask(key, must(core.TaskRegistration(register))); !errors.Is(err, core.ErrTemporary) || errors.Is(err, core.ErrAgentRevoked) {
			t.Errorf("out of service: %v", err)
		}
		backend.RefuseRegistration(0)
		backend.RevokeAgent(agent)
		if _, err := core.ReadTask(key, must(core.TaskRegistration(register))); !errors.Is(err, core.ErrAgentRevoked) || errors.Is(err, core.ErrTemporary) {
			t.Errorf("revoked: %v", err)
		}
	})

	t.Run("instances", func(t *testing.T) {
		key := keyOf(wire.ProfileInstances, 32)
		for name, register := range map[string]core.InstanceRegistrationParams{
			"a user":     {AccessToken: user.AccessToken, Entropy: bytes.Repeat([]byte{1}, 16)},
			"a platform": {APIKey: "key-of-a-platform", Entropy: bytes.Repeat([]byte{2}, 16)},
		} {
			register.BaseURL, register.AuthAPIURL, register.Key = base, server.URL, key
			register.InstallationID, register.Harness, register.HarnessVersion, register.Role = "installation-1", "example", "1.0.0", "orchestrator"
			instance, err := core.ReadInstance(must(core.InstanceRegistration(register)), user.AccessToken, "key-of-a-platform")
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			value, err := core.BuildInstanceAssertion(key, instance, register.Entropy, time.Now().Unix())
			if err != nil {
				t.Fatal(err)
			}
			want(name, callWith(base+"/codex/responses", core.Scheme+" "+value, "acct-1"), 200)
			backend.RevokeInstance(instance)
			refusal := core.NewRefusal(callWith(base+"/codex/responses", core.Scheme+" "+value, "acct-1"))
			if !errors.Is(refusal, core.ErrAgentRevoked) {
				t.Errorf("%s, revoked: %v", name, refusal)
			}
		}
	})
}
