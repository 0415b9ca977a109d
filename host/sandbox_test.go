package host_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/wasm"
)

// privateKey is of the captures (testvectors/captures/enabled.auth.json).
const privateKey = "MFECAQEwBQYDK2VwBCIEIMtkxP/NRX9pjndXQgO0LwhgpVD/dZwkND8QAkqgkpH0gSEASgQv2MQAAZDw8zY78lDVGoa77F4oKaZCv/vjlto6GG4="

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEoEL9jEAAGQ8PM2O/JQ1RqGu+xeKCmmQr/745baOhhu"

// assertion and sealedTaskID are of the captures (enabled.jsonl).
const (
	assertion    = "AgentAssertion eyJhZ2VudF9ydW50aW1lX2lkIjoiYWdlbnQtcnQtMiIsInNpZ25hdHVyZSI6Ik5KaEk4QzVidHFXWE9naGhDQXJYUFhJb1l6cXBXa2RvZVA5NFBIUnpNdnM4dm96aFZyeERXU01Zb0hya054SmhhY2IrUzdLV3NQQlJFTEVSREhMQ0F3PT0iLCJ0YXNrX2lkIjoidGFzay00IiwidGltZXN0YW1wIjoiMjAyNi0xMS0yNFQxNToxNjowOFoifQ"
	sealedTaskID = "ZpALXf46krUnkGFDVXSEKMZEoVwMKCSI7miY9X/iw0gMBX32qLKbxM1wYB8fMaXosLNCDAef"
)

func request(method string, params wire.Message) []byte {
	return wire.Encode(&wire.Request{Method: method, Params: wire.Encode(params)})
}

// requests are of every method, some of them refused.
func requests() map[string][]byte {
	config := wire.Config{BaseURL: "https://chatgpt.com", AgentIdentity: true}
	credentials := wire.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "token", AccountID: "acct-1"}
	startEvent := wire.Event{
		Type: wire.EventStart, Now: start.Unix(), Surface: core.SurfaceModels,
		Config: &config, Credentials: &credentials,
	}
	document := []byte(`{"tokens":{"access_token":"t","account_id":"acct-1"},"other":[1,2]}`)
	return map[string][]byte{
		"key.generate": request(wire.MethodKeyGenerate, &wire.KeyGenerateParams{Entropy: make([]byte, 32)}),
		"key.generate, short entropy": request(wire.MethodKeyGenerate,
			&wire.KeyGenerateParams{Entropy: make([]byte, 31)}),
		"key.parse":          request(wire.MethodKeyParse, &wire.KeyParseParams{PrivateKey: privateKey}),
		"key.parse, garbage": request(wire.MethodKeyParse, &wire.KeyParseParams{PrivateKey: "garbage"}),
		"assertion.build": request(wire.MethodAssertionBuild, &wire.AssertionBuildParams{
			PrivateKey: privateKey, AgentRuntimeID: "agent-rt-2", TaskID: "task-4", Now: start.Unix(),
		}),
		"assertion.build, long ids": request(wire.MethodAssertionBuild, &wire.AssertionBuildParams{
			PrivateKey: privateKey, AgentRuntimeID: strings.Repeat("ä", 2048), TaskID: strings.Repeat("<", 4096),
		}),
		"assertion.build, colon": request(wire.MethodAssertionBuild, &wire.AssertionBuildParams{
			PrivateKey: privateKey, AgentRuntimeID: "a:b", TaskID: "t",
		}),
		"assertion.build, time": request(wire.MethodAssertionBuild, &wire.AssertionBuildParams{
			PrivateKey: privateKey, AgentRuntimeID: "a", TaskID: "t", Now: 1 << 62,
		}),
		"assertion.inspect":          request(wire.MethodAssertionInspect, &wire.AssertionInspectParams{Header: assertion}),
		"assertion.inspect, garbage": request(wire.MethodAssertionInspect, &wire.AssertionInspectParams{Header: "Bearer x"}),
		"assertion.verify": request(wire.MethodAssertionVerify, &wire.AssertionVerifyParams{
			PublicKey: publicKey, Header: assertion, Now: start.Unix(),
		}),
		"assertion.verify, too late": request(wire.MethodAssertionVerify, &wire.AssertionVerifyParams{
			PublicKey: publicKey, Header: assertion, Now: start.Unix() + 301, Skew: 300,
		}),
		"registration.sign": request(wire.MethodRegistrationSign, &wire.RegistrationSignParams{
			PrivateKey: privateKey, AgentRuntimeID: "agent-rt-2", Now: start.Unix(),
		}),
		"registration.verify": request(wire.MethodRegistrationVerify, &wire.RegistrationVerifyParams{
			PublicKey: publicKey, AgentRuntimeID: "agent-rt-2", Now: start.Unix(), Timestamp: "2026-11-24T15:16:08Z",
			Signature: "wIgs2te8q89RvT0zWOy6KyosZASg6tna0KEDJ0+Mh676ZRZY6m/C24DniRqbU+UsPby38UUeqPXSCr5ZTIBoAw==",
		}),
		"task_id.seal": request(wire.MethodTaskIDSeal, &wire.TaskIDSealParams{
			PublicKey: publicKey, Entropy: bytes.Repeat([]byte{7}, 32), TaskID: "task-9",
		}),
		"task_id.open": request(wire.MethodTaskIDOpen, &wire.TaskIDOpenParams{
			PrivateKey: privateKey, EncryptedTaskID: sealedTaskID,
		}),
		"task_id.open, cut": request(wire.MethodTaskIDOpen, &wire.TaskIDOpenParams{
			PrivateKey: privateKey, EncryptedTaskID: sealedTaskID[:60],
		}),
		"base_url.normalize": request(wire.MethodBaseURLNormalize, &wire.BaseURLNormalizeParams{
			URL: "https://Chat.OpenAI.com/codex/", TrustedHosts: []string{"localhost"},
		}),
		"base_url.normalize, no URL": request(wire.MethodBaseURLNormalize, &wire.BaseURLNormalizeParams{}),
		"decide": request(wire.MethodDecide, &wire.DecideParams{
			Config: config, Surface: core.SurfaceApps, Credentials: credentials, Agent: wire.AgentAvailable,
		}),
		"decide, no such surface": request(wire.MethodDecide, &wire.DecideParams{Config: config, Surface: "x"}),
		"credentials.read":        request(wire.MethodCredentialsRead, &wire.CredentialsReadParams{Document: document}),
		"credentials.read, cut":   request(wire.MethodCredentialsRead, &wire.CredentialsReadParams{Document: document[:20]}),
		"auth_json.get":           request(wire.MethodAuthJSONGet, &wire.AuthJSONGetParams{Document: document}),
		"auth_json.set": request(wire.MethodAuthJSONSet, &wire.AuthJSONSetParams{
			Document: document, Record: []byte(`{"a":1}`),
		}),
		"auth_json.set, nested deeply": request(wire.MethodAuthJSONSet, &wire.AuthJSONSetParams{
			Document: document, Record: bytes.Repeat([]byte{'['}, 100_000),
		}),
		"auth_json.set, large": request(wire.MethodAuthJSONSet, &wire.AuthJSONSetParams{
			Document: []byte(`{"a":"` + strings.Repeat("x", 500_000) + `"}`),
			Record:   []byte(`"` + strings.Repeat("y", 500_000) + `"`),
		}),
		"identity_jwt.read, empty": request(wire.MethodIdentityJWTRead, &wire.IdentityJWTReadParams{Claims: []byte(`{}`)}),
		"surface.lookup":           request(wire.MethodSurfaceLookup, &wire.SurfaceLookupParams{Surface: core.SurfaceResponses}),
		"surface.lookup, unknown":  request(wire.MethodSurfaceLookup, &wire.SurfaceLookupParams{Surface: "x"}),
		"surface.match":            request(wire.MethodSurfaceMatch, &wire.SurfaceMatchParams{Path: "/files/x"}),
		"surface.locate": request(wire.MethodSurfaceLocate, &wire.SurfaceLocateParams{
			BaseURL: baseURL, URL: "https://ChatGPT.com:443/backend-api/codex/models?x",
		}),
		"surface.locate, outside": request(wire.MethodSurfaceLocate, &wire.SurfaceLocateParams{
			BaseURL: baseURL, URL: baseURL + "/../login",
		}),
		"surface.locate, no base URL": request(wire.MethodSurfaceLocate, &wire.SurfaceLocateParams{URL: baseURL}),
		"flow.step":                   request(wire.MethodFlowStep, &wire.FlowStepParams{Event: startEvent}),
		"flow.step, no start": request(wire.MethodFlowStep,
			&wire.FlowStepParams{Event: wire.Event{Type: wire.EventDone}}),
		"flow.step, foreign state": request(wire.MethodFlowStep,
			&wire.FlowStepParams{State: []byte("state"), Event: startEvent}),

		"unknown method":     request("key.steal", &wire.Empty{}),
		"parameters missing": request(wire.MethodKeyParse, &wire.Empty{}),
		"a longer method":    request(strings.Repeat("m", 1000), &wire.Empty{}),
		"no CBOR":            []byte("hello"),
		"one byte":           {0xff},
		"null":               {0xf6},
		"an array":           {0x80},
		"an empty map":       {0xa0},
		"a duplicate name":   []byte("\xa2\x66method\x61a\x66method\x61a"),
		"indefinite length":  []byte("\xbf\x66method\x61a\xff"),
		"nested deeply":      bytes.Repeat([]byte{0x81}, 10_000),
		"a length that lies": {0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"text that is none":  []byte("\xa2\x66method\x61\xff\x66params\xa0"),
		"zeroes, 1 MiB":      make([]byte, wire.MaxMessage),
		"empty":              {},
		"more than 1 MiB":    make([]byte, wire.MaxMessage+1),
	}
}

// checkSame compares what two engines make of a request.
func checkSame(t *testing.T, sandbox, native host.Engine, request []byte) {
	t.Helper()
	ctx := context.Background()
	want, wantErr := native.Call(ctx, request)
	got, gotErr := sandbox.Call(ctx, request)
	if !bytes.Equal(got, want) || core.Code(gotErr) != core.Code(wantErr) {
		t.Errorf("the sandbox answers %.200x, code %q; native %.200x, code %q",
			got, core.Code(gotErr), want, core.Code(wantErr))
	}
	if gotErr == nil && len(got) == 0 {
		t.Error("the engines answer with neither a response nor an error")
	}
}

func TestEnginesAgree(t *testing.T) {
	e := engines(t)
	for name, request := range requests() {
		t.Run(name, func(t *testing.T) { checkSame(t, e["sandbox"], e["native"], request) })
	}
}

func TestEnginesAgreeOnDamagedRequests(t *testing.T) {
	e := engines(t)
	good := requests()
	names := make([]string, 0, len(good))
	for name, request := range good {
		if 0 < len(request) && len(request) < 10_000 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		name := names[random.IntN(len(names))]
		damaged := slices.Clone(good[name])
		at := random.IntN(len(damaged))
		switch random.IntN(4) {
		case 0:
			damaged = damaged[:at]
		case 1:
			damaged = append(damaged, damaged[at])
		case 2:
			damaged = slices.Insert(damaged, at, byte(random.Uint32()))
		default:
			damaged[at] ^= 1 << random.IntN(8)
		}
		checkSame(t, e["sandbox"], e["native"], damaged)
		if t.Failed() {
			t.Fatalf("the request is %q with a change at %d: %x", name, at, damaged)
		}
	}
}

func TestCall(t *testing.T) {
	for name, engine := range engines(t) {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			built, err := host.Call[wire.Assertion](ctx, engine, wire.MethodAssertionBuild, wire.AssertionBuildParams{
				PrivateKey: privateKey, AgentRuntimeID: "agent-rt-2", TaskID: "task-4", Now: start.Unix(),
			})
			if err != nil || built.Header != assertion {
				t.Errorf("got %q, %v; want the captured header %q", built.Header, err, assertion)
			}
			_, err = host.Call[wire.KeyPair](ctx, engine, wire.MethodKeyParse, wire.KeyParseParams{PrivateKey: "x"})
			checkCode(t, err, core.CodeInvalidPrivateKey)
			_, err = host.Call[wire.Empty](ctx, engine, "no.such", wire.Empty{})
			checkCode(t, err, core.CodeUnknownMethod)
			_, err = host.Call[wire.Empty](ctx, engine, wire.MethodKeyParse, func() {})
			checkCode(t, err, core.CodeInvalidRequest)
			canceled, cancel := context.WithCancel(ctx)
			cancel()
			_, err = host.Call[wire.Empty](canceled, engine, wire.MethodKeyParse, wire.KeyParseParams{})
			checkCode(t, err, host.CodeCanceled)
		})
	}
}

// answers is an engine that gives the same answer to every request.
type answers []byte

func (a answers) Call(context.Context, []byte) ([]byte, error) { return a, nil }
func (a answers) Close(context.Context) error                  { return nil }

func TestCallRefusesWhatIsNoResponse(t *testing.T) {
	for name, response := range map[string][]byte{
		"nothing":         nil,
		"garbage":         []byte("garbage"),
		"another result":  wire.Encode(&wire.Response{OK: wire.Encode(&wire.TaskID{TaskID: "t"})}),
		"more than one":   append(wire.Encode(&wire.Response{OK: wire.Encode(&wire.Empty{})}), 0xa0),
		"no result":       {0xa0},
		"a result cut":    []byte("\xa1\x62ok\xa1\x66head"),
		"a list of error": []byte("\xa1\x65error\x80"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := host.Call[wire.KeyPair](context.Background(), answers(response), wire.MethodKeyParse, wire.KeyParseParams{})
			checkCode(t, err, host.CodeSandboxFailed)
		})
	}
}

func TestNewSandboxRefusesModules(t *testing.T) {
	good := foreign{}.module()
	embedded := wasm.Module
	for _, tt := range []struct {
		name   string
		module []byte
		code   string
	}{
		{"empty", []byte{}, host.CodeInvalidModule},
		{"garbage", []byte("this is no module"), host.CodeInvalidModule},
		{"only a header", embedded[:8], host.CodeInvalidModule},
		{"the embedded one, half", embedded[:len(embedded)/2], host.CodeInvalidModule},
		{"the embedded one, without its last byte", embedded[:len(embedded)-1], host.CodeInvalidModule},
		{"a byte too many", append(slices.Clone(good), 0), host.CodeInvalidModule},
		{"imports a function", foreign{imports: imported(0, 4)}.module(), host.CodeInvalidModule},
		{"imports a table", foreign{imports: imported(1, typeFuncref, 0, 0)}.module(), host.CodeInvalidModule},
		{"imports a global", foreign{imports: imported(3, typeI32, 0)}.module(), host.CodeInvalidModule},
		{"lacks agentassert_abi", foreign{without: "agentassert_abi"}.module(), host.CodeInvalidModule},
		{"lacks agentassert_alloc", foreign{without: "agentassert_alloc"}.module(), host.CodeInvalidModule},
		{"lacks agentassert_free", foreign{without: "agentassert_free"}.module(), host.CodeInvalidModule},
		{"lacks agentassert_call", foreign{without: "agentassert_call"}.module(), host.CodeInvalidModule},
		{"lacks its memory", foreign{without: "memory"}.module(), host.CodeInvalidModule},
		{"needs too much memory", foreign{pages: 1024}.module(), host.CodeInvalidModule},
		{"a version that is a procedure", foreign{abiType: funcType(nil, nil), abi: []byte{}}.module(), host.CodeInvalidModule},
		{"a version of 64 bits", foreign{
			abiType: funcType(nil, []byte{typeI64}), abi: []byte{opI64Const, wire.ABIVersion},
		}.module(), host.CodeInvalidModule},
		{"another version", foreign{abi: i32Const(wire.ABIVersion + 1)}.module(), host.CodeABIVersion},
		{"a negative version", foreign{abi: i32Const(-1)}.module(), host.CodeABIVersion},
		{"traps when asked for its version", foreign{abi: []byte{opUnreachable}}.module(), host.CodeInvalidModule},
		{"loops when asked for its version", foreign{
			abi: append(loopForever(), i32Const(wire.ABIVersion)...),
		}.module(), host.CodeInvalidModule},
		{"traps when it starts", foreign{start: []byte{opUnreachable}}.module(), host.CodeInvalidModule},
		{"loops when it starts", foreign{start: loopForever()}.module(), host.CodeInvalidModule},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := host.NewSandbox(context.Background(), host.SandboxOptions{
				Module: tt.module, CallTimeout: timeoutOf(tt.name),
			})
			checkCode(t, err, tt.code)
			if s != nil {
				t.Error("a sandbox came with the error")
			}
		})
	}
}

// timeoutOf is short for what has to overrun it, and long for all else, which must
// not, on a machine of any speed.
func timeoutOf(name string) time.Duration {
	if strings.Contains(name, "loop") {
		return 250 * time.Millisecond
	}
	return time.Minute
}

func newForeignSandbox(t *testing.T, o host.SandboxOptions) *host.Sandbox {
	t.Helper()
	if o.Module == nil {
		o.Module = foreign{}.module()
	}
	if o.CallTimeout == 0 {
		o.CallTimeout = time.Minute
	}
	return newSandbox(t, o)
}

// countCalls returns the answer to requestCount: how many requests the instance
// that got it has had.
func countCalls(t *testing.T, s *host.Sandbox) int {
	t.Helper()
	response, err := s.Call(context.Background(), []byte(requestCount))
	if err != nil || len(response) != 1 {
		t.Fatalf("got %x, %v; want one byte", response, err)
	}
	return int(response[0])
}

func TestSandboxKeepsItsInstance(t *testing.T) {
	s := newForeignSandbox(t, host.SandboxOptions{MaxInstances: 1})
	for want := 1; want <= 3; want++ {
		checkCount(t, "calls of the instance", countCalls(t, s), want)
	}
}

func TestSandboxReplacesAFailedInstance(t *testing.T) {
	for name, request := range map[string]string{
		"trap":                     requestTrap,
		"endless loop":             requestLoop,
		"pointer outside memory":   requestOutside,
		"length outside memory":    requestWraps,
		"empty response":           requestEmpty,
		"response above the limit": requestHuge,
		"no response":              requestNotAnswers,
	} {
		t.Run(name, func(t *testing.T) {
			s := newForeignSandbox(t, host.SandboxOptions{MaxInstances: 1, CallTimeout: timeoutOf(name)})
			checkCount(t, "calls of the first instance", countCalls(t, s), 1)
			for range 3 {
				response, err := s.Call(context.Background(), []byte(request))
				checkCode(t, err, host.CodeSandboxFailed)
				if response != nil {
					t.Errorf("a response of %d bytes came with the error", len(response))
				}
				checkCount(t, "calls of the next instance", countCalls(t, s), 1)
			}
		})
	}
}

func TestSandboxFailedAllocation(t *testing.T) {
	for name, alloc := range map[string][]byte{
		"no memory":      i32Const(0),
		"outside memory": i32Const(-16),
		"trap":           {opUnreachable},
		"endless loop":   append(loopForever(), i32Const(requestAt)...),
	} {
		t.Run(name, func(t *testing.T) {
			s := newForeignSandbox(t, host.SandboxOptions{Module: foreign{alloc: alloc}.module(), CallTimeout: timeoutOf(name)})
			for range 2 {
				_, err := s.Call(context.Background(), []byte(requestCount))
				checkCode(t, err, host.CodeSandboxFailed)
			}
		})
	}
}

// A request that no guest would take says nothing about the instance.
func TestSandboxRefusesRequestsOutOfRange(t *testing.T) {
	s := newForeignSandbox(t, host.SandboxOptions{MaxInstances: 1})
	for i, size := range []int{0, wire.MaxMessage + 1} {
		checkCount(t, "calls of the instance", countCalls(t, s), i+1)
		_, err := s.Call(context.Background(), make([]byte, size))
		checkCode(t, err, core.CodeInvalidRequest)
	}
}

func TestSandboxMemoryLimit(t *testing.T) {
	const page = 64 << 10
	module := foreign{pages: 4}.module()
	for _, tt := range []struct {
		limit int
		code  string
	}{
		{1, host.CodeInvalidModule},
		{4*page - 1, host.CodeInvalidModule},
		{4 * page, ""},
		{1 << 40, ""},
	} {
		s, err := host.NewSandbox(context.Background(), host.SandboxOptions{Module: module, MemoryLimit: tt.limit})
		if core.Code(err) != tt.code {
			t.Errorf("limit %d: got code %q (%v), want %q", tt.limit, core.Code(err), err, tt.code)
		}
		if err == nil {
			s.Close(context.Background())
		} else if !strings.Contains(err.Error(), "memory") {
			t.Errorf("limit %d: the error does not speak of memory: %v", tt.limit, err)
		}
	}
}

// The embedded module must live within 8 MiB, and fail without harm where a
// request needs more.
func TestSandboxOutOfMemory(t *testing.T) {
	s := newSandbox(t, host.SandboxOptions{CacheDir: cacheDir(), MemoryLimit: 8 << 20, MaxInstances: 1})
	good := requests()["assertion.build"]
	want, err := s.Call(context.Background(), good)
	if err != nil {
		t.Fatal(err)
	}
	// A million names take far more memory than the text they stand in.
	hungry := request(wire.MethodAuthJSONGet, &wire.AuthJSONGetParams{
		Document: []byte(`{"":0` + strings.Repeat(`,"":0`, 100_000) + `}`),
	})
	_, err = s.Call(context.Background(), hungry)
	checkCode(t, err, host.CodeSandboxFailed)
	got, err := s.Call(context.Background(), good)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the next call: got %x, %v; want %x", got, err, want)
	}
}

func TestSandboxBoundsItsInstances(t *testing.T) {
	const (
		maxInstances = 3
		callers      = 40
		callsEach    = 5
	)
	s := newForeignSandbox(t, host.SandboxOptions{MaxInstances: maxInstances})
	firstCalls := make(chan int, callers)
	for range callers {
		go func() {
			first := 0
			for range callsEach {
				response, err := s.Call(context.Background(), []byte(requestCount))
				if err != nil || len(response) != 1 {
					t.Errorf("got %x, %v; want one byte", response, err)
				} else if response[0] == 1 {
					first++
				}
			}
			firstCalls <- first
		}()
	}
	instances := 0
	for range callers {
		instances += <-firstCalls
	}
	if instances < 1 || instances > maxInstances {
		t.Errorf("got %d instances, want 1 to %d", instances, maxInstances)
	}
}

func TestSandboxWaiters(t *testing.T) {
	s := newForeignSandbox(t, host.SandboxOptions{MaxInstances: 1})
	release := s.Occupy()
	call := func(ctx context.Context) chan error {
		result := make(chan error)
		go func() {
			_, err := s.Call(ctx, []byte(requestCount))
			result <- err
		}()
		return result
	}
	patient := call(context.Background())
	ctx, cancel := context.WithCancel(context.Background())
	impatient := call(ctx)
	cancel()
	checkCode(t, <-impatient, host.CodeCanceled)
	release()
	checkCode(t, <-patient, "")
	checkCount(t, "calls of the instance", countCalls(t, s), 2)
}

func TestSandboxConcurrently(t *testing.T) {
	s := newSandbox(t, host.SandboxOptions{CacheDir: cacheDir(), MaxInstances: 4})
	native := host.NewNative()
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 10 {
				params := wire.AssertionBuildParams{
					PrivateKey: privateKey, AgentRuntimeID: "agent-rt-2", TaskID: "task-4", Now: int64(g*1000 + i),
				}
				request := request(wire.MethodAssertionBuild, &params)
				want, _ := native.Call(context.Background(), request)
				got, err := s.Call(context.Background(), request)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("caller %d, call %d: got %x, %v; want %x", g, i, got, err, want)
				}
			}
		})
	}
	wg.Wait()
}

func TestSandboxClose(t *testing.T) {
	ctx := context.Background()
	s := newForeignSandbox(t, host.SandboxOptions{MaxInstances: 1})
	countCalls(t, s)
	release := s.Occupy()
	waiting := make(chan error)
	go func() {
		_, err := s.Call(ctx, []byte(requestCount))
		waiting <- err
	}()
	for range 2 {
		if err := s.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	release()
	checkCode(t, <-waiting, host.CodeClosed)
	_, err := s.Call(ctx, []byte(requestCount))
	checkCode(t, err, host.CodeClosed)
}

// Calls that meet Close end, one way or the other.
func TestSandboxCloseDuringCalls(t *testing.T) {
	for _, tt := range []struct {
		name     string
		rounds   int
		options  host.SandboxOptions
		requests [][]byte
	}{
		{
			"foreign module", 10,
			host.SandboxOptions{Module: foreign{}.module(), CallTimeout: time.Minute, MaxInstances: 4},
			[][]byte{[]byte(requestLoop), []byte(requestCount)},
		},
		{
			"embedded module", 3,
			host.SandboxOptions{CacheDir: cacheDir(), MaxInstances: 4},
			[][]byte{requests()["assertion.build"]},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range tt.rounds {
				closeDuringCalls(t, newSandbox(t, tt.options), tt.requests)
			}
		})
	}
}

func closeDuringCalls(t *testing.T, s *host.Sandbox, requests [][]byte) {
	t.Helper()
	const callers = 8
	results := make(chan error, callers)
	for i := range callers {
		go func() {
			_, err := s.Call(context.Background(), requests[i%len(requests)])
			results <- err
		}()
	}
	if err := s.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
	for range callers {
		switch code := core.Code(<-results); code {
		case "", host.CodeClosed, host.CodeSandboxFailed:
		default:
			t.Errorf("got code %q, want none, %q or %q", code, host.CodeClosed, host.CodeSandboxFailed)
		}
	}
}

func TestEmbeddedModuleImportsNothing(t *testing.T) {
	s := newSandbox(t, host.SandboxOptions{CacheDir: cacheDir()})
	checkCount(t, "imports", s.Imports(), 0)
}
