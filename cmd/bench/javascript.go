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
	// Medians in microseconds; memory is in KiB, and a rate in assertions a second.
	type workers struct{ Rate, First float64 }
	var m struct {
		Node                            string
		Assertion, Noble, OpenSSL, Jose float64
		Start, StartJose                float64
		Warm, Memory                    float64
		Alone, Four                     workers
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
			peer: fmt.Sprintf("bare signatures: @noble/ed25519 %s, OpenSSL (node:crypto) %s; a JWT by jose %s",
				took(m.Noble), took(m.OpenSSL), took(m.Jose)),
			missed: noble > 0.5 || openSSL > 3,
		},
		{
			what:     "the first header in Node, in a new process, from the import on",
			budget:   "≤ 2 × jose's first JWT",
			measured: fmt.Sprintf("%s, %.2f × jose", took(m.Start), m.Start/m.StartJose),
			peer:     "jose, the same with the same key: " + took(m.StartJose),
			missed:   m.Start/m.StartJose > 2,
		},
		{what: "manager.authorization in Node, warm", measured: took(m.Warm)},
		{what: "a further instance in Node, with an assertion made", measured: fmt.Sprintf("%.1f MiB", m.Memory/1024)},
		{
			what: "four workers in Node, with one compiled module",
			measured: fmt.Sprintf("%.0f assertions a second, %.2f × one worker's; the first one after %s",
				m.Four.Rate, m.Four.Rate/m.Alone.Rate, took(m.Four.First)),
			peer: fmt.Sprintf("one worker: %.0f assertions a second, the first one after %s", m.Alone.Rate, took(m.Alone.First)),
		},
	}, nil
}
