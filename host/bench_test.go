package host_test

import (
	"context"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

func BenchmarkAssertion(b *testing.B) {
	e := engines(b)
	for _, name := range []string{"native", "sandbox"} {
		b.Run(name, func(b *testing.B) {
			params := wire.AssertionBuildParams{
				PrivateKey: privateKey, AgentRuntimeID: "agent-rt-2", TaskID: "task-4", Now: start.Unix(),
			}
			b.ReportAllocs()
			for b.Loop() {
				params.Now++ // so that nobody can answer from memory
				if _, err := host.Call[wire.Assertion](context.Background(), e[name], wire.MethodAssertionBuild, params); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNewSandbox(b *testing.B) {
	newSandbox(b, host.SandboxOptions{CacheDir: cacheDir()}) // fills the cache
	for name, o := range map[string]host.SandboxOptions{"cold": {NoCache: true}, "cached": {CacheDir: cacheDir()}} {
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			for b.Loop() {
				s, err := host.NewSandbox(ctx, o)
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Close(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNewInstance(b *testing.B) {
	s := newSandbox(b, host.SandboxOptions{CacheDir: cacheDir()})
	b.ReportAllocs()
	for b.Loop() {
		if err := s.ReplaceInstance(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkManagerWarm(b *testing.B) {
	m := manager(b, newWorld().config())
	checkAssertion(b, ask(b, m))
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Authorization(ctx, core.SurfaceModels); err != nil {
			b.Fatal(err)
		}
	}
}
