package requests_test

import (
	"bytes"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/requests"
)

// TestSource looks at what a source gives: the recorded requests first, the same each time, and changed ones
// of which enough can be read to get beyond the decoder.
func TestSource(t *testing.T) {
	recorded, err := requests.Recorded()
	if err != nil {
		t.Fatal(err)
	}
	one, other := requests.NewSource(recorded, 1), requests.NewSource(recorded, 1)
	for i, want := range recorded {
		if got := one.Next(); !bytes.Equal(got, want) || !bytes.Equal(other.Next(), want) {
			t.Fatalf("request %d is not the recorded one", i)
		}
	}
	const calls = 20_000
	guest := core.NewGuest()
	methods := make(map[string]int)
	codes := make(map[string]int)
	for i := range calls {
		request := one.Next()
		if !bytes.Equal(request, other.Next()) {
			t.Fatalf("changed request %d is not the same in two sources", i)
		}
		var r wire.Request
		if err := wire.Decode(request, &r); err != nil {
			codes["unreadable"]++
			continue
		}
		methods[r.Method]++
		var answer wire.Response
		if err := wire.Decode(guest.Call(request), &answer); err != nil {
			t.Fatalf("the answer to %x: %v", request, err)
		}
		if answer.Error == nil {
			codes["ok"]++
		} else {
			codes[answer.Error.Code]++
		}
	}
	t.Logf("answers: %v", codes)
	if codes["ok"] < calls/4 || codes["unreadable"] > calls/4 || codes[core.CodeInternal] > 0 {
		t.Errorf("answers: %v", codes)
	}
	for _, method := range []string{wire.MethodKeyGenerate, wire.MethodAssertionBuild, wire.MethodAssertionVerify,
		wire.MethodTaskIDOpen, wire.MethodCredentialsRead, wire.MethodFlowStep, wire.MethodFileStep, wire.MethodSurfaceLocate} {
		if methods[method] == 0 {
			t.Errorf("no request for %s", method)
		}
	}
}
