package main

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero/api"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// TestMemorySettles makes many assertions with a clock whose steps are ten times as long as they are, for
// which an instance without callTime stopped collecting garbage after 74,000 calls, not after 730,000.
func TestMemorySettles(t *testing.T) {
	const (
		calls    = 100_000
		maxPages = 300
	)
	clockStep = 10 * defaultClockStep
	defer func() { clockStep = defaultClockStep }()
	_, b, err := linkGuest(t, shippedGuest).finish(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	instance := start(t, b)
	key, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	privateKey := key.PKCS8()
	pages := uint32(0)
	for i := range calls {
		params := wire.Encode(&wire.AssertionBuildParams{PrivateKey: privateKey, AgentRuntimeID: "agent-1", TaskID: "task-1", Now: int64(i)})
		exchange(t, instance, wire.Encode(&wire.Request{Method: wire.MethodAssertionBuild, Params: params}))
		if pages = instance.Memory().Size() / pageSize; pages > maxPages {
			t.Fatalf("after %d calls memory has %d pages", i, pages)
		}
	}
	t.Logf("memory has settled at %d pages", pages)
}

// exchange makes one call of an instance, and forgets the answer.
func exchange(t *testing.T, instance api.Module, request []byte) {
	t.Helper()
	call := func(name string, arguments ...uint64) uint64 {
		results, err := instance.ExportedFunction(name).Call(context.Background(), arguments...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(results) == 0 {
			return 0
		}
		return results[0]
	}
	ptr := call(exportAlloc, uint64(len(request)))
	if !instance.Memory().Write(uint32(ptr), request) {
		t.Fatal("the buffer is outside of the memory")
	}
	response := call(exportCall, ptr, uint64(len(request)))
	call(exportFree, response>>32)
	call(exportFree, ptr)
}
