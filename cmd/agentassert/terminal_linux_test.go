package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal opens a terminal, and what makes it one.
func openTerminal(t *testing.T) (controller, terminal *os.File) {
	t.Helper()
	controller, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals: %v", err)
	}
	t.Cleanup(func() { controller.Close() })
	if err := unix.IoctlSetPointerInt(int(controller.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(controller.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals: %v", err)
	}
	t.Cleanup(func() { terminal.Close() })
	return controller, terminal
}

// TestTerminalGone: where the terminal goes that the proxy was started from, the proxy ends,
// unless it was started to outlive that.
func TestTerminalGone(t *testing.T) {
	// Where the tests themselves run under nohup, what they start would ignore the signal as they
	// do. What is caught is not passed on.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	defer signal.Stop(caught)
	for _, tt := range []struct {
		name, start string
		outlives    bool
	}{
		{"started there", `exec "$0" "$@"`, false},
		{"started with nohup", `trap "" HUP; exec "$0" "$@"`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			controller, terminal := openTerminal(t)
			shell, err := exec.LookPath("sh")
			if err != nil {
				t.Fatal(err)
			}
			u := startUpstream(t, none)
			p := startProcess(t, nil, func(c *exec.Cmd) {
				c.Args = append([]string{"sh", "-c", tt.start, c.Path}, c.Args[1:]...)
				c.Path = shell
				c.Stdin = terminal
				c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			}, "proxy", "--listen", "127.0.0.1:0", "--upstream", u.url, "--auth-file", u.authFile)
			p.waitFor("proxy started", 1)
			p.signal(syscall.SIGHUP)
			p.waitFor("msg=reloaded", 1)
			terminal.Close()
			if err := controller.Close(); err != nil {
				t.Fatal(err)
			}
			if tt.outlives {
				p.waitFor("msg=reloaded", 2)
				p.signal(syscall.SIGTERM)
			}
			if code := p.wait(); code != 0 || strings.Contains(p.text(), "terminal is gone") == tt.outlives {
				t.Errorf("it ends with %d: %s", code, p.text())
			}
		})
	}
}
