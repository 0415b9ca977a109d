package main

import (
	"github.com/spf13/cobra"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/settings"
)

// newConfigurationTopic is a help text, and no command that could be run.
func newConfigurationTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "configuration",
		Short: "How flags are set by the environment and by a file",
		Long: settings.Help + `

Secrets are in files that flags name, and in no flag themselves.

Without --auth-file, or another flag that says who is signed in, it is auth.json in the
folder that CODEX_HOME names, which has to exist, or else in ~/.codex, where the
reference client keeps it. --base-url and --upstream are ` + defaultBaseURL + `
unless they say otherwise.

` + environmentHelp,
		Example: `  agentassert status --config agentassert.yaml
  AGENTASSERT_AUTH_FILE=/etc/agentassert/auth.json agentassert status
  agentassert proxy --config agentassert.yaml --print-config`,
	}
}
