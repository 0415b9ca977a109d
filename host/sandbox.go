package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/wasmlimits"
	"github.com/agentassert/agentassert/wasm"
)

const (
	defaultMemoryLimit    = 32 << 20
	defaultCallTimeout    = 5 * time.Second
	defaultCompileTimeout = 30 * time.Second
	wasmPageSize          = 64 << 10
	// maxIdleMemory is how much memory an instance may have to be kept for the next
	// call, in bytes. One of the embedded module's settles at 9 MiB; whatever has made
	// one grow beyond this, it does not go on.
	maxIdleMemory = 16 << 20
)

// SandboxOptions are all optional.
type SandboxOptions struct {
	// Module takes the place of the embedded module. Whose it is does not matter: it
	// is interpreted, not compiled to machine code, so that its tables and its
	// recursion count as memory, and each of its calls takes a hundred times as long as
	// one of the embedded module, milliseconds. The bytes of the embedded module are
	// the embedded module.
	//
	// It may have 8 MiB without its custom sections, which are not read, and takes up
	// to a hundred times its size once for all instances. A table that declares no
	// maximum does not grow.
	Module []byte
	// CacheDir is a folder for the embedded module's compiled code, which saves a
	// second whenever a process starts. It is created if need be, and any number of
	// processes can use it. The default is the folder agentassert where
	// the system keeps the user's caches ([os.UserCacheDir]). There is none where the
	// system names no folder, or one in a folder that is not there; nor in a program
	// that was built without saying which wazero it has, as go test and Bazel build
	// them: what another of these has left would be of no use to it.
	//
	// Who can write there can run code in this process. So the folder, all that is in
	// it, and the folders above it have to belong to this user or to root, and nobody
	// else may be able to write to them; in a folder above, everybody may if it has the
	// sticky bit. What is in it must be no link. On Windows that is not checked, and
	// the folder has to be in the user's profile. Damaged code is found by a checksum
	// and compiled anew. Code that was made 90 days ago or earlier for another version
	// of the module is removed when that of this one is written. Nothing that is wrong
	// with a cache keeps the sandbox from starting: see [Sandbox.CacheProblem].
	CacheDir string
	// NoCache has nothing of the module's compiled code kept or read, in CacheDir
	// neither.
	NoCache bool
	// MaxInstances bounds how many calls run at once; further ones wait. The
	// default is runtime.GOMAXPROCS.
	MaxInstances int
	// MemoryLimit bounds the memory of one instance, in bytes. The default is
	// 32 MiB. For a module other than the embedded one that is all that an instance
	// can take, with 256 KiB for what is not its memory: tables, globals, segments and
	// the stack of its calls.
	MemoryLimit int
	// CallTimeout bounds one call of a module other than the embedded one. The
	// default is 5 s. The embedded module counts its own steps, and traps when a
	// call takes too many: within seconds, and at the same step in every engine.
	CallTimeout time.Duration
	// CompileTimeout bounds how long NewSandbox takes to read a module other than the
	// embedded one. The default is 30 s. What was begun cannot be stopped: it ends in
	// the background, in time that is in proportion to the module's size.
	CompileTimeout time.Duration
}

// Sandbox is an engine that runs the core as a WebAssembly module, in wazero.
// The module imports nothing: what it knows is what a call hands it, and it can
// reach nothing. The compiled module is shared, each call has an instance to
// itself, and instances are kept for the next call. One that traps or overruns
// its deadline is thrown away.
//
// An instance's memory holds what its calls have left there, private keys among it:
// see [Sandbox.Forget].
type Sandbox struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	// cache is nil where there is none, or none that can be used.
	cache        *moduleCache
	cacheProblem error
	imports      int
	timeout      time.Duration // of a call; 0 where the module bounds itself
	// memoryPages bounds the memory of one instance.
	memoryPages uint32
	// foreign is what a caller's module declares. It is nil for the embedded one,
	// which is compiled, and trusted to keep its stack and its tables small.
	foreign *wasmlimits.Module

	// closing is canceled by Close, and with it the calls that can be interrupted.
	closing   context.Context
	interrupt context.CancelFunc

	// slots holds one token for each instance that may exist.
	slots chan struct{}

	mu   sync.Mutex
	idle []*instance
	busy int // how many instances have been taken
	// generation is how often the sandbox was told to forget.
	generation int
	closed     bool
}

// NewSandbox compiles the module, or takes it from the cache, and starts a first
// instance.
//
// Errors: CodeInvalidModule, CodeABIVersion, CodeCanceled.
func NewSandbox(ctx context.Context, o SandboxOptions) (*Sandbox, error) {
	foreign := o.Module != nil && !bytes.Equal(o.Module, wasm.Module)
	if !foreign {
		o.Module = wasm.Module
		if o.CacheDir == "" && !o.NoCache {
			o.CacheDir = defaultCacheDir()
		}
	}
	return newSandbox(ctx, o, foreign)
}

// newSandbox makes a sandbox of o.Module, which is the caller's or one of ours.
func newSandbox(ctx context.Context, o SandboxOptions, foreign bool) (*Sandbox, error) {
	if o.CallTimeout <= 0 {
		o.CallTimeout = defaultCallTimeout
	}
	if o.CompileTimeout <= 0 {
		o.CompileTimeout = defaultCompileTimeout
	}
	if o.MaxInstances <= 0 {
		o.MaxInstances = runtime.GOMAXPROCS(0)
	}
	if o.MemoryLimit <= 0 {
		o.MemoryLimit = defaultMemoryLimit
	}
	s := &Sandbox{
		memoryPages: uint32(max(1, min(o.MemoryLimit/wasmPageSize, 1<<16))),
		slots:       make(chan struct{}, o.MaxInstances),
	}
	s.closing, s.interrupt = context.WithCancel(context.Background())
	var err error
	if foreign {
		// Having wazero watch the clock makes every loop dearer, by half in all.
		s.timeout = o.CallTimeout
		err = s.interpret(ctx, o.Module, o.CompileTimeout)
	} else {
		if o.NoCache {
			o.CacheDir = ""
		}
		err = s.compile(ctx, o.Module, o.CacheDir)
	}
	if err == nil {
		err = s.start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

// countImports refuses a module that imports something, of any kind.
func (s *Sandbox) countImports(module []byte) error {
	var err error
	s.imports, err = wasmlimits.Imports(module)
	switch {
	case err != nil:
		return errInvalidModule(err)
	case s.imports > 0:
		return fail(CodeInvalidModule, fmt.Sprintf("the module imports %d things; a sandboxed core imports nothing", s.imports), nil)
	}
	return nil
}

func errInvalidModule(err error) error {
	return fail(CodeInvalidModule, "the module is not valid WebAssembly, is truncated, or declares more than the limits allow", err)
}

// start checks that the module is one of ours.
func (s *Sandbox) start(ctx context.Context) error {
	if err := checkExports(s.compiled); err != nil {
		return err
	}
	ctx, cancel := s.limit(ctx)
	defer cancel()
	i, err := s.newInstance(ctx)
	if err != nil {
		return err
	}
	s.idle = append(s.idle, i)
	version, err := i.abi.Call(i.budget.in(ctx))
	if err != nil {
		return fail(CodeInvalidModule, "the module does not tell its ABI version", err)
	}
	if v := api.DecodeU32(version[0]); v != wire.ABIVersion {
		return fail(CodeABIVersion, fmt.Sprintf("the module has version %d of the ABI, this host version %d; use a module and a host of one release", v, wire.ABIVersion), nil)
	}
	return nil
}

// interpret prepares a caller's module, which is not compiled. Compiling takes
// memory and time that grow with the square of a function, cannot be stopped
// inside one, and says nothing of how much stack a call will take. The
// interpreter's work and stack are in proportion to the module.
func (s *Sandbox) interpret(ctx context.Context, module []byte, timeout time.Duration) error {
	if err := s.countImports(module); err != nil {
		return err
	}
	foreign, err := wasmlimits.Inspect(module)
	if err != nil {
		return errInvalidModule(err)
	}
	if needed, most := foreign.Instance+foreign.Memory, memoryBudget(s.memoryPages); needed > most {
		return fail(CodeInvalidModule, fmt.Sprintf(
			"the module declares memory, tables, globals and functions of %d bytes, where an instance may have %d; raise the memory limit, or declare less, such as a smaller maximum of a table",
			needed, most), nil)
	}
	s.foreign = foreign
	s.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().
		WithMemoryLimitPages(s.memoryPages).
		WithCloseOnContextDone(true))
	type result struct {
		compiled wazero.CompiledModule
		err      error
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		compiled, err := compileModule(withFrames(limited, foreign.Frames), s.runtime, foreign.Bytes)
		done <- result{compiled, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return errInvalidModule(r.err)
		}
		s.compiled = r.compiled
		return nil
	case <-limited.Done():
		if err := ctx.Err(); err != nil {
			return fail(CodeCanceled, "the caller stopped waiting for the module to be read", err)
		}
		return fail(CodeInvalidModule, fmt.Sprintf("the module could not be read within %v; bring a smaller one, or raise SandboxOptions.CompileTimeout", timeout), nil)
	}
}

// compileModule compiles a module. A panic of wazero's becomes an error.
func compileModule(ctx context.Context, r wazero.Runtime, module []byte) (m wazero.CompiledModule, err error) {
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, fmt.Errorf("the engine failed: %v", p)
		}
	}()
	return r.CompileModule(ctx, module)
}

// compile compiles a module of ours, or takes it from the cache. Where the cache
// is in the way it does without.
func (s *Sandbox) compile(ctx context.Context, module []byte, cacheDir string) error {
	if err := s.countImports(module); err != nil {
		return err
	}
	if cacheDir != "" {
		s.cache, s.cacheProblem = openModuleCache(cacheDir, module)
	}
	s.open(ctx)
	var cacheErr error
	if s.cache != nil {
		if cacheErr = s.compileCached(ctx, module); cacheErr == nil {
			return nil
		}
		// Whatever becomes of them: there are others in their place.
		_ = errors.Join(s.runtime.Close(ctx), s.cache.wazero.Close(ctx))
		s.cache = nil
		s.open(ctx)
	}
	var err error
	if s.compiled, err = compileModule(ctx, s.runtime, module); err != nil {
		return errInvalidModule(err)
	}
	if cacheErr != nil {
		s.cacheProblem = errors.Join(s.cacheProblem, errCacheUnusable(cacheErr))
	}
	return nil
}

// open makes the runtime for a module of ours, with the cache where there is one.
func (s *Sandbox) open(ctx context.Context) {
	config := wazero.NewRuntimeConfig().WithMemoryLimitPages(s.memoryPages)
	if s.cache != nil {
		config = config.WithCompilationCache(s.cache.wazero)
	}
	s.runtime = wazero.NewRuntimeWithConfig(ctx, config)
}

// compileCached compiles the module with the cache. An error is the cache's or the
// module's.
func (s *Sandbox) compileCached(ctx context.Context, module []byte) (err error) {
	if s.compiled, err = compileModule(ctx, s.runtime, module); err == nil {
		err = s.cache.seal()
	} else {
		// wazero has the compiled code already if it could not write it; and if it
		// could not read it, it writes it anew.
		var again error
		if again = s.cache.removeAll(); again == nil {
			s.compiled, again = compileModule(ctx, s.runtime, module)
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

// CacheProblem returns what was wrong with the folder of SandboxOptions.CacheDir,
// be it the default, when the sandbox was made, or nil: it could not be used, or held
// damaged code, which is replaced. The sandbox works all the same. What to do about it is in the text,
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
	if s.timeout == 0 {
		return ctx, func() {}
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	stop := context.AfterFunc(s.closing, cancel)
	return ctx, func() { stop(); cancel() }
}

// Imports returns how many functions, tables, memories and globals the module
// imports. It is 0: NewSandbox refuses all others.
func (s *Sandbox) Imports() int { return s.imports }

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
	s.putBack(ctx, i, err == nil)
	switch {
	case err == nil:
		return response, nil
	case s.isClosed():
		return nil, errClosed(err)
	}
	return nil, fail(CodeSandboxFailed, "the sandboxed core failed, and its instance was thrown away", err)
}

// Forget throws away the instances, whose memory holds what their calls have left
// there, and overwrites it with zeroes first. An instance keeps the last private
// key that it parsed, and parts of that and of other keys and tokens that its
// garbage collector has not come across. Instances that are busy are thrown away
// when their call ends; Forget does not wait for them. A next call starts another,
// which takes half a millisecond.
//
// What is outside that memory is not overwritten: the request and the response of
// a call, what the store holds, and the few words that wazero's stack and the
// processor's registers have left of a call.
func (s *Sandbox) Forget(ctx context.Context) error {
	s.mu.Lock()
	idle := s.idle
	s.idle = nil
	s.generation++
	s.mu.Unlock()
	return retireAll(ctx, idle)
}

// Close forgets as [Sandbox.Forget] does, for good. It waits for nobody: a call
// that is under way ends with its answer or is interrupted, which is CodeClosed;
// the embedded module is not interrupted.
func (s *Sandbox) Close(ctx context.Context) error {
	s.mu.Lock()
	idle := s.idle
	last := !s.closed && s.busy == 0
	s.closed, s.idle = true, nil
	s.mu.Unlock()
	s.interrupt()
	err := retireAll(ctx, idle)
	if last {
		err = errors.Join(err, s.shut(ctx))
	}
	return err
}

// shut lets go of wazero, once no instance is left. It must not take away what a
// call is using.
func (s *Sandbox) shut(ctx context.Context) (err error) {
	if s.runtime != nil {
		err = s.runtime.Close(ctx)
	}
	if s.cache != nil {
		err = errors.Join(err, s.cache.wazero.Close(ctx))
	}
	return err
}

// take returns an instance, which has to be put back.
func (s *Sandbox) take(ctx context.Context) (*instance, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errClosed(nil)
	}
	s.busy++
	if n := len(s.idle); n > 0 {
		i := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		return i, nil
	}
	generation := s.generation
	s.mu.Unlock()
	i, err := s.newInstance(ctx)
	if err != nil {
		s.putBack(ctx, nil, false)
		if s.isClosed() {
			return nil, errClosed(err)
		}
		return nil, err
	}
	i.generation = generation
	return i, nil
}

func (s *Sandbox) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func errClosed(err error) error { return fail(CodeClosed, "the sandbox is closed", err) }

// putBack ends what take began. The instance is kept for the next call if it is
// good, has not grown too large, and there is nothing to forget.
func (s *Sandbox) putBack(ctx context.Context, i *instance, good bool) {
	s.mu.Lock()
	s.busy--
	last := s.closed && s.busy == 0
	if good = good && !s.closed && i.generation == s.generation && i.memory.Size() <= maxIdleMemory; good {
		s.idle = append(s.idle, i)
	}
	s.mu.Unlock()
	// The errors are of no use to who made the call.
	if !good && i != nil {
		_ = i.retire(ctx)
	}
	if last {
		_ = s.shut(context.WithoutCancel(ctx))
	}
}

// instance is one instance of the module. It serves one call at a time.
type instance struct {
	module api.Module
	memory api.Memory
	// linear is what memory is made of.
	linear *guestMemory
	// budget is nil where nothing is counted.
	budget                 *budget
	generation             int
	abi, alloc, free, exec api.Function
}

func (s *Sandbox) newInstance(ctx context.Context) (*instance, error) {
	// Nameless, so that there can be many; without start functions, because the
	// module has been started when it was built.
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	var b *budget
	if s.foreign != nil {
		b = &budget{left: memoryBudget(s.memoryPages) - s.foreign.Instance}
	}
	linear := &guestMemory{budget: b}
	m, err := s.runtime.InstantiateModule(experimental.WithMemoryAllocator(b.in(ctx), linear), s.compiled, config)
	if err != nil {
		linear.erase()
		return nil, fail(CodeInvalidModule, "the module cannot be instantiated; is the memory limit too low?", err)
	}
	return &instance{
		module: m,
		memory: m.ExportedMemory("memory"),
		linear: linear,
		budget: b,
		abi:    m.ExportedFunction("agentassert_abi"),
		alloc:  m.ExportedFunction("agentassert_alloc"),
		free:   m.ExportedFunction("agentassert_free"),
		exec:   m.ExportedFunction("agentassert_call"),
	}, nil
}

// retire overwrites the instance's memory, and lets go of it.
func (i *instance) retire(ctx context.Context) error {
	i.linear.erase()
	return i.module.Close(context.WithoutCancel(ctx))
}

func retireAll(ctx context.Context, instances []*instance) (err error) {
	for _, i := range instances {
		err = errors.Join(err, i.retire(ctx))
	}
	return err
}

var (
	errNoMemory   = errors.New("the guest has no memory for the request")
	errBadPointer = errors.New("the guest returned a buffer outside its memory")
)

// call takes a request into the guest and its response out. After an error the
// instance is of no more use.
func (i *instance) call(ctx context.Context, request []byte) ([]byte, error) {
	ctx = i.budget.in(ctx)
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
