//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// maxHangups is how many are kept while one is being served. More mean nothing new: each
// is answered by reading everything as it is then.
const maxHangups = 16

// hangups are the SIGHUP that the process gets, by which it is not ended.
type hangups struct {
	told chan os.Signal
	// endsWithTerminal is whether the process is to end with the terminal that it was started
	// from: not with nohup, which says so by ignoring the signal.
	endsWithTerminal bool
}

// listenForHangups begins. The caller calls stop.
func listenForHangups() *hangups {
	h := &hangups{told: make(chan os.Signal, maxHangups), endsWithTerminal: hasTerminal() && !signal.Ignored(syscall.SIGHUP)}
	signal.Notify(h.told, syscall.SIGHUP)
	return h
}

func (h *hangups) stop() { signal.Stop(h.told) }

// terminalIsGone reports whether a hang-up is that of the terminal from which the process
// was started: nobody is there any more who could interrupt it.
func (h *hangups) terminalIsGone() bool { return h.endsWithTerminal && !hasTerminal() }

func hasTerminal() bool {
	f, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	f.Close()
	return true
}
