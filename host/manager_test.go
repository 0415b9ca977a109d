package host_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

// requestsPerRegistration are those of an identity with its task.
const requestsPerRegistration = 4

// countingEngine counts calls.
type countingEngine struct {
	host.Engine
	calls atomic.Int64
}

func (e *countingEngine) Call(ctx context.Context, request []byte) ([]byte, error) {
	e.calls.Add(1)
	return e.Engine.Call(ctx, request)
}

// call sends a backend call with an authorization, and returns what the
// authority made of it.
func (w *world) call(t testing.TB, a host.Authorization) (status int, body map[string]any) {
	t.Helper()
	response := w.answer(t, a)
	text, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil {
		t.Fatalf("the authority answered %q: %v", text, err)
	}
	return response.StatusCode, body
}

// answer is what the authority answers to a call.
func (w *world) answer(t testing.TB, a host.Authorization) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, baseURL+"/codex/models", nil)
	a.SetHeaders(r.Header)
	return serve(w.authority, r)
}

// checkVerified lets the authority verify an assertion.
func (w *world) checkVerified(t testing.TB, a host.Authorization) {
	t.Helper()
	status, body := w.call(t, a)
	if status != http.StatusOK || body["scheme"] != "agent-assertion" ||
		body["agent_runtime_id"] != a.AgentRuntimeID || body["task_id"] != a.TaskID || body["account_id"] != a.AccountID {
		t.Fatalf("the authority answered %d %v to %+v", status, body, a)
	}
}

func TestManagerRegistersOnce(t *testing.T) {
	for name, engine := range engines(t) {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.engine = engine
			m := manager(t, w.config())
			first := ask(t, m)
			checkAssertion(t, first)
			w.checkVerified(t, first)
			checkCount(t, "requests of the first call", w.network.count(), requestsPerRegistration)
			for _, s := range core.Surfaces() {
				if s.Scope != core.ScopeBackground {
					continue
				}
				for range 2 {
					w.clock.advance(time.Second)
					a, err := m.Authorization(context.Background(), s.Name)
					if err != nil {
						t.Fatalf("%s: %v", s.Name, err)
					}
					w.checkVerified(t, a)
					if a.AgentRuntimeID != first.AgentRuntimeID || a.TaskID != first.TaskID {
						t.Errorf("%s: got %s, %s; want %s, %s", s.Name, a.AgentRuntimeID, a.TaskID, first.AgentRuntimeID, first.TaskID)
					}
				}
			}
			// As a program that starts again.
			w.checkVerified(t, ask(t, manager(t, w.config())))
			checkCount(t, "requests in all", w.network.count(), requestsPerRegistration)
			checkCounts(t, w.authority, 1, 1)
		})
	}
}

// The engines must come to the same end from the same entropy and clock.
func TestManagerSameWithEveryEngine(t *testing.T) {
	var records, headers []string
	for _, engine := range engines(t) {
		w := newWorld()
		w.engine = engine
		headers = append(headers, ask(t, manager(t, w.config())).Header())
		records = append(records, string(w.load(t, wire.SlotIdentity)))
	}
	if headers[0] != headers[1] || records[0] != records[1] {
		t.Errorf("the engines differ: headers %q, records of %d and %d bytes", headers, len(records[0]), len(records[1]))
	}
}

// The signature is checked with the standard library, the key taken from what
// was registered: nothing of the project's own vouches for it.
func TestManagerSignatureVerifies(t *testing.T) {
	w := newWorld()
	a := ask(t, manager(t, w.config()))

	var registration struct {
		PublicKey string `json:"agent_public_key"`
	}
	if err := json.Unmarshal([]byte(w.network.bodies[1]), &registration); err != nil {
		t.Fatal(err)
	}
	blob, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(registration.PublicKey, "ssh-ed25519 "))
	if err != nil || len(blob) < ed25519.PublicKeySize {
		t.Fatalf("registered key %q: %v", registration.PublicKey, err)
	}
	key := ed25519.PublicKey(blob[len(blob)-ed25519.PublicKeySize:])

	encoded, ok := strings.CutPrefix(a.Header(), "AgentAssertion ")
	if !ok {
		t.Fatalf("got header %q, want scheme AgentAssertion", a.Header())
	}
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	var envelope struct {
		AgentRuntimeID string `json:"agent_runtime_id"`
		Signature      []byte `json:"signature"`
		TaskID         string `json:"task_id"`
		Timestamp      string `json:"timestamp"`
	}
	if err := json.Unmarshal(text, &envelope); err != nil {
		t.Fatal(err)
	}
	if want := start.Format(time.RFC3339); envelope.Timestamp != want {
		t.Errorf("got timestamp %s, want %s", envelope.Timestamp, want)
	}
	signed := envelope.AgentRuntimeID + ":" + envelope.TaskID + ":" + envelope.Timestamp
	if !ed25519.Verify(key, []byte(signed), envelope.Signature) {
		t.Errorf("the signature of %q does not verify", signed)
	}
}

// The real client's file, its header, and no network. What later clients want of the
// identity is added once, and all else stays.
func TestManagerContinuesTheReferenceClient(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "testvectors", "captures", "enabled.auth.json"))
	if err != nil {
		t.Fatal(err)
	}
	const task = "\n    \"background_task_id\": \"task-4\""
	completed := strings.Replace(string(document), task, task+`,
    "account_id": "acct-1",
    "plan_type": "pro",
    "chatgpt_account_is_fedramp": false,
    "task_id": "task-4"`, 1)
	for name, engine := range engines(t) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "auth.json")
			if err := os.WriteFile(path, document, 0o600); err != nil {
				t.Fatal(err)
			}
			file := authfile.New(path)
			w := newWorld()
			c := w.config()
			c.Engine, c.Store, c.Credentials = engine, file, file
			for range 2 {
				a := ask(t, manager(t, c))
				checkAssertion(t, a)
				if a.Header() != assertion {
					t.Errorf("got %s, want the captured header %s", a.Header(), assertion)
				}
				if after, err := os.ReadFile(path); err != nil || string(after) != completed {
					t.Errorf("got %s, %v; want %s", after, err, completed)
				}
			}
			checkCount(t, "requests", w.network.count(), 0)
		})
	}
}

func TestManagerReusesAHeaderWithinItsSecond(t *testing.T) {
	w := newWorld()
	engine := &countingEngine{Engine: w.engine}
	w.engine = engine
	m := manager(t, w.config())
	timestamp := func(a host.Authorization) string {
		t.Helper()
		i, err := core.ParseAssertion(a.Header())
		if err != nil {
			t.Fatal(err)
		}
		return i.Envelope.Timestamp
	}
	for _, at := range []time.Duration{0, time.Second, time.Minute, -time.Hour, 0} {
		w.clock.set(start.Add(at))
		fresh := ask(t, m)
		if got, want := timestamp(fresh), w.clock.Now().Format(time.RFC3339); got != want {
			t.Errorf("clock moved by %v: got timestamp %s, want %s", at, got, want)
		}
		if !fresh.ValidUntil.Equal(w.clock.Now()) {
			t.Errorf("clock moved by %v: got ValidUntil %v, want %v", at, fresh.ValidUntil, w.clock.Now())
		}
		calls := engine.calls.Load()
		if again := ask(t, m); again != fresh {
			t.Errorf("clock moved by %v: got %v at first, then %v", at, fresh, again)
		}
		if got := engine.calls.Load(); got != calls {
			t.Errorf("clock moved by %v: the second call ran the engine %d times", at, got-calls)
		}
	}
}

// identityFor is a stored identity that can be used.
func identityFor(account, user string) []byte {
	return []byte(`{"workspace_id":"` + account + `","chatgpt_user_id":"` + user + `","agent_runtime_id":"agent-1",` +
		`"agent_private_key":"` + privateKey + `","background_task_id":"task-1"}`)
}

func TestManagerDecides(t *testing.T) {
	type setup struct {
		*world
		config      *host.ManagerConfig
		credentials *host.Credentials
	}
	const (
		assert = core.ModeAgentAssertion
		bearer = core.ModeBearer
		none   = core.ModeNone
	)
	nothing := func(setup) {}
	noToken := func(s setup) { s.credentials.AccessToken = "" }
	for _, tt := range []struct {
		name    string
		surface string
		change  func(setup)

		mode, reason, account, cause string
		requests                     int
	}{
		// Rule 1.
		{"nobody is signed in", core.SurfaceApps, func(s setup) { *s.credentials = host.Credentials{Kind: wire.CredentialsNone} },
			none, core.ReasonNoChatGPTCredentials, "", "", 0},
		{"API key", core.SurfaceApps, func(s setup) { s.credentials.Kind = wire.CredentialsAPIKey },
			none, core.ReasonNoChatGPTCredentials, "", "", 0},
		{"another kind", core.SurfaceBootstrap, func(s setup) { s.credentials.Kind = wire.CredentialsOther },
			none, core.ReasonNoChatGPTCredentials, "", "", 0},
		// Rule 2.
		{"bearer-only surface", core.SurfaceBootstrap, nothing,
			bearer, core.ReasonBearerOnlySurface, "acct-1", "", 0},
		// Rule 3.
		{"gate off", core.SurfaceApps, func(s setup) { s.config.AgentIdentity = false },
			bearer, core.ReasonFeatureOff, "acct-1", "", 0},
		// Rule 4.
		{"unsupported host", core.SurfaceApps, func(s setup) { s.config.BaseURL = "http://127.0.0.1:8080" },
			bearer, core.ReasonUnsupportedHost, "acct-1", "", 0},
		{"trusted host", core.SurfaceApps, func(s setup) {
			s.config.BaseURL, s.config.TrustedHosts = "http://127.0.0.1:8080", []string{"127.0.0.1"}
		}, assert, core.ReasonBackgroundTask, "acct-1", "", requestsPerRegistration},
		// Rule 5.
		{"no account", core.SurfaceApps, func(s setup) { s.credentials.AccountID = "" },
			bearer, core.ReasonNoAccountID, "", "", 0},
		{"forced workspace", core.SurfaceApps, func(s setup) { s.config.ForcedWorkspaceIDs = []string{"acct-2"} },
			assert, core.ReasonBackgroundTask, "acct-2", "", requestsPerRegistration},
		// Rule 6.
		{"registered now", core.SurfaceApps, nothing,
			assert, core.ReasonBackgroundTask, "acct-1", "", requestsPerRegistration},
		{"stored", core.SurfaceApps, func(s setup) { s.save(t, identityFor("acct-1", "user-1")) },
			assert, core.ReasonBackgroundTask, "acct-1", "", 0},
		{"stored, no access token", core.SurfaceApps, func(s setup) {
			noToken(s)
			s.save(t, identityFor("acct-1", "user-1"))
		}, assert, core.ReasonBackgroundTask, "acct-1", "", 0},
		{"another workspace's is stored", core.SurfaceApps, func(s setup) { s.save(t, identityFor("acct-9", "user-1")) },
			assert, core.ReasonBackgroundTask, "acct-1", "", requestsPerRegistration},
		{"another user's is stored", core.SurfaceApps, func(s setup) { s.save(t, identityFor("acct-1", "user-9")) },
			assert, core.ReasonBackgroundTask, "acct-1", "", requestsPerRegistration},
		// Rule 7.
		{"registration refused", core.SurfaceApps, func(s setup) { s.authority.RefuseRegistration(http.StatusForbidden) },
			bearer, core.ReasonRegistrationFailed, "acct-1", core.CodeHTTPStatus, 1},
		{"store failed", core.SurfaceApps, func(s setup) {
			s.config.Store = &faultyStore{Store: s.store, faults: map[string]fault{"lock identity": failing}}
		}, bearer, core.ReasonStoreFailed, "acct-1", core.CodeStoreFailed, 0},
		{"foreign identity", core.SurfaceApps, func(s setup) { s.save(t, []byte(`"eyJhbGciOi.J.W.T"`)) },
			bearer, core.ReasonStoreFailed, "acct-1", core.CodeUnreadableIdentity, 0},
		// Rule 8.
		{"bearer-only, no access token", core.SurfaceBootstrap, noToken,
			none, core.ReasonNoAccessToken, "acct-1", "", 0},
		{"gate off, no access token", core.SurfaceApps, func(s setup) { noToken(s); s.config.AgentIdentity = false },
			none, core.ReasonNoAccessToken, "acct-1", "", 0},
		{"to be registered, no access token", core.SurfaceApps, noToken,
			none, core.ReasonNoAccessToken, "acct-1", core.CodeNoAccessToken, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			config, credentials := w.config(), w.credentials()
			tt.change(setup{w, &config, &credentials})
			config.Credentials = fixed(credentials)
			a, err := manager(t, config).Authorization(context.Background(), tt.surface)
			if err != nil {
				t.Fatal(err)
			}
			check(t, a, tt.mode, tt.reason, tt.cause)
			if a.AccountID != tt.account {
				t.Errorf("got account %q, want %q", a.AccountID, tt.account)
			}
			checkCount(t, "requests", w.network.count(), tt.requests)
			checkHeaders(t, a, credentials)
			checkAuthorizationHidden(t, w.secrets(t), a)
		})
	}
}

// checkHeaders checks what an authorization puts into a request that had
// something there before.
func checkHeaders(t *testing.T, a host.Authorization, c host.Credentials) {
	t.Helper()
	h := http.Header{}
	h.Set("Authorization", "stale")
	h.Set("ChatGPT-Account-ID", "stale")
	h.Set("Accept", "*/*")
	a.SetHeaders(h)
	account := a.AccountID
	switch a.Mode {
	case core.ModeNone:
		account = ""
		if a.Header() != "" {
			t.Errorf("mode none has header %q", a.Header())
		}
	case core.ModeBearer:
		if want := "Bearer " + c.AccessToken; a.Header() != want {
			t.Errorf("got header %q, want %q", a.Header(), want)
		}
	case core.ModeAgentAssertion:
		if _, err := core.ParseAssertion(a.Header()); err != nil {
			t.Errorf("header %q: %v", a.Header(), err)
		}
	}
	authorization := a.Header()
	if c.Kind == wire.CredentialsAPIKey {
		authorization = "stale" // it is the caller's, who has the key
	}
	if got := h.Get("Authorization"); got != authorization {
		t.Errorf("got Authorization %q, want %q", got, authorization)
	}
	if got := h.Get("ChatGPT-Account-ID"); got != account {
		t.Errorf("got ChatGPT-Account-ID %q, want %q", got, account)
	}
	if got := h.Get("Accept"); got != "*/*" {
		t.Errorf("got Accept %q, want it left alone", got)
	}
}

func (w *world) save(t testing.TB, identity []byte) {
	t.Helper()
	if err := w.store.Save(context.Background(), wire.SlotIdentity, identity); err != nil {
		t.Fatal(err)
	}
}

// A foreign identity is not ours to replace.
func TestManagerLeavesForeignIdentities(t *testing.T) {
	w := newWorld()
	foreign := []byte(`{"kind":"later","secret":"value"}`)
	w.save(t, foreign)
	check(t, ask(t, manager(t, w.config())), core.ModeBearer, core.ReasonStoreFailed, core.CodeUnreadableIdentity)
	if got := w.load(t, wire.SlotIdentity); !bytes.Equal(got, foreign) {
		t.Errorf("got %s, want it left as it was: %s", got, foreign)
	}
}

// Why there are no credentials is said with each call that goes out without, also
// with a turn, which is no error all the same.
func TestCredentialsWithAProblem(t *testing.T) {
	for _, code := range []string{core.CodeNotSignedIn, core.CodeFileMissing, core.CodeAPIKeySignIn} {
		t.Run(code, func(t *testing.T) {
			w := newWorld()
			c := w.config()
			c.Credentials = fixed(host.Credentials{Kind: wire.CredentialsNone, Problem: &wire.Error{Code: code, Message: "what to do"}})
			m := manager(t, c)
			bearer, err := m.Bearer(context.Background())
			checkCode(t, err, "")
			for _, a := range []host.Authorization{ask(t, m), askThread(t, m.Thread("thread-1")), bearer} {
				check(t, a, core.ModeNone, core.ReasonNoChatGPTCredentials, code)
				if a.Cause.Error() != "what to do" || a.Header() != "" {
					t.Errorf("got cause %v, and a header of %d bytes", a.Cause, len(a.Header()))
				}
			}
			checkCount(t, "requests", w.network.count(), 0)
		})
	}
}

// An access token that has expired is sent all the same: the notice says why it may
// not do.
func TestExpiredAccessToken(t *testing.T) {
	token := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	expired := token(fmt.Sprintf(`{"exp":%d}`, start.Add(-time.Hour).Unix()))
	off := func(c *host.ManagerConfig) { c.AgentIdentity = false }
	on := func(*host.ManagerConfig) {}
	for name, tt := range map[string]struct {
		token  string
		change func(*host.ManagerConfig)
		notice string
	}{
		"expired":                  {expired, off, core.CodeAccessTokenExpired},
		"expired, host not served": {expired, func(c *host.ManagerConfig) { c.BaseURL = "https://elsewhere.example" }, core.CodeAccessTokenExpired},
		"expires now":              {token(fmt.Sprintf(`{"exp":%d}`, start.Unix())), off, core.CodeAccessTokenExpired},
		"good for a second":        {token(fmt.Sprintf(`{"exp":%d}`, start.Unix()+1)), off, ""},
		"does not say":             {token(`{}`), off, ""},
		"no JWT":                   {"opaque", off, ""},
		"registration refused":     {expired, on, core.CodeAccessTokenExpired},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.session.AccessToken = tt.token // of which the authority knows nothing
			c := w.config()
			tt.change(&c)
			a := ask(t, manager(t, c))
			if a.Mode != core.ModeBearer || core.Code(a.Notice) != tt.notice {
				t.Errorf("got %v, notice %v; want bearer, %q", a, a.Notice, tt.notice)
			}
			if name == "expired" && !strings.Contains(a.Notice.Error(), "expired 1 h ago") {
				t.Errorf("got notice %v", a.Notice)
			}
			if r := row(t, w.status(t, c), core.SurfaceModels, ""); core.Code(r.Notice) != core.Code(a.Notice) && !r.Registers {
				t.Errorf("the status has notice %v, the call %v", r.Notice, a.Notice)
			}
			checkHidden(t, []string{tt.token}, a)
		})
	}
}

func TestManagerBearer(t *testing.T) {
	w := newWorld()
	m := manager(t, w.config())
	checkAssertion(t, ask(t, m))
	a, err := m.Bearer(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	check(t, a, core.ModeBearer, core.ReasonBearerOnlySurface, "")
	if want := "Bearer " + w.session.AccessToken; a.Header() != want {
		t.Errorf("got %q, want %q", a.Header(), want)
	}
	// One scope's answer must not become another's.
	checkAssertion(t, ask(t, m))
}

func TestManagerFollowsTheCredentials(t *testing.T) {
	w := newWorld()
	current := w.credentials()
	c := w.config()
	c.Credentials = host.CredentialFunc(func(context.Context) (host.Credentials, error) { return current, nil })
	m := manager(t, c)
	checkAssertion(t, ask(t, m))
	w.session = w.authority.SignIn("acct-2", "user-2")
	current = w.credentials()
	w.clock.advance(time.Second)
	a := ask(t, m)
	w.checkVerified(t, a)
	if a.AccountID != "acct-2" {
		t.Errorf("got account %q, want acct-2", a.AccountID)
	}
	current = host.Credentials{Kind: wire.CredentialsNone}
	w.clock.advance(time.Second)
	check(t, ask(t, m), core.ModeNone, core.ReasonNoChatGPTCredentials, "")
}

var errDisk = errors.New("the disk is on fire")

func TestManagerErrors(t *testing.T) {
	locked := &core.Error{Code: core.CodeFileUnreadable, Message: "the file cannot be opened"}
	for _, tt := range []struct {
		name    string
		surface string
		change  func(*host.ManagerConfig)
		code    string
	}{
		{"unknown surface", "no-such-surface", nil, core.CodeUnknownSurface},
		{"thread surface", core.SurfaceResponses, nil, core.CodeThreadSurface},
		{"credentials fail", core.SurfaceApps, func(c *host.ManagerConfig) {
			c.Credentials = host.CredentialFunc(func(context.Context) (host.Credentials, error) { return host.Credentials{}, locked })
		}, core.CodeFileUnreadable},
		{"credentials that no header can carry", core.SurfaceApps, func(c *host.ManagerConfig) {
			c.Credentials = fixed(host.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "to\r\nken", AccountID: "a"})
		}, core.CodeInvalidCredentials},
		{"a clock before all time", core.SurfaceApps, func(c *host.ManagerConfig) {
			c.Now = func() time.Time { return time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) }
		}, core.CodeInvalidTime},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			c := w.config()
			if tt.change != nil {
				tt.change(&c)
			}
			m := manager(t, c)
			for range 2 {
				a, err := m.Authorization(context.Background(), tt.surface)
				checkCode(t, err, tt.code)
				if a != (host.Authorization{}) {
					t.Errorf("%v came with the error", a)
				}
				checkHidden(t, w.secrets(t), err)
			}
			checkCount(t, "requests", w.network.count(), 0)
		})
	}
}

// A thread's surface is refused even while a background answer is at hand.
func TestManagerRefusesThreadsWhenWarm(t *testing.T) {
	m := manager(t, newWorld().config())
	checkAssertion(t, ask(t, m))
	_, err := m.Authorization(context.Background(), core.SurfaceResponses)
	checkCode(t, err, core.CodeThreadSurface)
}

// engineFunc is an engine made from a function.
type engineFunc func(request []byte) ([]byte, error)

func (f engineFunc) Call(_ context.Context, request []byte) ([]byte, error) { return f(request) }
func (f engineFunc) Close(context.Context) error                            { return nil }

// step answers with an effect.
func step(e wire.Effect) func() ([]byte, error) {
	result := wire.Encode(&wire.FlowStep{State: []byte("s"), Effect: e})
	return func() ([]byte, error) { return wire.Encode(&wire.Response{OK: result}), nil }
}

func TestManagerEngineFails(t *testing.T) {
	for name, tt := range map[string]struct {
		answer func() ([]byte, error)
		code   string
	}{
		"error": {func() ([]byte, error) {
			return nil, &core.Error{Code: host.CodeSandboxFailed, Message: "trap"}
		}, host.CodeSandboxFailed},
		"garbage":        {func() ([]byte, error) { return []byte("garbage"), nil }, host.CodeSandboxFailed},
		"endless flow":   {step(wire.Effect{Type: wire.EffectLoad, Slot: wire.SlotIdentity}), host.CodeSandboxFailed},
		"unknown effect": {step(wire.Effect{Type: "launch"}), host.CodePolicyViolation},
		"no answer":      {step(wire.Effect{Type: wire.EffectDone}), host.CodeSandboxFailed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			ready := false
			native := w.engine
			w.engine = engineFunc(func(request []byte) ([]byte, error) {
				if !ready {
					return native.Call(context.Background(), request)
				}
				return tt.answer()
			})
			m := manager(t, w.config())
			ready = true
			_, err := m.Authorization(context.Background(), core.SurfaceApps)
			checkCode(t, err, tt.code)
		})
	}
}

func TestNewManagerErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*host.ManagerConfig)
		code   string
	}{
		"no such profile": {func(c *host.ManagerConfig) { c.Profile = "auth_api" }, core.CodeInvalidConfig},
		"a description that is too long": {func(c *host.ManagerConfig) {
			c.ABOM.AgentVersion = strings.Repeat("v", 4097)
		}, core.CodeInvalidConfig},
		"instances without their configuration": {func(c *host.ManagerConfig) { c.Profile = wire.ProfileInstances }, core.CodeInvalidConfig},
		"an auth API that is no URL":            {func(c *host.ManagerConfig) { c.AuthAPIURL = "auth.example" }, core.CodeInvalidConfig},
		"strict about what is off":              {func(c *host.ManagerConfig) { c.Strict, c.AgentIdentity = true, false }, host.CodeInvalidManagerConfig},
		"no engine":                             {func(c *host.ManagerConfig) { c.Engine = nil }, host.CodeInvalidManagerConfig},
		"no store":                              {func(c *host.ManagerConfig) { c.Store = nil }, host.CodeInvalidManagerConfig},
		"no credentials":                        {func(c *host.ManagerConfig) { c.Credentials = nil }, host.CodeInvalidManagerConfig},
		"no base URL":                           {func(c *host.ManagerConfig) { c.BaseURL = "" }, core.CodeInvalidBaseURL},
		"user info":                             {func(c *host.ManagerConfig) { c.BaseURL = "https://chatgpt.com@evil.example" }, core.CodeInvalidBaseURL},
		"trusted host":                          {func(c *host.ManagerConfig) { c.TrustedHosts = []string{"http://a"} }, core.CodeInvalidTrustedHost},
		"http":                                  {func(c *host.ManagerConfig) { c.BaseURL = "http://chatgpt.com" }, host.CodeInsecureBaseURL},
		"http, and allowed, but no URL": {func(c *host.ManagerConfig) {
			c.BaseURL, c.AllowHTTP = "http://", true
		}, core.CodeInvalidBaseURL},
		"http, below localhost":     {func(c *host.ManagerConfig) { c.BaseURL = "http://a.localhost" }, host.CodeInsecureBaseURL},
		"http in a network":         {func(c *host.ManagerConfig) { c.BaseURL = "http://10.0.0.1:8080" }, host.CodeInsecureBaseURL},
		"http, a loopback's name":   {func(c *host.ManagerConfig) { c.BaseURL = "http://localhost.example" }, host.CodeInsecureBaseURL},
		"http, a loopback's digits": {func(c *host.ManagerConfig) { c.BaseURL = "http://127.0.0.1.example" }, host.CodeInsecureBaseURL},
		"http for the auth API":     {func(c *host.ManagerConfig) { c.AuthAPIURL = "http://auth.example/api" }, host.CodeInsecureBaseURL},
		"a JWT's identity with a token": {func(c *host.ManagerConfig) {
			c.JWTIdentity = &wire.JWTIdentity{Credentials: host.Credentials{Kind: wire.CredentialsAgentIdentity, AccessToken: "token"}}
		}, host.CodeInvalidManagerConfig},
	} {
		t.Run(name, func(t *testing.T) {
			c := newWorld().config()
			tt.change(&c)
			m, err := host.NewManager(c)
			checkCode(t, err, tt.code)
			if m != nil {
				t.Error("a manager came with the error")
			}
		})
	}
}

// This machine's own addresses need no TLS, and others can be allowed without.
func TestManagerTakesHTTP(t *testing.T) {
	for _, u := range []string{"http://127.0.0.1:8080", "http://127.1.2.3", "http://[::1]:8080", "http://[::ffff:127.0.0.1]", "http://localhost", "http://LOCALHOST:8080"} {
		c := newWorld().config()
		c.BaseURL = u
		manager(t, c)
	}
	c := newWorld().config()
	c.BaseURL, c.AuthAPIURL, c.AllowHTTP = "http://chatgpt.com", "http://auth.example", true
	manager(t, c)
}

// A module cannot choose the backend, nor keep a manager from being made.
func TestManagerAsksNoModuleForItsBaseURL(t *testing.T) {
	c := newWorld().config()
	c.Engine = answers("garbage")
	if got := manager(t, c).BaseURL(); got != baseURL {
		t.Errorf("got %q, want %q", got, baseURL)
	}
}

func TestManagerNormalizesItsBaseURL(t *testing.T) {
	c := newWorld().config()
	c.BaseURL = "https://chatgpt.com/codex/"
	if got := manager(t, c).BaseURL(); got != baseURL {
		t.Errorf("got %q, want %q", got, baseURL)
	}
}

// held keeps requests until they are released, or no longer wanted.
type held struct {
	entered chan struct{} // gets one item for each request that arrives
	release chan struct{}
}

func newHeld() *held { return &held{make(chan struct{}, 100), make(chan struct{})} }

func (h *held) script(_ int, r *http.Request) (*http.Response, error) {
	h.entered <- struct{}{}
	select {
	case <-h.release:
		return nil, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

type outcome struct {
	host.Authorization
	err error
}

// askInBackground asks in a goroutine of its own.
func askInBackground(ctx context.Context, m *host.Manager) <-chan outcome {
	result := make(chan outcome, 1)
	go func() {
		a, err := m.Authorization(ctx, core.SurfaceModels)
		result <- outcome{a, err}
	}()
	return result
}

func TestManagerCanceledCaller(t *testing.T) {
	w, h := newWorld(), newHeld()
	w.network.follow(h.script)
	m := manager(t, w.config())
	ctx, cancel := context.WithCancel(context.Background())
	first := askInBackground(ctx, m)
	<-h.entered
	other := askInBackground(context.Background(), m)
	cancel()
	got := <-first
	checkCode(t, got.err, host.CodeCanceled)
	checkHidden(t, w.secrets(t), got.err)
	close(h.release)
	got = <-other
	checkCode(t, got.err, "")
	w.checkVerified(t, got.Authorization)
	checkCount(t, "requests", w.network.count(), requestsPerRegistration)
	checkCounts(t, w.authority, 1, 1)

	w.clock.advance(time.Second)
	_, err := m.Authorization(ctx, core.SurfaceModels)
	checkCode(t, err, host.CodeCanceled)
}

func TestManagerManyCallersOneRegistration(t *testing.T) {
	w := newWorld()
	c := w.config()
	managers := []*host.Manager{manager(t, c), manager(t, c), manager(t, c)} // they share a store
	const callers = 200
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			a, err := managers[i%len(managers)].Authorization(context.Background(), core.SurfaceModels)
			if err != nil || a.Mode != core.ModeAgentAssertion {
				t.Errorf("caller %d: got %v, %v; want an assertion", i, a, err)
			}
		})
	}
	wg.Wait()
	checkCount(t, "requests", w.network.count(), requestsPerRegistration)
	checkCounts(t, w.authority, 1, 1)
}

func TestManagerCloseDuringARegistration(t *testing.T) {
	before := goleak.IgnoreCurrent()
	w, h := newWorld(), newHeld()
	w.network.follow(h.script)
	m, err := host.NewManager(w.config())
	if err != nil {
		t.Fatal(err)
	}
	waiting := askInBackground(context.Background(), m)
	<-h.entered
	closeManager(t, m)
	closeManager(t, m)
	got := <-waiting
	checkCode(t, got.err, "")
	check(t, got.Authorization, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeRequestFailed)
	if !got.RetryAt.IsZero() {
		t.Errorf("got RetryAt %v, want none: the backend is not to blame", got.RetryAt)
	}
	unlock, err := w.store.Lock(context.Background(), wire.SlotIdentity)
	if err != nil {
		t.Fatalf("the store's lock is not free: %v", err)
	}
	unlock()
	_, err = m.Authorization(context.Background(), core.SurfaceModels)
	checkCode(t, err, host.CodeClosed)
	goleak.VerifyNone(t, before)

	// Nothing was remembered against the backend.
	w.network.follow(nil)
	checkAssertion(t, ask(t, manager(t, w.config())))
}

func TestManagerClosed(t *testing.T) {
	m := manager(t, newWorld().config())
	checkAssertion(t, ask(t, m))
	closeManager(t, m)
	for _, surface := range []string{core.SurfaceModels, core.SurfaceBootstrap} {
		_, err := m.Authorization(context.Background(), surface)
		checkCode(t, err, host.CodeClosed)
	}
}

// The warm path is asked with every call that a program makes.
func TestManagerWarmAllocations(t *testing.T) {
	m := manager(t, newWorld().config())
	checkAssertion(t, ask(t, m))
	ctx := context.Background()
	allocations := testing.AllocsPerRun(1000, func() {
		if _, err := m.Authorization(ctx, core.SurfaceModels); err != nil {
			t.Error(err)
		}
	})
	if allocations > 1 {
		t.Errorf("got %v allocations, want 1 at most", allocations)
	}
}
