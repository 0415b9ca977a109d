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
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/moby/sys/atomicwriter"

	"github.com/agentassert/agentassert/cmd/internal/page"
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
		fmt.Fprint(flags.Output(), `Usage: bench [-o FILE] [-postgres URL] [-c PROGRAM] [-c-guarded PROGRAM] [-python PROGRAM]

Measures the budgets, and what each language pays, and writes that to FILE too, as Markdown.

`)
		flags.PrintDefaults()
	}
	out := flags.String("o", "", "write the page to this file too")
	postgres := flags.String("postgres", "", "the URL of a PostgreSQL server for measurements, if there is one; it must let databases be made")
	c := flags.String("c", "", "the C library's benchmark, if it is built")
	guarded := flags.String("c-guarded", "", "the same with guard pages")
	python := flags.String("python", "", "the Python that the Python package is installed in, if there is one")
	onlyGo := flags.Bool("go", false, "only measure Go, and print that as JSON: for a process of its own")
	onlyStart := flags.Bool("start", false, "only make one header, and print what that took: for a process of its own")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil || flags.NArg() > 0 {
		return 2
	}
	var err error
	missed := false
	switch {
	case *onlyGo:
		var f figures
		if f, err = goFigures(ctx); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(f)
		}
	case *onlyStart:
		err = printStart(ctx)
	default:
		missed, err = writeAll(ctx, *out, *postgres, *c, *guarded, *python)
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 3
	case missed:
		return 1
	}
	return 0
}

// printStart prints how long it takes from here to the first header, as a number of
// nanoseconds.
func printStart(ctx context.Context) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := firstHeader(ctx, key); err != nil {
		return err
	}
	_, err = fmt.Println(time.Since(begin).Nanoseconds())
	return err
}

// writeAll measures everything, and reports whether a budget is missed.
func writeAll(ctx context.Context, out, postgres, c, guarded, python string) (missed bool, err error) {
	// This run's caches are its own: what an earlier one has left makes no figure better.
	caches, err := os.MkdirTemp("", "agentassert-bench-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(caches)
	for _, variable := range cachesIn(caches) {
		name, value, _ := strings.Cut(variable, "=")
		if name == "HOME" {
			continue // npm's and Python's
		}
		if err := os.Setenv(name, value); err != nil {
			return false, err
		}
	}
	rows, err := measure(ctx, postgres, os.Stderr)
	if err != nil {
		return false, err
	}
	list, err := everyLanguage(c, guarded, python)
	if err != nil {
		return false, err
	}
	inLanguages, err := languages(ctx, list)
	if err != nil {
		return false, err
	}
	var text bytes.Buffer
	writePage(&text, rows, inLanguages)
	if _, err := os.Stdout.Write(text.Bytes()); err != nil {
		return false, err
	}
	if out != "" {
		if err := replacePage(out, text.Bytes()); err != nil {
			return false, err
		}
	}
	return slices.ContainsFunc(rows, func(r row) bool { return r.missed }) ||
		slices.ContainsFunc(inLanguages, func(r languageRow) bool { return r.missed }), nil
}

// replacePage writes the page anew, and keeps what cmd/load has written into it.
func replacePage(out string, text []byte) error {
	before, err := os.ReadFile(out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if others := page.Blocks(before); others != nil {
		text = slices.Concat(text, []byte("\n"), others)
	}
	return atomicwriter.WriteFile(out, text, 0o644)
}
