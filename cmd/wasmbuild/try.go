package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
)

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
