// Command mutate measures how much the test vectors and the tests notice: it changes package core in
// thousands of small ways, one at a time, and counts the changes that nothing notices.
//
// The vectors come first, because they are what other implementations have, too; what they let pass, the
// package's own tests get. Tests of other packages do not count. How all mutants come to be in one
// build is said at schema, and why that is the same as a build for each. Only vectors and tests that enter a
// changed function are run: until then nothing is different. What runs for much too long, takes too much memory
// or ends the process is noticed, too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"
)

// Exit codes.
const (
	exitOK       = 0
	exitSurvived = 1
	exitUsage    = 2
	exitFailed   = 3
)

const (
	defaultPackage = "./core"
	defaultList    = "cmd/mutate/equivalent.txt"
	defaultMin     = 95
)

const usage = `Usage: mutate [-file NAME] [-list] [-min PERCENT] [-equivalent FILE] [-jobs N] [-v]

mutate changes package core in small ways, one at a time: a comparison, a
constant, a statement, a case. Each change should make a test vector fail, or else
a test of the package. It prints how many do, and each that does not. Run it in the
root of the repository; it takes some minutes.

  -file NAME        change one file of the package, such as id.go
  -list             list the changes, and run nothing
  -min PERCENT      the least that shall be noticed (default %d)
  -equivalent FILE  the changes that make no difference, each with the reason
                    (default %q)
  -jobs N           how many run at once (default: one for each processor)
  -v                list all changes, and what notices them

Exit status: 0 done; 1 less than -min was noticed; 2 wrong usage; 3 something failed.
`

// options are those of the command line.
type options struct {
	file, equivalent string
	list, verbose    bool
	min              float64
	jobs             int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.file, "file", "", "")
	flags.BoolVar(&o.list, "list", false, "")
	flags.Float64Var(&o.min, "min", defaultMin, "")
	flags.StringVar(&o.equivalent, "equivalent", defaultList, "")
	flags.IntVar(&o.jobs, "jobs", runtime.NumCPU(), "")
	flags.BoolVar(&o.verbose, "v", false, "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(stdout, usage, defaultMin, defaultList)
		return exitOK
	}
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.jobs < 1:
		err = errors.New("-jobs must be at least 1")
	case !(o.min >= 0 && o.min <= 100):
		err = errors.New("-min is not between 0 and 100")
	}
	if err != nil {
		fmt.Fprintf(stderr, "mutate: %v; see mutate -help\n", err)
		return exitUsage
	}
	code, err := mutate(ctx, o, stdout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "mutate: %v\n", err)
		return exitFailed
	}
	return code
}

// mutate does what the options say, with a package that is as it should be.
func mutate(ctx context.Context, o options, stdout, stderr io.Writer) (int, error) {
	start := time.Now()
	s, err := load(ctx, defaultPackage)
	if err != nil {
		return 0, err
	}
	all := findMutants(s)
	number(all)
	mutants, err := selected(all, o.file)
	if err != nil {
		return 0, err
	}
	if o.list {
		// Only what compiles is a mutant.
		if _, err := compilable(s, findDependents(s), mutants); err != nil {
			return 0, err
		}
		for _, m := range mutants {
			if m.verdict != notCompiled {
				fmt.Fprintln(stdout, m.key())
			}
		}
		return exitOK, nil
	}
	l, err := readList(o.equivalent)
	if err != nil {
		return 0, err
	}
	folder, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	m := &measurement{s: s, folder: folder, jobs: o.jobs, mutants: mutants, log: func(format string, args ...any) {
		fmt.Fprintf(stderr, "mutate: "+format+"\n", args...)
	}}
	if err := m.run(ctx); err != nil {
		return 0, err
	}
	r := newReport(m.mutants, all, l)
	r.leftOut, r.took = m.leftOut, time.Since(start)
	r.write(stdout, o.verbose)
	if len(r.unlisted) > 0 && r.score() < o.min {
		return exitSurvived, nil
	}
	return exitOK, nil
}

// selected are the mutants of a file, or all.
func selected(all []*mutant, file string) ([]*mutant, error) {
	if file == "" {
		return all, nil
	}
	var mutants []*mutant
	for _, m := range all {
		if m.file.name == filepath.Base(file) {
			mutants = append(mutants, m)
		}
	}
	if len(mutants) == 0 {
		return nil, fmt.Errorf("there is nothing to change in a file %q of the package %s", file, defaultPackage)
	}
	return mutants, nil
}
