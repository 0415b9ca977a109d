package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

func newAssert(o *engineOptions) *cobra.Command {
	var keyFile, runtimeID, taskID, instance, headerMode, at string
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "assert --key-file FILE (--runtime-id ID --task-id ID | --runtime-agent-instance ID) [--at TIME]",
		SuggestFor: []string{"sign", "make", "build"},
		Short:      "Print an assertion, offline",
		Long: `Print the header value that proves that an agent is on a task at a time, or that
a runtime agent instance makes a request: that one is for one request, and another
each time.

The key file holds a private key as keygen writes it, as auth.json has it in
agent_private_key, or in any other form that 'agentassert key' reads.

--json prints one object:
  header           the value of Authorization; or else
  agent_assertion  that of X-OpenAI-Agent-Assertion
  timestamp        when it was made, as it says, in RFC 3339, UTC`,
		Example: "  agentassert keygen --out key.txt\n  agentassert assert --key-file key.txt --runtime-id agent-1 --task-id task-1",
		Args:    noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			now, err := parseTime(at)
			if err != nil {
				return err
			}
			key, err := readKeyFile(keyFile, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return o.withEngine(cmd.Context(), func(e host.Engine) error {
				pair, err := importPrivateKey(cmd.Context(), e, key)
				if err != nil {
					return err
				}
				if instance != "" {
					made, err := assertInstance(cmd.Context(), e, pair.PrivateKey, instance, headerMode, now)
					if err != nil {
						return err
					}
					return made.print(cmd.OutOrStdout(), asJSON)
				}
				a, err := host.Call[wire.Assertion](cmd.Context(), e, wire.MethodAssertionBuild, wire.AssertionBuildParams{
					PrivateKey: pair.PrivateKey, AgentRuntimeID: runtimeID, TaskID: taskID, Now: now,
				})
				if err != nil {
					return argument(err, core.CodeInvalidAgentRuntimeID, core.CodeInvalidTaskID, core.CodeInvalidTime)
				}
				return newAssertion(now, a.Header, "").print(cmd.OutOrStdout(), asJSON)
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&keyFile, "key-file", "", "the private key's file; - is standard input")
	f.StringVar(&runtimeID, "runtime-id", "", "the agent's runtime id")
	f.StringVar(&taskID, "task-id", "", "the task's id")
	f.StringVar(&instance, "runtime-agent-instance", "", "in place of these two, the id of a runtime agent instance")
	f.StringVar(&headerMode, "header-mode", wire.HeaderModeAssertionOnly, "of an instance: assertion_only, for Authorization, or dual_header, for X-OpenAI-Agent-Assertion")
	f.StringVar(&at, "at", "", "the time, RFC 3339 or Unix seconds (default: now)")
	f.BoolVar(&asJSON, "json", false, "print JSON, as described above")
	must(cmd.MarkFlagRequired("key-file"))
	cmd.MarkFlagsRequiredTogether("runtime-id", "task-id")
	cmd.MarkFlagsOneRequired("runtime-id", "runtime-agent-instance")
	cmd.MarkFlagsMutuallyExclusive("runtime-id", "runtime-agent-instance")
	must(cmd.MarkFlagFilename("key-file"))
	completeNothing(cmd, "runtime-id", "task-id", "runtime-agent-instance", "at")
	must(cmd.RegisterFlagCompletionFunc("header-mode", cobra.FixedCompletions(headerModes, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// assertion is what assert prints.
type assertion struct {
	Header         string `json:"header,omitempty"`
	AgentAssertion string `json:"agent_assertion,omitempty"`
	Timestamp      string `json:"timestamp"`
}

func newAssertion(unix int64, header, agentAssertion string) assertion {
	return assertion{header, agentAssertion, time.Unix(unix, 0).UTC().Format(time.RFC3339)}
}

func (a assertion) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, a)
	}
	_, err := fmt.Fprintln(w, a.Header+a.AgentAssertion)
	return err
}

// assertInstance makes the assertion of a runtime agent instance.
func assertInstance(ctx context.Context, e host.Engine, key, instance, headerMode string, now int64) (assertion, error) {
	if !slices.Contains(headerModes, headerMode) {
		return assertion{}, usage(fmt.Errorf("--header-mode is dual_header or assertion_only, not %q", headerMode))
	}
	entropy := make([]byte, 16)
	_, _ = rand.Read(entropy) // it never fails
	a, err := host.Call[wire.InstanceAssertion](ctx, e, wire.MethodInstanceBuild, wire.InstanceBuildParams{
		PrivateKey: key, RuntimeAgentInstance: instance, Entropy: entropy, Now: now,
	})
	if err != nil {
		return assertion{}, argument(err, core.CodeInvalidAgentRuntimeID, core.CodeInvalidTime)
	}
	if headerMode == wire.HeaderModeAssertionOnly {
		return newAssertion(now, core.Scheme+" "+a.Value, ""), nil
	}
	return newAssertion(now, "", a.Value), nil
}

// argument makes an error with one of the codes one of usage: the value came
// from the command line.
func argument(err error, codes ...string) error { return withExit(err, exitUsage, codes) }

// no makes an error with one of the codes the answer no.
func no(err error, codes ...string) error { return withExit(err, exitNo, codes) }

func withExit(err error, exit int, codes []string) error {
	for _, c := range codes {
		if core.Code(err) == c {
			return &outcome{exit, err}
		}
	}
	return err
}

// parseTime reads RFC 3339 or Unix seconds; empty is now.
func parseTime(s string) (unix int64, err error) {
	if s == "" {
		return time.Now().Unix(), nil
	}
	if unix, err := strconv.ParseInt(s, 10, 64); err == nil {
		return unix, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0, usage(fmt.Errorf("the time %q is neither RFC 3339, such as 2026-11-24T15:16:08Z, nor Unix seconds", s))
	}
	return t.Unix(), nil
}

// maxArgumentFile bounds what is read from files and standard input, in bytes.
const maxArgumentFile = 1 << 20

// readHeader takes a header from the arguments: whole, in two because the shell
// split it at the space, or from standard input. The header's name may stand
// before it.
func readHeader(args []string, stdin io.Reader) (string, error) {
	header := strings.Join(args, " ")
	if header == "-" {
		data, err := io.ReadAll(io.LimitReader(stdin, maxArgumentFile))
		if err != nil {
			return "", fmt.Errorf("the header cannot be read: %w", err)
		}
		header = string(data)
	}
	header = strings.TrimSpace(header)
	if name, value, ok := strings.Cut(header, ":"); ok && (strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "X-OpenAI-Agent-Assertion")) {
		header = strings.TrimSpace(value)
	}
	return header, nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
