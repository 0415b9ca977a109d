package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

//go:embed wrk.lua
var wrkScript []byte

// result is what came of one load on one target.
type result struct {
	// rate is in calls a second, and the latencies are of whole answers.
	rate     float64
	p50, p99 time.Duration
	// calls were answered, and cpu is what the target's processes have used meanwhile.
	calls int64
	cpu   time.Duration
	// errors are calls that were not answered, or not with 200.
	errors int64
	// why names some of them.
	why string
}

// wrk puts a load on a target for as long as there is.
func wrk(ctx context.Context, program, script string, t *target, l load, d time.Duration) (result, error) {
	args := []string{"-t2", "-c", strconv.Itoa(l.connections), "-d", strconv.Itoa(int(d.Seconds())) + "s", "--timeout", "10s",
		"-H", tokenHeader + ": " + t.token, "-s", script, t.at(l.path)}
	if l.path == bodyPath {
		args = append(args, "--", "body")
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return result{}, fmt.Errorf("wrk: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	_, line, found := strings.Cut(string(out), "\nRESULT ")
	if !found {
		return result{}, fmt.Errorf("wrk has not said what came of it: %s", out)
	}
	var r struct {
		Calls, Microseconds, P50, P99, Refused, Broken, Late int64
	}
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		return result{}, fmt.Errorf("wrk's result: %w", err)
	}
	if r.Calls == 0 || r.Microseconds == 0 {
		return result{}, fmt.Errorf("wrk got no answer from %s", t.name)
	}
	us := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	return result{
		calls:  r.Calls,
		rate:   float64(r.Calls) / us(r.Microseconds).Seconds(),
		p50:    us(r.P50),
		p99:    us(r.P99),
		errors: r.Refused + r.Broken + r.Late,
		why:    fmt.Sprintf("%d not 200, %d broken, %d late", r.Refused, r.Broken, r.Late),
	}, nil
}
