package core

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/agentassert/agentassert/core/wire"
)

// FuzzSignature compares signing and verifying with the standard library's.
func FuzzSignature(f *testing.F) {
	f.Add(make([]byte, 32), []byte("message"), []byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 32), []byte{}, bytes.Repeat([]byte{1}, 64))
	f.Fuzz(func(t *testing.T, seed, message, signature []byte) {
		k, err := NewPrivateKey(seed)
		if (err == nil) != (len(seed) == 32) {
			t.Fatalf("%d bytes of entropy: %v", len(seed), err)
		}
		if err != nil {
			return
		}
		std := ed25519.NewKeyFromSeed(seed)
		want := ed25519.Sign(std, message)
		if got := k.sign(message); !bytes.Equal(got, want) {
			t.Fatalf("signature %x, want %x", got, want)
		}
		if !k.public.verify(message, want) {
			t.Fatal("does not verify its own signature")
		}
		ok := len(signature) == 64 && ed25519.Verify(std.Public().(ed25519.PublicKey), message, signature)
		if k.public.verify(message, signature) != ok {
			t.Fatalf("verify says %v, the standard library %v", !ok, ok)
		}
	})
}

func FuzzParsePrivateKey(f *testing.F) {
	k, err := NewPrivateKey(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.PKCS8())
	f.Add(base64.StdEncoding.EncodeToString(append(pkcs8V1Prefix, make([]byte, 32)...)))
	f.Add("MFECAQEwBQYDK2VwBCIEIA==")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParsePrivateKey(s)
		if err != nil {
			if Code(err) != CodeInvalidPrivateKey {
				t.Fatalf("code %q", Code(err))
			}
			if len(s) > 20 && strings.Contains(err.Error(), s) {
				t.Fatal("the error quotes the key")
			}
			return
		}
		again, err := ParsePrivateKey(k.PKCS8())
		if err != nil || again.seed != k.seed {
			t.Fatalf("version 2 of a good key: %v", err)
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	k, err := NewPrivateKey(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.Public().OpenSSH())
	f.Add("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePublicKey(s)
		if err == nil && p.OpenSSH() != s {
			t.Fatalf("%q became %q", s, p.OpenSSH())
		}
	})
}

func FuzzParseAssertion(f *testing.F) {
	k, err := NewPrivateKey(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	header, err := BuildAssertion(k, "agent", "task:<&>\"\\é", 1795533368)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(header)
	f.Add("agentassertion  " + strings.TrimPrefix(header, "AgentAssertion "))
	f.Add("AgentAssertion eyJhIjoxfQ")
	f.Fuzz(func(t *testing.T, header string) {
		i, err := ParseAssertion(header)
		if err != nil {
			if Code(err) != CodeInvalidAssertion {
				t.Fatalf("code %q", Code(err))
			}
			return
		}
		canonical := encodeAssertion(i.Envelope)
		if i.Canonical != (canonical == header) {
			t.Fatalf("canonical is %v for %q", i.Canonical, header)
		}
		// The envelope is what the standard library reads, too.
		payload, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(canonical, "AgentAssertion "))
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]string
		if err := json.Unmarshal(payload, &m); err != nil || m["agent_runtime_id"] != i.Envelope.AgentRuntimeID || m["task_id"] != i.Envelope.TaskID {
			t.Fatalf("%v: %q is not %+v", err, m, i.Envelope)
		}
	})
}

// FuzzParseJSON: what is accepted is JSON to the standard library, which is
// laxer, and reads the same strings.
func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{`{"a":"b"}`, `[1,-0.5e+7,null,true,false]`, `{"a":1,"a":2}`, `"\ud83d\ude00"`, `"\ud83d"`, "\"\xff\"", ` {"a" : {"b":[{}]}} `, `01`, `{"a":1,}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := parseJSON(data, maxNetworkJSON)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("accepted %q", data)
		}
		if v.start > v.end || v.end > len(data) {
			t.Fatalf("bad positions %d to %d", v.start, v.end)
		}
		var s string
		if v.kind == jsonString && (json.Unmarshal(data, &s) != nil || s != v.text) {
			t.Fatalf("read %q, want %q", v.text, s)
		}
		if v.kind != jsonObject {
			return
		}
		var m map[string]json.RawMessage
		if json.Unmarshal(data, &m) != nil || len(m) != len(v.members) {
			t.Fatalf("%d members, want %d", len(v.members), len(m))
		}
	})
}

// FuzzSetAuthJSON: setting the identity changes nothing else, and removing it
// again neither.
func FuzzSetAuthJSON(f *testing.F) {
	f.Add([]byte("{\n  \"a\": 1,\n  \"agent_identity\": {\"x\": 1},\n  \"b\": [2]\n}\n"), []byte(`{"agent_runtime_id":"r","list":[{"a":[]}]}`))
	f.Add([]byte(`{}`), []byte(`{"a":"}{\"[,:"}`))
	f.Add([]byte(`{"agent_identity":null}`), []byte(`"eyJ.a.b"`))
	f.Fuzz(func(t *testing.T, document, record []byte) {
		changed, err := SetAuthJSONIdentity(document, record)
		if err != nil {
			return
		}
		var before, after map[string]json.RawMessage
		if json.Unmarshal(document, &before) != nil || json.Unmarshal(changed, &after) != nil {
			t.Fatalf("%q became %q", document, changed)
		}
		if got := after[identityMember]; (len(record) > 0) != (got != nil) || got != nil && !sameJSON(got, record) {
			t.Fatalf("the record %q became %q", record, got)
		}
		delete(before, identityMember)
		delete(after, identityMember)
		if len(before) != len(after) {
			t.Fatalf("%q became %q", document, changed)
		}
		for name := range before {
			if !bytes.Equal(before[name], after[name]) {
				t.Fatalf("%q changed from %q to %q", name, before[name], after[name])
			}
		}
		stored, err := GetAuthJSONIdentity(changed)
		if err != nil || len(record) > 0 && string(bytes.TrimSpace(record)) != "null" && !sameJSON(stored, record) {
			t.Fatalf("read back %q, %v", stored, err)
		}
		same, err := SetAuthJSONIdentity(changed, stored)
		if err != nil || !bytes.Equal(same, changed) && len(stored) > 0 {
			t.Fatalf("writing what is there changed %q to %q (%v)", changed, same, err)
		}
	})
}

func sameJSON(a, b []byte) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

// FuzzBaseURL: what is accepted is for net/url the same host.
func FuzzBaseURL(f *testing.F) {
	for _, s := range []string{"https://chatgpt.com/", "http://[::1]:80/x/codex", "https://a@b/", "https://chatgpt.com\\@evil.example", "https://chatgpt.com./", "https://x/wham/remote/control/server/enroll//"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := NormalizeBaseURL(s, nil)
		if err != nil {
			return
		}
		u, err := url.Parse(b.BaseURL)
		if err != nil {
			return // stricter than we are, about percent signs and addresses
		}
		if strings.ToLower(u.Hostname()) != b.Host || u.User != nil || u.RawQuery != "" {
			t.Fatalf("%q: host %q, but net/url says %q", s, b.Host, u.Hostname())
		}
		if b.Supported && !strings.HasSuffix(u.Hostname(), "chatgpt.com") && !strings.HasSuffix(strings.ToLower(u.Hostname()), "chatgpt.com") &&
			!strings.EqualFold(u.Hostname(), "chat.openai.com") && !strings.HasSuffix(strings.ToLower(u.Hostname()), "chatgpt-staging.com") {
			t.Fatalf("%q is supported", s)
		}
	})
}

// FuzzLocateSurface: what is below a base URL is so for net/url, too; and the
// other way round, but for URLs that we do not read.
func FuzzLocateSurface(f *testing.F) {
	for _, s := range [][2]string{
		{"https://chatgpt.com/backend-api", "https://ChatGPT.com:443/backend-api/codex/models?x=/..#y"},
		{"http://[::1]:80", "http://[::1]/files"},
		{"http://a:8080/b", "http://a:08080/b/%2E./c"},
		{"https://a/b", "https://user@a/b/@me"},
		{"https://a/%62", "https://a/%62/c|d%2f.."},
		{"https://a/b", "https://a\\@b/b"},
	} {
		f.Add(s[0], s[1])
	}
	// What both read, up to the query.
	plain := regexp.MustCompile(`^https?://[A-Za-z0-9._:\[\]-]*[^:/](/[!-\[\]-~]*)?$`)
	f.Fuzz(func(t *testing.T, base, target string) {
		got, inside, err := LocateSurface(base, target)
		if _, invalid := NormalizeBaseURL(base, nil); (err == nil) != (invalid == nil) {
			t.Fatalf("%q: got %v, but as a configured URL %v", base, err, invalid)
		}
		if !inside && got != (Surface{}) {
			t.Fatalf("%q is outside of %q, and has the surface %+v", target, base, got)
		}
		beforeQuery, _, _ := strings.Cut(target, "#")
		beforeQuery, _, _ = strings.Cut(beforeQuery, "?")
		b, baseErr := url.Parse(base)
		u, urlErr := url.Parse(beforeQuery)
		if err != nil || baseErr != nil || urlErr != nil || !strings.HasSuffix(beforeQuery, u.EscapedPath()) {
			return // net/url is stricter than we are, about percent signs, or sends another path
		}
		path, below := belowByNetURL(b, u)
		if inside && (!below || u.User != nil || got != MatchSurface(path)) {
			t.Fatalf("%q is below %q on %+v; net/url says %t, %q", target, base, got, below, path)
		}
		if !inside && below && plain.MatchString(beforeQuery) {
			t.Fatalf("%q is not below %q; net/url says %q", target, base, path)
		}
	})
}

// belowByNetURL is the rule of LocateSurface, in terms of net/url.
func belowByNetURL(base, u *url.URL) (path string, ok bool) {
	port := func(u *url.URL) uint64 {
		if u.Port() == "" {
			return map[string]uint64{"http": 80, "https": 443}[u.Scheme]
		}
		n, _ := strconv.ParseUint(u.Port(), 10, 64) // the largest, where it is larger
		return n
	}
	if base.Scheme != u.Scheme || !strings.EqualFold(base.Hostname(), u.Hostname()) || port(base) != port(u) || u.Opaque != "" {
		return "", false
	}
	path, ok = strings.CutPrefix(u.EscapedPath(), base.EscapedPath())
	if !ok || path != "" && path[0] != '/' {
		return "", false
	}
	for _, s := range separators.Split(path, -1) {
		if s, err := url.PathUnescape(s); err != nil || s == ".." {
			return "", false
		}
	}
	return path, true
}

// separators are what ends a segment for one server or another.
var separators = regexp.MustCompile(`(?i)/|;|%2f|%5c|%3b`)

// FuzzGuest: whatever comes in, a decodable response goes out, and never the
// code of a bug.
func FuzzGuest(f *testing.F) {
	for method, params := range map[string]wire.Message{
		wire.MethodKeyGenerate:      &wire.KeyGenerateParams{Entropy: make([]byte, 32)},
		wire.MethodAssertionInspect: &wire.AssertionInspectParams{Header: "AgentAssertion e30"},
		wire.MethodBaseURLNormalize: &wire.BaseURLNormalizeParams{URL: "https://chatgpt.com", TrustedHosts: []string{"a"}},
		wire.MethodFlowStep: &wire.FlowStepParams{Event: wire.Event{
			Type: wire.EventStart, Config: &wire.Config{BaseURL: "https://chatgpt.com", AgentIdentity: true}, Surface: SurfaceApps,
			Credentials: &wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "t", AccountID: "a"},
		}},
		wire.MethodSurfaceLookup:   &wire.SurfaceLookupParams{Surface: SurfaceApps},
		wire.MethodSurfaceLocate:   &wire.SurfaceLocateParams{BaseURL: "https://a/b", URL: "https://A:443/b/files?c#d"},
		wire.MethodCredentialsRead: &wire.CredentialsReadParams{Document: []byte(`{"tokens":{"id_token":"a.e30.c"}}`)},
	} {
		f.Add(wire.Encode(&wire.Request{Method: method, Params: wire.Encode(params)}))
	}
	f.Add(wire.Encode(&wire.Request{Method: wire.MethodFlowStep, Params: wire.Encode(&wire.FlowStepParams{
		State: wire.Encode(&wire.FlowState{Step: stepTask, Record: []byte("{}"), Surface: SurfaceApps}),
		Event: wire.Event{Type: wire.EventResponse, Status: 200, Body: []byte(`{"encrypted_task_id":"AA=="}`)},
	})}))
	g := NewGuest()
	f.Fuzz(func(t *testing.T, request []byte) {
		var r wire.Response
		response := g.Call(request)
		if err := wire.Decode(response, &r); err != nil {
			t.Fatalf("response %x: %v", response, err)
		}
		if (r.Error == nil) == (r.OK == nil) {
			t.Fatalf("response %x", response)
		}
		if r.Error != nil && r.Error.Code == CodeInternal {
			t.Fatalf("request %x: %s", request, r.Error.Message)
		}
	})
}

// FuzzParseRegistration holds the parsers of both bodies to encoding/json: what
// they accept, it accepts too, and understands alike.
func FuzzParseRegistration(f *testing.F) {
	for _, seed := range []string{
		`{"abom":{"agent_version":"1","agent_harness_id":"codex-cli","running_location":"cli-linux"},` +
			`"agent_public_key":"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoEL9jEAAGQ8PM2O/JQ1RqGu+xeKCmmQr/745baOhhu","capabilities":[]}`,
		`{"signature":"s","timestamp":"2026-11-24T15:16:08Z"}`,
		`{"signature":"s","timestamp":"t","Signature":"S"}`,
		`{"signature":"\ud800","timestamp":"\u0000","x":[{"a":{}},1e999,null]}`,
		`{"a":1,"\u0061":1}`,
		`{}{}`, `[]`, `null`, "", "\xff", `{"a":}`, `{"a":1,}`, `[}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_, key, identityErr := ParseIdentityRegistration(body)
		proof, taskErr := ParseTaskRegistration(body)
		if identityErr != nil && taskErr != nil {
			return
		}
		if !utf8.Valid(body) {
			t.Error("invalid UTF-8 was accepted")
		}
		var want map[string]any
		if err := json.Unmarshal(body, &want); err != nil && !isRange(err) {
			t.Fatalf("encoding/json refuses what was accepted: %v", err)
		}
		if identityErr == nil && want["agent_public_key"] != key.OpenSSH() {
			t.Errorf("the key is %q, encoding/json says %q", key.OpenSSH(), want["agent_public_key"])
		}
		if taskErr == nil && (want["signature"] != proof.Signature || want["timestamp"] != proof.Timestamp) {
			t.Errorf("the proof is %+v, encoding/json says %v", proof, want)
		}
	})
}

// isRange reports whether err is only about a number that float64 cannot hold.
func isRange(err error) bool {
	_, ok := err.(*json.UnmarshalTypeError)
	return ok
}
