package core_test

import (
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// guestCall returns a function that has the guest answer one of the requests after the other, over and over. All
// have been answered once: so the key is parsed.
func guestCall(tb testing.TB, method string, params ...wire.Message) func() {
	tb.Helper()
	guest := core.NewGuest()
	var requests [][]byte
	for _, p := range params {
		request := wire.Encode(&wire.Request{Method: method, Params: wire.Encode(p)})
		var r wire.Response
		if err := wire.Decode(guest.Call(request), &r); err != nil || r.Error != nil {
			tb.Fatal(err, r.Error)
		}
		requests = append(requests, request)
	}
	next := 0
	return func() {
		guest.Call(requests[next])
		next = (next + 1) % len(requests)
	}
}

// assertionCall makes one assertion after the other, each in a new second, as a host has it done.
func assertionCall(tb testing.TB) func() {
	tb.Helper()
	key, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		tb.Fatal(err)
	}
	var seconds []wire.Message
	for i := range int64(60) {
		seconds = append(seconds, &wire.AssertionBuildParams{
			PrivateKey: key.PKCS8(), AgentRuntimeID: "agent-rt-2", TaskID: "task-4", Now: 1795533368 + i,
		})
	}
	return guestCall(tb, wire.MethodAssertionBuild, seconds...)
}

// inspectionCall reads one assertion over and over.
func inspectionCall(tb testing.TB) func() {
	tb.Helper()
	key, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		tb.Fatal(err)
	}
	header, err := core.BuildAssertion(key, "agent-rt-2", "task-4", 1795533368)
	if err != nil {
		tb.Fatal(err)
	}
	return guestCall(tb, wire.MethodAssertionInspect, &wire.AssertionInspectParams{Header: header})
}

func BenchmarkGuestAssertion(b *testing.B) {
	call := assertionCall(b)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}

func BenchmarkGuestInspection(b *testing.B) {
	call := inspectionCall(b)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}

// A call for an assertion allocates little: in the module, the collector that finds what it leaves behind is
// WebAssembly, too.
func TestAssertionAllocations(t *testing.T) {
	const most = 19
	call := assertionCall(t)
	if n := testing.AllocsPerRun(120, call); n > most {
		t.Errorf("%v allocations; want %d at most", n, most)
	}
}
