package policy_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/policy"
	"github.com/agentassert/agentassert/testvectors"
)

func TestVectors(t *testing.T) {
	files, err := testvectors.LoadHosts()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for _, v := range f.Vectors {
			t.Run(v.ID, func(t *testing.T) {
				want := ""
				if v.Error != nil {
					want = v.Error.Code
				}
				q := decode[policy.Question](t, v.Params)
				if err := q.Ask(); core.Code(err) != want {
					t.Errorf("got %v, want the code %q: %s", err, want, v.Comment)
				}
				// What is refused is the last effect, and none before it.
				for n := range q.Before {
					before := q
					before.Before, before.Effect = q.Before[:n], q.Before[n].Effect
					if err := before.Ask(); err != nil {
						t.Errorf("effect %d before it: %v", n, err)
					}
				}
			})
		}
	}
}

// What the module has sent may be a secret, and is in no error.
func TestErrorsShowNothing(t *testing.T) {
	const secret = "MFECAQEwBQYDK2VwBCIEI"
	c := policy.Call{
		Config:      wire.Config{BaseURL: "https://chatgpt.com/backend-api", AgentIdentity: true},
		Surface:     core.SurfaceApps,
		Credentials: wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "token", AccountID: "acct-1"},
	}
	for _, e := range []wire.Effect{
		{Type: secret}, {Type: wire.EffectLoad, Slot: secret}, {Type: wire.EffectSave, Slot: secret},
		{Type: wire.EffectHTTP, URL: secret, Method: secret, TimeoutMS: 1, SizeLimit: 1},
		{Type: wire.EffectHTTP, URL: c.Config.BaseURL + "/authenticate_app_v2", Method: "GET", TimeoutMS: 1, SizeLimit: 1, Headers: []wire.Header{{Name: secret, Value: secret}}},
		{Type: wire.EffectHTTP, ResponseHeaders: []string{secret}, TimeoutMS: 1, SizeLimit: 1},
	} {
		flow := policy.New(c)
		if e.Type == wire.EffectHTTP {
			if err := flow.Effect(wire.Effect{Type: wire.EffectLock, Slot: wire.SlotIdentity}); err != nil {
				t.Fatal(err)
			}
		}
		err := flow.Effect(e)
		if core.Code(err) != policy.CodeViolation || strings.Contains(err.Error(), secret) {
			t.Errorf("%+v: got %v", e, err)
		}
	}
	for _, a := range []wire.Authorization{
		{Mode: secret}, {Reason: secret}, {Header: secret}, {AccountID: secret}, {Cause: &wire.Error{Code: secret}},
	} {
		if err := policy.New(c).Answer(a, 0); core.Code(err) != policy.CodeViolation || strings.Contains(err.Error(), secret) {
			t.Errorf("%+v: got %v", a, err)
		}
	}
}

// The largest record is let pass, and none beyond it.
func TestRecords(t *testing.T) {
	c := policy.Call{
		Config:      wire.Config{BaseURL: "https://chatgpt.com/backend-api", AgentIdentity: true},
		Surface:     core.SurfaceApps,
		Credentials: wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "token", AccountID: "acct-1"},
	}
	const most = 512 << 10
	for size, want := range map[int]string{most: "", most + 1: policy.CodeViolation} {
		record := make([]byte, size)
		for name, e := range map[string]wire.Effect{
			"save":     {Type: wire.EffectSave, Slot: wire.SlotBackoff, Record: record},
			"swap":     {Type: wire.EffectSwap, Slot: wire.SlotIdentity, Record: record},
			"expected": {Type: wire.EffectSwap, Slot: wire.SlotIdentity, Record: []byte("{}"), Expected: record},
		} {
			if err := policy.New(c).Effect(e); core.Code(err) != want {
				t.Errorf("%s of %d bytes: got %v, want the code %q", name, size, err, want)
			}
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"the store failed":              "the store failed",
		"a\x1b[2J\x07b":                 "a\ufffd[2J\ufffdb",
		"a\nb\u2028":                    "a\ufffdb\u2028",
		"\u202egpj.exe":                 "\ufffdgpj.exe",
		"a\xffb":                        "a\ufffdb",
		strings.Repeat("é", 2048):       strings.Repeat("é", 2048),
		strings.Repeat("é", 2048) + "x": strings.Repeat("é", 2048) + "…",
		"x" + strings.Repeat("é", 2048): "x" + strings.Repeat("é", 2047) + "…",
	} {
		if got := policy.Text(in); got != want {
			t.Errorf("Text(%.40q) = %.80q, want %.80q", in, got, want)
		}
	}
}

// FuzzEffect holds the policy to what no flow may do, whatever the module says: what
// passes goes to the configured backend, has the access token in its own place or not
// at all, and names no slot but the call's.
func FuzzEffect(f *testing.F) {
	files, err := testvectors.LoadHosts()
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range files[0].Vectors {
		encoded, err := testvectors.Encode(v.Params)
		if err != nil {
			f.Fatal(err)
		}
		if len(encoded) < 16<<10 {
			f.Add(encoded)
		}
	}
	slots := []string{wire.SlotIdentity, wire.SlotBackoff, wire.SlotBackend, wire.SlotSetAside, wire.SlotInstance, wire.SlotWorkspace}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		var p policy.Question
		if cbor.Unmarshal(encoded, &p) != nil {
			return
		}
		base, err := core.NormalizeBaseURL(p.Config.BaseURL, p.Config.TrustedHosts)
		if err != nil {
			return
		}
		p.Config.BaseURL = base.BaseURL
		flow := policy.New(policy.Call{Config: p.Config, Surface: p.Surface, ThreadID: p.ThreadID, Entropy: p.Entropy, Credentials: p.Credentials})
		for _, b := range p.Before {
			if flow.Effect(b.Effect) == nil {
				flow.Answered(b.Effect, wire.Event{Type: wire.EventResponse, Headers: b.ResponseHeaders})
			}
		}
		if a := p.Effect.Authorization; a != nil && flow.Answer(*a, p.Now) == nil {
			checkAnswer(t, p, *a)
		}
		e := p.Effect
		if flow.Effect(e) != nil {
			return
		}
		accounts := e.Type == wire.EffectHTTP && e.URL == p.Config.BaseURL+"/wham/accounts/check"
		routing := p.Config.WorkspaceRouting && p.Surface == core.SurfaceResponses && (accounts || e.Slot == wire.SlotWorkspace)
		if !p.Config.AgentIdentity && !routing {
			t.Errorf("an effect while the feature is off: %+v", e)
		}
		if e.Type == wire.EffectHTTP {
			checkRequest(t, p, e)
		} else if e.Slot != "" && e.Slot != wire.SlotThread+p.ThreadID {
			known := false
			for _, s := range slots {
				known = known || s == e.Slot
			}
			if !known {
				t.Errorf("the slot %q passes", e.Slot)
			}
		}
		if e.Size > 64 || e.Type == wire.EffectEntropy && e.Size < 1 || len(e.Record) > 512<<10 {
			t.Errorf("a size passes: %d, %d", e.Size, len(e.Record))
		}
	})
}

func checkRequest(t *testing.T, p policy.Question, e wire.Effect) {
	t.Helper()
	registrar, err := core.RegistrarURL(p.Config, p.Credentials)
	if err != nil || registrar == "" {
		t.Fatal("a request passes, with nowhere to register")
	}
	_, below, _ := core.LocateSurface(p.Config.BaseURL, e.URL)
	if !below && !strings.HasPrefix(e.URL, registrar+"/v1/agent/") && e.URL != registrar+"/agent/register" {
		t.Errorf("a request to %q passes", e.URL)
	}
	for _, h := range e.Headers {
		isInstance := p.Config.Profile == wire.ProfileInstances && below && strings.HasPrefix(h.Value, "AgentAssertion 1.")
		if h.Name == "authorization" && h.Value != "Bearer "+p.Credentials.AccessToken && !isInstance {
			t.Errorf("the authorization %q passes", h.Value)
		}
	}
	if e.TimeoutMS < 1 || e.TimeoutMS > 30_000 || e.SizeLimit < 1 || e.SizeLimit > 64<<10 || len(e.Body) > 80<<10 {
		t.Errorf("a bound passes: %d ms, %d, %d", e.TimeoutMS, e.SizeLimit, len(e.Body))
	}
}

func checkAnswer(t *testing.T, p policy.Question, a wire.Authorization) {
	t.Helper()
	switch {
	case a.Header == "" && a.Mode == core.ModeNone:
	case a.Header == "" && a.Mode == core.ModeDualHeader && p.Credentials.Kind == wire.CredentialsAPIKey:
	case a.Header == "Bearer "+p.Credentials.AccessToken && p.Credentials.AccessToken != "":
	case strings.HasPrefix(a.Header, "AgentAssertion ") && p.Config.AgentIdentity:
	default:
		t.Errorf("the header %q passes in mode %q", a.Header, a.Mode)
	}
	if strings.ContainsAny(a.Header, "\r\n") || !utf8.ValidString(a.Header) || a.ValidUntil != p.Now {
		t.Errorf("the answer %q passes", a.Header)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x1b[2J\u202e\xff")
	f.Fuzz(func(t *testing.T, message string) {
		text := policy.Text(message)
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\x07\x1b\r\n\x7f") || len(text) > 4096+len("…")+8 {
			t.Errorf("Text(%q) = %q", message, text)
		}
	})
}
