package core

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
)

// Limits that only long texts reach are here: as vectors, they would be megabytes.

// flowHost answers the effects of a flow, with slots in memory, and with one body for all requests.
func flowHost(t *testing.T, start wire.Event, slots map[string][]byte, body []byte) *wire.Authorization {
	t.Helper()
	start.Type, start.Now = wire.EventStart, forgedNow
	p := wire.FlowStepParams{Event: start}
	for range 60 {
		next, err := Step(p)
		if err != nil {
			t.Fatal(err)
		}
		e := next.Effect
		p = wire.FlowStepParams{State: next.State, Event: wire.Event{Type: wire.EventDone, Now: forgedNow}}
		switch e.Type {
		case wire.EffectDone:
			return e.Authorization
		case wire.EffectLoad:
			p.Event.Type, p.Event.Record = wire.EventLoaded, slots[e.Slot]
		case wire.EffectSave, wire.EffectSwap:
			slots[e.Slot] = e.Record
		case wire.EffectDelete:
			delete(slots, e.Slot)
		case wire.EffectEntropy:
			p.Event.Type, p.Event.Entropy = wire.EventEntropy, make([]byte, e.Size)
		case wire.EffectHTTP:
			p.Event.Type, p.Event.Status, p.Event.Body = wire.EventResponse, 200, body
		}
	}
	t.Fatal("the flow does not end")
	return nil
}

// sized is a JSON object of that many bytes: members, and then one of which there is as much as is wanted.
func sized(t *testing.T, size int, members string) []byte {
	t.Helper()
	text := "{" + members + `"x":"`
	record := text + strings.Repeat("x", size-len(text)-2) + `"}`
	if len(record) != size {
		t.Fatalf("%d bytes, want %d", len(record), size)
	}
	return []byte(record)
}

func TestRecordsThatGrowTooLarge(t *testing.T) {
	const most = 512 << 10
	key := forgedKey().PKCS8()
	base := `"agent_runtime_id":"agent-1","agent_private_key":"` + key + `","base_url":"https://chatgpt.com/backend-api","workspace_id":"a",`
	rest := `"account_id":"a","chatgpt_user_id":"","plan_type":"p","chatgpt_account_is_fedramp":false,"registered_at":"2026-11-24T15:16:08Z",`
	const task = `"task_id":"task-1","background_task_id":"task-1",`
	start := func(plan string) wire.Event {
		return wire.Event{
			Surface:     SurfaceResponses,
			ThreadID:    "thread-1",
			Config:      &wire.Config{Profile: wire.ProfileAuthAPI, BaseURL: "https://chatgpt.com/backend-api", AgentIdentity: true},
			Credentials: &wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "t", AccountID: "a", PlanType: plan},
		}
	}
	granted := []byte(`{"agent_runtime_id":"agent-1","task_id":"task-1"}`)
	// What a task takes under its first name, and under both.
	first := len(`,"task_id":"task-1"`)
	both := first + len(`,"background_task_id":"task-1"`)
	for _, c := range []struct {
		name   string
		record []byte
		plan   string
		// cause is the end's, and mode.
		cause, mode string
	}{
		{"room for a task", sized(t, most-both, base+rest), "p", "", ModeAgentAssertion},
		{"no room for the second name", sized(t, most-both+1, base+rest), "p", CodeInvalidRecord, ModeNone},
		{"no room for the first name", sized(t, most-first+1, base+rest), "p", CodeInvalidRecord, ModeNone},
		{"room for a task, and not for what lacks", sized(t, most-both, base), "p", CodeInvalidRecord, ModeNone},
		{"room for some of what lacks", sized(t, most-both-30, base), "p", CodeInvalidRecord, ModeNone},
		{"a new record that is too large", nil, strings.Repeat("p", most), CodeInvalidRecord, ModeNone},
		{"a whole record of the largest size", sized(t, most, base+rest+task), "p", "", ModeAgentAssertion},
		{"a record that lacks, and has no room: it is used as it is", sized(t, most, base+task), "p", "", ModeAgentAssertion},
	} {
		slots := map[string][]byte{wire.SlotIdentity: c.record}
		a := flowHost(t, start(c.plan), slots, granted)
		cause := ""
		if a.Cause != nil {
			cause = a.Cause.Code
		}
		if a.Mode != c.mode || cause != c.cause {
			t.Errorf("%s: mode %s, cause %+v", c.name, a.Mode, a.Cause)
		}
		if c.name == "room for a task" {
			continue
		}
		if !bytes.Equal(slots[wire.SlotIdentity], c.record) {
			t.Errorf("%s: the record has changed", c.name)
		}
	}
	// An identity in place of a sign-in is not completed: the task alone is too much.
	arrived := start("p")
	arrived.Credentials.Kind = wire.CredentialsAgentIdentity
	large := sized(t, most-first+1, base)
	slots := map[string][]byte{wire.SlotIdentity: large}
	a := flowHost(t, arrived, slots, granted)
	if a.Cause == nil || a.Cause.Code != CodeInvalidRecord || !bytes.Equal(slots[wire.SlotIdentity], large) {
		t.Errorf("an identity in place of a sign-in: %+v", a)
	}
	a = flowHost(t, start("p"), map[string][]byte{wire.SlotIdentity: sized(t, most+1, base+rest+task)}, granted)
	if a.Cause == nil || a.Cause.Code != CodeUnreadableIdentity {
		t.Errorf("a record that is too large: %+v", a)
	}

	// The same of the functions that change records.
	for name, record := range map[string]string{"nothing": "", "no JSON": "{", "no object": `["a"]`, "null": "null"} {
		if got, err := completeRecord([]byte(record), "a", wire.Credentials{}, forgedNow); got != nil || Code(err) != CodeInvalidRecord {
			t.Errorf("completed %s: %q, %v", name, got, err)
		}
		if got, err := setRecordMember([]byte(record), "x", "y"); got != nil || Code(err) != CodeInvalidRecord {
			t.Errorf("set in %s: %q, %v", name, got, err)
		}
		if got, err := setRecordTask([]byte(record), "task-1"); got != nil || Code(err) != CodeInvalidRecord {
			t.Errorf("task of %s: %q, %v", name, got, err)
		}
	}
	large = sized(t, most, base)
	if got, err := completeRecord(large, "a", wire.Credentials{}, forgedNow); got != nil || Code(err) != CodeInvalidRecord {
		t.Errorf("completed: %d bytes, %v", len(got), err)
	}
	whole := sized(t, most, base+rest+`"email":1,`)
	if got, err := completeRecord(whole, "a", wire.Credentials{Email: "u@example.com"}, forgedNow); got != nil || Code(err) != CodeInvalidRecord {
		t.Errorf("with an address: %d bytes, %v", len(got), err)
	}
	if got, err := setRecordTask(large, "task-1"); got != nil || Code(err) != CodeInvalidRecord {
		t.Errorf("with a task: %d bytes, %v", len(got), err)
	}
}

// The record of what was set aside has 256 KiB of entries at the most; the newest is there whatever its size.
func TestSetAsideKeepsTheNewest(t *testing.T) {
	const most = 256 << 10
	entry := func(size int, name string) string {
		return string(sized(t, size, `"agent_identity":{"name":"`+name+`"},`))
	}
	identity := []byte(`{"name":"new"}`)
	added := `{"set_aside_at":"2026-11-24T15:16:08Z","reason":"r","agent_identity":{"name":"new"}}`
	for _, c := range []struct {
		name    string
		entries []string
		kept    int
	}{
		{"none", nil, 0},
		{"just room", []string{entry(most-len(added), "a")}, 1},
		{"a byte too much", []string{entry(most-len(added)+1, "a")}, 0},
		{"three, and room", []string{entry(1000, "a"), entry(2000, "b"), entry(most-len(added)-3000, "c")}, 3},
		{"three, and a byte too much: the oldest goes", []string{entry(1000, "a"), entry(2000, "b"), entry(most-len(added)-2999, "c")}, 2},
		{"three, and much too much", []string{entry(1000, "a"), entry(2000, "b"), entry(most-len(added)-1, "c")}, 1},
	} {
		record := "[" + strings.Join(c.entries, ",") + "]"
		want := "[" + strings.Join(append(slices.Clone(c.entries[len(c.entries)-c.kept:]), added), ",") + "]"
		got, err := setAside([]byte(record), identity, "r", forgedNow)
		if err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, want %d, %v", c.name, len(got), len(want), err)
		}
	}
	large := sized(t, most+1, `"name":"large",`)
	got, err := setAside([]byte("["+entry(100, "a")+"]"), large, "r", forgedNow)
	if want := `[{"set_aside_at":"2026-11-24T15:16:08Z","reason":"r","agent_identity":` + string(large) + "}]"; err != nil || string(got) != want {
		t.Errorf("one that is larger alone: %d bytes, want %d, %v", len(got), len(want), err)
	}
}

func TestLimitsOfJSON(t *testing.T) {
	const most = 512 << 10
	text := sized(t, most, `"tokens":{"access_token":"t"},`)
	if c, err := ReadCredentials(text); err != nil || c.AccessToken != "t" {
		t.Errorf("the largest auth.json: %v", err)
	}
	if _, err := ReadCredentials(append(text, ' ')); Code(err) != CodeInvalidAuthJSON {
		t.Errorf("a byte more: %v", err)
	}
	nest := func(n int, open, inner, end string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	for _, c := range []struct {
		name, text string
		want       bool
	}{
		{"64 arrays, and a number", nest(64, "[", "1", "]"), true},
		{"65 arrays", nest(65, "[", "", "]"), true},
		{"65 arrays, and a number", nest(65, "[", "1", "]"), false},
		{"66 arrays", nest(66, "[", "", "]"), false},
		{"64 objects, and a number", nest(64, `{"a":`, "1", "}"), true},
		{"65 objects, and a number", nest(65, `{"a":`, "1", "}"), false},
		{"32 of both, and a number", nest(32, `[{"a":`, "1", "}]"), true},
		{"32 of both, and an array", nest(32, `{"a":[`, "[]", "]}"), true},
		{"32 of both, and an array with a number", nest(32, `{"a":[`, "[1]", "]}"), false},
		{"65 arrays, and a comma", nest(65, "[", ",", "]"), false},
		{"65 objects, and no value", nest(65, `{"a":`, "", "}"), false},
	} {
		if _, err := parseJSON([]byte(c.text), most); (err == nil) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// No document that is cut is read, nor anything beyond its end.
	document := []byte(`{"a":[1.5e+3,-0,true,false,null],"\u00e9\ud83e\udd80\n":"\\\"\u0041é"}`)
	for n := range document {
		if _, err := parseJSON(slices.Clip(slices.Clone(document[:n])), most); err == nil {
			t.Errorf("%q is read", document[:n])
		}
	}
	if _, err := parseJSON(document, len(document)); err != nil {
		t.Error(err)
	}
	if _, err := parseJSON(document, len(document)-1); err == nil {
		t.Error("a document is read that is larger than the limit")
	}
}

// A file that becomes as large as it may is changed, and none that becomes a byte larger.
func TestLargestFiles(t *testing.T) {
	for _, c := range []struct {
		name  string
		most  int
		links int64
	}{
		{"replaced", 192 << 10, 1},
		{"written in place", 128 << 10, 2},
	} {
		for _, more := range []int{0, 1} {
			// The new identity takes nine bytes more.
			document := sized(t, c.most+more-9, `"agent_identity":{},`)
			start := wire.FileEvent{
				Type: wire.FileEventStart, Now: fileNow, Operation: wire.FileOperationSwap, Slot: wire.SlotIdentity,
				Expected: []byte("{}"), Record: []byte(`{"a":"bcd"} `),
			}
			p := wire.FileStepParams{Event: start}
			stat := &wire.FileStat{ID: "1:1", Size: int64(len(document)), Modified: 0, Mode: 0o600, Links: c.links}
			created, code := "", ""
			for range 40 {
				next, err := FileStep(p)
				if err != nil {
					t.Fatal(err)
				}
				if next.Effect.Type == wire.FileEffectDone {
					if e := next.Effect.Result.Error; e != nil {
						code = e.Code
					}
					break
				}
				if next.Effect.Type == wire.FileEffectCreate {
					created = next.Effect.Name
					break
				}
				p = wire.FileStepParams{State: next.State, Event: wire.FileEvent{Type: wire.FileEventDone, Now: fileNow}}
				if next.Effect.Type == wire.FileEffectRead && next.Effect.Name == wire.FileNameTarget {
					p.Event.Stat, p.Event.Content = stat, document
				}
			}
			wants := map[int64]string{1: wire.FileNameTarget, 2: wire.FileNameJournal}[c.links]
			if more == 0 && created != wants || more == 1 && code != CodeFileWriteFailed {
				t.Errorf("%s, and %d bytes more: created %q, code %q", c.name, more, created, code)
			}
		}
	}
	// The journal of the largest such file is read, and nothing that no journal can be.
	old, new := sized(t, 128<<10, ""), sized(t, 128<<10, `"a":1,`)
	if a, b, ok := parseJournal(journal(old, new)); !ok || !bytes.Equal(a, old) || !bytes.Equal(b, new) {
		t.Error("the largest journal is not read")
	}
	const most = 512 << 10
	small := journal([]byte("{}"), []byte("{}"))
	for size, want := range map[int]bool{most: true, most + 1: false} {
		if _, _, ok := parseJournal(append(small, bytes.Repeat([]byte{' '}, size-len(small))...)); ok != want {
			t.Errorf("a journal of %d bytes: %v", size, ok)
		}
	}
}

// guestAnswer is a guest's answer.
func guestAnswer(t *testing.T, g *Guest, request []byte) wire.Response {
	t.Helper()
	var r wire.Response
	if err := wire.Decode(g.Call(request), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGuestRefusesGarbage(t *testing.T) {
	g := NewGuest()
	good := wire.Encode(&wire.Request{Method: wire.MethodSurfaceMatch, Params: wire.Encode(&wire.SurfaceMatchParams{Path: "/files"})})
	if r := guestAnswer(t, g, good); r.Error != nil {
		t.Fatal(r.Error)
	}
	requests := [][]byte{nil, {0}, {0xff}, {0xa0}, []byte("request"), []byte(`{"method":"surface.match"}`), append(slices.Clone(good), 0), make([]byte, wire.MaxMessage+1)}
	for n := range good {
		requests = append(requests, good[:n])
	}
	for _, request := range requests {
		if r := guestAnswer(t, g, request); r.Error == nil || r.Error.Code != CodeInvalidRequest {
			t.Errorf("%x: %+v", request[:min(len(request), 40)], r.Error)
		}
	}
}

func TestGuestResultTooLarge(t *testing.T) {
	g := NewGuest()
	// The record has a line for each element in a document that has lines.
	record := []byte("[" + strings.Repeat("1,", 100_000) + "1]")
	set := func(spaces int) (*wire.Error, int) {
		document := []byte("{\n  \"x\": 1" + strings.Repeat(" ", spaces) + "\n}")
		request := wire.Encode(&wire.Request{Method: wire.MethodAuthJSONSet, Params: wire.Encode(&wire.AuthJSONSetParams{Document: document, Record: record})})
		if len(request) > wire.MaxMessage {
			t.Fatalf("the request has %d bytes", len(request))
		}
		response := g.Call(request)
		var r wire.Response
		if err := wire.Decode(response, &r); err != nil {
			t.Fatal(err)
		}
		return r.Error, len(response)
	}
	err, size := set(100_000)
	if err != nil {
		t.Fatal(err)
	}
	spaces := 100_000 + wire.MaxMessage - size
	if err, size := set(spaces); err != nil || size != wire.MaxMessage {
		t.Errorf("the largest result: %v, %d bytes", err, size)
	}
	if err, _ := set(spaces + 1); err == nil || err.Code != CodeInvalidRequest {
		t.Errorf("a byte more: %v", err)
	}
}
