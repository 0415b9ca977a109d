package main

import "os"

// hangups are none on Windows, which has no such signal.
type hangups struct{ told chan os.Signal }

func listenForHangups() *hangups { return &hangups{} }

func (*hangups) stop() {}

func (*hangups) terminalIsGone() bool { return false }
