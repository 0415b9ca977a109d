package main

import (
	"io"
	"os"

	"golang.org/x/sys/windows"
)

// takesSequences reports whether a console takes escape sequences, and has it do so if it
// can: those of Windows 10 do when they are asked.
func takesSequences(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	console := windows.Handle(file.Fd())
	var mode uint32
	if windows.GetConsoleMode(console, &mode) != nil {
		return false
	}
	return mode&windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING != 0 ||
		windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
