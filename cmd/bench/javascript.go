package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// javaScript measures the JavaScript package, in Node. Where that is missing, its
// rows say so.
func (*bench) javaScript(ctx context.Context) ([]row, error) {
	const budget = "≤ ½ × @noble/ed25519's sign, ≤ 3 × OpenSSL's"
	if _, err := exec.LookPath("node"); err != nil {
		return []row{{what: "one assertion in Node", budget: budget, measured: "not measured: Node is not installed", missed: true}}, nil
	}
	build := exec.CommandContext(ctx, "npm", "run", "--silent", "build")
	bench := exec.CommandContext(ctx, "node", "scripts/bench.mjs")
	var out bytes.Buffer
	bench.Stdout = &out
	for _, c := range []*exec.Cmd{build, bench} {
		c.Dir, c.Stderr = "bindings/js", os.Stderr
		if err := c.Run(); err != nil {
			return nil, fmt.Errorf("%v: %w; 'make bench' installs what it needs", c, err)
		}
	}
	// Medians in microseconds.
	var m struct {
		Node                                         string
		Assertion, Noble, OpenSSL, Load, First, Warm float64
	}
	if err := json.Unmarshal(out.Bytes(), &m); err != nil {
		return nil, fmt.Errorf("what scripts/bench.mjs prints: %w", err)
	}
	took := func(us float64) string { return round(time.Duration(us * float64(time.Microsecond))) }
	noble, openSSL := m.Assertion/m.Noble, m.Assertion/m.OpenSSL
	return []row{
		{
			what:     "one assertion in Node " + m.Node + ", uncached",
			budget:   budget,
			measured: fmt.Sprintf("%s, %.2f × noble, %.1f × OpenSSL", took(m.Assertion), noble, openSSL),
			peer:     fmt.Sprintf("bare signatures: @noble/ed25519 %s, OpenSSL (node:crypto) %s", took(m.Noble), took(m.OpenSSL)),
			missed:   noble > 0.5 || openSSL > 3,
		},
		{what: "AgentAssert.load in Node, in a new process", measured: took(m.Load) + ", the first assertion " + took(m.First)},
		{what: "manager.authorization in Node, warm", measured: took(m.Warm)},
	}, nil
}
