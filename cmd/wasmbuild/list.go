package main

import (
	"iter"
	"strings"
)

// listLines are the words of each line of a list that lies beside a guest, and the line's number. A "#" begins a
// comment; lines without words are left out.
func listLines(list string) iter.Seq2[int, []string] {
	return func(yield func(int, []string) bool) {
		n := 0
		for line := range strings.Lines(list) {
			n++
			line, _, _ = strings.Cut(line, "#")
			if words := strings.Fields(line); len(words) > 0 && !yield(n, words) {
				return
			}
		}
	}
}
