// Package page is what the programs share that write docs/benchmarks.md: each of them
// keeps what the other has written.
package page

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// marker begins the lines around a block, which no reader of the page sees.
const marker = "<!-- make "

func lines(target string) (begin, end string) {
	return marker + target + " -->\n", marker + target + ": end -->\n"
}

// Blocks returns what other programs have written into a page, with the lines around it:
// all from the first block on.
func Blocks(whole []byte) []byte {
	if i := bytes.Index(whole, []byte(marker)); i >= 0 {
		return whole[i:]
	}
	return nil
}

// WithBlock returns a page with the block that a target of make writes, in place of the one
// that is there, or as the last one.
func WithBlock(whole []byte, target string, block []byte) []byte {
	begin, end := lines(target)
	before, rest, found := strings.Cut(string(whole), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		before, after = strings.TrimRight(string(whole), "\n")+"\n\n", ""
	}
	return []byte(before + begin + string(block) + end + after)
}

// Machine says what is measured on: the processor, where the system tells, how many there
// are, the platform and Go's version.
func Machine() string {
	return fmt.Sprintf("%s, %d CPUs, %s/%s, %s", processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "a processor that does not say its name"
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "a processor that does not say its name"
}
