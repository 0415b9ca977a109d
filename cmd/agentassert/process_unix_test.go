//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is the command in a process of its own.
type process struct {
	t       *testing.T
	command *exec.Cmd
	ended   chan struct{}
	failure error

	mu      sync.Mutex
	said    bytes.Buffer
	changed chan struct{}
}

// processBound is how long a test waits for what a process is to do.
const processBound = time.Minute

// startProcess starts the command, with variables beside the test's own, until it ends by
// itself or the test does. Prepare may change how it is started.
func startProcess(t *testing.T, environment []string, prepare func(*exec.Cmd), args ...string) *process {
	t.Helper()
	p := &process{t: t, command: exec.Command(os.Args[0], args...), ended: make(chan struct{}), changed: make(chan struct{}, 1)}
	p.command.Env = append(os.Environ(), append([]string{asTool + "=1", "AGENTASSERT_ENGINE=native"}, environment...)...)
	p.command.Stderr = p
	if prepare != nil {
		prepare(p.command)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.failure = p.command.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.command.Process.Kill() // it may have ended
		<-p.ended
	})
	return p
}

// Write is for what the process says.
func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default:
	}
	return p.said.Write(text)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// waitFor waits until the process has said something so many times.
func (p *process) waitFor(what string, times int) {
	p.t.Helper()
	bound := time.After(processBound)
	for strings.Count(p.text(), what) < times {
		select {
		case <-p.changed:
		case <-p.ended:
			if strings.Count(p.text(), what) < times {
				p.t.Fatalf("it ended, %v, and did not say %q %d times: %s", p.failure, what, times, p.text())
			}
		case <-bound:
			p.t.Fatalf("it did not say %q %d times: %s", what, times, p.text())
		}
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits for the process's end, and returns its exit code, or -1 where a signal has
// ended it.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(processBound):
		p.t.Fatalf("it does not end: %s", p.text())
	}
	return p.command.ProcessState.ExitCode()
}
