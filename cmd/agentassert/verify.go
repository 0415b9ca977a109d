package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
)

// headerArgumentHelp is for the commands that take a header.
const headerArgumentHelp = `HEADER is the value of Authorization or X-OpenAI-Agent-Assertion; - is standard input,
and the place for one that is still valid: every program of the machine can read a
command line.`

// oneHeader takes a header, in two arguments because the shell split it at the space.
func oneHeader(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return fmt.Errorf("'%s' needs the argument HEADER, or - to read it from standard input", cmd.CommandPath())
	case 1, 2:
		return nil
	}
	return fmt.Errorf("'%s' takes one header, and was given %d arguments; put it in quotes", cmd.CommandPath(), len(args))
}

// verdict is what verify prints.
type verdict struct {
	Valid bool `json:"valid"`
	*content
	Cause *cause `json:"cause,omitempty"`
}

func newVerify(o *engineOptions) *cobra.Command {
	var publicKey, at string
	var skew time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "verify --public-key KEY [--at TIME] [--skew 5m] HEADER",
		SuggestFor: []string{"check", "validate"},
		Short:      "Check an assertion against a public key",
		Long: `Check that a header was signed by a key, and close enough to a time.

Prints what it says and exits with 0, or says why not and exits with 1.
` + headerArgumentHelp + `

--json prints one object:
  valid              true or false
` + contentHelp + `
  cause              of one that is not valid, in place of these: code, message`,
		Example: "  agentassert keygen --out key.txt\n" +
			"  agentassert assert --key-file key.txt --runtime-id agent-1 --task-id task-1 |\n" +
			"    agentassert verify --public-key \"$(sed -n 's/^# public key: //p' key.txt)\" -",
		Args: oneHeader,
		RunE: run(func(cmd *cobra.Command, args []string) error {
			now, err := parseTime(at)
			if err != nil {
				return err
			}
			if skew < 0 || skew%time.Second != 0 {
				return usage(errors.New("--skew is a whole number of seconds, such as 5m or 300s"))
			}
			header, err := readHeader(args, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return o.withEngine(cmd.Context(), func(e host.Engine) error {
				key, err := host.Call[wire.ImportedPublicKey](cmd.Context(), e, wire.MethodPublicKeyImport, wire.EncodedKey{Key: publicKey})
				if err != nil {
					return argument(err, core.CodeInvalidPublicKey)
				}
				method := wire.MethodAssertionVerify
				// What is no assertion at all, verifying says, too.
				read, err := host.Call[wire.Inspection](cmd.Context(), e, wire.MethodAssertionInspect, wire.AssertionInspectParams{Header: header})
				if err == nil && read.Form == wire.FormInstance {
					method = wire.MethodInstanceVerify
				}
				i, err := host.Call[wire.Inspection](cmd.Context(), e, method, wire.AssertionVerifyParams{
					PublicKey: key.PublicKey, Header: header, Now: now, Skew: int64(skew / time.Second),
				})
				if err != nil {
					err = argument(err, core.CodeInvalidTime, core.CodeInvalidSkew)
					err = no(err, core.CodeInvalidAssertion, core.CodeBadSignature, core.CodeTimestampSkew)
					if asJSON && isNo(err) {
						err = errors.Join(err, printJSON(cmd.OutOrStdout(), verdict{Cause: &cause{core.Code(err), oneLine(err)}}))
					}
					return advised(err, read, time.Unix(now, 0).UTC())
				}
				said := newContent(i)
				out := cmd.OutOrStdout()
				if asJSON {
					return printJSON(out, verdict{Valid: true, content: &said})
				}
				if _, err := fmt.Fprintln(out, styleOf(out).ok("valid")); err != nil {
					return err
				}
				t := said.table(time.Unix(now, 0).UTC())
				return t.print(out)
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&publicKey, "public-key", "", "the agent's public key: ssh-ed25519 …, or in any other form that 'agentassert key' reads")
	f.StringVar(&at, "at", "", "the verifier's time, RFC 3339 or Unix seconds (default: now)")
	f.DurationVar(&skew, "skew", 5*time.Minute, "how far the clocks may be apart, either way")
	f.BoolVar(&asJSON, "json", false, "print JSON, as described above")
	must(cmd.MarkFlagRequired("public-key"))
	completeNothing(cmd, "public-key", "at", "skew")
	return cmd
}

// advised adds to a no what to do about it.
func advised(err error, i wire.Inspection, at time.Time) error {
	advice := ""
	switch core.Code(err) {
	case core.CodeBadSignature:
		advice = "--public-key is of another agent, or somebody has changed the assertion"
	case core.CodeTimestampSkew:
		said := newContent(i)
		advice = fmt.Sprintf("it says %s; compare the clocks, or give the time it was received in --at", said.time(at))
	}
	if o, ok := errors.AsType[*outcome](err); ok && advice != "" {
		return &outcome{o.code, fmt.Errorf("%w; %s", err, advice)}
	}
	return err
}

// isNo reports whether an error says that the answer is no.
func isNo(err error) bool {
	o, ok := errors.AsType[*outcome](err)
	return ok && o.code == exitNo
}
