package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// atTerminal has progress be shown as on a terminal.
func atTerminal(p *progress) {
	p.terminal, p.every = true, progressOnTerminal
	p.next = p.begun.Add(p.every)
}

// TestProgressOfSteps: what has steps shows one at a time, and not each.
func TestProgressOfSteps(t *testing.T) {
	for _, tt := range []struct {
		name     string
		terminal bool
		step     time.Duration
		want     string
	}{
		{"a terminal, and short", true, time.Millisecond, ""},
		{"a terminal", true, 20 * time.Millisecond, clearLine + "25 done" + clearLine + "50 done" + clearLine + "75 done" + clearLine},
		{"a log, and short", false, 99 * time.Millisecond, ""},
		{"a log", false, 200 * time.Millisecond, "agentassert: 50 done, after 10s\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var b bytes.Buffer
			p := newProgress(&b)
			if tt.terminal {
				atTerminal(p)
			}
			for done := range 100 {
				p.show(fmt.Sprintf("%d done", done))
				time.Sleep(tt.step)
			}
			p.end()
			if b.String() != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, b.String(), tt.want)
			}
		})
	}
}

// TestProgressWithoutSteps: what cannot say how far it is shows that it goes on.
func TestProgressWithoutSteps(t *testing.T) {
	for _, tt := range []struct {
		name     string
		terminal bool
		takes    time.Duration
		want     string
	}{
		{"a terminal, and short", true, 499 * time.Millisecond, ""},
		{"a terminal", true, 1200 * time.Millisecond, strings.Repeat(clearLine+"compiling", 2) + clearLine},
		{"a log, and short", false, 9 * time.Second, ""},
		{"a log", false, 25 * time.Second, "agentassert: compiling, after 10s\nagentassert: compiling, after 20s\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var b bytes.Buffer
			p := newProgress(&b)
			if tt.terminal {
				atTerminal(p)
			}
			done := p.goesOn("compiling")
			time.Sleep(tt.takes)
			done() // and no goroutine is left, or the bubble would say so
			if b.String() != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, b.String(), tt.want)
			}
		})
	}
}
