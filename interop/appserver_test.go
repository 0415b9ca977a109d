//go:build interop && unix

package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// appServer is a client that stays: the one that editors run, and talk to in
// lines of JSON. It is not safe for concurrent use.
type appServer struct {
	stdin  io.WriteCloser
	lines  chan []byte
	stderr bytes.Buffer // to be read once the client has ended
	calls  int
}

// startAppServer starts the client, which is gone when the test has ended.
func (h home) startAppServer(t *testing.T) *appServer {
	t.Helper()
	s := &appServer{lines: make(chan []byte, 100)}
	cmd := exec.Command(h.program, "app-server")
	cmd.Dir, cmd.Env, cmd.Stderr = filepath.Join(h.dir, "work"), h.env(), &s.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if s.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.lines)
		for r := bufio.NewReader(stdout); ; {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return
			}
			s.lines <- line
		}
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		for range s.lines { // so that the reader sees the end
		}
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the client %s says\n%s", h.release, s.stderr.Bytes())
		}
	})
	if err := s.call(t.Context(), "initialize", map[string]any{"clientInfo": map[string]string{"name": "interop", "version": "1"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.send(map[string]any{"method": "initialized"}); err != nil {
		t.Fatal(err)
	}
	return s
}

// refresh makes the client refresh the user's tokens, and store them.
func (s *appServer) refresh(ctx context.Context) error {
	return s.call(ctx, "account/read", map[string]any{"refreshToken": true})
}

// call waits for the answer to one request. What it says is left unread, unless it
// is an error.
func (s *appServer) call(ctx context.Context, method string, params any) error {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	s.calls++
	if err := s.send(map[string]any{"id": s.calls, "method": method, "params": params}); err != nil {
		return err
	}
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				return errors.New("the client has ended")
			}
			var answer struct {
				ID     int             `json:"id"`
				Method string          `json:"method"`
				Error  json.RawMessage `json:"error"`
			}
			// What comes in between is news, or a request of the client's own.
			if json.Unmarshal(line, &answer) != nil || answer.Method != "" || answer.ID != s.calls {
				continue
			}
			if answer.Error != nil {
				return fmt.Errorf("the client answers %s with the error %s", method, answer.Error)
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("the client does not answer %s: %w", method, context.Cause(ctx))
		}
	}
}

func (s *appServer) send(message any) error {
	line, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = s.stdin.Write(append(line, '\n'))
	return err
}
