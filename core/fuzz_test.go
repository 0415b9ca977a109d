package core

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
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
	value, err := BuildInstanceAssertion(k, "rai:<&>\"\\é", make([]byte, 16), 1795533368)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add("agentassertion  " + value)
	f.Add("AgentAssertion " + value)
	f.Fuzz(func(t *testing.T, header string) {
		i, err := ParseAssertion(header)
		checkReceivedAssertion(t, header, k.Public(), i.Form, err)
		if err != nil {
			if Code(err) != CodeInvalidAssertion {
				t.Fatalf("code %q", Code(err))
			}
			return
		}
		if i.Form == wire.FormInstance {
			checkInstanceAssertion(t, header, i)
			return
		}
		canonical := encodeAssertion(*i.Envelope)
		if i.Canonical != (canonical == header) {
			t.Fatalf("canonical is %v for %q", i.Canonical, header)
		}
		at, err := parseTimestamp(i.Envelope.Timestamp)
		if err != nil {
			t.Fatal(err)
		}
		if is := IsAssertion(header, i.Envelope.AgentRuntimeID, i.Envelope.TaskID, at); is != i.Canonical {
			t.Fatalf("IsAssertion is %v for %q", is, header)
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

// checkReceivedAssertion: an assertion that is read first and checked later gets the
// verdicts of the functions that do all at once.
func checkReceivedAssertion(t *testing.T, header string, p *PublicKey, form string, parsed error) {
	t.Helper()
	a, err := ReadAssertion(header)
	if Code(err) != Code(parsed) || a.Form != form {
		t.Fatalf("read with %v as %q, parsed with %v as %q", err, a.Form, parsed, form)
	}
	if err != nil {
		return
	}
	verify := VerifyAssertion
	if form == wire.FormInstance {
		verify = VerifyInstanceAssertion
	}
	if err = a.CheckSignature(p); err == nil {
		err = a.CheckTime(1795533368, 300)
	}
	if _, verified := verify(p, header, 1795533368, 300); Code(err) != Code(verified) {
		t.Fatalf("got %v, verified at once %v", err, verified)
	}
}

// checkInstanceAssertion: what is accepted is what the standard library reads, and
// canonical is what is built of it.
func checkInstanceAssertion(t *testing.T, header string, i wire.Inspection) {
	t.Helper()
	_, value, found := strings.Cut(header, " ")
	if !found {
		value = header
	}
	parts := strings.Split(strings.TrimLeft(value, " "), ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Version  int    `json:"version"`
		Instance string `json:"runtime_agent_instance"`
		IssuedAt int64  `json:"iat"`
		ID       string `json:"id"`
	}
	want := wire.InstanceClaims{Signature: i.Instance.Signature}
	err = json.Unmarshal(payload, &m)
	want.RuntimeAgentInstance, want.IssuedAt, want.ID = m.Instance, m.IssuedAt, m.ID
	if err != nil || m.Version != 1 || want != *i.Instance {
		t.Fatalf("%v: %q is not %+v", err, payload, i.Instance)
	}
	built := "1." + instanceText(m.Instance, m.IssuedAt, m.ID) + "." + parts[3]
	isV4 := regexp.MustCompile("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").MatchString(m.ID)
	if canonical := isV4 && (header == built || header == Scheme+" "+built); i.Canonical != canonical {
		t.Fatalf("canonical is %v for %q", i.Canonical, header)
	}
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
// again neither, but for the members that are an identity without its object.
func FuzzSetAuthJSON(f *testing.F) {
	f.Add([]byte("{\n  \"a\": 1,\n  \"agent_identity\": {\"x\": 1},\n  \"b\": [2]\n}\n"), []byte(`{"agent_runtime_id":"r","list":[{"a":[]}]}`))
	f.Add([]byte(`{}`), []byte(`{"a":"}{\"[,:"}`))
	f.Add([]byte(`{"agent_identity":null}`), []byte(`"eyJ.a.b"`))
	f.Add([]byte(`{"agent_runtime_id":"a", "agent_private_key":"k", "task_id":1, "access_token":"t"}`), []byte(``))
	f.Add([]byte(`{"agent_runtime_id":"a","agent_private_key":"k","email":"e"}`), []byte(`{"agent_runtime_id":"b"}`))
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
		names := []string{identityMember}
		if len(record) == 0 && isString(before["agent_runtime_id"]) && isString(before["agent_private_key"]) {
			names = append(names, "agent_runtime_id", "agent_private_key", "task_id", "background_task_id")
		}
		for _, name := range names {
			if len(record) == 0 && after[name] != nil {
				t.Fatalf("%q is left in %q", name, changed)
			}
			delete(before, name)
			delete(after, name)
		}
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
		if string(bytes.TrimSpace(record)) == "null" {
			return // and an identity without an object may be read
		}
		same, err := SetAuthJSONIdentity(changed, stored)
		if err != nil || !bytes.Equal(same, changed) && len(stored) > 0 {
			t.Fatalf("writing what is there changed %q to %q (%v)", changed, same, err)
		}
	})
}

func isString(text json.RawMessage) bool { return len(text) > 0 && text[0] == '"' }

// FuzzReadCredentials: who is signed in is said, or why it cannot be; and in mode
// agentIdentity the identity that is read is the one that the credentials are of.
func FuzzReadCredentials(f *testing.F) {
	for _, s := range []string{
		`{"tokens":{"access_token":"a","id_token":"a.eyJlbWFpbCI6ImUifQ.c"}}`,
		`{"access_token":"a","account_id":"b","agent_runtime_id":"r","agent_private_key":"k"}`,
		`{"auth_mode":"agentIdentity","agent_identity":{"account_id":"a","chatgpt_account_is_fedramp":true}}`,
		`{"auth_mode":"agentIdentity","agent_runtime_id":"r","agent_private_key":"k","workspace_id":"w"}`,
		`{"auth_mode":"agentIdentity","agent_identity":"a.b.c"}`,
		`{"auth_mode":"apikey"}`, `{"OPENAI_API_KEY":"k"}`, `{"auth_mode":1,"tokens":[]}`, "\xef\xbb\xbf{}", "\xff\xfe{\x00}\x00", "[]", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		c, err := ReadCredentials(document)
		record, recordErr := GetAuthJSONIdentity(document)
		if Code(err) != Code(recordErr) {
			t.Fatalf("the credentials: %v; the identity: %v", err, recordErr)
		}
		switch {
		case err != nil:
			if code := Code(err); code != CodeInvalidAuthJSON && code != CodeAuthJSONByteOrderMark && code != CodeAuthJSONUTF16 {
				t.Fatalf("the code is %q", code)
			}
			return
		case (c.Problem != nil) != (c.Kind != wire.CredentialsChatGPT && c.Kind != wire.CredentialsAgentIdentity):
			t.Fatalf("%q: kind %s with the problem %+v", document, c.Kind, c.Problem)
		case c.Kind != wire.CredentialsAgentIdentity:
			return
		}
		var m map[string]any
		if err := json.Unmarshal(record, &m); err != nil {
			t.Fatalf("%q: the identity is %q", document, record)
		}
		account, ok := m["workspace_id"].(string)
		if !ok {
			account, _ = m["account_id"].(string)
		}
		if user, _ := m["chatgpt_user_id"].(string); c.AccountID != account || c.UserID != user || c.AccessToken != "" {
			t.Fatalf("%q: the credentials %q, %q are not of %q", document, c.AccountID, c.UserID, record)
		}
	})
}

// FuzzCompactJSON: it does what package json does.
func FuzzCompactJSON(f *testing.F) {
	for _, s := range []string{" { \"a b\" : [ 1 , \"\\\" \\\\\" ] } ", " null ", `"null"`, "\"\\u0020 \"", "\t1\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := compactJSON(text)
		var want bytes.Buffer
		if json.Compact(&want, text) != nil {
			return
		}
		if want.String() == "null" {
			want.Reset()
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%q became %q; want %q", text, got, want.Bytes())
		}
	})
}

// FuzzCompleteRecord: what nobody needs stays as it was, what is needed is there,
// and a complete record stays.
func FuzzCompleteRecord(f *testing.F) {
	f.Add([]byte(`{"agent_runtime_id":"r","agent_private_key":"k"}`), "account", "", "")
	f.Add([]byte("{ \"x\" : [1] , \"plan_type\":null,\"task_id\":\"t\",\"background_task_id\":2}\n"), "a", "u", "e@x")
	f.Add([]byte(`{"workspace_id":"w","account_id":7,"email":{},"chatgpt_account_is_fedramp":"true","background_task_id":"b","task_id":"t"}`), "", "", "")
	needed := map[string]bool{
		"account_id": true, "chatgpt_user_id": true, "plan_type": true, "workspace_id": true, "registered_at": true,
		"chatgpt_account_is_fedramp": true, "email": false, "task_id": false, "background_task_id": false,
	}
	f.Fuzz(func(t *testing.T, record []byte, account, user, email string) {
		for _, s := range []string{account, user, email} {
			if !utf8.ValidString(s) {
				return
			}
		}
		c := wire.Credentials{UserID: user, Email: email}
		got, err := completeRecord(record, account, c, fileNow)
		if err != nil {
			return
		}
		var before, after map[string]json.RawMessage
		if json.Unmarshal(record, &before) != nil || json.Unmarshal(got, &after) != nil {
			t.Fatalf("%q became %q", record, got)
		}
		for name, is := range needed {
			kind := byte('"')
			if name == "chatgpt_account_is_fedramp" {
				kind = map[bool]byte{true: 't', false: 'f'}[string(after[name]) == "true"]
			}
			if is && after[name] == nil || after[name] != nil && after[name][0] != kind {
				t.Fatalf("%s is %s in %q", name, after[name], got)
			}
		}
		if b, l := after["background_task_id"], after["task_id"]; !bytes.Equal(b, l) && (b == nil) != (l == nil) {
			t.Fatalf("the task has one name only in %q", got)
		}
		for name, was := range before {
			if _, known := needed[name]; !known && !bytes.Equal(after[name], was) {
				t.Fatalf("%q was %s and is %s", name, was, after[name])
			}
			delete(after, name)
		}
		for name := range after {
			if _, known := needed[name]; !known {
				t.Fatalf("%q is new", name)
			}
		}
		again, err := completeRecord(got, account, c, fileNow+1)
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%q became %q the second time (%v)", got, again, err)
		}
	})
}

// FuzzSetAside: what was set aside before stays, and what is set aside is there,
// once.
func FuzzSetAside(f *testing.F) {
	f.Add([]byte(""), []byte(`{"a":1}`))
	f.Add([]byte(` [ {"agent_identity": {"a":1}} , 2 ] `), []byte("{ \"a\": 2 }\n"))
	f.Add([]byte(`[{"agent_identity":"x"}]`), []byte(`"x"`))
	f.Add([]byte(`{}`), []byte(`[]`))
	f.Fuzz(func(t *testing.T, record, identity []byte) {
		if _, err := parseJSON(identity, maxStoredJSON); err != nil || string(compactJSON(identity)) == "" {
			return
		}
		got, err := setAside(record, identity, "because", fileNow)
		if err != nil {
			t.Fatal(err)
		}
		var before, after []json.RawMessage
		if err := json.Unmarshal(got, &after); err != nil {
			t.Fatalf("%q became %q", record, got)
		}
		if _, err := parseJSON(record, maxStoredJSON); err == nil && json.Unmarshal(record, &before) == nil && len(got) < maxSetAside {
			if len(after) < len(before) {
				t.Fatalf("%q became %q", record, got)
			}
			for i := range before {
				if !bytes.Equal(before[i], after[i]) {
					t.Fatalf("%q became %q", record, got)
				}
			}
		}
		found := 0
		for _, e := range after {
			var entry map[string]json.RawMessage
			if json.Unmarshal(e, &entry) == nil && entry[identityMember] != nil && sameJSON(entry[identityMember], identity) {
				found++
			}
		}
		if found == 0 {
			t.Fatalf("%q is not in %q", identity, got)
		}
		if again, err := setAside(got, identity, "again", fileNow); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%q was set aside twice: %q", identity, again)
		}
	})
}

// FuzzIsTorn holds it to all that a write of new over old, and its undo, can leave.
func FuzzIsTorn(f *testing.F) {
	f.Add([]byte(`{"a":1}`), []byte(`{"a":1,"b":2}`), []byte(`{"a":1,"b`))
	f.Add([]byte(`{"a":1,"b":2}`), []byte(`{"a":1}`), []byte(`{"a":1}  "b":2}`))
	f.Add([]byte(`{"a":1,"b":2}`), []byte(`{"a":1}`), []byte(`{"a":1,"b":`))
	f.Add([]byte(`{"old":1}`), []byte(`{"new":22}`), []byte(`{"olw":22}`))
	f.Add([]byte(`{}`), []byte(`{}`), []byte(`{}   `))
	f.Fuzz(func(t *testing.T, old, new, content []byte) {
		if len(old)+len(new)+len(content) > 120 {
			return
		}
		padded := pad(new, len(old))
		torn := bytes.HasPrefix(content, new) && len(bytes.Trim(content[len(new):], " ")) == 0
		for undone := range len(old) + 1 {
			for written := range len(padded) + 1 {
				left := slices.Clone(old)
				overwrite := func(with []byte) {
					left = slices.Concat(with, left[min(len(with), len(left)):])
				}
				overwrite(padded[:written])
				if undone > 0 {
					overwrite(old[:undone])
				}
				torn = torn || bytes.Equal(content, left)
				if !isTorn(left, old, new) && !bytes.Equal(left, old) && !bytes.Equal(left, new) {
					t.Fatalf("%q is not torn between %q and %q", left, old, new)
				}
				// The same, if all was written, and the rest cut off before.
				for cut := len(new); written == len(padded) && cut <= len(left); cut++ {
					torn = torn || bytes.Equal(content, left[:cut])
				}
			}
		}
		if bytes.Equal(content, old) || bytes.Equal(content, new) {
			torn = false
		}
		if got := isTorn(content, old, new); got != torn {
			t.Fatalf("%q between %q and %q: torn is %v; want %v", content, old, new, got, torn)
		}
		if o, n, ok := parseJournal(journal(old, new)); ok != isJSON(new) || ok && (!bytes.Equal(o, old) || !bytes.Equal(n, new)) {
			t.Fatalf("the journal of %q and %q has %q and %q (%v)", old, new, o, n, ok)
		}
	})
}

// FuzzFileStep: whatever the files hold, fails, and is changed by others, the flow
// ends, holds no lock then and leaves no temporary, and auth.json is JSON if it was
// and nothing failed while it was written over.
func FuzzFileStep(f *testing.F) {
	f.Add([]byte{}, []byte(authJSON("t", identityA)), byte(4), byte(1))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 5}, []byte(authJSON("t", identityA)), byte(4), byte(2))
	f.Add([]byte{1, 1, 0, 2, 2, 20, 21, 22, 20, 21, 22}, []byte(`{"tokens":`), byte(0), byte(1))
	f.Add(bytes.Repeat([]byte{20}, 300), []byte(authJSON("t", "")), byte(5), byte(1))
	f.Add([]byte{0, 0, 0, 0, 22, 22}, []byte("{}"), byte(10), byte(1))
	failures := []string{
		wire.FileFailureMissing, wire.FileFailureDenied, wire.FileFailureReadOnly, wire.FileFailureBusy, wire.FileFailureNoRoom, wire.FileFailureLocked,
		wire.FileFailureUnsupported, wire.FileFailureFolder, wire.FileFailureNotRegular, wire.FileFailureTooLarge, wire.FileFailureCanceled, wire.FileFailureFailed, "",
	}
	starts := []wire.FileEvent{
		readCredentials,
		{Operation: wire.FileOperationLoad, Slot: wire.SlotIdentity},
		{Operation: wire.FileOperationLoad, Slot: "thread/x"},
		{Operation: wire.FileOperationDelete, Slot: "thread/x"},
		swapTo(identityA, identityB),
		{Operation: wire.FileOperationProbe, Slot: wire.SlotIdentity},
		{Operation: wire.FileOperationSave, Slot: "thread/x", Record: []byte("x")},
		{Operation: wire.FileOperationProbe, Slot: "thread/x"},
		{Operation: wire.FileOperationSwap, Slot: wire.SlotBackend, Record: []byte("x")},
		swapTo(identityA, ""),
		swapTo("", identityA),
	}
	f.Fuzz(func(t *testing.T, script, document []byte, start, links byte) {
		h := newFakeFiles(string(document))
		if target := h.files[wire.FileNameTarget]; target != nil {
			target.links = int64(links)
		}
		whole, wrote := isJSON(document), false
		h.interfere = func(n int, e wire.FileEffect) string {
			wrote = wrote || e.Type == wire.FileEffectWrite
			if n >= len(script) {
				return ""
			}
			switch c := int(script[n]); {
			case c == 0 || c > 24:
			case c <= len(failures):
				if failure := failures[c-1]; failure != "" && e.Type != wire.FileEffectDiscard && e.Type != wire.FileEffectUnlock {
					whole = whole && !wrote
					return failure
				}
			case c == 20:
				h.files[wire.FileNameTarget] = h.newFile([]byte(authJSON(string(rune('a'+n%26)), identityA)))
			case c == 21:
				if target := h.files[wire.FileNameTarget]; target != nil {
					whole = whole && !wrote
					h.set(target, []byte(authJSON(string(rune('a'+n%26)), "")))
				}
			case c == 22:
				delete(h.files, wire.FileNameTarget)
			case c == 23:
				h.files[wire.FileNameJournal] = h.newFile(script)
			case c == 24:
				h.clock += 1e9
			}
			return ""
		}
		r := h.run(t, starts[int(start)%len(starts)])
		if r == nil {
			t.Fatal("there is no result")
		}
		if target := h.files[wire.FileNameTarget]; whole && target != nil && !isJSON(target.content) {
			t.Fatalf("%q became %q", document, target.content)
		}
	})
}

// FuzzFileState: a state that no step returned is an error or an effect, and
// nothing worse.
func FuzzFileState(f *testing.F) {
	f.Add("read", wire.FileOperationSwap, []byte("{}"), []byte("{}"), int64(3), "2026-11", false, byte(0xff))
	f.Add("record-compare", wire.FileOperationSwap, []byte("x"), []byte(""), int64(-1), "", true, byte(0))
	f.Add("thread-list-old", wire.FileOperationSave, []byte("x"), []byte(""), int64(1)<<62, "2026-11", true, byte(1))
	for _, step := range []string{"restore", "undo", "check", "reread-target", "read-previous", "write", "compare-in-place", "thread-read", "thread-month"} {
		f.Add(step, wire.FileOperationSwap, []byte(`{"a":"b"}`), []byte(`{"c":"d"}`), int64(7), "", true, byte(0xa5))
	}
	f.Fuzz(func(t *testing.T, step, operation string, a, b []byte, n int64, month string, hasStat bool, flags byte) {
		s := wire.FileState{
			Step: step, Operation: operation, Slot: wire.SlotIdentity, Record: a, Expected: b, Document: b, Base: a, Attempts: n, Waits: n, Month: month,
			Names: []string{string(a), month}, Locked: []string{wire.FileNameTargetLock}, InPlace: flags&1 > 0, Padded: flags&2 > 0, Temporary: flags&4 > 0,
			Journal: flags&8 > 0, Recovered: flags&16 > 0, Unlocked: flags&32 > 0, Yielded: flags&64 > 0,
		}
		stat := &wire.FileStat{ID: month, Size: n, Modified: n, Mode: n, Links: n}
		if hasStat {
			s.Stat = stat
		}
		p := wire.FileStepParams{State: wire.Encode(&s)}
		for i := range 40 {
			p.Event = wire.FileEvent{Type: wire.FileEventDone, Now: fileNow, Stat: stat, Content: [][]byte{a, b}[i%2], Names: []string{month}}
			if flags>>(i%8)&1 > 0 {
				p.Event = wire.FileEvent{Type: wire.FileEventFailed, Now: fileNow, Failure: []string{wire.FileFailureNoRoom, wire.FileFailureDenied, ""}[i%3]}
			}
			next, err := FileStep(p)
			if err != nil {
				if Code(err) == CodeInternal {
					t.Fatal(err)
				}
				return
			}
			if next.Effect.Type == wire.FileEffectDone {
				return
			}
			p.State = next.State
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
		wire.MethodFileStep: &wire.FileStepParams{
			State: wire.Encode(&wire.FileState{Step: fileRead, Operation: wire.FileOperationSwap, Slot: wire.SlotIdentity}),
			Event: wire.FileEvent{Type: wire.FileEventDone, Stat: &wire.FileStat{ID: "1"}, Content: []byte("{}")},
		},
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
