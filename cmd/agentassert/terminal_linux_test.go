package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal: what is written to it can be read from its other side.
func terminal(t *testing.T) (terminal, other *os.File) {
	t.Helper()
	other, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there is no pseudo-terminal (%v); nothing is tried on one", err)
	}
	t.Cleanup(func() { other.Close() })
	if err := unix.IoctlSetPointerInt(int(other.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(other.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return terminal, other
}

// TestOnATerminal: there are colours on a terminal, unless somebody wants none.
func TestOnATerminal(t *testing.T) {
	const header = "AgentAssertion eyJ4IjoxfQ"
	for _, tt := range []struct {
		name, value string
		colours     bool
	}{
		{"TERM", "xterm", true},
		{"TERM", "dumb", false},
		{"NO_COLOR", "1", false},
	} {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			plainOutput(t)
			t.Setenv(tt.name, tt.value)
			tty, other := terminal(t)
			if !newProgress(tty).terminal {
				t.Error("progress is shown as in a log")
			}
			code := execute(t.Context(), []string{"--engine", "native", "inspect", header}, strings.NewReader(""), io.Discard, tty)
			tty.Close()
			said, _ := io.ReadAll(other) // it ends with an error, as the terminal is closed
			if want := "agentassert:"; code != exitNo || !bytes.Contains(said, []byte(want)) || bytes.Contains(said, []byte("\x1b[")) != tt.colours {
				t.Errorf("code %d: %q", code, said)
			}
		})
	}
}
