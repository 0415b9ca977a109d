package host_test

import (
	"context"
	"testing"
	"time"

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

// BenchmarkNewSecond is a header in a new second, in which nothing else has changed.
// Compare it with BenchmarkAssertion.
func BenchmarkNewSecond(b *testing.B) {
	e := engines(b)
	for _, engine := range []string{"native", "sandbox"} {
		for store, prepare := range map[string]func(*world){
			"memory":   func(*world) {},
			"authfile": func(w *world) { w.useAuthFile(b) },
		} {
			for what, ask := range map[string]func(*host.Manager) (host.Authorization, error){
				"background": func(m *host.Manager) (host.Authorization, error) {
					return m.Authorization(context.Background(), core.SurfaceModels)
				},
				"thread": func(m *host.Manager) (host.Authorization, error) {
					return m.Thread("0196f7a4-3c1d-7a52-9b6e-2f1c8d4e5a60").Authorization(context.Background(), core.SurfaceResponses)
				},
			} {
				b.Run(engine+"/"+store+"/"+what, func(b *testing.B) {
					w := newWorld()
					prepare(w)
					w.engine = e[engine]
					c := w.config()
					if s, ok := w.store.(host.CredentialSource); ok {
						c.Credentials = s
					}
					m := manager(b, c)
					for range 3 {
						w.clock.advance(time.Second)
						if _, err := ask(m); err != nil {
							b.Fatal(err)
						}
						if store == "authfile" {
							time.Sleep(2 * time.Second) // a file tells nothing by its times for three
						}
					}
					b.ReportAllocs()
					for b.Loop() {
						w.clock.advance(time.Second)
						if a, err := ask(m); err != nil || a.Mode != core.ModeAgentAssertion {
							b.Fatal(a, err)
						}
					}
				})
			}
		}
	}
}
