package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// wazeroEngine is an instance in wazero, compiled.
type wazeroEngine struct {
	ctx               context.Context
	runtime           wazero.Runtime
	memory            api.Memory
	alloc, free, main api.Function
	answer            []byte
}

func startWazero(ctx context.Context, module []byte, _ io.Writer) (engine, error) {
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(2*maxPages)) // as hosts have it
	instance, err := r.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		r.Close(ctx)
		return nil, fmt.Errorf("wazero: instantiating the module: %w", err)
	}
	e := &wazeroEngine{ctx: ctx, runtime: r, memory: instance.Memory()}
	for name, f := range map[string]*api.Function{"agentassert_alloc": &e.alloc, "agentassert_free": &e.free, "agentassert_call": &e.main} {
		if *f = instance.ExportedFunction(name); *f == nil {
			r.Close(ctx)
			return nil, &moduleError{engine: "wazero", problem: "the module has no function " + name}
		}
	}
	return e, nil
}

func (*wazeroEngine) name() string { return "wazero" }

func (e *wazeroEngine) close() error { return e.runtime.Close(context.WithoutCancel(e.ctx)) }

func (e *wazeroEngine) call(request []byte) ([]byte, uint32, error) {
	ptr, err := e.invoke(e.alloc, uint64(len(request)))
	if err != nil {
		return nil, 0, err
	}
	if ptr == 0 || !e.memory.Write(uint32(ptr), request) {
		return nil, 0, e.fault(fmt.Sprintf("the buffer at %#x is outside of the memory", ptr))
	}
	result, err := e.invoke(e.main, ptr, uint64(len(request)))
	if err != nil {
		return nil, 0, err
	}
	response, ok := e.memory.Read(uint32(result>>32), uint32(result))
	if !ok {
		return nil, 0, e.fault(fmt.Sprintf("the response at %#x is outside of the memory", result))
	}
	e.answer = append(e.answer[:0], response...)
	for _, p := range []uint64{result >> 32, ptr} {
		if _, err := e.invoke(e.free, p); err != nil {
			return nil, 0, err
		}
	}
	return e.answer, e.memory.Size() / pageSize, nil
}

func (e *wazeroEngine) invoke(f api.Function, arguments ...uint64) (uint64, error) {
	results, err := f.Call(e.ctx, arguments...)
	if err != nil {
		reason, _, _ := strings.Cut(err.Error(), "\n") // the stack follows
		return 0, e.fault(reason)
	}
	if len(results) == 0 {
		return 0, nil
	}
	return results[0], nil
}

func (e *wazeroEngine) fault(problem string) error {
	return &moduleError{engine: e.name(), problem: problem}
}
