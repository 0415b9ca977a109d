package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
	"github.com/agentassert/agentassert/wasm"
)

// measure runs everything, the slow things fewer times.
func measure(ctx context.Context, progress io.Writer) ([]row, error) {
	var rows []row
	for _, m := range []struct {
		name string
		run  func(context.Context) ([]row, error)
	}{
		{"module", module},
		{"cold and cached start", starts},
		{"instances", instances},
		{"assertions", assertions},
		{"manager", manager},
		{"new seconds", newSeconds},
		{"requests of instances", requests},
		{"JavaScript", javaScript},
	} {
		fmt.Fprintf(progress, "bench: %s\n", m.name)
		r, err := m.run(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		rows = append(rows, r...)
	}
	return rows, nil
}

// median runs f n times and returns the median of the durations.
func median(n int, f func() error) (time.Duration, error) {
	times := make([]time.Duration, n)
	for i := range times {
		start := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	return times[n/2], nil
}

func module(context.Context) ([]row, error) {
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(wasm.Module); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	const maxSize, maxZipped = 2.5e6, 0.7e6
	size := float64(len(wasm.Module))
	return []row{{
		what:     "module",
		budget:   "≤ 2.5 MB, ≤ 0.7 MB gzipped",
		measured: fmt.Sprintf("%.2f MB, %.2f MB gzipped", size/1e6, float64(zipped.Len())/1e6),
		missed:   size > maxSize || float64(zipped.Len()) > maxZipped,
	}}, nil
}

var abom = host.ABOM{AgentVersion: "1", AgentHarnessID: "bench", RunningLocation: "bench"}

// firstHeader starts a sandbox and signs once.
func firstHeader(ctx context.Context, cacheDir, key string) error {
	s, err := host.NewSandbox(ctx, host.SandboxOptions{CacheDir: cacheDir})
	if err != nil {
		return err
	}
	defer s.Close(ctx)
	return sign(ctx, s, key, 0)
}

func sign(ctx context.Context, e host.Engine, key string, now int64) error {
	_, err := host.Call[wire.Assertion](ctx, e, wire.MethodAssertionBuild, wire.AssertionBuildParams{
		PrivateKey: key, AgentRuntimeID: "agent-1", TaskID: "task-1", Now: now,
	})
	return err
}

func newKey() (string, error) {
	k, err := core.NewPrivateKey(make([]byte, 32))
	if err != nil {
		return "", err
	}
	return k.PKCS8(), nil
}

func starts(ctx context.Context) ([]row, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "agentassert-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cold, err := median(5, func() error { return firstHeader(ctx, "", key) })
	if err != nil {
		return nil, err
	}
	if err := firstHeader(ctx, dir, key); err != nil {
		return nil, err
	}
	cached, err := median(15, func() error { return firstHeader(ctx, dir, key) })
	if err != nil {
		return nil, err
	}
	return []row{
		limit("new Sandbox to first header, no cache", cold, 1200*time.Millisecond, ""),
		limit("the same, with the compilation cache", cached, 60*time.Millisecond, ""),
	}, nil
}

// limit is a row for a duration that has a fixed budget.
func limit(what string, measured, budget time.Duration, peer string) row {
	return row{what: what, budget: "≤ " + budget.String(), measured: round(measured), peer: peer, missed: measured > budget}
}

func round(d time.Duration) string {
	switch {
	case d > 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	case d > 10*time.Microsecond:
		return d.Round(time.Microsecond / 10).String()
	}
	return d.String()
}

// instances measures what one more instance costs, below the pool.
func instances(ctx context.Context) ([]row, error) {
	runtime := wazero.NewRuntime(ctx)
	defer runtime.Close(ctx)
	compiled, err := runtime.CompileModule(ctx, wasm.Module)
	if err != nil {
		return nil, err
	}
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	var memory uint32
	took, err := median(101, func() error {
		m, err := runtime.InstantiateModule(ctx, compiled, config)
		if err != nil {
			return err
		}
		memory = m.ExportedMemory("memory").Size()
		return m.Close(ctx)
	})
	if err != nil {
		return nil, err
	}
	return []row{{
		what:     "new instance",
		budget:   "≤ 1 ms, ≤ 8 MiB",
		measured: fmt.Sprintf("%s, %.1f MiB", round(took), float64(memory)/(1<<20)),
		missed:   took > time.Millisecond || memory > 8<<20,
	}}, nil
}

func assertions(ctx context.Context) ([]row, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	sandbox, err := host.NewSandbox(ctx, host.SandboxOptions{MaxInstances: 1})
	if err != nil {
		return nil, err
	}
	defer sandbox.Close(ctx)
	std := ed25519.NewKeyFromSeed(make([]byte, 32))
	message := []byte("agent-1:task-1:1970-01-01T00:00:00Z")
	now := int64(0)
	per := func(e host.Engine) func() error {
		return func() error {
			now++
			return sign(ctx, e, key, now)
		}
	}
	// In turns, so that a busy moment hits all alike.
	const rounds, calls = 15, 400
	var native, inSandbox, bare []time.Duration
	for range rounds {
		n, err := median(calls, per(host.NewNative()))
		if err != nil {
			return nil, err
		}
		s, err := median(calls, per(sandbox))
		if err != nil {
			return nil, err
		}
		b, err := median(calls, func() error { ed25519.Sign(std, message); return nil })
		if err != nil {
			return nil, err
		}
		native, inSandbox, bare = append(native, n), append(inSandbox, s), append(bare, b)
	}
	middle := func(d []time.Duration) time.Duration { slices.Sort(d); return d[len(d)/2] }
	n, s, b := middle(native), middle(inSandbox), middle(bare)
	ratio := float64(s) / float64(n)
	return []row{
		{
			what:     "one assertion, native",
			measured: round(n),
			peer:     "crypto/ed25519, bare signature: " + round(b),
		},
		{
			what:     "one assertion in wazero, uncached",
			budget:   "≤ 13 × native",
			measured: fmt.Sprintf("%s, %.1f × native", round(s), ratio),
			peer:     "native: " + round(n),
			missed:   ratio > 13,
		},
	}, nil
}

func manager(ctx context.Context) ([]row, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	store := new(host.MemoryStore)
	if err := store.Save(ctx, wire.SlotIdentity, record(key)); err != nil {
		return nil, err
	}
	now := time.Now()
	m, err := host.NewManager(host.ManagerConfig{
		Engine: host.NewNative(), Store: store, BaseURL: "https://chatgpt.com", AgentIdentity: true, ABOM: abom,
		Credentials: host.CredentialFunc(func(context.Context) (host.Credentials, error) {
			return host.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "t", AccountID: "a"}, nil
		}),
		// A clock that stands still: what is measured is the answer that is kept.
		Now: func() time.Time { return now },
	})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	var failed error
	ask := func() {
		if a, err := m.Authorization(ctx, core.SurfaceModels); err != nil || a.Mode != core.ModeAgentAssertion {
			failed = fmt.Errorf("%v: %w", a, err)
		}
	}
	ask()
	const batch = 10_000
	took, err := median(51, func() error {
		for range batch {
			ask()
		}
		return failed
	})
	if err != nil {
		return nil, err
	}
	took /= batch
	allocations := testing.AllocsPerRun(1000, ask)
	return []row{{
		what:     "Manager.Authorization, warm",
		budget:   "≤ 1 µs, ≤ 1 allocation",
		measured: fmt.Sprintf("%s, %.0f allocations", round(took), allocations),
		missed:   took > time.Microsecond || allocations > 1,
	}}, nil
}

// record is an identity with a task, as it is stored.
func record(key string) []byte {
	return fmt.Appendf(nil, `{"agent_runtime_id":"agent-1","agent_private_key":%q,"base_url":"https://chatgpt.com/backend-api",`+
		`"account_id":"a","chatgpt_user_id":"u","plan_type":"pro","chatgpt_account_is_fedramp":false,"workspace_id":"a",`+
		`"registered_at":"2026-11-24T15:16:08Z","task_id":"task-1","background_task_id":"task-1"}`, key)
}

// newSeconds measures a header for which nothing has changed but the time: what a
// program pays once a second.
func newSeconds(ctx context.Context) ([]row, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "agentassert-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "auth.json")
	document := fmt.Appendf(nil, `{"tokens":{"access_token":"t","account_id":"a","id_token":""},"agent_identity":%s}`, record(key))
	if err := os.WriteFile(path, document, 0o600); err != nil {
		return nil, err
	}
	// Until it is as it is most of the time: nobody has just written it.
	time.Sleep(4 * time.Second)
	memory := new(host.MemoryStore)
	if err := memory.Save(ctx, wire.SlotIdentity, record(key)); err != nil {
		return nil, err
	}
	file := authfile.New(path)
	sandbox, err := host.NewSandbox(ctx, host.SandboxOptions{MaxInstances: 1})
	if err != nil {
		return nil, err
	}
	defer sandbox.Close(ctx)
	credentials := host.CredentialFunc(func(context.Context) (host.Credentials, error) {
		return host.Credentials{Kind: wire.CredentialsChatGPT, AccessToken: "t", AccountID: "a"}, nil
	})
	now := time.Now()
	var rows []row
	for _, m := range []struct {
		what        string
		engine      host.Engine
		store       host.Store
		credentials host.CredentialSource
	}{
		{"native, from memory", host.NewNative(), memory, credentials},
		{"native, from auth.json", host.NewNative(), file, file},
		{"in wazero, from memory", sandbox, memory, credentials},
		{"in wazero, from auth.json", sandbox, file, file},
	} {
		manager, err := host.NewManager(host.ManagerConfig{
			Engine: m.engine, Store: m.store, Credentials: m.credentials, BaseURL: "https://chatgpt.com", AgentIdentity: true, ABOM: abom,
			Now: func() time.Time { return now },
		})
		if err != nil {
			return nil, err
		}
		took, err := median(2000, func() error {
			now = now.Add(time.Second)
			a, err := manager.Authorization(ctx, core.SurfaceModels)
			if err == nil && a.Mode != core.ModeAgentAssertion {
				return fmt.Errorf("%s: %w", a.Reason, a.Cause)
			}
			return err
		})
		manager.Close()
		if err != nil {
			return nil, err
		}
		bare, err := median(2000, func() error { now = now.Add(time.Second); return sign(ctx, m.engine, key, now.Unix()) })
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{
			what:     "a header in a new second, " + m.what,
			measured: fmt.Sprintf("%s, %.1f × the assertion", round(took), float64(took)/float64(bare)),
			peer:     "one assertion, same engine: " + round(bare),
		})
	}
	return rows, nil
}
