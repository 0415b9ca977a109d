package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
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
	cmd := &cobra.Command{
		Use:        "assert --key-file FILE (--runtime-id ID --task-id ID | --runtime-agent-instance ID) [--at TIME]",
		SuggestFor: []string{"sign", "make", "build"},
		Short:      "Print an assertion, offline",
		Long: `Print the header value that proves that an agent is on a task at a time, or that
a runtime agent instance makes a request: that one is for one request, and another
each time.

The key file holds base64 of PKCS#8, as keygen writes it and as auth.json has it
in agent_private_key. Lines that start with # are ignored.`,
		Example: "  agentassert keygen --out key.txt\n  agentassert assert --key-file key.txt --runtime-id agent-1 --task-id task-1",
		Args:    noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			now, err := parseTime(at)
			if err != nil {
				return err
			}
			key, err := readKey(keyFile, cmd.InOrStdin())
			if err != nil {
				return err
			}
			if instance != "" {
				return o.withEngine(cmd.Context(), func(e host.Engine) error {
					return assertInstance(cmd, e, key, instance, headerMode, now)
				})
			}
			return o.withEngine(cmd.Context(), func(e host.Engine) error {
				a, err := host.Call[wire.Assertion](cmd.Context(), e, wire.MethodAssertionBuild, wire.AssertionBuildParams{
					PrivateKey: key, AgentRuntimeID: runtimeID, TaskID: taskID, Now: now,
				})
				if err != nil {
					return argument(err, core.CodeInvalidAgentRuntimeID, core.CodeInvalidTaskID, core.CodeInvalidTime)
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), a.Header)
				return err
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
	must(cmd.MarkFlagRequired("key-file"))
	cmd.MarkFlagsRequiredTogether("runtime-id", "task-id")
	cmd.MarkFlagsOneRequired("runtime-id", "runtime-agent-instance")
	cmd.MarkFlagsMutuallyExclusive("runtime-id", "runtime-agent-instance")
	must(cmd.MarkFlagFilename("key-file"))
	completeNothing(cmd, "runtime-id", "task-id", "runtime-agent-instance", "at")
	must(cmd.RegisterFlagCompletionFunc("header-mode", cobra.FixedCompletions(headerModes, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// assertInstance prints the assertion of a runtime agent instance.
func assertInstance(cmd *cobra.Command, e host.Engine, key, instance, headerMode string, now int64) error {
	if !slices.Contains(headerModes, headerMode) {
		return usage(fmt.Errorf("--header-mode is dual_header or assertion_only, not %q", headerMode))
	}
	entropy := make([]byte, 16)
	_, _ = rand.Read(entropy) // it never fails
	a, err := host.Call[wire.InstanceAssertion](cmd.Context(), e, wire.MethodInstanceBuild, wire.InstanceBuildParams{
		PrivateKey: key, RuntimeAgentInstance: instance, Entropy: entropy, Now: now,
	})
	if err != nil {
		return argument(err, core.CodeInvalidAgentRuntimeID, core.CodeInvalidTime)
	}
	value := a.Value
	if headerMode == wire.HeaderModeAssertionOnly {
		value = core.Scheme + " " + value
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), value)
	return err
}

func newVerify(o *engineOptions) *cobra.Command {
	var publicKey, at string
	var skew time.Duration
	cmd := &cobra.Command{
		Use:        "verify --public-key KEY [--at TIME] [--skew 5m] HEADER",
		SuggestFor: []string{"check", "validate"},
		Short:      "Check an assertion against a public key",
		Long: `Check that a header was signed by a key, and close enough to a time.

Prints the envelope of a task's assertion, or the claims of a runtime agent instance's,
as JSON and exits with 0, or says why not and exits with 1.
HEADER is the value of Authorization or X-OpenAI-Agent-Assertion; - is standard input,
and the place for one that is still valid: every program of the machine can read a
command line.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			now, err := parseTime(at)
			if err != nil {
				return err
			}
			if skew < 0 || skew%time.Second != 0 {
				return usage(errors.New("--skew is not a whole number of seconds"))
			}
			header, err := readHeader(args, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return o.withEngine(cmd.Context(), func(e host.Engine) error {
				method := wire.MethodAssertionVerify
				// What is no assertion at all, verifying says, too.
				i, err := host.Call[wire.Inspection](cmd.Context(), e, wire.MethodAssertionInspect, wire.AssertionInspectParams{Header: header})
				if err == nil && i.Form == wire.FormInstance {
					method = wire.MethodInstanceVerify
				}
				i, err = host.Call[wire.Inspection](cmd.Context(), e, method, wire.AssertionVerifyParams{
					PublicKey: trimComment(publicKey), Header: header, Now: now, Skew: int64(skew / time.Second),
				})
				if err != nil {
					err = argument(err, core.CodeInvalidPublicKey, core.CodeInvalidTime, core.CodeInvalidSkew)
					return no(err, core.CodeInvalidAssertion, core.CodeBadSignature, core.CodeTimestampSkew)
				}
				return printJSON(cmd.OutOrStdout(), content(i))
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&publicKey, "public-key", "", "the agent's public key, ssh-ed25519 …")
	f.StringVar(&at, "at", "", "the verifier's time, RFC 3339 or Unix seconds (default: now)")
	f.DurationVar(&skew, "skew", 5*time.Minute, "how far the clocks may be apart, either way")
	must(cmd.MarkFlagRequired("public-key"))
	completeNothing(cmd, "public-key", "at", "skew")
	return cmd
}

func newInspect(o *engineOptions) *cobra.Command {
	return &cobra.Command{
		Use:        "inspect HEADER",
		SuggestFor: []string{"decode", "explain", "show"},
		Short:      "Print what an assertion says, signed by whomever",
		Long: `Print what an assertion says as JSON: its form, of a task or of a runtime agent
instance, its envelope or its claims, and whether its bytes are canonical: the very
ones that a signer would write. The signature is not checked.
HEADER is the value of Authorization or X-OpenAI-Agent-Assertion; - is standard input,
and the place for one that is still valid: every program of the machine can read a
command line.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			header, err := readHeader(args, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return o.withEngine(cmd.Context(), func(e host.Engine) error {
				i, err := host.Call[wire.Inspection](cmd.Context(), e, wire.MethodAssertionInspect, wire.AssertionInspectParams{Header: header})
				if err != nil {
					return no(err, core.CodeInvalidAssertion)
				}
				said := struct {
					Form      string          `json:"form"`
					Envelope  *envelope       `json:"envelope,omitempty"`
					Instance  *instanceClaims `json:"instance,omitempty"`
					Canonical bool            `json:"canonical"`
				}{Form: i.Form, Canonical: i.Canonical}
				switch c := content(i).(type) {
				case envelope:
					said.Envelope = &c
				case instanceClaims:
					said.Instance = &c
				}
				return printJSON(cmd.OutOrStdout(), said)
			})
		}),
	}
}

// envelope is wire.Envelope with the names and the order of the wire format.
type envelope struct {
	AgentRuntimeID string `json:"agent_runtime_id"`
	Signature      string `json:"signature"`
	TaskID         string `json:"task_id"`
	Timestamp      string `json:"timestamp"`
}

// instanceClaims is wire.InstanceClaims with the names and the order of the wire
// format, and the signature behind them.
type instanceClaims struct {
	RuntimeAgentInstance string `json:"runtime_agent_instance"`
	IssuedAt             int64  `json:"iat"`
	ID                   string `json:"id"`
	Signature            string `json:"signature"`
}

// content is what an assertion says, in the form of its kind.
func content(i wire.Inspection) any {
	if i.Form == wire.FormInstance {
		return instanceClaims(*i.Instance)
	}
	return envelope(*i.Envelope)
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

// readKey reads a private key's file.
func readKey(path string, stdin io.Reader) (string, error) {
	in := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("the key file cannot be opened: %w", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxArgumentFile))
	if err != nil {
		return "", fmt.Errorf("the key file cannot be read: %w", err)
	}
	var keys []string
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
		}
	}
	if len(keys) != 1 {
		return "", fmt.Errorf("the key file has %d keys, not one: it holds one line of base64; make one with 'agentassert keygen'", len(keys))
	}
	return keys[0], nil
}

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

// trimComment leaves the type and the key of an OpenSSH public key.
func trimComment(key string) string {
	fields := strings.Fields(key)
	return strings.Join(fields[:min(len(fields), 2)], " ")
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
