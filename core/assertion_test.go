package core

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
)

// captured is a line of a transcript of the real client's.
type captured struct {
	Host    string            `json:"host"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// transcript reads what the real client has sent.
func transcript(t *testing.T, name string) []captured {
	t.Helper()
	file, err := os.Open("../testvectors/captures/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var lines []captured
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var c captured
		if err := json.Unmarshal(scanner.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, c)
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// The header is the real client's: of the agent agent-rt-2, on its background task task-4.
func TestIsAssertion(t *testing.T) {
	const at = 1795533368
	header := transcript(t, "enabled.jsonl")[5].Headers["authorization"]
	encoded := strings.TrimPrefix(header, "AgentAssertion ")
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(old, new string) string {
		return "AgentAssertion " + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(text), old, new, 1)))
	}
	var e wire.Envelope
	if err := json.Unmarshal(text, &struct {
		Signature *string `json:"signature"`
	}{&e.Signature}); err != nil {
		t.Fatal(err)
	}
	built := func(agent, task, timestamp, signature string) string {
		return encodeAssertion(wire.Envelope{AgentRuntimeID: agent, TaskID: task, Timestamp: timestamp, Signature: signature})
	}
	const timestamp = "2026-11-24T15:16:08Z"
	if got := built("agent-rt-2", "task-4", timestamp, e.Signature); got != header {
		t.Fatalf("the captured header is %q, and not %q", header, got)
	}
	for _, c := range []struct {
		name, header, agent, task string
		now                       int64
		want                      bool
	}{
		{"as it was sent", header, "agent-rt-2", "task-4", at, true},
		{"another agent", header, "agent-rt-3", "task-4", at, false},
		{"another task", header, "agent-rt-2", "task-5", at, false},
		{"another second", header, "agent-rt-2", "task-4", at + 1, false},
		{"nothing", "", "agent-rt-2", "task-4", at, false},
		{"no scheme", encoded, "agent-rt-2", "task-4", at, false},
		{"another scheme", "Bearer " + encoded, "agent-rt-2", "task-4", at, false},
		{"two spaces", "AgentAssertion  " + encoded, "agent-rt-2", "task-4", at, false},
		{"padded", header + "=", "agent-rt-2", "task-4", at, false},
		{"not base64", "AgentAssertion ~" + encoded, "agent-rt-2", "task-4", at, false},
		{"white space", changed(`","task_id`, `", "task_id`), "agent-rt-2", "task-4", at, false},
		{"an agent with a colon", built("a:b", "c", timestamp, e.Signature), "a:b", "c", at, false},
		{"no agent", built("", "task-4", timestamp, e.Signature), "", "task-4", at, false},
		{"no task", built("agent-rt-2", "", timestamp, e.Signature), "agent-rt-2", "", at, false},
		{"a task with a control character", built("agent-rt-2", "a\nb", timestamp, e.Signature), "agent-rt-2", "a\nb", at, false},
		{"a time that cannot be written", built("agent-rt-2", "task-4", "", e.Signature), "agent-rt-2", "task-4", maxTime + 1, false},
		{"no signature", built("agent-rt-2", "task-4", timestamp, ""), "agent-rt-2", "task-4", at, false},
		{"a signature of 63 bytes", built("agent-rt-2", "task-4", timestamp, base64.StdEncoding.EncodeToString(make([]byte, 63))), "agent-rt-2", "task-4", at, false},
		{"a signature that is no base64", built("agent-rt-2", "task-4", timestamp, strings.Repeat("~", 88)), "agent-rt-2", "task-4", at, false},
		{"a signature in two lines", built("agent-rt-2", "task-4", timestamp, "\n"+e.Signature[:87]), "agent-rt-2", "task-4", at, false},
	} {
		if got := IsAssertion(c.header, c.agent, c.task, c.now); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// The value is the real client's, of the instance rai-1.
func TestIsInstanceAssertion(t *testing.T) {
	const at = 1795725521
	value := transcript(t, "codex-0.171-instances-dual.jsonl")[1].Headers["x-openai-agent-assertion"]
	// The id is 220221f9-12e3-44dc-b579-a2e675936758; version and variant come from formatUUID.
	id := []byte{0x22, 0x02, 0x21, 0xf9, 0x12, 0xe3, 0xf4, 0xdc, 0x35, 0x79, 0xa2, 0xe6, 0x75, 0x93, 0x67, 0x58}
	dot := strings.LastIndexByte(value, '.') + 1
	signature := value[dot:]
	// Each is for what it says, whoever has signed it.
	made := func(instance string, now int64, id []byte) string {
		return "1." + instanceText(instance, now, formatUUID(id)) + "." + signature
	}
	for _, c := range []struct {
		name, value, instance string
		id                    []byte
		now                   int64
		want                  bool
	}{
		{"as it was sent", value, "rai-1", id, at, true},
		{"1970", made("rai-1", 0, id), "rai-1", id, 0, true},
		{"the last second", made("rai-1", maxTime, id), "rai-1", id, maxTime, true},
		{"another instance", value, "rai-2", id, at, false},
		{"another id", value, "rai-1", append([]byte{0x23}, id[1:]...), at, false},
		{"another second", value, "rai-1", id, at + 1, false},
		{"before 1970", made("rai-1", -1, id), "rai-1", id, -1, false},
		{"after the last second", made("rai-1", maxTime+1, id), "rai-1", id, maxTime + 1, false},
		{"no instance", made("", at, id), "", id, at, false},
		{"a control character", made("a\nb", at, id), "a\nb", id, at, false},
		{"15 bytes", made("rai-1", at, id[1:]), "rai-1", id[1:], at, false},
		{"17 bytes", made("rai-1", at, append(id[:16:16], 0)), "rai-1", append(id[:16:16], 0), at, false},
		{"nothing", "", "rai-1", id, at, false},
		{"with the scheme", "AgentAssertion " + value, "rai-1", id, at, false},
		{"no signature", value[:dot], "rai-1", id, at, false},
		{"a signature too short", value[:len(value)-1], "rai-1", id, at, false},
		{"a signature too long", value + "A", "rai-1", id, at, false},
		{"a fifth part", value + ".A", "rai-1", id, at, false},
		{"a signature that is no base64", value[:dot] + "~" + value[dot+1:], "rai-1", id, at, false},
		{"a signature in the other alphabet", value[:dot] + "+" + value[dot+1:], "rai-1", id, at, false},
		{"bits that no byte has", value[:len(value)-1] + "h", "rai-1", id, at, false},
		{"a signature in two lines", value[:dot] + "\n" + value[dot+1:], "rai-1", id, at, false},
	} {
		if got := IsInstanceAssertion(c.value, c.instance, c.id, c.now); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// The body is the real client's, but for nothing.
func TestInstanceRegistrationBody(t *testing.T) {
	for _, name := range []string{"codex-0.171-instances-dual.jsonl", "codex-0.171-instances-only.jsonl"} {
		sent := transcript(t, name)[0]
		var body struct {
			ActorAuth struct {
				Credential string `json:"credential"`
			} `json:"actor_auth"`
			AgentHostAuth struct {
				InstallationID string `json:"installation_id"`
			} `json:"agent_host_auth"`
			PublicKey string `json:"public_key"`
		}
		if err := json.Unmarshal([]byte(sent.Body), &body); err != nil {
			t.Fatal(err)
		}
		key, err := ParsePublicKey(body.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		c := wire.Config{
			ABOM:     wire.ABOM{AgentVersion: "0.171.0", AgentHarnessID: "not sent", RunningLocation: "not sent"},
			Instance: &wire.InstanceConfig{InstallationID: body.AgentHostAuth.InstallationID, Harness: "codex", Role: "orchestrator"},
		}
		user := wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: body.ActorAuth.Credential}
		if got := string(InstanceRegistrationBody(c, user, key)); got != sent.Body {
			t.Errorf("%s: the body is\n%s\nand not\n%s", name, got, sent.Body)
		}
		user.Kind = wire.CredentialsAPIKey
		want := strings.Replace(sent.Body, `"oauth"`, `"platform_api_key"`, 1)
		if got := string(InstanceRegistrationBody(c, user, key)); got != want {
			t.Errorf("%s: with an API key the body is\n%s\nand not\n%s", name, got, want)
		}
	}
}

func TestRegistrarURL(t *testing.T) {
	const base = "https://chatgpt.com/backend-api"
	chatGPT, arrived := wire.CredentialsChatGPT, wire.CredentialsAgentIdentity
	for _, c := range []struct {
		profile, base, configured, kind, want string
	}{
		{wire.ProfileBiscuit, base, "", chatGPT, base},
		{wire.ProfileBiscuit, base, "https://auth.example/", chatGPT, base},
		{wire.ProfileAuthAPI, base, "", chatGPT, "https://auth.openai.com/api/accounts"},
		{wire.ProfileAuthAPI, "https://chatgpt-staging.com/backend-api", "", chatGPT, "https://auth.api.openai.org/api/accounts"},
		{wire.ProfileAuthAPI, "https://backend.example", "", chatGPT, ""},
		{wire.ProfileAuthAPI, "http://chatgpt.com/backend-api", "", chatGPT, ""},
		{wire.ProfileAuthAPI, "no URL", "", chatGPT, ""},
		{wire.ProfileAuthAPI, "no URL", "https://auth.example//", chatGPT, "https://auth.example"},
		{wire.ProfileInstances, base, "", chatGPT, "https://auth.openai.com"},
		{wire.ProfileInstances, "https://chatgpt-staging.com/backend-api", "", chatGPT, "https://auth.api.openai.org"},
		// An identity in place of a sign-in has the profile auth-api, whatever is configured.
		{wire.ProfileBiscuit, base, "", arrived, "https://auth.openai.com/api/accounts"},
	} {
		got, err := RegistrarURL(wire.Config{Profile: c.profile, BaseURL: c.base, AuthAPIURL: c.configured}, wire.Credentials{Kind: c.kind})
		if got != c.want || err != nil {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
	for _, kind := range []string{chatGPT, arrived} {
		if url, err := RegistrarURL(wire.Config{Profile: "x", BaseURL: base}, wire.Credentials{Kind: kind}); url != "" || Code(err) != CodeInvalidConfig {
			t.Errorf("no such profile: %q, %v", url, err)
		}
	}
}
