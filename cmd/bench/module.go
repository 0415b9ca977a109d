package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"

	"github.com/agentassert/agentassert/wasm"
)

func (*bench) module(context.Context) ([]row, error) {
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(wasm.Module); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	const maxSize, maxZipped = 2.5e6, 0.7e6
	size := float64(len(wasm.Module))
	return []row{{
		what:     "module",
		budget:   "≤ 2.5 MB, ≤ 0.7 MB gzipped",
		measured: fmt.Sprintf("%.2f MB, %.2f MB gzipped", size/1e6, float64(zipped.Len())/1e6),
		missed:   size > maxSize || float64(zipped.Len()) > maxZipped,
	}}, nil
}

// instances measures what one more instance costs, below the pool.
func (b *bench) instances(ctx context.Context) ([]row, error) {
	runtime := wazero.NewRuntime(ctx)
	defer runtime.Close(ctx)
	compiled, err := runtime.CompileModule(ctx, wasm.Module)
	if err != nil {
		return nil, err
	}
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	var memory uint32
	took, err := median(101, func() error {
		m, err := runtime.InstantiateModule(ctx, compiled, config)
		if err != nil {
			return err
		}
		memory = m.ExportedMemory("memory").Size()
		return m.Close(ctx)
	})
	if err != nil {
		return nil, err
	}
	const most = 80
	ratio := us(took) / b.assertion
	return []row{{
		what:     "new instance",
		budget:   fmt.Sprintf("≤ %d native assertions, ≤ 8 MiB", most),
		measured: fmt.Sprintf("%s, %.0f native assertions, %.1f MiB", round(took), ratio, float64(memory)/(1<<20)),
		peer:     "one native assertion: " + rounded(b.assertion),
		missed:   ratio > most || memory > 8<<20,
	}}, nil
}
