// Command release tags a release: a commit beside the branch, in which the Go modules of this repository require
// each other at the release's version, and a tag of that commit for each of them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

// Exit codes.
const (
	exitOK     = 0
	exitUsage  = 2
	exitFailed = 3
)

const usage = `Usage: release VERSION

release makes a commit on top of HEAD in which the Go modules require each other
at VERSION, such as v0.3.0, instead of by their folders, and tags it for each
module that is released: v0.3.0, core/v0.3.0, host/pgstore/v0.3.0 and so on. It
prints the command that publishes the tags. No branch and no file of the working
tree is changed. Run it in a clone of the repository without changes.

Which modules there are is in go.work; those whose line there says "not released"
have no tag.

Exit status: 0 done; 2 wrong usage; 3 refused or failed, and nothing is tagged.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	if err == nil && flags.NArg() != 1 {
		err = errors.New("it takes one argument, the version")
	}
	if err == nil {
		err = checkVersion(flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(stderr, "release: %v; see release -help\n", err)
		return exitUsage
	}
	r, err := prepare(ctx, flags.Arg(0))
	if err == nil {
		err = r.tag(ctx)
	}
	if err != nil {
		fmt.Fprintf(stderr, "release: %v\n", err)
		return exitFailed
	}
	r.report(stdout)
	return exitOK
}
