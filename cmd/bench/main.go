// Command bench measures what agentassert may cost and prints it as the
// page docs/benchmarks.md: every figure and its peer in one run, medians, with
// the machine's name. It exits with 1 if a budget is missed.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"

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
		fmt.Fprint(flags.Output(), `Usage: bench [-o FILE] [-c PROGRAM] [-c-guarded PROGRAM] [-python PROGRAM]

Measures the budgets, and what each language pays, and writes that to FILE too, as Markdown.

`)
		flags.PrintDefaults()
	}
	out := flags.String("o", "", "write the page to this file too")
	c := flags.String("c", "", "the C library's benchmark, if it is built")
	guarded := flags.String("c-guarded", "", "the same with guard pages")
	python := flags.String("python", "", "the Python that the Python package is installed in, if there is one")
	goCache := flags.String("go", "", "only measure Go, with this cache folder, and print that as JSON: for a process of its own")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil || flags.NArg() > 0 {
		return 2
	}
	if *goCache != "" {
		f, err := goFigures(ctx, *goCache)
		if err == nil {
			err = json.NewEncoder(os.Stdout).Encode(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			return 3
		}
		return 0
	}
	rows, err := measure(ctx, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 3
	}
	cacheDir, err := os.MkdirTemp("", "agentassert-bench-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 3
	}
	defer os.RemoveAll(cacheDir)
	list, err := everyLanguage(ctx, cacheDir, *c, *guarded, *python)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 3
	}
	inLanguages, err := languages(ctx, list)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 3
	}
	var page bytes.Buffer
	writePage(&page, rows, inLanguages)
	os.Stdout.Write(page.Bytes())
	if *out != "" {
		if err := atomicwriter.WriteFile(*out, page.Bytes(), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			return 3
		}
	}
	if slices.ContainsFunc(rows, func(r row) bool { return r.missed }) ||
		slices.ContainsFunc(inLanguages, func(r languageRow) bool { return r.missed }) {
		return 1
	}
	return 0
}
