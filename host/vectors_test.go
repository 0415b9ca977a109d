package host_test

import (
	"testing"

	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/testvectors"
)

// TestVectors runs all test vectors on both engines.
func TestVectors(t *testing.T) {
	sandbox, err := host.NewSandbox(t.Context(), host.SandboxOptions{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer sandbox.Close(t.Context())
	files, err := testvectors.Load()
	if err != nil {
		t.Fatal(err)
	}
	for name, engine := range map[string]host.Engine{"native": host.NewNative(), "sandbox": sandbox} {
		for _, f := range files {
			t.Run(name+"/"+f.Area, func(t *testing.T) {
				for _, v := range f.Vectors {
					err := v.Check(func(request []byte) ([]byte, error) { return engine.Call(t.Context(), request) })
					if err != nil {
						t.Errorf("%s: %v", v.ID, err)
					}
				}
			})
		}
	}
}
