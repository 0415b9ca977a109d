package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one that serves, and whatever it has started.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	said   said
	// byInput says that it ends when there is no more to read.
	byInput bool
	ended   chan struct{}
	err     error
}

// said keeps the beginning of what a process says on standard error. It is safe for
// concurrent use.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p[:min(len(p), max(0, 4096-s.text.Len()))])
	return len(p), nil
}

// String returns what was said.
func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimSpace(s.text.String())
}

// startProcess starts a program. Whoever starts it stops it.
func startProcess(program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdout = bufio.NewReader(out)
	p.cmd.Stderr = &p.said
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// startRole starts this program in a role, and returns its URL.
func startRole(role, upstream, folder string) (*process, string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	p, err := startProcess(program, "-role", role, "-upstream", upstream, "-folder", folder)
	if err != nil {
		return nil, "", err
	}
	p.byInput = true
	p.byInput = true
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("the %s has not begun: %w: %s", role, err, &p.said), p.stop())
	}
	return p, strings.TrimSpace(line), nil
}

// state asks a process in a role how it is.
func (p *process) state() (state, error) {
	var s state
	if _, err := io.WriteString(p.stdin, "\n"); err != nil {
		return s, err
	}
	line, err := p.stdout.ReadBytes('\n')
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(line, &s)
}

// stopTimeout is how long a process may take to end before it is killed.
const stopTimeout = 15 * time.Second

// stop ends the process.
func (p *process) stop() error {
	_ = p.stdin.Close() // it may have ended
	if !p.byInput {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	select {
	case <-p.ended:
		return p.err
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("%s did not end", p.cmd.Path), p.cmd.Process.Kill())
	}
}

// await waits until the process has done what it is to do at its start.
func (p *process) await(ctx context.Context, what string, done func() bool) error {
	limited, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for !done() {
		select {
		case <-p.ended:
			return fmt.Errorf("it has ended before %s: %s", what, &p.said)
		case <-limited.Done():
			return fmt.Errorf("waiting for %s: %w: %s", what, limited.Err(), &p.said)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// startTimeout is how long a start may take: compiling the module takes a second or two.
const startTimeout = time.Minute

// usage is what a process and those that it has started use.
type usage struct {
	cpu       time.Duration
	rss, most int64 // bytes of memory: now, and at most
}

// use reads what Linux says of the process.
func (p *process) use() (usage, error) {
	ids, err := withChildren(p.cmd.Process.Pid)
	if err != nil {
		return usage{}, err
	}
	var u usage
	for _, id := range ids {
		one, err := useOf(id)
		if err != nil {
			return usage{}, err
		}
		u.cpu += one.cpu
		u.rss += one.rss
		u.most += one.most
	}
	return u, nil
}

func withChildren(id int) ([]int, error) {
	ids := []int{id}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", id))
	if err != nil {
		return nil, err
	}
	for _, word := range strings.Fields(string(text)) {
		child, err := strconv.Atoi(word)
		if err != nil {
			return nil, err
		}
		ids = append(ids, child)
	}
	return ids, nil
}

// tick is what Linux counts processors' time in, on all that Go runs on.
const tick = 10 * time.Millisecond

func useOf(id int) (usage, error) {
	folder := fmt.Sprintf("/proc/%d", id)
	stat, err := os.ReadFile(filepath.Join(folder, "stat"))
	if err != nil {
		return usage{}, err
	}
	// What comes before the last bracket is the program's name, which can be anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return usage{}, fmt.Errorf("%s/stat is not as expected", folder)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	status, err3 := os.ReadFile(filepath.Join(folder, "status"))
	if err := errors.Join(err1, err2, err3); err != nil {
		return usage{}, err
	}
	u := usage{cpu: time.Duration(user+system) * tick}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		size, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			continue // it is not a size
		}
		switch name {
		case "VmRSS":
			u.rss = size << 10
		case "VmHWM":
			u.most = size << 10
		}
	}
	return u, nil
}
