// Command soak makes millions of calls of all kinds of one instance of the module, in wazero and in Node. It
// fails if an answer is not what the core itself gives, if a call traps, or if memory does not stay flat: what
// an instance that serves for weeks must not do, and what no short test sees.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/agentassert/agentassert/internal/requests"
	"github.com/agentassert/agentassert/wasm"
)

// Exit codes.
const (
	exitOK       = 0
	exitModule   = 1
	exitUsage    = 2
	exitFailed   = 3
	defaultCalls = 2_000_000
)

const usage = `Usage: soak [-calls N] [-seed N] [-engine NAME] [-module FILE]

soak makes calls of all kinds of one instance of the module: the requests of all
test vectors, and what comes of them when something is changed. Each answer must
be the core's own, and memory must stay flat. Run it in the root of the
repository; two million calls take some ten minutes for each engine.

  -calls N      how many calls (default %d)
  -seed N       another seed makes other changes (default 1)
  -engine NAME  wazero, node or both (default both)
  -module FILE  another module than the one in this repository

Exit status: 0 done; 1 the module failed; 2 wrong usage; 3 something else failed.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	calls := flags.Int("calls", defaultCalls, "")
	seed := flags.Uint64("seed", 1, "")
	named := flags.String("engine", "both", "")
	file := flags.String("module", "", "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(stdout, usage, defaultCalls)
		return exitOK
	}
	start := map[string][]starter{"wazero": {startWazero}, "node": {startNode}, "both": {startWazero, startNode}}[*named]
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *calls < 1:
		err = errors.New("-calls must be at least 1")
	case start == nil:
		err = fmt.Errorf("there is no engine %q; the engines are wazero and node", *named)
	}
	if err != nil {
		fmt.Fprintf(stderr, "soak: %v; see soak -help\n", err)
		return exitUsage
	}
	module := wasm.Module
	if *file != "" {
		if module, err = os.ReadFile(*file); err != nil {
			fmt.Fprintf(stderr, "soak: reading the module: %v\n", err)
			return exitFailed
		}
	}
	// All are started before the first soaks for ten minutes: one that cannot be is known at once.
	var engines []engine
	for _, start := range start {
		e, err := start(ctx, module, stderr)
		if err != nil {
			fmt.Fprintf(stderr, "soak: %v\n", err)
			return exitCode(err)
		}
		defer e.close()
		engines = append(engines, e)
	}
	recorded, err := requests.Recorded()
	if err != nil {
		fmt.Fprintf(stderr, "soak: %v; \"go test ./testvectors\" says more\n", err)
		return exitFailed
	}
	code := exitOK
	for _, e := range engines {
		if err := soak(ctx, e, requests.NewSource(recorded, *seed), *calls, stdout, stderr); err != nil {
			fmt.Fprintf(stderr, "soak: %v\n", err)
			code = max(code, exitCode(err))
		}
	}
	return code
}

// exitCode tells a fault of the module from another failure.
func exitCode(err error) int {
	if fault := (*moduleError)(nil); errors.As(err, &fault) {
		return exitModule
	}
	return exitFailed
}
