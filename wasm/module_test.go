package wasm_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/wasm"
)

// The budgets of the module.
const (
	maxSize    = 2_500_000
	maxGzipped = 700_000
	maxMemory  = 8 << 20
)

// signatures are what the module exports, as wasm/ABI.md has it.
var signatures = map[string]string{
	"agentassert_abi":   "() i32",
	"agentassert_alloc": "(i32) i32",
	"agentassert_free":  "(i32)",
	"agentassert_call":  "(i32 i32) i64",
}

func TestSize(t *testing.T) {
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(wasm.Module); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, gzipped %d", len(wasm.Module), z.Len())
	if len(wasm.Module) > maxSize {
		t.Errorf("the module has %d bytes, over %d", len(wasm.Module), maxSize)
	}
	if z.Len() > maxGzipped {
		t.Errorf("the gzipped module has %d bytes, over %d", z.Len(), maxGzipped)
	}
}

// The sections are counted here by hand, so that what keeps the module from reaching anything does not
// depend on what another program makes of it.
func TestSections(t *testing.T) {
	const (
		custom  = 0
		imports = 2
		exports = 7
		start   = 8
		header  = "\x00asm\x01\x00\x00\x00"
	)
	if !bytes.HasPrefix(wasm.Module, []byte(header)) {
		t.Fatal("this is no WebAssembly module")
	}
	exported := -1
	for rest := wasm.Module[len(header):]; len(rest) > 0; {
		id := rest[0]
		size, n := binary.Uvarint(rest[1:])
		if n <= 0 || size > uint64(len(rest)-1-n) {
			t.Fatalf("section %d is broken", id)
		}
		content := rest[1+n:][:size]
		rest = rest[1+n:][size:]
		switch id {
		case imports:
			t.Error("there is an import section")
		case start:
			t.Error("there is a start section")
		case custom:
			if !bytes.HasPrefix(content, []byte("\x09producers")) {
				t.Errorf("there is a custom section that begins as %q", content[:min(len(content), 20)])
			}
		case exports:
			count, _ := binary.Uvarint(content)
			exported = int(count)
		}
	}
	if want := len(signatures) + 1; exported != want { // and memory
		t.Errorf("there are %d exports; want %d", exported, want)
	}
}

func TestExports(t *testing.T) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	m, err := r.CompileModule(ctx, wasm.Module)
	if err != nil {
		t.Fatal(err)
	}
	if f, m := m.ImportedFunctions(), m.ImportedMemories(); len(f)+len(m) > 0 {
		t.Errorf("there are %d imported functions, and %d memories", len(f), len(m))
	}
	got := make(map[string]string)
	for name, f := range m.ExportedFunctions() {
		var params []string
		for _, p := range f.ParamTypes() {
			params = append(params, api.ValueTypeName(p))
		}
		got[name] = "(" + strings.Join(params, " ") + ")"
		for _, p := range f.ResultTypes() {
			got[name] += " " + api.ValueTypeName(p)
		}
	}
	if !maps.Equal(got, signatures) {
		t.Errorf("exported functions: %v; want %v", got, signatures)
	}
	if got := slices.Collect(maps.Keys(m.ExportedMemories())); !slices.Equal(got, []string{"memory"}) {
		t.Fatalf("exported memories: %q", got)
	}
	if most, declared := m.ExportedMemories()["memory"].Max(); !declared || most != 32<<20>>16 {
		t.Errorf("memory has a maximum of %d pages, declared: %v; want 32 MiB", most, declared)
	}
}

// guest is an instance of the module.
type guest struct {
	t        *testing.T
	instance api.Module
}

// compile compiles the module, once for all tests, in a runtime that offers it nothing. The memory of an
// instance is limited to 32 MiB, as it is in a host.
var compile = sync.OnceValues(func() (func() (api.Module, error), error) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(32<<20>>16))
	m, err := r.CompileModule(ctx, wasm.Module)
	return func() (api.Module, error) {
		return r.InstantiateModule(ctx, m, wazero.NewModuleConfig().WithName(""))
	}, err
})

func newGuest(t *testing.T) *guest {
	t.Helper()
	instantiate, err := compile()
	if err != nil {
		t.Fatal(err)
	}
	instance, err := instantiate()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { instance.Close(context.Background()) })
	return &guest{t, instance}
}

// invoke calls an export, and returns its result, or 0 if it has none.
func (g *guest) invoke(name string, args ...uint64) uint64 {
	g.t.Helper()
	results, err := g.instance.ExportedFunction(name).Call(context.Background(), args...)
	if err != nil {
		g.t.Fatal(err)
	}
	if len(results) == 0 {
		return 0
	}
	return results[0]
}

// read returns a copy of n bytes of memory.
func (g *guest) read(ptr, n uint64) []byte {
	g.t.Helper()
	b, ok := g.instance.Memory().Read(uint32(ptr), uint32(n))
	if !ok {
		g.t.Fatalf("%d bytes at %#x are not in memory", n, ptr)
	}
	return bytes.Clone(b)
}

// put returns a buffer that holds b.
func (g *guest) put(b []byte) uint64 {
	g.t.Helper()
	ptr := g.invoke("agentassert_alloc", uint64(len(b)))
	if ptr == 0 || !g.instance.Memory().Write(uint32(ptr), b) {
		g.t.Fatalf("a buffer of %d bytes at %#x", len(b), ptr)
	}
	return ptr
}

// answer returns the response to the request of n bytes at ptr, and frees it.
func (g *guest) answer(ptr, n uint64) []byte {
	g.t.Helper()
	result := g.invoke("agentassert_call", ptr, n)
	response := g.read(result>>32, result&(1<<32-1))
	g.invoke("agentassert_free", result>>32)
	return response
}

// call returns the response to a request.
func (g *guest) call(request []byte) []byte {
	g.t.Helper()
	ptr := g.put(request)
	response := g.answer(ptr, uint64(len(request)))
	g.invoke("agentassert_free", ptr)
	return response
}

func request(method string, params wire.Message) []byte {
	return wire.Encode(&wire.Request{Method: method, Params: wire.Encode(params)})
}

// newKey returns a private key made from one repeated byte.
func newKey(t *testing.T, seed byte) *core.PrivateKey {
	t.Helper()
	k, err := core.NewPrivateKey(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestInstance(t *testing.T) {
	g := newGuest(t)
	size := g.instance.Memory().Size()
	t.Logf("initial memory: %d bytes, %d pages", size, size>>16)
	if size > maxMemory {
		t.Errorf("initial memory is %d bytes, over %d", size, maxMemory)
	}
	if got := g.invoke("agentassert_abi"); got != wire.ABIVersion {
		t.Errorf("version %d of the ABI; want %d", got, wire.ABIVersion)
	}
}

func TestBuffers(t *testing.T) {
	g := newGuest(t)
	for n, want := range map[uint64]bool{0: false, 1: true, wire.MaxMessage: true, wire.MaxMessage + 1: false, 1<<32 - 1: false} {
		ptr := g.invoke("agentassert_alloc", n)
		if (ptr != 0) != want {
			t.Errorf("a buffer of %d bytes is at %#x", n, ptr)
		}
		if ptr != 0 && !bytes.Equal(g.read(ptr, n), make([]byte, n)) {
			t.Errorf("a new buffer of %d bytes is not zero", n)
		}
		g.invoke("agentassert_free", ptr)
	}

	secret := []byte("secret")
	ptr, other := g.put(secret), g.put(secret)
	g.invoke("agentassert_free", ptr+1) // no buffer begins there
	if got := g.read(ptr, uint64(len(secret))); !bytes.Equal(got, secret) {
		t.Errorf("freeing another pointer made it %q", got)
	}
	for range 2 { // the second time, there is none
		g.invoke("agentassert_free", ptr)
	}
	if got := g.read(ptr, uint64(len(secret))); !bytes.Equal(got, make([]byte, len(secret))) {
		t.Errorf("a freed buffer holds %q", got)
	}
	if got := g.read(other, uint64(len(secret))); !bytes.Equal(got, secret) {
		t.Errorf("freeing one buffer made the other %q", got)
	}
	for _, ptr := range []uint64{0, 1, uint64(g.instance.Memory().Size()), 1<<32 - 1} {
		g.invoke("agentassert_free", ptr)
	}
}

// A request that is not in a buffer is answered as an empty one is: with an error.
func TestBadPointers(t *testing.T) {
	g := newGuest(t)
	want := core.NewGuest().Call(nil)
	b := request(wire.MethodKeyGenerate, &wire.KeyGenerateParams{Entropy: make([]byte, 32)})
	ptr, n := g.put(b), uint64(len(b))
	for name, args := range map[string][2]uint64{
		"no pointer":   {0, n},
		"empty":        {ptr, 0},
		"too long":     {ptr, n + 1},
		"far too long": {ptr, 1<<32 - 1},
		"inside":       {ptr + 1, n - 1},
		"end":          {1<<32 - 1, 1},
		"nothing":      {0, 0},
	} {
		if got := g.answer(args[0], args[1]); !bytes.Equal(got, want) {
			t.Errorf("%s: %q; want %q", name, got, want)
		}
	}
	if got, want := g.answer(ptr, n), core.NewGuest().Call(b); !bytes.Equal(got, want) {
		t.Errorf("after that: %q; want %q", got, want)
	}
	if got, want := g.answer(ptr, n-1), core.NewGuest().Call(b[:n-1]); !bytes.Equal(got, want) {
		t.Errorf("cut short: %q; want %q", got, want)
	}
}

// Thousands of calls, on more garbage than there is memory, are answered as the core answers them when
// it does not run in the module.
func TestStress(t *testing.T) {
	const calls = 2500
	g, native := newGuest(t), core.NewGuest()
	large := bytes.Repeat([]byte("0123456789abcdef"), wire.MaxMessage/16)
	garbage := 0
	for i := range calls {
		key := newKey(t, byte(i/10%7)) // sometimes the last, sometimes another
		var q []byte
		switch i % 5 {
		case 0:
			q = request(wire.MethodTaskIDSeal, &wire.TaskIDSealParams{
				PublicKey: key.Public().OpenSSH(), Entropy: bytes.Repeat([]byte{byte(i)}, 32), TaskID: "task",
			})
		case 1:
			q = request("unknown", &wire.KeyGenerateParams{})
		case 2:
			q = large[:1+i*400]
		default:
			q = request(wire.MethodAssertionBuild, &wire.AssertionBuildParams{
				PrivateKey: key.PKCS8(), AgentRuntimeID: fmt.Sprintf("agent-%d", i), TaskID: "task", Now: 1_800_000_000 + int64(i),
			})
		}
		garbage += len(q)
		well := i%5 != 1 && i%5 != 2
		got, want := g.call(q), native.Call(q)
		if !bytes.Equal(got, want) {
			t.Fatalf("call %d: %q; want %q", i, got, want)
		}
		if ok := bytes.HasPrefix(got, []byte("\xa1bok")); ok != well {
			t.Fatalf("call %d: %q", i, got)
		}
	}
	size := g.instance.Memory().Size()
	t.Logf("%d calls with %d MiB of requests; memory: %d KiB", calls, garbage>>20, size>>10)
	if garbage < 8*int(size) {
		t.Errorf("%d bytes of requests were too few for the collector to matter, at %d bytes of memory", garbage, size)
	}

	// An old instance knows what a new one does.
	q := request(wire.MethodKeyGenerate, &wire.KeyGenerateParams{Entropy: large[:32]})
	if got, want := g.call(q), newGuest(t).call(q); !bytes.Equal(got, want) {
		t.Errorf("an old instance answers %q; a new one, %q", got, want)
	}
}

// A document that is nearly as large as the core reads (512 KiB) is no reason to trap, whatever it consists of:
// each in an instance of its own, and all in one. Only an object of more than 60,000 members comes near the most
// that memory may have, so that document is somewhat smaller.
func TestDocumentsOfManyValues(t *testing.T) {
	const size = 500 << 10
	fields := []byte("{")
	for i := 0; len(fields) < size*4/5; i++ {
		fields = fmt.Appendf(fields, `"%x":0,`, i)
	}
	documents := map[string][]byte{"fields": append(fields, `"":0}`...)}
	for _, value := range []string{"0", `""`, "[]", "{}", `{"b":"c"}`, `{"b":{"c":{}}}`, "[[[]]]"} {
		n := size / (len(value) + 1)
		documents[value] = []byte(`{"a":[` + strings.Repeat(value+",", n) + value + `]}`)
	}
	common := newGuest(t)
	native := core.NewGuest()
	for name, document := range documents {
		for _, request := range [][]byte{
			request(wire.MethodAuthJSONGet, &wire.AuthJSONGetParams{Document: document}),
			request(wire.MethodAuthJSONSet, &wire.AuthJSONSetParams{Document: document, Record: []byte(`{"agent_runtime_id":"a"}`)}),
			request(wire.MethodCredentialsRead, &wire.CredentialsReadParams{Document: document}),
		} {
			want := native.Call(request)
			for _, g := range []*guest{newGuest(t), common} {
				if got := g.call(request); !bytes.Equal(got, want) {
					t.Errorf("%s: %.100q; want %.100q", name, got, want)
				}
			}
		}
		t.Logf("%s: %d pages", name, common.instance.Memory().Size()>>16)
	}
}
