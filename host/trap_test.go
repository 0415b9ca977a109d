package host_test

import (
	"context"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// trapFile is for the authors of other hosts: a module whose calls trap.
const trapFile = "../testvectors/hosts/trap.hex"

// The module in the vectors is the one that these tests write, and a call of it costs an
// instance, and is an error.
func TestTrapModule(t *testing.T) {
	module := foreign{call: []byte{opUnreachable}}.module()
	text, err := os.ReadFile(trapFile)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(text)); got != hex.EncodeToString(module) {
		t.Errorf("%s is %s, want %x", trapFile, got, module)
	}
	ctx := context.Background()
	sandbox, err := host.NewSandbox(ctx, host.SandboxOptions{Module: module})
	if err != nil {
		t.Fatal(err)
	}
	defer sandbox.Close(ctx)
	for range 2 { // another instance each time
		_, err = host.Call[wire.KeyPair](ctx, sandbox, wire.MethodKeyParse, wire.KeyParseParams{})
		checkCode(t, err, host.CodeSandboxFailed)
	}
}
