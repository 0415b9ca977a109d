package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// exitTimeout is how long a runner whose output has ended may take to exit, so
// that its exit status can be told, and how long what it leaves behind may keep its
// output and its standard error open.
const exitTimeout = time.Second

// process is a runner that has been started. Somebody has to stop it.
type process struct {
	cmd      *exec.Cmd
	requests chan []byte
	answers  chan output
	// exited is closed once the process has.
	exited chan struct{}
	// stopped is closed where nobody reads answers any more.
	stopped chan struct{}
	// end closes requests, once.
	end        func()
	stdout     *os.File
	goroutines sync.WaitGroup
}

// output is a line of the runner's, or why there are no more.
type output struct {
	text []byte
	err  error
}

func startProcess(command string, stderr io.Writer) (*process, error) {
	p := &process{
		cmd: shell(command), requests: make(chan []byte), answers: make(chan output),
		exited: make(chan struct{}), stopped: make(chan struct{}),
	}
	p.cmd.Stderr, p.cmd.WaitDelay = stderr, exitTimeout
	p.end = sync.OnceFunc(func() { close(p.requests) })
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("there is no pipe to the runner: %w", err)
	}
	// Not StdoutPipe, which is closed when the process exits, whoever still reads.
	stdout, theirs, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("there is no pipe from the runner: %w", err)
	}
	p.stdout, p.cmd.Stdout = stdout, theirs
	err = p.cmd.Start()
	theirs.Close()
	if err != nil {
		stdout.Close()
		return nil, fmt.Errorf("the runner cannot be started: %w", err)
	}
	p.goroutines.Go(func() { p.write(stdin) })
	p.goroutines.Go(p.read)
	p.goroutines.Go(func() {
		_ = p.cmd.Wait() // cmd.ProcessState tells more
		close(p.exited)
	})
	return p, nil
}

// write sends the requests. That one cannot be sent shows in the answers.
func (p *process) write(stdin io.WriteCloser) {
	for text := range p.requests {
		if _, err := stdin.Write(text); err != nil {
			break
		}
	}
	stdin.Close()
	for range p.requests {
	}
}

func (p *process) read() {
	send := func(o output) bool {
		select {
		case p.answers <- o:
			return true
		case <-p.stopped:
			return false
		}
	}
	err := readLines(p.stdout, func(text []byte) bool { return send(output{text: bytes.Clone(text)}) })
	if err == nil {
		err = io.EOF
	}
	send(output{err: err})
}

// exchange sends a line, and returns the next of the runner's.
func (p *process) exchange(ctx context.Context, text []byte, timeout time.Duration) ([]byte, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	requests, exited := p.requests, p.exited
	for {
		select {
		case requests <- text:
			requests = nil
		case <-exited:
			// What it wrote is still to be read. That its output does not end can be
			// because something that it started has it, too.
			exited = nil
			timer.Reset(exitTimeout)
		case o := <-p.answers:
			if o.err != nil {
				return nil, p.explain(o.err)
			}
			return o.text, nil
		case <-timer.C:
			if exited == nil {
				return nil, p.explain(io.EOF)
			}
			return nil, fmt.Errorf("no answer within %v", timeout)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// explain tells why there are no more answers.
func (p *process) explain(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, errUnfinished) {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	problem := "the runner ended before it answered"
	if errors.Is(err, errUnfinished) {
		problem = "the runner ended within its answer"
	}
	timer := time.NewTimer(exitTimeout)
	defer timer.Stop()
	select {
	case <-p.exited:
		return fmt.Errorf("%s: %v", problem, p.cmd.ProcessState)
	case <-timer.C:
		return fmt.Errorf("%s: it has closed its standard output", problem)
	}
}

// finish ends the runner's input, and tells whether it has written more after
// that, and whether it has exited by itself in time.
func (p *process) finish(ctx context.Context, timeout time.Duration) (extra, exited bool) {
	p.end()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	answers, gone := p.answers, p.exited
	for answers != nil || gone != nil {
		select {
		case o := <-answers:
			if o.err != nil {
				answers = nil
			}
			extra = extra || o.err != io.EOF
		case <-gone:
			gone, exited = nil, true
		case <-timer.C:
			return extra, exited
		case <-ctx.Done():
			return extra, exited
		}
	}
	return extra, exited
}

// stop ends the runner and all that it has started, at once. Of one that has
// exited, something may be left.
func (p *process) stop() {
	close(p.stopped)
	p.end()
	kill(p.cmd)
	<-p.exited
	p.stdout.Close()
	p.goroutines.Wait()
}
