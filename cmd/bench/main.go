// Command bench measures what agentassert may cost and prints it as the
// page docs/benchmarks.md: every figure and its peer in one run, medians, with
// the machine's name. It exits with 1 if a budget is missed.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/moby/sys/atomicwriter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "Usage: bench [-o FILE]\n\nMeasures the budgets, and writes them to FILE too, as Markdown.")
	}
	out := flags.String("o", "", "write the page to this file too")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil || flags.NArg() > 0 {
		return 2
	}
	rows, err := measure(ctx, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 3
	}
	var page bytes.Buffer
	writePage(&page, rows)
	os.Stdout.Write(page.Bytes())
	if *out != "" {
		if err := atomicwriter.WriteFile(*out, page.Bytes(), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			return 3
		}
	}
	for _, r := range rows {
		if r.missed {
			return 1
		}
	}
	return 0
}
