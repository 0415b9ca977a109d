// Command wasmbuild builds the WebAssembly module of package wasm, reproducibly, and cuts it off from
// everything: the finished module imports nothing, so that any engine runs it without a host's help, and
// anyone can see that it reaches nothing.
//
// Go's linker writes modules that import WASI. wasmbuild starts such a module, lets it handle one
// request, and makes a new module of its code and of what is in its memory by then; the functions of
// WASI are replaced by small ones that do next to nothing. The Go runtime is then already up when the
// module is instantiated, which therefore takes a tenth of the time, too; and what only serves to start it, or
// to tell the outside something, is taken out. The steps are listed at freeze.
package main

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
)

// Exit codes.
const (
	exitOK        = 0
	exitDifferent = 1
	exitUsage     = 2
	exitFailed    = 3
)

const usage = `Usage: wasmbuild [-o FILE] [-guest FOLDER]
       wasmbuild -check FILE [-guest FOLDER]

wasmbuild builds the guest for GOOS=wasip1 GOARCH=wasm and writes it as a
WebAssembly module that imports nothing. The same sources and the same version of
Go give the same bytes. Run it in the root of the repository.

  -o FILE        where to write the module (default %q)
  -check FILE    write nothing; build, and compare with FILE
  -guest FOLDER  the guest's main package (default %q)

Exit status: 0 done, or no difference; 1 the file differs; 2 wrong usage;
3 something failed.
`

const (
	defaultOutput = "wasm/agentassert.wasm"
	defaultGuest  = "./wasm/guest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wasmbuild", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	output := flags.String("o", defaultOutput, "")
	check := flags.String("check", "", "")
	guest := flags.String("guest", defaultGuest, "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(stdout, usage, defaultOutput, defaultGuest)
		return exitOK
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case given["o"] && given["check"]:
		err = errors.New("-check writes nothing, so -o is of no use")
	case *output == "" || *guest == "" || given["check"] && *check == "":
		err = errors.New("a flag is empty")
	}
	if err != nil {
		fmt.Fprintf(stderr, "wasmbuild: %v; see wasmbuild -help\n", err)
		return exitUsage
	}

	var committed []byte
	if given["check"] {
		if committed, err = os.ReadFile(*check); err != nil {
			fmt.Fprintf(stderr, "wasmbuild: reading the file to check: %v; to create it, run \"make wasm\"\n", err)
			return exitFailed
		}
	}
	m, b, err := build(ctx, *guest, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "wasmbuild: %v\n", err)
		return exitFailed
	}
	if given["check"] {
		return compare(*check, committed, b, m.goVersion(), stdout)
	}
	if err := writeFile(*output, b); err != nil {
		fmt.Fprintf(stderr, "wasmbuild: writing the module: %v; name another file with -o\n", err)
		return exitFailed
	}
	report(*output, m, b, stdout)
	return exitOK
}

// report describes a module.
func report(name string, m *module, b []byte, w io.Writer) {
	var exports []string
	for _, e := range m.exports {
		exports = append(exports, e.name)
	}
	fmt.Fprintf(w, "%s\n", name)
	fmt.Fprintf(w, "  size      %d bytes, gzipped %d\n", len(b), gzippedSize(b))
	fmt.Fprintf(w, "  sha256    %x\n", sha256.Sum256(b))
	fmt.Fprintf(w, "  imports   %d\n", len(m.imports))
	fmt.Fprintf(w, "  exports   %s\n", strings.Join(exports, ", "))
	fmt.Fprintf(w, "  memory    %d pages of %d KiB\n", m.memory.min, pageSize>>10)
	fmt.Fprintf(w, "  built by  %s\n", m.goVersion())
}

// compare says how the committed file and the one that was just built, by the version of Go given,
// differ, and returns the exit code.
func compare(name string, committed, rebuilt []byte, version string, w io.Writer) int {
	offset := firstDifference(committed, rebuilt)
	if offset < 0 {
		fmt.Fprintf(w, "%s is what its sources build: sha256 %x\n", name, sha256.Sum256(rebuilt))
		return exitOK
	}
	committedVersion := "an unknown version of Go"
	if m, err := parseModule(committed); err == nil && m.goVersion() != "" {
		committedVersion = m.goVersion()
	}
	fmt.Fprintf(w, "%s is not what its sources build.\n", name)
	fmt.Fprintf(w, "  committed  %d bytes, sha256 %x, built by %s\n", len(committed), sha256.Sum256(committed), committedVersion)
	fmt.Fprintf(w, "  rebuilt    %d bytes, sha256 %x, built by %s\n", len(rebuilt), sha256.Sum256(rebuilt), version)
	fmt.Fprintf(w, "  they differ from offset %#x on\n", offset)
	if committedVersion == version {
		fmt.Fprintln(w, `The version of Go is the same, so the sources have changed: run "make wasm", and commit the file.`)
	} else {
		fmt.Fprintf(w, "Different versions of Go write different files: check with %s, or run \"make wasm\" with %s, and commit the file.\n", committedVersion, version)
	}
	return exitDifferent
}

// firstDifference returns the offset of the first byte in which a and b differ, or -1 if they are the
// same.
func firstDifference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) == len(b) {
		return -1
	}
	return n
}

// gzippedSize returns how many bytes b takes when it is compressed as far as gzip can.
func gzippedSize(b []byte) int {
	var n counter
	z, _ := gzip.NewWriterLevel(&n, gzip.BestCompression) // the level is valid
	z.Write(b)                                            // a counter does not fail
	z.Close()
	return int(n)
}

// counter counts the bytes that are written to it.
type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
