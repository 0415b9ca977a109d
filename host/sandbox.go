package host

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/wasm"
)

const (
	defaultMemoryLimit = 32 << 20
	defaultCallTimeout = 5 * time.Second
	wasmPageSize       = 64 << 10
)

// SandboxOptions are all optional.
type SandboxOptions struct {
	// Module takes the place of the embedded module.
	Module []byte
	// CacheDir is a folder for compiled code, which saves a second whenever a
	// process starts. It is created if need be, and any number of processes can
	// use it. Without it nothing is kept.
	//
	// Who can write there can run code in this process. So a folder of another
	// user's, root excepted, or one that the group or everybody can write to is not
	// used; on Windows that is not checked, and the folder has to be in the user's
	// profile. Damaged code is found by a checksum and compiled anew. Nothing that
	// is wrong with a cache keeps the sandbox from starting: see
	// [Sandbox.CacheProblem].
	CacheDir string
	// MaxInstances bounds how many calls run at once; further ones wait. The
	// default is runtime.GOMAXPROCS.
	MaxInstances int
	// MemoryLimit bounds the memory of one instance, in bytes. The default is
	// 32 MiB.
	MemoryLimit int
	// CallTimeout bounds one call of a module other than the embedded one. The
	// default is 5 s. The embedded module counts its own steps, and traps when a
	// call takes too many: within seconds, and at the same step in every engine.
	CallTimeout time.Duration
}

// Sandbox is an engine that runs the core as a WebAssembly module, in wazero.
// The module imports nothing: what it knows is what a call hands it, and it can
// reach nothing. The compiled module is shared, each call has an instance to
// itself, and instances are kept for the next call. One that traps or overruns
// its deadline is thrown away.
type Sandbox struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	// cache is nil where there is none, or none that can be used.
	cache        *moduleCache
	cacheProblem error
	timeout      time.Duration // of a call; 0 where the module bounds itself
	// memoryPages bounds the memory of one instance.
	memoryPages uint32

	// slots holds one token for each instance that may exist.
	slots chan struct{}

	mu     sync.Mutex
	idle   []*instance
	closed bool
}

// NewSandbox compiles the module, or takes it from the cache, and starts a first
// instance.
//
// Errors: CodeInvalidModule, CodeABIVersion.
func NewSandbox(ctx context.Context, o SandboxOptions) (*Sandbox, error) {
	// Having wazero watch the clock makes every loop dearer, by half in all.
	watched := o.Module != nil
	if !watched {
		o.Module, o.CallTimeout = wasm.Module, 0
	} else if o.CallTimeout <= 0 {
		o.CallTimeout = defaultCallTimeout
	}
	if o.MaxInstances <= 0 {
		o.MaxInstances = runtime.GOMAXPROCS(0)
	}
	if o.MemoryLimit <= 0 {
		o.MemoryLimit = defaultMemoryLimit
	}
	s := &Sandbox{
		timeout:     o.CallTimeout,
		memoryPages: uint32(max(1, min(o.MemoryLimit/wasmPageSize, 1<<16))),
		slots:       make(chan struct{}, o.MaxInstances),
	}
	if o.CacheDir != "" {
		s.cache, s.cacheProblem = openModuleCache(o.CacheDir, o.Module)
	}
	s.open(ctx)
	if err := s.start(ctx, o.Module); err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

// open makes the runtime, with the cache where there is one.
func (s *Sandbox) open(ctx context.Context) {
	config := wazero.NewRuntimeConfig().
		WithMemoryLimitPages(s.memoryPages).
		WithCloseOnContextDone(s.timeout > 0)
	if s.cache != nil {
		config = config.WithCompilationCache(s.cache.wazero)
	}
	s.runtime = wazero.NewRuntimeWithConfig(ctx, config)
}

// start compiles the module and checks that it is one of ours.
func (s *Sandbox) start(ctx context.Context, module []byte) error {
	if err := s.compile(ctx, module); err != nil {
		return err
	}
	if n := s.Imports(); n > 0 {
		return fail(CodeInvalidModule, fmt.Sprintf("the module imports %d things; a sandboxed core imports nothing", n), nil)
	}
	if err := checkExports(s.compiled); err != nil {
		return err
	}
	ctx, cancel := s.limit(ctx)
	defer cancel()
	i, err := s.newInstance(ctx)
	if err != nil {
		return err
	}
	version, err := i.abi.Call(ctx)
	if err != nil {
		return fail(CodeInvalidModule, "the module does not tell its ABI version", err)
	}
	if v := api.DecodeU32(version[0]); v != wire.ABIVersion {
		return fail(CodeABIVersion, fmt.Sprintf("the module has version %d of the ABI, this host version %d; use a module and a host of one release", v, wire.ABIVersion), nil)
	}
	s.idle = append(s.idle, i)
	return nil
}

// compile compiles the module, or takes it from the cache. Where the cache is in
// the way it does without.
func (s *Sandbox) compile(ctx context.Context, module []byte) error {
	var err error
	if s.cache != nil {
		if err = s.compileCached(ctx, module); err == nil {
			return nil
		}
		if closeErr := errors.Join(s.runtime.Close(ctx), s.cache.wazero.Close(ctx)); closeErr != nil {
			return fail(core.CodeInternal, "the compilation cache cannot be closed", closeErr)
		}
		s.cache = nil
		s.open(ctx)
	}
	cacheErr := err
	if s.compiled, err = s.runtime.CompileModule(ctx, module); err != nil {
		return fail(CodeInvalidModule, "the module is not valid WebAssembly, is truncated, or needs more memory than the limit", err)
	}
	if cacheErr != nil {
		s.cacheProblem = errors.Join(s.cacheProblem, errCacheUnusable(cacheErr))
	}
	return nil
}

// compileCached compiles the module with the cache. An error is the cache's or the
// module's.
func (s *Sandbox) compileCached(ctx context.Context, module []byte) (err error) {
	if s.compiled, err = s.runtime.CompileModule(ctx, module); err == nil {
		err = s.cache.seal()
	} else {
		// wazero has the compiled code already if it could not write it; and if it
		// could not read it, it writes it anew.
		var again error
		if again = s.cache.removeAll(); again == nil {
			s.compiled, again = s.runtime.CompileModule(ctx, module)
		}
		if again == nil {
			again = s.cache.seal()
		}
		if again != nil {
			return again
		}
	}
	if err != nil {
		s.cacheProblem = errors.Join(s.cacheProblem, errCacheUnusable(err))
	}
	return nil
}

// CacheProblem returns what was wrong with SandboxOptions.CacheDir when the
// sandbox was made, or nil: it could not be used, or held damaged code, which is
// replaced. The sandbox works all the same. What to do about it is in the text,
// for a person to read. The code is CodeCacheFailed.
func (s *Sandbox) CacheProblem() error { return s.cacheProblem }

// checkExports checks that the module has what the ABI says.
func checkExports(m wazero.CompiledModule) error {
	const i32, i64 = api.ValueTypeI32, api.ValueTypeI64
	functions := m.ExportedFunctions()
	for _, want := range []struct {
		name            string
		params, results []api.ValueType
	}{
		{"agentassert_abi", nil, []api.ValueType{i32}},
		{"agentassert_alloc", []api.ValueType{i32}, []api.ValueType{i32}},
		{"agentassert_free", []api.ValueType{i32}, nil},
		{"agentassert_call", []api.ValueType{i32, i32}, []api.ValueType{i64}},
	} {
		f := functions[want.name]
		if f == nil || !slices.Equal(f.ParamTypes(), want.params) || !slices.Equal(f.ResultTypes(), want.results) {
			return fail(CodeInvalidModule, "the module lacks the function "+want.name+", or has it with another signature", nil)
		}
	}
	if m.ExportedMemories()["memory"] == nil {
		return fail(CodeInvalidModule, "the module does not export its memory", nil)
	}
	return nil
}

// limit returns a context for one call of the module. The caller's cancellation
// does not reach into it: the call is over soon, and would cost the instance.
func (s *Sandbox) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = context.WithoutCancel(ctx)
	if s.timeout > 0 {
		return context.WithTimeout(ctx, s.timeout)
	}
	return ctx, func() {}
}

// Imports returns how many functions and memories the module imports. It is 0:
// NewSandbox refuses all others.
func (s *Sandbox) Imports() int {
	return len(s.compiled.ImportedFunctions()) + len(s.compiled.ImportedMemories())
}

// SandboxStats says how busy a sandbox is.
type SandboxStats struct {
	// Busy is how many calls have an instance, Idle how many instances wait for
	// the next call.
	Busy, Idle int
	// Max is how many calls can have one at once.
	Max int
}

// Stats returns the sandbox's current numbers.
func (s *Sandbox) Stats() SandboxStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return SandboxStats{Busy: len(s.slots), Idle: len(s.idle), Max: cap(s.slots)}
}

// Call implements [Engine]. It waits for an instance where all are busy.
//
// Errors: CodeSandboxFailed, CodeClosed, CodeCanceled, core.CodeInvalidRequest.
func (s *Sandbox) Call(ctx context.Context, request []byte) ([]byte, error) {
	if err := checkSize(request); err != nil {
		return nil, err
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fail(CodeCanceled, "the call was canceled while it waited for an instance", ctx.Err())
	}
	defer func() { <-s.slots }()
	if err := ctx.Err(); err != nil {
		return nil, fail(CodeCanceled, "the call was canceled", err)
	}
	limited, cancel := s.limit(ctx)
	defer cancel()
	i, err := s.take(limited)
	if err != nil {
		return nil, err
	}
	response, err := i.call(limited, request)
	if err != nil {
		// Close reports what is known already.
		_ = i.module.Close(context.WithoutCancel(ctx))
		return nil, fail(CodeSandboxFailed, "the sandboxed core failed, and its instance was thrown away", err)
	}
	s.putBack(i)
	return response, nil
}

// Close waits for nobody: calls that are under way fail.
func (s *Sandbox) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed, s.idle = true, nil
	s.mu.Unlock()
	err := s.runtime.Close(ctx)
	if s.cache != nil {
		err = errors.Join(err, s.cache.wazero.Close(ctx))
	}
	return err
}

func (s *Sandbox) take(ctx context.Context) (*instance, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errClosed(nil)
	}
	if n := len(s.idle); n > 0 {
		i := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		return i, nil
	}
	s.mu.Unlock()
	i, err := s.newInstance(ctx)
	if err != nil && s.isClosed() {
		return nil, errClosed(err)
	}
	return i, err
}

func (s *Sandbox) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func errClosed(err error) error { return fail(CodeClosed, "the sandbox is closed", err) }

func (s *Sandbox) putBack(i *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.idle = append(s.idle, i)
	}
}

// instance is one instance of the module. It serves one call at a time.
type instance struct {
	module                 api.Module
	memory                 api.Memory
	abi, alloc, free, exec api.Function
}

func (s *Sandbox) newInstance(ctx context.Context) (*instance, error) {
	// Nameless, so that there can be many; without start functions, because the
	// module has been started when it was built.
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	m, err := s.runtime.InstantiateModule(ctx, s.compiled, config)
	if err != nil {
		return nil, fail(CodeInvalidModule, "the module cannot be instantiated; is the memory limit too low?", err)
	}
	return &instance{
		module: m,
		memory: m.ExportedMemory("memory"),
		abi:    m.ExportedFunction("agentassert_abi"),
		alloc:  m.ExportedFunction("agentassert_alloc"),
		free:   m.ExportedFunction("agentassert_free"),
		exec:   m.ExportedFunction("agentassert_call"),
	}, nil
}

var (
	errNoMemory   = errors.New("the guest has no memory for the request")
	errBadPointer = errors.New("the guest returned a buffer outside its memory")
)

// call takes a request into the guest and its response out. After an error the
// instance is of no more use.
func (i *instance) call(ctx context.Context, request []byte) ([]byte, error) {
	var stack [2]uint64
	stack[0] = uint64(len(request))
	if err := i.alloc.CallWithStack(ctx, stack[:]); err != nil {
		return nil, err
	}
	in := stack[0]
	if in == 0 || !i.memory.Write(uint32(in), request) {
		return nil, errNoMemory
	}
	stack[0], stack[1] = in, uint64(len(request))
	if err := i.exec.CallWithStack(ctx, stack[:]); err != nil {
		return nil, err
	}
	out, size := uint32(stack[0]>>32), uint32(stack[0])
	view, ok := i.memory.Read(out, size)
	if !ok || size == 0 || size > wire.MaxMessage {
		return nil, errBadPointer
	}
	response := append([]byte(nil), view...)
	for _, ptr := range [...]uint64{uint64(out), in} {
		stack[0] = ptr
		if err := i.free.CallWithStack(ctx, stack[:]); err != nil {
			return nil, err
		}
	}
	return response, nil
}
