package main

import (
	"fmt"

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

` + storeKeyVariable + ` has the keys of --store postgres://, where --store-key-file does
not; PGPASSWORD and the other variables of PostgreSQL's clients say what --store leaves out.

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
