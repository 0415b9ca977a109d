package main

import (
	"fmt"
	"io"
	"time"
)

// How often progress is shown: in a line of a terminal that is written over, and in a line
// each of a log. What takes less time than that shows none.
const (
	progressOnTerminal = 500 * time.Millisecond
	progressInLog      = 10 * time.Second
)

// clearLine is what empties the line of a terminal that the cursor is in (ECMA-48).
const clearLine = "\r\x1b[K"

// progress shows on standard error how far something is that may take long. One goroutine
// uses it at a time.
type progress struct {
	w        io.Writer
	terminal bool
	every    time.Duration
	begun    time.Time
	next     time.Time
	left     bool // a line that has to be cleared
}

// newProgress begins to show progress.
func newProgress(w io.Writer) *progress {
	p := &progress{w: w, terminal: isTerminal(w) && takesSequences(w), every: progressInLog, begun: time.Now()}
	if p.terminal {
		p.every = progressOnTerminal
	}
	p.next = p.begun.Add(p.every)
	return p
}

// show says how far it is, if it was long enough ago that something was said.
func (p *progress) show(text string) {
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	p.next = now.Add(p.every)
	if p.left = p.terminal; p.terminal {
		fmt.Fprint(p.w, clearLine+text)
		return
	}
	fmt.Fprintf(p.w, "agentassert: %s, after %s\n", text, span(now.Sub(p.begun)))
}

// end leaves a terminal as if nothing had been shown.
func (p *progress) end() {
	if p.left {
		fmt.Fprint(p.w, clearLine)
	}
}

// goesOn shows for as long as something takes that cannot say how far it is, that it goes
// on. The function returned ends that.
func (p *progress) goesOn(text string) (done func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	ticks := time.NewTicker(p.every)
	go func() {
		defer close(stopped)
		defer ticks.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticks.C:
				p.show(text)
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
		p.end()
	}
}
