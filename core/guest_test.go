package core_test

import (
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// assertionCall returns a function that makes one assertion after the other, as a host has it done.
func assertionCall(tb testing.TB) func() {
	tb.Helper()
	key, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		tb.Fatal(err)
	}
	params := wire.AssertionBuildParams{PrivateKey: key.PKCS8(), AgentRuntimeID: "agent-rt-2", TaskID: "task-4", Now: 1795533368}
	request := wire.Encode(&wire.Request{Method: wire.MethodAssertionBuild, Params: wire.Encode(&params)})
	guest := core.NewGuest()
	var r wire.Response
	if err := wire.Decode(guest.Call(request), &r); err != nil || r.Error != nil {
		tb.Fatal(err, r.Error)
	}
	return func() { guest.Call(request) }
}

func BenchmarkGuestAssertion(b *testing.B) {
	call := assertionCall(b)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}

// A call for an assertion allocates little: in the module, the collector that finds what it leaves behind is
// WebAssembly, too.
func TestAssertionAllocations(t *testing.T) {
	const most = 21
	call := assertionCall(t)
	if n := testing.AllocsPerRun(100, call); n > most {
		t.Errorf("%v allocations; want %d at most", n, most)
	}
}
