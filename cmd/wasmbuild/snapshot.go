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

const (
	// exportInitialize is what the Go linker calls the function that starts the runtime and runs the
	// init functions, as WASI wants it of a reactor. A finished module has it behind it.
	exportInitialize = "_initialize"

	// exportGlobal begins the names under which an intermediate module exports its globals.
	exportGlobal = "wasmbuild_global_"

	wasiModule = wasi_snapshot_preview1.ModuleName
)

// badRequest is no CBOR (RFC 8949, appendix C: 0xff ends what never began), so every core answers it
// with an error, and has then been through all of a call's path once.
var badRequest = []byte{0xff}

// runtimeConfig is that of wazero. Its interpreter is quick to start, and the same on every machine. A call
// ends when the context does.
var runtimeConfig = wazero.NewRuntimeConfigInterpreter().WithCloseOnContextDone(true)

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
