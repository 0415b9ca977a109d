// Command agentassert makes, checks and explains AgentAssertion headers, and
// runs a backend that understands them.
//
// Exit codes: 0 done, 1 the answer is no, 2 usage, 3 it failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/settings"
)

const (
	exitNo     = 1
	exitUsage  = 2
	exitFailed = 3
)

// outcome is an error that knows its exit code. What has none comes from the
// command-line library, and is about usage.
type outcome struct {
	code int
	err  error
}

func (o *outcome) Error() string { return o.err.Error() }
func (o *outcome) Unwrap() error { return o.err }

func answerNo(err error) error { return &outcome{exitNo, err} }
func usage(err error) error    { return &outcome{exitUsage, err} }

// run gives what a command returns the exit code for failures, unless it has
// another.
func run(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd, args)
		if o := (*outcome)(nil); err == nil || errors.As(err, &o) {
			return err
		}
		return &outcome{exitFailed, err}
	}
}

func main() {
	// net/http's client quotes there what a server has sent unasked, secrets included.
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	addCompletion(root)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	o := &outcome{code: exitUsage, err: err}
	errors.As(err, &o)
	if _, logged := errors.AsType[loggedError](err); logged {
		return o.code
	}
	err = withSources(cmd, err)
	hint := ""
	if cmd.Name() == "help" {
		cmd = root // whose help says what there is
	}
	if o.code == exitUsage {
		hint = fmt.Sprintf("; see '%s --help'", cmd.CommandPath())
	}
	fmt.Fprintf(stderr, "%s %s%s\n", styleOf(stderr).no("agentassert:"), oneLine(err), hint)
	return o.code
}

// withSources adds to an error where the values of the flags that it names are from.
func withSources(cmd *cobra.Command, err error) error {
	if from := settings.Sources(cmd, err.Error()); from != "" {
		return fmt.Errorf("%w; %s", err, from)
	}
	return err
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

// The groups in which the commands are listed.
const (
	groupCalls      = "calls"
	groupAssertions = "assertions"
	groupBuild      = "build"
	groupTool       = "tool"
)

func newRoot() *cobra.Command {
	o := &engineOptions{}
	root := &cobra.Command{
		Use:   "agentassert COMMAND",
		Short: "Make, check and explain AgentAssertion headers",
		Long: `agentassert makes, checks and explains AgentAssertion headers: signed proofs of
which agent calls a backend, on which task, and when.

Keys are used inside a WebAssembly sandbox that can reach nothing.

What a flag says can be said in the environment (AGENTASSERT_AUTH_FILE for --auth-file)
and in a file, too (--config): see 'agentassert help configuration'.
Exit codes: 0 done, 1 the answer is no, 2 usage, 3 it failed.`,
		Example: "  agentassert demo\n" +
			"  agentassert header --auth-file ~/.codex/auth.json --base-url https://chatgpt.com/backend-api --json",
		Version:       oneLineVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if !takesSettings(cmd) {
				return nil
			}
			if err := settings.Apply(cmd); err != nil {
				return err
			}
			return checkFlags(cmd)
		},
		// Without a command, the help is the answer.
		Args: commandOrNothing,
		RunE: run(func(cmd *cobra.Command, _ []string) error { return cmd.Help() }),
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(mistypedFlag)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		_ = printHelp(cmd, cmd.OutOrStdout()) // nobody is left to be told
	})
	o.register(root)
	settings.Register(root)
	for _, group := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{groupCalls, "Calls to a backend:", []*cobra.Command{newHeader(o), newStatus(o), newDoctor(o), newProxy(o), newHealth(), newStore()}},
		{groupAssertions, "Assertions and keys:", []*cobra.Command{newKeygen(o), newKey(o), newAssert(o), newVerify(o), newInspect(o)}},
		{groupBuild, "To try, to build and to test:", []*cobra.Command{newDemo(o), newAuthority(), newConformance(o)}},
		{groupTool, "About this tool:", []*cobra.Command{newVersion(), newMan()}},
	} {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		for _, c := range group.commands {
			c.GroupID = group.id
			root.AddCommand(c)
		}
	}
	offerNoArguments(root)
	root.AddCommand(newTopics()...)
	root.SetHelpCommand(newHelp())
	root.SetHelpCommandGroupID(groupTool)
	root.SetCompletionCommandGroupID(groupTool)
	return root
}
