package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// The exports that the guest's ABI consists of; wasm/ABI.md describes it.
const (
	exportMemory = "memory"
	exportABI    = "agentassert_abi"
	exportAlloc  = "agentassert_alloc"
	exportFree   = "agentassert_free"
	exportCall   = "agentassert_call"
)

// exportTypes holds the exports of a finished module, and the types of those that are functions.
var exportTypes = map[string]*funcType{
	exportMemory: nil,
	exportABI:    {results: []byte{typeI32}},
	exportAlloc:  {params: []byte{typeI32}, results: []byte{typeI32}},
	exportFree:   {params: []byte{typeI32}},
	exportCall:   {params: []byte{typeI32, typeI32}, results: []byte{typeI64}},
}

const (
	// exportInitialize is what the Go linker calls the function that starts the runtime and runs the
	// init functions, as WASI wants it of a reactor. A finished module has it behind it.
	exportInitialize = "_initialize"

	// exportGlobal begins the names under which an intermediate module exports its globals.
	exportGlobal = "wasmbuild_global_"

	wasiModule = wasi_snapshot_preview1.ModuleName
)

// errno 52 of WASI preview 1: function not supported.
const enosys = 52

// minGap is the length of the shortest run of zeroes that ends a data segment. A segment costs 9 bytes
// or so; with shorter gaps the file gets smaller, but compresses less well and takes longer to
// instantiate.
const minGap = 32

// badRequest is no CBOR (RFC 8949, appendix C: 0xff ends what never began), so every core answers it
// with an error, and has then been through all of a call's path once.
var badRequest = []byte{0xff}

// runtimeConfig is that of wazero. Its interpreter is quick to start, and the same on every machine. A call
// ends when the context does.
var runtimeConfig = wazero.NewRuntimeConfigInterpreter().WithCloseOnContextDone(true)

// freeze turns a module that the Go linker wrote for GOOS=wasip1 into one that imports nothing: it
// starts the module, lets it handle a request, and makes a module of what is then in memory and in the
// globals. What was a call to WASI becomes a call to a function of the module's own.
//
// It is deterministic: the module gets no arguments, no environment, no files, zeroes for random
// numbers, and a clock that counts how often it was read.
//
// It also returns what the module answered to badRequest before.
func freeze(ctx context.Context, built *module) (frozen *module, answer []byte, err error) {
	if built.start != nil {
		return nil, nil, errors.New("the guest has a start function, which would run again in the snapshot; build it with -buildmode=c-shared")
	}
	if built.memory == nil {
		return nil, nil, errors.New("the guest has no memory")
	}
	s, err := runGuest(ctx, built)
	if err != nil {
		return nil, nil, err
	}
	clearTables(s.memory)
	m := *built
	m.memory = &limits{min: uint32(len(s.memory) / pageSize), max: built.memory.max}
	m.data = segments(s.memory)
	m.globals = s.globals
	clock, err := m.replaceImports(s.clock)
	if err != nil {
		return nil, nil, err
	}
	m.exports = slices.DeleteFunc(slices.Clone(built.exports), func(e export) bool { return e.name == exportInitialize })
	m.customs = slices.DeleteFunc(slices.Clone(built.customs), func(c custom) bool { return c.name != "producers" })
	if err := m.check(); err != nil {
		return nil, nil, err
	}
	m.passTime(clock)
	if err := m.limitSteps(); err != nil {
		return nil, nil, err
	}
	return &m, s.answer, nil
}

// check refuses a module that is not fit to be shipped: one that imports anything, runs anything by
// itself, or does not export exactly what exportTypes lists.
func (m *module) check() error {
	for _, i := range m.imports {
		return fmt.Errorf("the module imports %s.%s; it must import nothing", i.module, i.name)
	}
	if m.start != nil {
		return errors.New("the module has a start function; it must not run by itself")
	}
	if m.memory == nil {
		return errors.New("the module has no memory")
	}
	seen := make(map[string]bool)
	for _, e := range m.exports {
		want, ok := exportTypes[e.name]
		switch {
		case !ok:
			return fmt.Errorf("the module exports %q, which is not part of the ABI", e.name)
		case seen[e.name]:
			return fmt.Errorf("the module exports %q twice", e.name)
		case want == nil && (e.kind != externMemory || e.index != 0):
			return fmt.Errorf("the export %q is not the module's memory", e.name)
		case want != nil && !m.hasType(e, want):
			return fmt.Errorf("the export %q is not a function of the type that the ABI gives it", e.name)
		}
		seen[e.name] = true
	}
	for name := range exportTypes {
		if !seen[name] {
			return fmt.Errorf("the module does not export %q", name)
		}
	}
	return nil
}

// hasType reports whether e is one of the module's own functions and of type want.
func (m *module) hasType(e export, want *funcType) bool {
	own := int64(e.index) - int64(len(m.imports))
	if e.kind != externFunc || own < 0 || own >= int64(len(m.functions)) {
		return false
	}
	typ := m.functions[own]
	return uint64(typ) < uint64(len(m.types)) && m.types[typ].equal(want)
}

func (t *funcType) equal(u *funcType) bool {
	return bytes.Equal(t.params, u.params) && bytes.Equal(t.results, u.results)
}

// state is what a module has become by running.
type state struct {
	memory  []byte
	globals []global
	clock   uint64 // the time that the module was last told, in nanoseconds
	answer  []byte // the response to badRequest
}

// clock is the host's side of the clock that the stub of clock_time_get goes on with.
type clock uint64

func (c *clock) read() int64 {
	*c += clock(clockStep)
	return int64(*c)
}

// zeroes is a source of random numbers that are all zero.
type zeroes struct{}

func (zeroes) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// runGuest starts the module and lets it handle badRequest.
func runGuest(ctx context.Context, built *module) (*state, error) {
	// All of the globals have to be exported, for the host to see them.
	m := *built
	m.exports = slices.Clone(built.exports)
	for i, g := range built.globals {
		if g.mutable {
			m.exports = append(m.exports, export{globalName(i), externGlobal, uint32(i)})
		}
	}
	var (
		now    clock
		output bytes.Buffer
		config = wazero.NewModuleConfig().
			WithStartFunctions().
			WithRandSource(zeroes{}).
			WithNanotime(now.read, 1).
			WithWalltime(func() (int64, int32) {
				t := now.read()
				return t / 1e9, int32(t % 1e9)
			}, 1).
			WithStdout(&output).
			WithStderr(&output)
	)
	r := wazero.NewRuntimeWithConfig(ctx, runtimeConfig)
	defer r.Close(ctx)
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, r); err != nil {
		return nil, fmt.Errorf("setting up WASI: %w", err)
	}
	instance, err := r.InstantiateWithConfig(ctx, m.encode(), config)
	if err != nil {
		return nil, fmt.Errorf("instantiating the guest: %w", err)
	}
	if _, err := invoke(ctx, instance, exportInitialize); err != nil {
		return nil, withOutput(fmt.Errorf("starting the guest: %w", err), &output)
	}
	answer, err := warmUp(ctx, instance)
	if err != nil {
		return nil, withOutput(fmt.Errorf("warming up the guest: %w", err), &output)
	}
	memory := instance.Memory()
	content, ok := memory.Read(0, memory.Size())
	if !ok {
		return nil, errors.New("the guest's memory cannot be read")
	}
	s := &state{
		memory:  bytes.Clone(content),
		globals: slices.Clone(built.globals),
		clock:   uint64(now),
		answer:  answer,
	}
	for i := range s.globals {
		g := &s.globals[i]
		if !g.mutable {
			continue
		}
		v := instance.ExportedGlobal(globalName(i)).Get()
		switch g.typ {
		case typeI32:
			g.init = constI32(api.DecodeI32(v))
		case typeI64:
			g.init = constI64(int64(v))
		default:
			return nil, fmt.Errorf("global %d is of type %#x, which is not supported", i, g.typ)
		}
	}
	return s, nil
}

func globalName(i int) string {
	return fmt.Sprintf("%s%d", exportGlobal, i)
}

// withOutput adds to an error what the module had to say about it: of Go's report of a panic, the first
// line.
func withOutput(err error, output *bytes.Buffer) error {
	line, _, _ := strings.Cut(strings.TrimSpace(output.String()), "\n")
	if line == "" {
		return err
	}
	return fmt.Errorf("%w; the guest says %q", err, line)
}

// warmUp lets an instance handle badRequest, and returns the response.
func warmUp(ctx context.Context, instance api.Module) ([]byte, error) {
	if _, err := invoke(ctx, instance, exportABI); err != nil {
		return nil, err
	}
	size := uint64(len(badRequest))
	request, err := invoke(ctx, instance, exportAlloc, size)
	if err != nil {
		return nil, err
	}
	if request == 0 || !instance.Memory().Write(uint32(request), badRequest) {
		return nil, fmt.Errorf("%s returned %#x, which is no buffer", exportAlloc, request)
	}
	result, err := invoke(ctx, instance, exportCall, request, size)
	if err != nil {
		return nil, err
	}
	response := result >> 32
	content, ok := instance.Memory().Read(uint32(response), uint32(result))
	if !ok || len(content) == 0 {
		return nil, fmt.Errorf("%s returned %#x, which is no response", exportCall, result)
	}
	content = bytes.Clone(content)
	for _, ptr := range []uint64{response, request} {
		if _, err := invoke(ctx, instance, exportFree, ptr); err != nil {
			return nil, err
		}
	}
	return content, nil
}

// invoke calls an exported function, and returns its result, or 0 if it has none.
func invoke(ctx context.Context, instance api.Module, name string, args ...uint64) (uint64, error) {
	f := instance.ExportedFunction(name)
	if f == nil {
		return 0, fmt.Errorf("there is no function %q", name)
	}
	if len(args) != len(f.Definition().ParamTypes()) {
		return 0, fmt.Errorf("the function %q takes %d arguments, not %d", name, len(f.Definition().ParamTypes()), len(args))
	}
	results, err := f.Call(ctx, args...)
	if exit := (*sys.ExitError)(nil); errors.As(err, &exit) {
		return 0, fmt.Errorf("%s: exit status %d", name, exit.ExitCode())
	}
	if err != nil {
		reason, _, _ := strings.Cut(err.Error(), "\n") // the stack follows
		return 0, fmt.Errorf("%s: %s", name, reason)
	}
	if len(results) == 0 {
		return 0, nil
	}
	return results[0], nil
}

// try checks a finished module, instantiates it in a runtime that has nothing to offer, and lets it handle
// badRequest, twice: the answer must be what it was before the module was frozen.
func try(ctx context.Context, b, answer []byte) error {
	m, err := parseModule(b)
	if err != nil {
		return fmt.Errorf("parsing the finished module: %w", err)
	}
	if err := m.check(); err != nil {
		return err
	}
	r := wazero.NewRuntimeWithConfig(ctx, runtimeConfig)
	defer r.Close(ctx)
	instance, err := r.InstantiateWithConfig(ctx, b, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		return fmt.Errorf("instantiating the finished module: %w", err)
	}
	for range 2 {
		got, err := warmUp(ctx, instance)
		if err != nil {
			return fmt.Errorf("trying the finished module: %w", err)
		}
		if !bytes.Equal(got, answer) {
			return fmt.Errorf("the finished module answers a request with %q; before, it answered %q", got, answer)
		}
	}
	return nil
}

// segments returns the data segments that make an empty memory into this one.
func segments(memory []byte) []segment {
	var s []segment
	for pos := 0; ; {
		start := pos + zeroRun(memory[pos:])
		if start == len(memory) {
			return s
		}
		end := start
		for pos = start; ; {
			for pos < len(memory) && memory[pos] != 0 {
				pos++
			}
			end = pos
			gap := zeroRun(memory[pos:])
			pos += gap
			if gap >= minGap || pos == len(memory) {
				break
			}
		}
		s = append(s, segment{offset: uint32(start), bytes: memory[start:end:end]})
	}
}

// zeroRun returns how many zeroes b begins with.
func zeroRun(b []byte) int {
	for i, c := range b {
		if c != 0 {
			return i
		}
	}
	return len(b)
}

// replaceImports puts a function of the module's own in the place of each imported one. Those come
// first in the index space of functions, in the same order, so all indices stay right. The new clock
// goes on from now, in nanoseconds.
func (m *module) replaceImports(now uint64) (clock uint64, err error) {
	clock = uint64(len(m.globals))
	m.globals = append(m.globals[:clock:clock], global{typ: typeI64, mutable: true, init: constI64(int64(now))})
	functions := make([]uint32, 0, len(m.imports)+len(m.functions))
	code := make([][]byte, 0, cap(functions))
	for _, i := range m.imports {
		body, err := m.stub(i, clock)
		if err != nil {
			return 0, err
		}
		functions = append(functions, i.typ)
		code = append(code, body)
	}
	m.functions = append(functions, m.functions...)
	m.code = append(code, m.code...)
	m.imports = nil
	return clock, nil
}

// stub returns the body of the function that takes an import's place; clock is the index of the global
// that holds the time.
//
// A module that has been started asks WASI for little: the time; to print, before it gives up; to exit,
// when it has given up. Random numbers it must not ask for, since they would not be random.
func (m *module) stub(i funcImport, clock uint64) ([]byte, error) {
	if i.module != wasiModule {
		return nil, fmt.Errorf("the guest imports %s.%s; wasmbuild knows no module but %s", i.module, i.name, wasiModule)
	}
	if uint64(i.typ) >= uint64(len(m.types)) {
		return nil, fmt.Errorf("the import %s has type %d, which there is not", i.name, i.typ)
	}
	errno := []byte{typeI32}
	t := funcType{params: m.types[i.typ].params, results: errno}
	var code []byte
	switch i.name {
	case "clock_time_get": // (id i32, precision i64, time *u64)
		t.params = []byte{typeI32, typeI64, typeI32}
		code = appendClockMove(code, clock, clockStep)
		code = append(code, opLocalGet, 2)
		code = appendUnsigned(append(code, opGlobalGet), clock)
		code = append(code, opI64Store, 3, 0) // alignment 8, offset 0
		code = append(code, opI32Const, 0)
	case "fd_write": // (fd i32, iovs *[n]struct{ buf, len u32 }, n u32, written *u32)
		// It writes the first buffer, and it writes it nowhere.
		t.params = []byte{typeI32, typeI32, typeI32, typeI32}
		code = append(code, opLocalGet, 3)
		code = append(code, opLocalGet, 1)
		code = append(code, opI32Load, 2, 4)  // alignment 4, offset 4
		code = append(code, opI32Store, 2, 0) // alignment 4, offset 0
		code = append(code, opI32Const, 0)
	case "sched_yield", "poll_oneoff": // There is nothing to wait for.
		code = append(code, opI32Const, 0)
	case "random_get":
		code = append(code, opUnreachable)
	case "proc_exit": // (code i32), without a result
		t.results = nil
		code = append(code, opUnreachable)
	default:
		code = append(code, opI32Const, enosys)
	}
	if !m.types[i.typ].equal(&t) {
		return nil, fmt.Errorf("the import %s is not of the type that WASI gives it", i.name)
	}
	return append(append([]byte{0}, code...), opEnd), nil // no locals
}
