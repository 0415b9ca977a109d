package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/agentassert/agentassert/host"
)

// start is what a program pays once: a sandbox as it comes, with the zero options, and the first header.
type start struct {
	wall, cpu time.Duration
	// memory is the most that the process had, in KiB, or 0 where the system does not tell.
	memory float64
}

// firstHeader starts a sandbox and signs once.
func firstHeader(ctx context.Context, key string) error {
	s, err := host.NewSandbox(ctx, host.SandboxOptions{})
	if err != nil {
		return err
	}
	defer s.Close(ctx)
	return sign(ctx, s, key, 0)
}

// cachesIn are the variables that have a system keep caches in a folder.
func cachesIn(folder string) []string {
	return []string{"XDG_CACHE_HOME=" + folder, "HOME=" + folder, "LocalAppData=" + folder}
}

// startOnce runs this program as one that makes a header and ends.
func startOnce(ctx context.Context, caches string) (s start, err error) {
	self, err := os.Executable()
	if err != nil {
		return s, err
	}
	var out bytes.Buffer
	c := exec.CommandContext(ctx, self, "-start")
	c.Env = append(os.Environ(), cachesIn(caches)...)
	c.Stdout, c.Stderr = &out, os.Stderr
	if err := c.Run(); err != nil {
		return s, fmt.Errorf("%v: %w", c, err)
	}
	if _, err := fmt.Fscan(&out, &s.wall); err != nil {
		return s, fmt.Errorf("what %v prints: %w", c, err)
	}
	s.cpu = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	s.memory = mostMemory(c.ProcessState)
	return s, nil
}

// middle returns the medians of several starts.
func middle(n int, once func() (start, error)) (start, error) {
	all := make([]start, n)
	for i := range all {
		var err error
		if all[i], err = once(); err != nil {
			return start{}, err
		}
	}
	return start{
		wall:   medianOf(all, func(s start) time.Duration { return s.wall }),
		cpu:    medianOf(all, func(s start) time.Duration { return s.cpu }),
		memory: medianOf(all, func(s start) float64 { return s.memory }),
	}, nil
}

func medianOf[S any, T cmp.Ordered](all []S, of func(S) T) T {
	values := make([]T, len(all))
	for i, s := range all {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func (b *bench) starts(ctx context.Context) ([]row, error) {
	folders := 0
	folder := func() (string, error) {
		folders++
		f := filepath.Join(b.folder, fmt.Sprint("caches-", folders))
		return f, os.Mkdir(f, 0o700)
	}
	cold, err := middle(5, func() (start, error) {
		f, err := folder()
		if err != nil {
			return start{}, err
		}
		return startOnce(ctx, f)
	})
	if err != nil {
		return nil, err
	}
	warm, err := folder()
	if err != nil {
		return nil, err
	}
	if _, err := startOnce(ctx, warm); err != nil {
		return nil, err
	}
	cached, err := middle(15, func() (start, error) { return startOnce(ctx, warm) })
	if err != nil {
		return nil, err
	}
	const mostCold, mostCached = 60_000, 0.06
	assertions, share := us(cold.wall)/b.assertion, float64(cached.wall)/float64(cold.wall)
	shown := func(s start) string {
		text := round(s.wall) + ", CPU " + round(s.cpu)
		if s.memory > 0 {
			text += fmt.Sprintf(", %.0f MiB", s.memory/1024)
		}
		return text
	}
	return []row{
		{
			what:     "the first start: SandboxOptions{} to first header",
			budget:   fmt.Sprintf("≤ %d native assertions", mostCold),
			measured: fmt.Sprintf("%s; %.0f native assertions", shown(cold), assertions),
			peer:     "one native assertion: " + rounded(b.assertion),
			missed:   assertions > mostCold,
		},
		{
			what:     "every other start, the same options",
			budget:   fmt.Sprintf("≤ %.2f × the first", mostCached),
			measured: fmt.Sprintf("%s; %.3f × the first", shown(cached), share),
			peer:     "the first: " + shown(cold),
			missed:   share > mostCached,
		},
	}, nil
}
