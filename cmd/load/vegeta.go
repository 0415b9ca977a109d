package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// vegeta makes so many small calls a second, whether or not those before were answered.
func vegeta(ctx context.Context, program string, t *target, connections, rate int, d time.Duration) (result, error) {
	attack := exec.CommandContext(ctx, program, "attack", fmt.Sprintf("-rate=%d/s", rate), "-duration="+d.String(),
		fmt.Sprintf("-connections=%d", connections), fmt.Sprintf("-workers=%d", connections), fmt.Sprintf("-max-workers=%d", connections))
	attack.Stdin = strings.NewReader(fmt.Sprintf("GET %s\n%s: %s\n", t.at(smallPath), tokenHeader, t.token))
	attacked, err := attack.Output()
	if err != nil {
		return result{}, fmt.Errorf("vegeta attack: %w", err)
	}
	report := exec.CommandContext(ctx, program, "report", "-type=json")
	report.Stdin = bytes.NewReader(attacked)
	text, err := report.Output()
	if err != nil {
		return result{}, fmt.Errorf("vegeta report: %w", err)
	}
	var r struct {
		Latencies struct {
			P50 time.Duration `json:"50th"`
			P99 time.Duration `json:"99th"`
		}
		Requests int64
		Rate     float64
		Success  float64
		Errors   []string
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return result{}, fmt.Errorf("vegeta's report: %w", err)
	}
	if r.Requests == 0 {
		return result{}, fmt.Errorf("vegeta got no answer from %s", t.name)
	}
	return result{
		calls:  r.Requests,
		rate:   r.Rate,
		p50:    r.Latencies.P50,
		p99:    r.Latencies.P99,
		errors: r.Requests - int64(r.Success*float64(r.Requests)+0.5),
		why:    strings.Join(r.Errors, "; "),
	}, nil
}
