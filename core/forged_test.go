package core

import (
	"bytes"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
)

// A state is opaque, and comes back as it was. Where it does not, the step says so, and no more.

const forgedNow = 1795533368

var forgedKey = sync.OnceValue(func() *PrivateKey {
	k, err := NewPrivateKey(make([]byte, 32))
	if err != nil {
		panic(err)
	}
	return k
})

// goodState is a state that lacks nothing, whatever its step.
func goodState(step, profile string) wire.FlowState {
	k := forgedKey()
	s := wire.FlowState{
		Step: step, Surface: SurfaceModels,
		Config: wire.Config{
			Profile: profile, BaseURL: "https://chatgpt.com/backend-api", AgentIdentity: true, AllSurfaces: true,
			Instance: &wire.InstanceConfig{HeaderMode: wire.HeaderModeDual, InstallationID: "i", Harness: "h", Role: "r"},
		},
		Credentials: wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "t", AccountID: "a"},
		PrivateKey:  k.PKCS8(), RequestID: make([]byte, 16), Entropy: make([]byte, 16), Swaps: 1, Tries: 1,
		Loaded: []string{wire.SlotBackend, wire.SlotBackoff}, Locked: []string{wire.SlotIdentity},
		Result: &wire.Authorization{
			Mode: ModeAgentAssertion, AgentRuntimeID: "agent-1", TaskID: "task-1", RuntimeAgentInstance: "rai-1",
			Cause: &wire.Error{Code: CodeHTTPStatus},
		},
	}
	var err error
	s.Record, err = newIdentityRecord("a", s.Credentials, "agent-1", k.PKCS8(), s.Config.BaseURL, forgedNow)
	if err != nil {
		panic(err)
	}
	if profile == wire.ProfileInstances {
		f := flow{FlowState: s, profile: instances{}}
		s.Record = appendJSONObject(nil, memberInstance, "rai-1", memberPrivateKey, k.PKCS8(), memberInstanceFor, instances{}.actor(&f))
	}
	return s
}

// answer is an event that a step waits for.
func answer(step string) wire.Event {
	return wire.Event{Type: answers[step], Now: forgedNow, Entropy: make([]byte, 16), Status: 200, Body: []byte(`{"agent_runtime_id":"agent-1","task_id":"task-1","runtime_agent_instance_id":"rai-1"}`),
		Headers: []wire.Header{{Name: biscuitHeader, Value: "biscuit"}}}
}

// checkStep holds what is so of each step, whatever the state: no failure of the core's own, and an effect that is
// whole, or none.
func checkStep(t *testing.T, g *Guest, p wire.FlowStepParams) (next wire.FlowStep, ok bool) {
	t.Helper()
	next, err := step(p, g.parseKey)
	if err != nil {
		if Code(err) == CodeInternal {
			t.Fatalf("a failure of the core's own: %v", err)
		}
		if next.State != nil || next.Effect.Type != "" {
			t.Fatalf("an effect %q with the error %v", next.Effect.Type, err)
		}
		return next, false
	}
	e := next.Effect
	switch e.Type {
	case wire.EffectDone:
		if e.Authorization == nil {
			t.Fatal("an end without an authorization")
		}
	case wire.EffectLoad, wire.EffectDelete, wire.EffectLock, wire.EffectUnlock, wire.EffectProbe, wire.EffectSwap, wire.EffectSave:
		if e.Slot == "" {
			t.Fatalf("%s of no slot", e.Type)
		}
	case wire.EffectHTTP:
		if e.URL == "" || e.Method == "" {
			t.Fatalf("a request to %q", e.URL)
		}
	case wire.EffectEntropy:
		if e.Size < 1 {
			t.Fatalf("%d bytes of entropy", e.Size)
		}
	case wire.EffectWait:
		if e.WaitMS < 1 {
			t.Fatalf("a wait of %d ms", e.WaitMS)
		}
	default:
		t.Fatalf("an effect %q", e.Type)
	}
	return next, true
}

// forgeries are what can be wrong with a state.
var forgeries = []func(s *wire.FlowState){
	func(s *wire.FlowState) {},
	func(s *wire.FlowState) { s.Record = nil },
	func(s *wire.FlowState) { s.Record = []byte("damaged") },
	func(s *wire.FlowState) { s.Record = []byte("[]") },
	func(s *wire.FlowState) { s.PrivateKey = "" },
	func(s *wire.FlowState) { s.PrivateKey = "damaged" },
	func(s *wire.FlowState) { s.RequestID = nil },
	func(s *wire.FlowState) { s.Entropy = nil },
	func(s *wire.FlowState) { s.Config.BaseURL = "" },
	func(s *wire.FlowState) { s.Config.BaseURL, s.Record = "", nil },
	func(s *wire.FlowState) { s.Config.Profile = "x" },
	func(s *wire.FlowState) { s.Config.Instance = nil },
	func(s *wire.FlowState) { s.Config.AgentIdentity = false },
	func(s *wire.FlowState) { s.Surface = "x" },
	func(s *wire.FlowState) { s.Surface, s.ThreadID = SurfaceResponses, "thread-1" },
	func(s *wire.FlowState) { s.Surface, s.ThreadID, s.Record = SurfaceResponses, "thread-1", nil },
	func(s *wire.FlowState) { s.Credentials = wire.Credentials{} },
	func(s *wire.FlowState) { s.Credentials.Kind = wire.CredentialsAgentIdentity },
	func(s *wire.FlowState) { s.Credentials.AccountID = "" },
	func(s *wire.FlowState) { s.Result = nil },
	func(s *wire.FlowState) { s.Result = &wire.Authorization{Mode: ModeNone} },
	func(s *wire.FlowState) { s.Result = &wire.Authorization{Mode: ModeDualHeader, Cause: &wire.Error{}} },
	func(s *wire.FlowState) {
		s.Config.BaseURL, s.Record = "", nil
		s.Backoff = []byte(`{"a":{"failures":1,"retry_at":"2026-11-24T15:17:08Z"},"instance:a":{"failures":1,"retry_at":"2026-11-24T15:17:08Z"}}`)
	},
	func(s *wire.FlowState) { s.Tries = -1 },
	func(s *wire.FlowState) { s.Tries = 1 << 62 },
	func(s *wire.FlowState) { s.RetryAfter, s.Swaps = 1<<62, -1<<62 },
	func(s *wire.FlowState) { s.Granted, s.GrantedTo = "task-1", "agent-1" },
	func(s *wire.FlowState) { s.Granted, s.GrantedTo = "a\nb", "agent-1" },
	func(s *wire.FlowState) { s.Unknown = "agent-1" },
	func(s *wire.FlowState) { s.Unknown, s.Locked = "agent-1", nil },
	func(s *wire.FlowState) { s.Locked, s.Loaded = nil, nil },
	func(s *wire.FlowState) { s.Probed = []string{wire.SlotIdentity, wire.SlotThread} },
	func(s *wire.FlowState) { s.Registered = []byte("[]") },
	func(s *wire.FlowState) { s.Rejected = &wire.Rejection{AgentRuntimeID: "agent-1", TaskID: "task-1"} },
	func(s *wire.FlowState) { s.Backoff, s.Backend = []byte("["), []byte("[]") },
}

// TestForgedStates goes on from each step, with what can be wrong there, as if all went well and as if all failed.
func TestForgedStates(t *testing.T) {
	g := NewGuest()
	for _, step := range slices.Sorted(maps.Keys(answers)) {
		if step == stepStart {
			continue
		}
		for _, profile := range []string{wire.ProfileBiscuit, wire.ProfileAuthAPI, wire.ProfileInstances} {
			for i, forge := range forgeries {
				for _, failure := range []string{"", wire.FailureStore, wire.FailureChanged} {
					s := goodState(step, profile)
					forge(&s)
					p := wire.FlowStepParams{State: wire.Encode(&s), Event: answer(step)}
					if failure != "" {
						p.Event = wire.Event{Type: wire.EventFailed, Now: forgedNow, Failure: failure}
					}
					// What is wrong can show later.
					for range 4 {
						next, ok := checkStep(t, g, p)
						if t.Failed() {
							t.Fatalf("step %s, profile %q, forgery %d, failure %q", step, profile, i, failure)
						}
						if ok && next.Effect.Type == wire.EffectDone && next.Effect.Authorization.Mode == "" {
							t.Fatalf("step %s, profile %q, forgery %d, failure %q: an end without a mode", step, profile, i, failure)
						}
						if !ok || next.State == nil || next.Effect.Type == wire.EffectDone {
							break
						}
						var now wire.FlowState
						if err := wire.Decode(next.State, &now); err != nil {
							t.Fatal(err)
						}
						p = wire.FlowStepParams{State: next.State, Event: answer(now.Step)}
						if next.Effect.Type == wire.EffectEntropy {
							p.Event.Entropy = make([]byte, next.Effect.Size)
						}
						if next.Effect.Slot == wire.SlotIdentity || next.Effect.Slot == wire.SlotInstance {
							p.Event.Record = s.Record
						}
					}
				}
			}
		}
	}
}

func TestStatesThatAreNone(t *testing.T) {
	state := func(change func(*wire.FlowState)) []byte {
		s := goodState(stepLoadIdentity, wire.ProfileBiscuit)
		change(&s)
		return wire.Encode(&s)
	}
	step := func(name string) []byte { return state(func(s *wire.FlowState) { s.Step = name }) }
	instance := func(change func(*wire.FlowState)) []byte {
		s := goodState(stepIdentity, wire.ProfileInstances)
		change(&s)
		return wire.Encode(&s)
	}
	load, done := wire.Event{Type: wire.EventLoaded}, wire.Event{Type: wire.EventDone}
	entropy, woke, again := wire.Event{Type: wire.EventEntropy}, wire.Event{Type: wire.EventWoke}, wire.Event{Type: wire.EventAgain}
	signed := func(change func(*wire.SignedState)) []byte {
		s := goodSigned()
		change(&s)
		return wire.Encode(&s)
	}
	granted := wire.Event{Type: wire.EventResponse, Status: 200, Body: []byte(`{"task_id":"task-1"}`)}
	for _, c := range []struct {
		name  string
		state []byte
		event wire.Event
	}{
		{"a byte", []byte{0}, load},
		{"a byte before the start", []byte{0xa0}, wire.Event{Type: wire.EventStart}},
		{"no step", step(""), load},
		{"no step, before the start", step(""), wire.Event{Type: wire.EventStart}},
		{"an unknown step", step("x"), load},
		{"a byte more", append(step(stepLoadIdentity), 0), load},
		{"an unknown profile", state(func(s *wire.FlowState) { s.Config.Profile = "x" }), load},
		{"an instance without its configuration", instance(func(s *wire.FlowState) { s.Config.Instance = nil }), granted},
		{"a wait in a profile that does not", step(stepIdentityWait), woke},
		{"a task's wait in a profile that does not", step(stepTaskWait), woke},
		{"tries below zero", state(func(s *wire.FlowState) { s.Tries = -1 }), load},
		{"jitter without a result", state(func(s *wire.FlowState) { s.Step, s.Result = stepJitter, nil }), entropy},
		{"jitter without a cause", state(func(s *wire.FlowState) { s.Step, s.Result.Cause = stepJitter, nil }), entropy},
		{"a pause without a result", state(func(s *wire.FlowState) { s.Step, s.Result = stepSaveBackoff, nil }), done},
		{"an end that is a byte", []byte{0}, again},
		{"an end with a byte more", append(signed(func(*wire.SignedState) {}), 0), again},
		{"no call to route", state(func(s *wire.FlowState) { s.Step, s.Result = stepUnlockForRouting, nil }), done},
		{"no call to load for", state(func(s *wire.FlowState) { s.Step, s.Result = stepLoadWorkspace, nil }), load},
		{"no call to lock for", state(func(s *wire.FlowState) { s.Step, s.Result = stepLockWorkspace, nil }), done},
		{"no call to ask for", state(func(s *wire.FlowState) { s.Step, s.Result = stepAccounts, nil }), granted},
		{"no call that was asked for", state(func(s *wire.FlowState) { s.Step, s.Result = stepSaveWorkspace, nil }), done},
		{"no call for an id", state(func(s *wire.FlowState) { s.Step, s.Result = stepCallEntropy, nil }), entropy},
		{"a question without a key", instance(func(s *wire.FlowState) {
			s.Step, s.PrivateKey, s.Locked = stepLoadWorkspace, "", []string{wire.SlotWorkspace}
		}), load},
		{"a routed call without a key", instance(func(s *wire.FlowState) { s.Step, s.PrivateKey = stepCallEntropy, "" }), entropy},
		{"an end without a key", signed(func(s *wire.SignedState) { s.Key = nil }), again},
		{"an end with a key that is too long", signed(func(s *wire.SignedState) { s.Key = append(s.Key, 0) }), again},
		{"an end with a scalar that is not reduced", signed(func(s *wire.SignedState) { copy(s.Key, bytes.Repeat([]byte{0xff}, 32)) }), again},
		{"a task without an identity", state(func(s *wire.FlowState) { s.Step, s.Record = stepSaveTask, nil }), done},
		{"a task with a damaged identity", state(func(s *wire.FlowState) { s.Step, s.Record = stepSaveTask, []byte("{") }), done},
		{"an instance's task", instance(func(s *wire.FlowState) { s.Step = stepTaskEntropy }), entropy},
		{"an instance's task that waits", instance(func(s *wire.FlowState) { s.Step = stepTaskWait }), woke},
		{"an instance's task that waits, with an identity", instance(func(s *wire.FlowState) { s.Step, s.Record = stepTaskWait, goodState("", wire.ProfileBiscuit).Record }), woke},
		{"no instance", instance(func(s *wire.FlowState) { s.Step, s.Record = stepClearBackoff, nil }), done},
	} {
		c.event.Now = forgedNow
		c.event.Config, c.event.Credentials, c.event.Surface = &wire.Config{BaseURL: "https://chatgpt.com"}, &wire.Credentials{Kind: wire.CredentialsNone}, SurfaceModels
		next, err := Step(wire.FlowStepParams{State: c.state, Event: c.event})
		if Code(err) != CodeInvalidState || next.State != nil || next.Effect.Type != "" {
			t.Errorf("%s: %+v, %v", c.name, next.Effect, err)
		}
	}
	// An answer that the identity or the profile is no longer there for ends the flow.
	for name, state := range map[string][]byte{
		"a task for nobody":   state(func(s *wire.FlowState) { s.Step, s.Record = stepTask, nil }),
		"a task for a wreck":  state(func(s *wire.FlowState) { s.Step, s.Record = stepTask, []byte("{") }),
		"an instance's task":  instance(func(s *wire.FlowState) { s.Step = stepTask }),
		"a task for no agent": instance(func(s *wire.FlowState) { s.Step, s.Record = stepTask, goodState("", wire.ProfileBiscuit).Record }),
	} {
		event := granted
		event.Now = forgedNow
		next, err := Step(wire.FlowStepParams{State: state, Event: event})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var s wire.FlowState
		if err := wire.Decode(next.State, &s); err != nil || next.Effect.Type != wire.EffectEntropy || s.Result.Cause.Code != CodeInvalidState {
			t.Errorf("%s: %+v, %+v, %v", name, next.Effect, s.Result, err)
		}
	}
	for _, c := range []struct {
		name  string
		state []byte
		event wire.FileEvent
	}{
		{"a byte before the start", []byte{0}, wire.FileEvent{Type: wire.FileEventStart, Operation: wire.FileOperationCredentials}},
		{"no step", wire.Encode(&wire.FileState{}), wire.FileEvent{Type: wire.FileEventDone}},
		{"no step before the start", wire.Encode(&wire.FileState{}), wire.FileEvent{Type: wire.FileEventStart, Operation: wire.FileOperationCredentials}},
		{"an unknown step", wire.Encode(&wire.FileState{Step: "x"}), wire.FileEvent{Type: wire.FileEventDone}},
		{"an unknown step of a record", wire.Encode(&wire.FileState{Step: "record-x"}), wire.FileEvent{Type: wire.FileEventDone}},
		{"an unknown step of a thread", wire.Encode(&wire.FileState{Step: "thread-x"}), wire.FileEvent{Type: wire.FileEventFailed}},
	} {
		c.event.Now = forgedNow
		next, err := FileStep(wire.FileStepParams{State: c.state, Event: c.event})
		if Code(err) != CodeInvalidState || next.State != nil || next.Effect.Type != "" {
			t.Errorf("file: %s: %+v, %v", c.name, next.Effect, err)
		}
	}
}

// A failure that the host does not name is one.
func TestFileFailureWithoutAName(t *testing.T) {
	first, err := FileStep(wire.FileStepParams{Event: wire.FileEvent{Type: wire.FileEventStart, Now: forgedNow, Operation: wire.FileOperationCredentials}})
	if err != nil {
		t.Fatal(err)
	}
	next, err := FileStep(wire.FileStepParams{State: first.State, Event: wire.FileEvent{Type: wire.FileEventFailed, Now: forgedNow}})
	if err != nil || next.Effect.Result == nil || next.Effect.Result.Error == nil || next.Effect.Result.Error.Code != CodeFileUnreadable {
		t.Errorf("%+v, %v", next.Effect.Result, err)
	}
}

// What another assertion is made from has nothing in it that was used up.
func TestSignedStateHoldsNothingElse(t *testing.T) {
	for profile, secrets := range map[string][]string{
		wire.ProfileBiscuit:   {"a-token", "agent_private_key"},
		wire.ProfileInstances: {"entropy-16-bytes", "agent_private_key"},
	} {
		s := goodState(stepClearBackoff, profile)
		s.Credentials.AccessToken, s.Entropy = "a-token", []byte("entropy-16-bytes")
		if s.Record = setRecordTaskOf(t, s.Record); profile == wire.ProfileInstances {
			s.Record = goodState("", profile).Record
		}
		next, err := Step(wire.FlowStepParams{State: wire.Encode(&s), Event: wire.Event{Type: wire.EventDone, Now: forgedNow}})
		if err != nil || next.Effect.Type != wire.EffectDone {
			t.Fatalf("%q: %+v, %v", profile, next.Effect, err)
		}
		for _, secret := range append(secrets, Scheme+" ", "1.ey") {
			if bytes.Contains(next.State, []byte(secret)) {
				t.Errorf("%q: the state has %q", profile, secret)
			}
		}
		for range 3 {
			another, err := Step(wire.FlowStepParams{State: next.State, Event: wire.Event{Type: wire.EventAgain, Now: forgedNow + 1, Entropy: []byte("entropy-16-bytes")}})
			if err != nil || another.State != nil || another.Effect.Authorization.Header == "" {
				t.Fatalf("%q: %+v, %v", profile, another.Effect, err)
			}
		}
	}
}

func setRecordTaskOf(t *testing.T, record []byte) []byte {
	t.Helper()
	record, err := setRecordTask(record, "task-1")
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// An assertion that cannot be made is an error, and no header.
func TestAgainWithoutATask(t *testing.T) {
	for name, change := range map[string]func(*wire.Authorization){
		CodeInvalidTaskID:         func(a *wire.Authorization) { a.TaskID = "" },
		CodeInvalidAgentRuntimeID: func(a *wire.Authorization) { a.AgentRuntimeID = "a:b" },
	} {
		s := goodSigned()
		change(&s.Answer)
		next, err := Step(wire.FlowStepParams{State: wire.Encode(&s), Event: wire.Event{Type: wire.EventAgain, Now: forgedNow}})
		if Code(err) != name || next.Effect.Type != "" {
			t.Errorf("%+v, %v", next.Effect, err)
		}
	}
}

// goodSigned is the state of a flow that has ended with the assertion of a task.
func goodSigned() wire.SignedState {
	return wire.SignedState{
		Key: forgedKey().signer.bytes(),
		Answer: wire.Authorization{
			Mode: ModeAgentAssertion, Reason: ReasonBackgroundTask, AccountID: "a", AgentRuntimeID: "agent-1", TaskID: "task-1", ValidUntil: forgedNow,
		},
	}
}

// What an answer says of the time is so at the time of the answer.
func TestAgainInTime(t *testing.T) {
	const expires = forgedNow + 10
	dual := goodSigned()
	dual.Answer.Mode, dual.Answer.AgentRuntimeID, dual.Answer.TaskID, dual.Answer.RuntimeAgentInstance = ModeDualHeader, "", "", "rai-1"
	dual.AccessToken, dual.Expires = "t", expires
	routed := goodSigned()
	routed.From, routed.Until = forgedNow, forgedNow+routingLifetime
	for _, tt := range []struct {
		state  wire.SignedState
		now    int64
		notice bool
		code   string
	}{
		{state: dual, now: expires - 1},
		{state: dual, now: expires, notice: true},
		{state: dual, now: expires + 1, notice: true},
		{state: dual, now: expires - 1},
		{state: routed, now: forgedNow - 1, code: CodeStateExpired},
		{state: routed, now: forgedNow},
		{state: routed, now: forgedNow + routingLifetime - 1},
		{state: routed, now: forgedNow + routingLifetime, code: CodeStateExpired},
		{state: routed, now: maxTime + 1, code: CodeInvalidTime},
		{state: routed, now: minTime - 1, code: CodeInvalidTime},
	} {
		next, err := Step(wire.FlowStepParams{State: wire.Encode(&tt.state), Event: wire.Event{Type: wire.EventAgain, Now: tt.now, Entropy: make([]byte, 16)}})
		if Code(err) != tt.code {
			t.Fatalf("at %d: %v, want the code %q", tt.now-forgedNow, err, tt.code)
		}
		if err != nil {
			continue
		}
		a := next.Effect.Authorization
		if a.ValidUntil != tt.now || (a.Notice != nil) != tt.notice || tt.notice && a.Notice.Code != CodeAccessTokenExpired {
			t.Errorf("at %d: %+v", tt.now-forgedNow, a)
		}
	}
}

// The end of a flow is no step of one, and a step no end.
func TestEndsAndSteps(t *testing.T) {
	end, step := goodSigned(), goodState(stepLoadIdentity, wire.ProfileBiscuit)
	for _, tt := range []struct {
		name  string
		state wire.Message
		event string
	}{{"an end", &end, wire.EventLoaded}, {"an end that fails", &end, wire.EventFailed}, {"a step", &step, wire.EventAgain}} {
		next, err := Step(wire.FlowStepParams{State: wire.Encode(tt.state), Event: wire.Event{Type: tt.event, Now: forgedNow, Failure: wire.FailureStore}})
		if Code(err) != CodeUnexpectedEvent || next.Effect.Type != "" {
			t.Errorf("%s: %+v, %v", tt.name, next.Effect, err)
		}
	}
}

// FuzzFlowState: whatever a state says, no step fails by itself, and none asks for nothing.
func FuzzFlowState(f *testing.F) {
	for i, step := range slices.Sorted(maps.Keys(answers)) {
		for j, profile := range []string{wire.ProfileBiscuit, wire.ProfileAuthAPI, wire.ProfileInstances} {
			s := goodState(step, profile)
			f.Add([]byte(nil), step, profile, SurfaceModels, s.Config.BaseURL, s.PrivateKey, s.Record, []byte(`{"a":{"failures":1,"retry_at":"2026-11-24T15:17:08Z"}}`), int64(i), byte(i*3+j))
		}
	}
	s := goodSigned()
	f.Add(wire.Encode(&s), "", "", "", "", "", []byte(nil), []byte(nil), int64(0), byte(0))
	f.Add([]byte("\xa1dstepfsigned"), "", "", "", "", "", []byte(nil), []byte(nil), int64(0), byte(0))
	f.Fuzz(func(t *testing.T, raw []byte, step, profile, surface, base, key string, record, other []byte, n int64, flags byte) {
		s := goodState(step, profile)
		s.Surface, s.Config.BaseURL, s.PrivateKey, s.Record, s.Backoff, s.Backend, s.Thread = surface, base, key, record, other, other, other
		s.Tries, s.RetryAfter, s.Swaps = n, n, n
		if flags&1 > 0 {
			s.ThreadID = key
		}
		if flags&2 > 0 {
			s.Result, s.Config.Instance = nil, nil
		}
		if flags&4 > 0 {
			s.Locked, s.Loaded, s.RequestID, s.Entropy = nil, nil, nil, nil
		}
		if flags&8 > 0 {
			s.Registered, s.Granted, s.GrantedTo = other, key, key
		}
		if flags&16 > 0 {
			s.Unknown = "agent-1"
		}
		if flags&32 > 0 {
			s.Credentials.Kind = wire.CredentialsAgentIdentity
		}
		g, p := NewGuest(), wire.FlowStepParams{State: wire.Encode(&s)}
		if len(raw) > 0 {
			p.State = raw
		}
		for i := range 40 {
			var now wire.FlowState
			if wire.Decode(p.State, &now) != nil {
				now.Step = step
			}
			p.Event = answer(now.Step)
			p.Event.Record = [][]byte{record, other}[i%2]
			if flags>>(i%8)&1 > 0 {
				p.Event = wire.Event{Type: wire.EventFailed, Now: forgedNow, Failure: []string{wire.FailureStore, wire.FailureReadOnly, wire.FailureChanged}[i%3]}
			}
			next, ok := checkStep(t, g, p)
			if !ok || next.State == nil {
				return
			}
			p.State = next.State
		}
	})
}
