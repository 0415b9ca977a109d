package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// worker is a process that runs vectors with one mutant after the other. A mutant that
// ends the process is dead, and the next one gets another process.
type worker struct {
	binary *binary
	limit  time.Duration
	// runs is how often the process has been used.
	runs int
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

// job is a line for the process.
type job struct {
	ID      int
	Touched []int
	Limit   time.Duration
}

func (w *worker) start(ctx context.Context) error {
	c := w.binary.command(ctx, "vectors", 0, w.binary.recording)
	in, err := c.StdinPipe()
	if err != nil {
		return err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	w.cmd, w.in, w.out = c, in, bufio.NewReader(out)
	if line, err := w.out.ReadString('\n'); line != "ready\n" {
		return fmt.Errorf("the process that runs the vectors begins with %q (%v)", line, err)
	}
	return nil
}

// run runs the vectors that reach one of some functions, or all, and returns what
// fails first, or nothing.
func (w *worker) run(ctx context.Context, id int, touched []int) (string, error) {
	if w.cmd == nil {
		if err := w.start(ctx); err != nil {
			return "", err
		}
	}
	line, err := json.Marshal(job{id, touched, w.limit})
	if err != nil {
		return "", err
	}
	if _, err := w.in.Write(append(line, '\n')); err != nil {
		return "", fmt.Errorf("the process that runs the vectors: %w", err)
	}
	// The process watches itself, unless it is stuck where that does not run either.
	stuck := time.AfterFunc(2*w.limit, func() { _ = w.cmd.Process.Kill() })
	answer, err := w.out.ReadString('\n')
	stuck.Stop()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	answer = strings.TrimSpace(answer)
	if answer == "ok" {
		return "", nil
	}
	if what, ok := strings.CutPrefix(answer, "killed "); ok && err == nil && what != "time-out" {
		return what, nil
	}
	w.close()
	answer = strings.TrimPrefix(answer, "killed ")
	if answer == "" {
		answer = "the process ended"
	}
	return answer, nil
}

func (w *worker) close() {
	if w.cmd != nil {
		_ = w.in.Close()
		_ = w.cmd.Process.Kill()
		_ = w.cmd.Wait() // it was killed, or has failed
		w.cmd = nil
	}
}
