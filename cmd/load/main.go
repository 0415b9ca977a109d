// Command load puts loads on agentassert's proxy, and on other reverse proxies to the same
// backend in turn, with public tools: wrk and vegeta. It says what each answers a second,
// how long that takes, and what it uses, and writes that into docs/benchmarks.md. It exits
// with 1 if a budget is missed.
package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"

	"github.com/moby/sys/atomicwriter"

	"github.com/agentassert/agentassert/cmd/internal/page"
)

// Exit codes.
const (
	exitOK     = 0
	exitMissed = 1
	exitUsage  = 2
	exitFailed = 3
)

const help = `Usage: load -tool FILE -vegeta FILE [-short] [-o FILE]
       load -tool FILE -soak TIME [-o FILE]

load puts loads on agentassert's proxy and, in turn, on net/http/httputil's
ReverseProxy and nginx before the same backend. That takes seven minutes. It needs
Linux, and wrk; nginx is left out where there is none.

  -tool FILE     the agentassert to measure
  -vegeta FILE   the vegeta to measure with
  -short         one short round of each load: does it work?
  -soak TIME     put loads of all kinds on agentassert alone for so long, such as
                 10m: does its memory stay flat, and is no goroutine left?
  -o FILE        write the figures into this page, too, in place of those in it

Exit status: 0 done; 1 a budget is missed; 2 wrong usage; 3 something failed.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program; it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	tool := flags.String("tool", "", "")
	attacker := flags.String("vegeta", "", "")
	out := flags.String("o", "", "")
	soaks := flags.Duration("soak", 0, "")
	short := flags.Bool("short", false, "")
	// For processes of its own.
	role := flags.String("role", "", "")
	upstream := flags.String("upstream", "", "")
	folder := flags.String("folder", "", "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, help)
		return exitOK
	}
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *role == "" && (*tool == "" || *soaks == 0 && *attacker == ""):
		err = errors.New("-tool is needed, and either -vegeta or -soak")
	case *soaks < 0:
		err = errors.New("-soak is a time, such as 10m")
	}
	if err != nil {
		fmt.Fprintf(stderr, "load: %v; see load -help\n", err)
		return exitUsage
	}
	missed := false
	if *role != "" {
		err = play(ctx, *role, *upstream, *folder, stdin, stdout)
	} else {
		missed, err = writeAll(ctx, programs{tool: *tool, vegeta: *attacker}, *soaks, *short, *out, stdout, stderr)
	}
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "load: %v\n", err)
		return exitFailed
	case missed:
		return exitMissed
	}
	return exitOK
}

// writeAll measures, or soaks, and writes what came of it.
func writeAll(ctx context.Context, p programs, soaks time.Duration, short bool, out string, stdout, stderr io.Writer) (missed bool, err error) {
	if p.wrk, err = exec.LookPath("wrk"); err != nil {
		return false, errors.New("wrk is not installed; as root, apt-get install wrk")
	}
	var block bytes.Buffer
	made := "load"
	if soaks > 0 {
		made = "load-soak"
		var text string
		text, missed, err = soak(ctx, p, soaks, stderr)
		block.WriteString(text)
	} else {
		if p.nginx = findNginx(); p.nginx == "" {
			fmt.Fprintln(stderr, "load: nginx is not installed, and is left out")
		}
		var f figures
		var targets []*target
		if f, targets, err = measure(ctx, p, short, stderr); err == nil {
			missed = writeSection(&block, f, targets, page.Machine(), versions(p))
		}
	}
	if err != nil {
		return false, err
	}
	if _, err := stdout.Write(block.Bytes()); err != nil || out == "" {
		return missed, err
	}
	whole, err := os.ReadFile(out)
	if err != nil {
		return missed, err
	}
	return missed, atomicwriter.WriteFile(out, page.WithBlock(whole, made, block.Bytes()), 0o644)
}

// findNginx returns where nginx is, which Debian keeps out of most users' PATH.
func findNginx() string {
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// versions names those of what was measured with.
func versions(p programs) string {
	// Both exit with 1.
	said, _ := exec.Command(p.wrk, "-v").CombinedOutput()
	line, _, _ := strings.Cut(string(said), "\n")
	words := append(strings.Fields(line), "", "")
	list := []string{"wrk " + words[1]}
	if info, err := buildinfo.ReadFile(p.vegeta); err == nil {
		list = append(list, "vegeta "+info.Main.Version)
	}
	if p.nginx != "" {
		said, _ := exec.Command(p.nginx, "-v").CombinedOutput()
		_, version, _ := strings.Cut(strings.TrimSpace(string(said)), "nginx/")
		list = append(list, "nginx "+version)
	}
	return strings.Join(list, ", ")
}
