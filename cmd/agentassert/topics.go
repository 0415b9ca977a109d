package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// newTopics are texts about what several commands have in common: 'agentassert help NAME'
// shows one.
func newTopics() []*cobra.Command {
	return []*cobra.Command{
		newConfigurationTopic(),
		{
			Use:   "environment",
			Short: "The environment variables that commands read",
			Long: `Every flag has a variable, AGENTASSERT_ and its name in capitals, with _ for -: see
'agentassert help configuration'.

CODEX_HOME names the folder of the sign-in where no flag says where it is.

Commands that make requests honour these variables.

` + environmentHelp + `

` + storeKeyVariable + ` has the keys of a store: see 'agentassert store --help'.

NO_COLOR, if it is not empty, turns colours off, which are for terminals alone;
CLICOLOR_FORCE, if it is neither empty nor 0, turns them on where there is none.
SOURCE_DATE_EPOCH is the date of the pages that 'agentassert man' writes.`,
		},
		{
			Use:   "exit-codes",
			Short: "What the exit code of a command says",
			Long: fmt.Sprintf(`Every command ends with one of these exit codes:

  0  done; where a question was asked, the answer is yes
  %d  the answer is no: the signature is wrong, there is no assertion to send,
     a vector has failed
  %d  the command line, or what stands for it, cannot be right
  %d  it failed: a file cannot be read, nobody answers

With all but 0, standard error says in one line why, and what to do. With --json,
standard output is JSON or empty, whatever the exit code.`, exitNo, exitUsage, exitFailed),
		},
	}
}

// newHelp is the command of that name. The library's own takes a mistyped name for a
// question that is answered.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND | TOPIC]",
		Short:   "Show the help of a command, or of a topic",
		Long:    "Show the help of a command, or of a topic. Without a name, the commands and topics that there are.",
		Example: "  agentassert help\n  agentassert help store migrate\n  agentassert help exit-codes",
		RunE: run(func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil {
				return usage(err)
			}
			if len(rest) > 0 {
				path := found.CommandPath()
				return usage(fmt.Errorf("there is no command or topic '%s'%s", strings.Join(args, " "),
					didYouMean(strings.Replace(path, cmd.Root().Name(), cmd.Root().Name()+" help", 1)+" ", nearest(rest[0], helped(found)))))
			}
			return found.Help()
		}),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []cobra.Completion
			for _, c := range found.Commands() {
				if hasHelp(c) {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// helped are the names below a command that have a help.
func helped(parent *cobra.Command) (names []string) {
	for _, c := range parent.Commands() {
		if hasHelp(c) {
			names = append(names, c.Name())
		}
	}
	return names
}

func hasHelp(c *cobra.Command) bool {
	return c.IsAvailableCommand() || c.IsAdditionalHelpTopicCommand()
}
