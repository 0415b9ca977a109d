package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// bench is what the measurements share.
type bench struct {
	key     string
	sandbox *host.Sandbox
	// assertion is what one takes in [host.Native], in microseconds: what budgets are multiples of.
	assertion float64
	// folder is for files of the measurements, and is removed after them.
	folder string
	// postgres is the URL of a server whose databases may be made and dropped, if there is one.
	postgres string
}

// measure runs everything, the slow things fewer times.
func measure(ctx context.Context, postgres string, progress io.Writer) (rows []row, err error) {
	b := &bench{postgres: postgres}
	if b.folder, err = os.MkdirTemp("", "agentassert-bench-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.folder)
	if b.key, err = newKey(); err != nil {
		return nil, err
	}
	if b.sandbox, err = host.NewSandbox(ctx, host.SandboxOptions{MaxInstances: 1}); err != nil {
		return nil, err
	}
	defer b.sandbox.Close(ctx)
	for _, m := range []struct {
		name string
		run  func(*bench, context.Context) ([]row, error)
	}{
		{"module", (*bench).module},
		{"assertions", (*bench).assertions},
		{"another assertion of a flow", (*bench).again},
		{"starts", (*bench).starts},
		{"instances", (*bench).instances},
		{"manager", (*bench).warm},
		{"new seconds", (*bench).newSeconds},
		{"requests of instances", (*bench).requests},
		{"threads", (*bench).threads},
		{"accounts", (*bench).accounts},
		{"accounts in PostgreSQL", (*bench).atOnce},
		{"verifier", (*bench).verifier},
		{"JavaScript", (*bench).javaScript},
	} {
		fmt.Fprintf(progress, "bench: %s\n", m.name)
		r, err := m.run(b, ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		rows = append(rows, r...)
	}
	return rows, nil
}

// signer returns a function that makes an assertion of another second each time.
func (b *bench) signer(ctx context.Context, e host.Engine) func() error {
	now := int64(0)
	return func() error { now++; return sign(ctx, e, b.key, now) }
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

// inTurns returns the medians of functions, in microseconds. They take turns, so that a busy
// moment hits all alike.
func inTurns(calls ...func() error) ([]float64, error) {
	const rounds, each = 15, 200
	times := make([][]time.Duration, len(calls))
	for range rounds {
		for i, call := range calls {
			m, err := median(each, call)
			if err != nil {
				return nil, err
			}
			times[i] = append(times[i], m)
		}
	}
	middles := make([]float64, len(calls))
	for i, t := range times {
		slices.Sort(t)
		middles[i] = us(t[rounds/2])
	}
	return middles, nil
}

// allocated returns how many bytes, and in how many pieces, a call allocates, on average of n.
func allocated(n int, call func() error) (bytes, pieces float64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		err = errors.Join(err, call())
	}
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc-before.TotalAlloc) / float64(n), float64(after.Mallocs-before.Mallocs) / float64(n), err
}

// kept returns how many bytes of the heap are in use for what make makes, as long as that is.
func kept(make func() (any, error)) (float64, error) {
	var before, after runtime.MemStats
	collect := func(s *runtime.MemStats) {
		runtime.GC() // twice: what a pool holds goes with the second
		runtime.GC()
		runtime.ReadMemStats(s)
	}
	collect(&before)
	made, err := make()
	collect(&after)
	runtime.KeepAlive(made)
	return float64(after.HeapAlloc) - float64(before.HeapAlloc), err
}

// rounded is a time in microseconds as it is shown.
func rounded(us float64) string { return round(time.Duration(us * float64(time.Microsecond))) }

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func round(d time.Duration) string {
	switch {
	case d > 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	case d > 10*time.Microsecond:
		return d.Round(time.Microsecond / 10).String()
	}
	return d.String()
}

// kib is a number of bytes as it is shown.
func kib(bytes float64) string {
	if bytes < 10_000 {
		return fmt.Sprintf("%.0f B", bytes)
	}
	return fmt.Sprintf("%.1f KiB", bytes/1024)
}
