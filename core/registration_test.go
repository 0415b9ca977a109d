package core

import (
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
)

// object is a JSON object of texts and of what is JSON already.
func object(members ...any) string { return string(appendJSONObject(nil, members...)) }

// The body is the real client's.
func TestParseIdentityRegistration(t *testing.T) {
	var sent captured
	for _, c := range transcript(t, "enabled.jsonl") {
		if strings.HasSuffix(c.Path, "/v1/agent/register") {
			sent = c
		}
	}
	abom, key, err := ParseIdentityRegistration([]byte(sent.Body))
	if err != nil {
		t.Fatal(err)
	}
	if want := (wire.ABOM{AgentVersion: "0.123.0", AgentHarnessID: "codex-cli", RunningLocation: "cli-linux"}); abom != want {
		t.Errorf("the bill of materials is %+v, want %+v", abom, want)
	}
	if body := string(IdentityRegistrationBody(wire.Config{ABOM: abom}, key)); body != sent.Body {
		t.Errorf("the body is %s, and becomes %s", sent.Body, body)
	}

	long, longer := strings.Repeat("x", 4096), strings.Repeat("x", 4097)
	ssh := key.OpenSSH()
	parts := func(version, harness, location string) jsonText {
		return jsonText(object("agent_version", jsonText(version), "agent_harness_id", jsonText(harness), "running_location", jsonText(location)))
	}
	quoted := func(s string) string { return `"` + s + `"` }
	good := parts(`"1"`, `"2"`, `"3"`)
	for _, c := range []struct {
		name, body, code string
	}{
		{"with more", object("abom", good, "agent_public_key", ssh, "capabilities", jsonText(`["x"]`), "ttl", jsonText("null")), ""},
		{"the longest", object("abom", parts(quoted(long), quoted(long), quoted(long)), "agent_public_key", ssh, "capabilities", jsonText("[]")), ""},
		{"empty texts", object("abom", parts(`""`, `""`, `""`), "agent_public_key", ssh, "capabilities", jsonText("[]")), ""},
		{"nothing", "", "invalid_registration"},
		{"no JSON", "{", "invalid_registration"},
		{"no object", "[]", "invalid_registration"},
		{"null", "null", "invalid_registration"},
		{"no bill", object("agent_public_key", ssh, "capabilities", jsonText("[]")), "invalid_registration"},
		{"a bill that is text", object("abom", "x", "agent_public_key", ssh, "capabilities", jsonText("[]")), "invalid_registration"},
		{"no capabilities", object("abom", good, "agent_public_key", ssh), "invalid_registration"},
		{"capabilities that are null", object("abom", good, "agent_public_key", ssh, "capabilities", jsonText("null")), "invalid_registration"},
		{"capabilities that are text", object("abom", good, "agent_public_key", ssh, "capabilities", "[]"), "invalid_registration"},
		{"no version", object("abom", jsonText(`{"agent_harness_id":"2","running_location":"3"}`), "agent_public_key", ssh, "capabilities", jsonText("[]")), "invalid_registration"},
		{"no harness", object("abom", jsonText(`{"agent_version":"1","running_location":"3"}`), "agent_public_key", ssh, "capabilities", jsonText("[]")), "invalid_registration"},
		{"no location", object("abom", jsonText(`{"agent_version":"1","agent_harness_id":"2"}`), "agent_public_key", ssh, "capabilities", jsonText("[]")), "invalid_registration"},
		{"a version that is a number", object("abom", parts("1", `"2"`, `"3"`), "agent_public_key", ssh, "capabilities", jsonText("[]")), "invalid_registration"},
		{"a version too long", object("abom", parts(quoted(longer), `"2"`, `"3"`), "agent_public_key", ssh, "capabilities", jsonText("[]")), "invalid_registration"},
		{"a harness too long", object("abom", parts(`"1"`, quoted(longer), `"3"`), "agent_public_key", ssh, "capabilities", jsonText("[]")), "invalid_registration"},
		{"a location too long", object("abom", parts(`"1"`, `"2"`, quoted(longer)), "agent_public_key", ssh, "capabilities", jsonText("[]")), "invalid_registration"},
		{"no key", object("abom", good, "capabilities", jsonText("[]")), "invalid_registration"},
		{"a key that is null", object("abom", good, "agent_public_key", jsonText("null"), "capabilities", jsonText("[]")), "invalid_registration"},
		{"an empty key", object("abom", good, "agent_public_key", "", "capabilities", jsonText("[]")), "invalid_public_key"},
		{"a key that is none", object("abom", good, "agent_public_key", "ssh-rsa x", "capabilities", jsonText("[]")), "invalid_public_key"},
		{"a member twice", strings.Replace(sent.Body, "{", `{"abom":{},`, 1), "invalid_registration"},
		{"more than 64 KiB", sent.Body + strings.Repeat(" ", maxNetworkJSON), "invalid_registration"},
	} {
		abom, key, err := ParseIdentityRegistration([]byte(c.body))
		if Code(err) != c.code {
			t.Errorf("%s: code %q, want %q", c.name, Code(err), c.code)
		}
		if (err == nil) != (key != nil) || err != nil && abom != (wire.ABOM{}) {
			t.Errorf("%s: %+v, %v with the error %v", c.name, abom, key, err)
		}
	}
	abom, _, err = ParseIdentityRegistration([]byte(object("abom", good, "agent_public_key", ssh, "capabilities", jsonText("[]"))))
	if want := (wire.ABOM{AgentVersion: "1", AgentHarnessID: "2", RunningLocation: "3"}); abom != want || err != nil {
		t.Errorf("the bill of materials is %+v, %v", abom, err)
	}
}

// The body is the real client's.
func TestParseTaskRegistration(t *testing.T) {
	var sent captured
	for _, c := range transcript(t, "enabled.jsonl") {
		if strings.HasSuffix(c.Path, "/task/register") {
			sent = c
		}
	}
	proof, err := ParseTaskRegistration([]byte(sent.Body))
	if err != nil {
		t.Fatal(err)
	}
	if body := string(taskRegistrationBody(proof)); body != sent.Body {
		t.Errorf("the body is %s, and becomes %s", sent.Body, body)
	}
	long, longer := strings.Repeat("x", 4096), strings.Repeat("x", 4097)
	for _, c := range []struct {
		name, body string
		want       wire.RegistrationProof
		code       string
	}{
		{"with more", object("signature", "s", "timestamp", "t", "x", jsonText("1")), wire.RegistrationProof{Signature: "s", Timestamp: "t"}, ""},
		{"the longest", object("signature", long, "timestamp", long), wire.RegistrationProof{Signature: long, Timestamp: long}, ""},
		{"empty", object("signature", "", "timestamp", ""), wire.RegistrationProof{}, ""},
		{"no members", "{}", wire.RegistrationProof{}, "invalid_registration"},
		{"no object", `"x"`, wire.RegistrationProof{}, "invalid_registration"},
		{"no JSON", "x", wire.RegistrationProof{}, "invalid_registration"},
		{"no signature", object("timestamp", "t"), wire.RegistrationProof{}, "invalid_registration"},
		{"no timestamp", object("signature", "s"), wire.RegistrationProof{}, "invalid_registration"},
		{"a signature that is a number", object("signature", jsonText("1"), "timestamp", "t"), wire.RegistrationProof{}, "invalid_registration"},
		{"a timestamp that is null", object("signature", "s", "timestamp", jsonText("null")), wire.RegistrationProof{}, "invalid_registration"},
		{"a signature too long", object("signature", longer, "timestamp", "t"), wire.RegistrationProof{}, "invalid_registration"},
		{"a timestamp too long", object("signature", "s", "timestamp", longer), wire.RegistrationProof{}, "invalid_registration"},
	} {
		got, err := ParseTaskRegistration([]byte(c.body))
		if got != c.want || Code(err) != c.code {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

// Values by SHA-512 and by libsodium, from Python: the seeds, and the keys of some.
func TestGenerateKey(t *testing.T) {
	entropy := make([]byte, 64)
	for i := range entropy {
		entropy[i] = byte(i)
	}
	keys := map[string]string{
		wire.ProfileBiscuit:   "MFECAQEwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fgSEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
		wire.ProfileInstances: "MFECAQEwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fgSEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
		wire.ProfileAuthAPI:   "MFECAQEwBQYDK2VwBCIEIAz9hxyz8/5YPgKUQQ9b7xeBkCy5WjYO2xr0UdpoI8U+gSEAMreFArvYTT1ok8tML61UajL2Prv/tTx51VcJpvB8dlU=",
	}
	for profile, want := range keys {
		size := 32
		if profile == wire.ProfileAuthAPI {
			size = 64
		}
		k, err := GenerateKey(profile, entropy[:size])
		if err != nil || k.PKCS8() != want {
			t.Errorf("%q: %v, and not the key of that seed", profile, err)
		}
		for _, n := range []int{0, 31, 33, 63} {
			if _, err := GenerateKey(profile, entropy[:n]); Code(err) != CodeInvalidEntropy {
				t.Errorf("%q: %d bytes: %v", profile, n, err)
			}
		}
		if _, err := GenerateKey(profile, entropy[:96-size]); Code(err) != CodeInvalidEntropy {
			t.Errorf("%q: %d bytes: %v", profile, 96-size, err)
		}
	}
	if _, err := GenerateKey("x", entropy); Code(err) != CodeInvalidConfig {
		t.Errorf("no such profile: %v", err)
	}
	WarmUp()
}

func TestParseRetryAfterBefore1970(t *testing.T) {
	// Hosts allow no pause that ends before 1970, so that no flow shows it.
	for value, want := range map[string]int64{"soon": 0, "Thu, 01 Jan 1970 00:00:00 GMT": 100, "Wed, 31 Dec 1969 23:58:20 GMT": 0} {
		if got := parseRetryAfter([]wire.Header{{Name: "Retry-After", Value: value}}, -100); got != want {
			t.Errorf("%q: %d, want %d", value, got, want)
		}
	}
}

// The body is the real client's, and each change of it is refused for what is wrong.
func TestParseInstanceRegistration(t *testing.T) {
	body := transcript(t, "codex-0.171-instances-dual.jsonl")[0].Body
	r, credential, err := ParseInstanceRegistration([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	quoted := func(name, value string) string { return `"` + name + `":"` + value + `"` }
	for name, value := range map[string]string{
		"credential": credential, "installation_id": r.InstallationID, "harness": r.Harness,
		"harness_version": r.HarnessVersion, "role": r.Role, "public_key": r.PublicKey.OpenSSH(),
	} {
		if value == "" || strings.Count(body, quoted(name, value)) != 1 {
			t.Errorf("%s is %q, which is not what the client sent", name, value)
		}
	}
	if r.Actor != "oauth" {
		t.Errorf("the actor is %q", r.Actor)
	}
	byKey := strings.Replace(body, quoted("type", "oauth"), quoted("type", "platform_api_key"), 1)
	if r, _, err := ParseInstanceRegistration([]byte(byKey)); err != nil || r.Actor != "platform_api_key" {
		t.Errorf("an API key: the actor is %q, %v", r.Actor, err)
	}
	for _, c := range []struct{ name, old, new, code string }{
		{"no JSON", body, "{", CodeInvalidRegistration},
		{"no object", body, "[]", CodeInvalidRegistration},
		{"no members", body, "{}", CodeInvalidRegistration},
		{"no kind of actor", quoted("type", "oauth"), quoted("kind", "oauth"), CodeInvalidRegistration},
		{"another kind of actor", quoted("type", "oauth"), quoted("type", "basic"), CodeInvalidRegistration},
		{"no kind of host", quoted("type", "installation_id"), quoted("kind", "installation_id"), CodeInvalidRegistration},
		{"another kind of host", quoted("type", "installation_id"), quoted("type", "host"), CodeInvalidRegistration},
		{"an empty credential", quoted("credential", credential), quoted("credential", ""), CodeInvalidRegistration},
		{"a credential that is no text", quoted("credential", credential), `"credential":1`, CodeInvalidRegistration},
		{"no installation", `"installation_id":"` + r.InstallationID, `"installation":"` + r.InstallationID, CodeInvalidRegistration},
		{"no host", `"agent_host_auth"`, `"host"`, CodeInvalidRegistration},
		{"no actor", `"actor_auth"`, `"actor"`, CodeInvalidRegistration},
		{"no harness", `"harness":`, `"name":`, CodeInvalidRegistration},
		{"no version", `"harness_version"`, `"version"`, CodeInvalidRegistration},
		{"no role", `"role"`, `"part"`, CodeInvalidRegistration},
		{"no metadata", `"metadata"`, `"data"`, CodeInvalidRegistration},
		{"no key", `"public_key"`, `"key"`, CodeInvalidRegistration},
		{"a key that is none", `"public_key":"ssh-ed25519`, `"public_key":"ssh-rsa`, CodeInvalidPublicKey},
	} {
		changed := strings.Replace(body, c.old, c.new, 1)
		r, credential, err := ParseInstanceRegistration([]byte(changed))
		if changed == body || Code(err) != c.code || r != (InstanceDetails{}) || credential != "" {
			t.Errorf("%s: got %v, want %s", c.name, err, c.code)
		}
	}
}
