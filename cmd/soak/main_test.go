package main

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/internal/requests"
	"github.com/agentassert/agentassert/wasm"
)

// The module, for as long as a test may last.
func TestSoak(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	for _, engine := range []string{"wazero", "node"} {
		t.Run(engine, func(t *testing.T) {
			if _, err := exec.LookPath("node"); engine == "node" && err != nil {
				t.Skip("Node is not installed")
			}
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), []string{"-engine", engine, "-calls", "6000"}, &stdout, &stderr); code != exitOK {
				t.Fatalf("exit status %d: %s", code, stderr.String())
			}
			if !strings.HasPrefix(stdout.String(), engine+": 6000 calls") || stderr.Len() > 0 {
				t.Errorf("%q, %q", stdout.String(), stderr.String())
			}
		})
	}
}

// someRequests are requests of a few kinds.
func someRequests() [][]byte {
	return [][]byte{
		request(wire.MethodKeyGenerate, &wire.KeyGenerateParams{Entropy: make([]byte, 32)}),
		request(wire.MethodSurfaceMatch, &wire.SurfaceMatchParams{Path: "/wham/apps"}),
		request("none", &wire.Empty{}),
	}
}

// fake answers as the core does, but for one call.
type fake struct {
	guest *core.Guest
	calls int
	at    int
	fault func() ([]byte, error)
	pages func(call int) uint32
}

func (*fake) name() string { return "fake" }
func (*fake) close() error { return nil }

func (f *fake) call(request []byte) ([]byte, uint32, error) {
	f.calls++
	pages := uint32(60)
	if f.pages != nil {
		pages = f.pages(f.calls)
	}
	if f.calls == f.at {
		answer, err := f.fault()
		return answer, pages, err
	}
	return f.guest.Call(request), pages, nil
}

func TestSoakFindsFaults(t *testing.T) {
	recorded := someRequests()
	const calls = 1000
	settled = calls
	defer func() { settled = 500_000 }()
	for name, test := range map[string]struct {
		engine fake
		want   string
	}{
		"none":            {fake{}, ""},
		"another answer":  {fake{at: 777, fault: func() ([]byte, error) { return []byte{0xa0}, nil }}, "fake: call 777: the answer is a0, and the core's is a1"},
		"a trap":          {fake{at: calls, fault: func() ([]byte, error) { return nil, &moduleError{engine: "fake", problem: "unreachable"} }}, "fake: call 1000: unreachable; the request: a2"},
		"growth":          {fake{pages: func(call int) uint32 { return 60 + uint32(call)/10 }}, "memory grew from 110 to 160 pages"},
		"some growth":     {fake{pages: func(call int) uint32 { return 60 + uint32(call)/50 }}, ""},
		"much at once":    {fake{pages: func(int) uint32 { return maxPages + 1 }}, "fake: call 1: memory has 257 pages, more than the 256"},
		"an early growth": {fake{pages: func(call int) uint32 { return 60 + min(uint32(call), 100) }}, ""},
	} {
		e := test.engine
		e.guest = core.NewGuest()
		var stdout, stderr bytes.Buffer
		err := soak(t.Context(), &e, requests.NewSource(recorded, 1), calls, &stdout, &stderr)
		switch _, fault := err.(*moduleError); {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.want != "" && (!fault || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v; want %q", name, err, test.want)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if err := soak(canceled, &fake{guest: core.NewGuest()}, requests.NewSource(recorded, 1), calls, &out, &out); err == nil {
		t.Error("it went on after it was canceled")
	}
}

// Modules that no host would run are the module's fault, in both engines.
func TestEnginesRefuse(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	broken := bytes.Replace(wasm.Module, []byte("agentassert_call"), []byte("agentassert_cal0"), 1)
	for name, start := range map[string]starter{"wazero": startWazero, "node": startNode} {
		if _, err := exec.LookPath("node"); name == "node" && err != nil {
			t.Run(name, func(t *testing.T) { t.Skip("Node is not installed") })
			continue
		}
		e, err := start(t.Context(), broken, &bytes.Buffer{})
		if err == nil {
			_, _, err = e.call([]byte{0xff})
			e.close()
		}
		if _, ok := err.(*moduleError); !ok {
			t.Errorf("%s, a module without agentassert_call: %v", name, err)
		}
		if e, err := start(t.Context(), []byte("no module"), &bytes.Buffer{}); err == nil {
			e.close()
			t.Errorf("%s started something that is no module", name)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"-help", exitOK, "Usage: soak"},
		{"-calls 0", exitUsage, "-calls must be at least 1"},
		{"-calls many", exitUsage, "see soak -help"},
		{"-engine v8", exitUsage, `there is no engine "v8"`},
		{"now", exitUsage, `unexpected argument "now"`},
		{"-module none.wasm", exitFailed, "reading the module"},
	} {
		var out bytes.Buffer
		if code := run(t.Context(), strings.Fields(test.args), &out, &out); code != test.code || !strings.Contains(out.String(), test.want) {
			t.Errorf("%s: exit status %d, %q", test.args, code, out.String())
		}
	}
}
