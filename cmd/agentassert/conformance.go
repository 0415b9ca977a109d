package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/internal/policy"
	"github.com/agentassert/agentassert/testvectors"
	"github.com/agentassert/agentassert/testvectors/conformance"
)

// shownFailures is how many failures of each area are printed without
// --all-failures.
const shownFailures = 10

func newConformance(o *engineOptions) *cobra.Command {
	c := conformanceOptions{}
	cmd := &cobra.Command{
		Use:        "conformance --exec COMMAND",
		SuggestFor: []string{"test", "vectors"},
		Short:      "Run the test vectors against another implementation",
		Long: `Run the test vectors against a program in whatever language, a runner. COMMAND
starts it, in sh (in cmd on Windows). It is sent each request as a line of JSON on
its standard input, and answers with a line on its standard output, in order:

  {"id":"…","area":"keys","request":{"method":"key.parse","params":{…}}}
  {"id":"…","response":{"ok":{…}}}   or   {"id":"…","response":{"error":{…}}}
                                     or   {"id":"…","unsupported":true}

testvectors/README.md has the rest, and a runner to start from. The vectors, which
have a version of their own, are in this program: version ` + testvectors.SetVersion() + `.

The exit code is 0 if all that the runner supports has passed, 1 if something
failed or nothing is supported, and 3 if the runner cannot be run.

--json prints one object, with all failures:
  vectors, command   the version of the vectors, and --exec
  areas              area, passed, failed, unsupported, skipped: numbers
  failures           id, area, comment, source, path, message; and where two
                     strings or byte strings differ: offset, of the first byte
                     that does, from, of the first in the excerpts got_hex,
                     want_hex, got_text and want_text, and got_size, want_size
  skipped            the ids of --skip-file
  notes              what there is to tell about the runner`,
		Example: "  agentassert conformance --exec 'node testvectors/example/runner.mjs' --area assertions --area envelopes\n" +
			"  agentassert conformance --exec 'agentassert conformance runner' --complete\n" +
			"  agentassert conformance --exec 'agentassert conformance runner' --hosts",
		Args: commandOrNothing,
		RunE: run(func(cmd *cobra.Command, _ []string) error { return c.run(cmd) }),
	}
	f := cmd.Flags()
	f.StringVar(&c.command, "exec", "", "the command that starts the runner")
	f.StringArrayVar(&c.areas, "area", nil, "run this area only (can be given again)")
	f.StringArrayVar(&c.ids, "id", nil, "run the vectors whose id matches this pattern only, such as 'verify-*' (can be given again)")
	f.StringVar(&c.skipFile, "skip-file", "", "leave out the ids in this file, one a line; # starts a comment")
	f.DurationVar(&c.timeout, "timeout", conformance.DefaultTimeout, "how long one answer may take")
	f.BoolVar(&c.json, "json", false, "print JSON, as described above")
	f.BoolVar(&c.complete, "complete", false, "fail where something is unsupported, too")
	f.BoolVar(&c.hosts, "hosts", false, "run the vectors for hosts instead: which effects of a module are carried out")
	f.BoolVar(&c.allFailures, "all-failures", false, fmt.Sprintf("print all failures, not %d of each area", shownFailures))
	f.StringVar(&c.vectors, "vectors", "", "a folder with other vectors: a copy of testvectors, of any version")
	must(cmd.MarkFlagRequired("exec"))
	must(cmd.MarkFlagFilename("skip-file"))
	must(cmd.MarkFlagDirname("vectors"))
	must(cmd.RegisterFlagCompletionFunc("area", completeAreas))
	completeNothing(cmd, "exec", "id", "timeout")
	cmd.AddCommand(newConformanceRunner(o))
	return cmd
}

func newConformanceRunner(o *engineOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "runner",
		Short: "Answer the requests of conformance with this program's core",
		Long: `Answer the requests of conformance with this program's core, and those for hosts with
its policy: a line of JSON for each, until standard input ends.`,
		Example: "  agentassert conformance --exec 'agentassert conformance runner' --complete",
		Args:    noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			return o.withEngine(cmd.Context(), func(e host.Engine) error {
				return conformance.Serve(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), func(request []byte) ([]byte, error) {
					if response, ok := askHost(request); ok {
						return response, nil
					}
					return e.Call(cmd.Context(), request)
				})
			})
		}),
	}
}

// askHost answers what the vectors for hosts ask, which is no engine's to say.
func askHost(request []byte) (response []byte, ok bool) {
	var r wire.Request
	if wire.Decode(request, &r) != nil || r.Method != policy.MethodHostEffect {
		return nil, false
	}
	var q policy.Question
	err := cbor.Unmarshal(r.Params, &q)
	if err == nil {
		err = q.Ask()
	}
	if err == nil {
		return wire.Encode(&wire.Response{OK: wire.Encode(&wire.Empty{})}), true
	}
	answer := wire.Error{Code: core.CodeInvalidRequest, Message: "the question cannot be read"}
	if e, ok := errors.AsType[*core.Error](err); ok {
		answer = wire.Error{Code: e.Code, Message: e.Message}
	}
	return wire.Encode(&wire.Response{Error: &answer}), true
}

func completeAreas(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var areas []cobra.Completion
	files, err := testvectors.Load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	for _, f := range files {
		areas = append(areas, f.Area)
	}
	return areas, cobra.ShellCompDirectiveNoFileComp
}

type conformanceOptions struct {
	command, skipFile, vectors  string
	areas, ids                  []string
	timeout                     time.Duration
	json, complete, allFailures bool
	hosts                       bool
}

func (c *conformanceOptions) run(cmd *cobra.Command) error {
	if c.timeout <= 0 {
		return usage(errors.New("--timeout is not a positive time, such as 10s"))
	}
	source := os.DirFS(c.vectors)
	if c.vectors == "" {
		source = testvectors.FS
	}
	load := testvectors.LoadSet
	if c.hosts {
		load = testvectors.LoadHostSet
	}
	set, err := load(source)
	if err != nil {
		return err
	}
	skip, err := readSkipFile(c.skipFile, set)
	if err != nil {
		return err
	}
	if set, err = conformance.Select(set, c.areas, c.ids); err != nil {
		return usage(err)
	}
	progress := newProgress(cmd.ErrOrStderr())
	report, err := conformance.Run(cmd.Context(), conformance.Options{
		Command: c.command, Set: set, Skip: skip, Timeout: c.timeout, Stderr: cmd.ErrOrStderr(),
		Progress: func(area string, done, total int) {
			progress.show(fmt.Sprintf("%d of %d vectors done, now %s", done, total, area))
		},
	})
	progress.end()
	if err != nil {
		return err
	}
	if c.json {
		err = printJSON(cmd.OutOrStdout(), report)
	} else {
		limit := shownFailures
		if c.allFailures {
			limit = -1
		}
		err = report.Print(cmd.OutOrStdout(), limit)
	}
	if err != nil {
		return err
	}
	total := report.Total()
	if err := c.verdict(total); err != nil || c.json {
		return err
	}
	out := cmd.OutOrStdout()
	_, err = fmt.Fprintf(out, "\n%s\n", styleOf(out).ok(passed(total)))
	return err
}

// passed says what has passed where nothing has failed.
func passed(total conformance.Area) string {
	if total.Passed == total.Total() {
		return fmt.Sprintf("All %d vectors have passed.", total.Passed)
	}
	return fmt.Sprintf("%d of %d vectors have passed, %d are unsupported, %d were skipped.", total.Passed, total.Total(), total.Unsupported, total.Skipped)
}

func (c *conformanceOptions) verdict(total conformance.Area) error {
	switch {
	case total.Failed > 0:
		return answerNo(fmt.Errorf("%d of %d vectors failed", total.Failed, total.Total()))
	case total.Passed == 0:
		return answerNo(fmt.Errorf("nothing was tested: of %d vectors %d are unsupported and %d were skipped", total.Total(), total.Unsupported, total.Skipped))
	case c.complete && total.Unsupported > 0:
		return answerNo(fmt.Errorf("%d of %d vectors are unsupported", total.Unsupported, total.Total()))
	}
	return nil
}

// readSkipFile returns the ids in a file. One that no vector has would hide that a
// vector is not left out any more.
func readSkipFile(path string, set testvectors.Set) (map[string]bool, error) {
	skip := map[string]bool{}
	if path == "" {
		return skip, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the file of ids to skip cannot be opened: %w", err)
	}
	defer file.Close()
	known := map[string]bool{}
	for _, f := range set.Files {
		for _, v := range f.Vectors {
			known[v.ID] = true
		}
	}
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		id, _, _ := strings.Cut(lines.Text(), "#")
		if id = strings.TrimSpace(id); id == "" {
			continue
		}
		if !known[id] {
			return nil, usage(fmt.Errorf("%s, line %d: no vector has the id %q", path, number, id))
		}
		skip[id] = true
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("the file of ids to skip cannot be read: %w", err)
	}
	return skip, nil
}
