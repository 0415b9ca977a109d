package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestEveryFlagCompletes: a shell offers for each flag what it can be, or files where it
// names one, and nothing where nobody can know.
func TestEveryFlagCompletes(t *testing.T) {
	eachCommand(newRoot(), func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() == "bool" {
				return
			}
			_, values := c.GetFlagCompletionFunc(f.Name)
			_, files := f.Annotations[cobra.BashCompFilenameExt]
			_, folders := f.Annotations[cobra.BashCompSubdirsInDir]
			if !values && !files && !folders {
				t.Errorf("%s --%s: nothing says how a shell completes it", c.CommandPath(), f.Name)
			}
		})
	})
}

func TestCompletion(t *testing.T) {
	for _, tt := range []struct {
		line string
		want string // the names, and what the shell has to do
	}{
		{"--engine ", "sandbox native :4"},
		{"--cache-dir ", " :16"},
		{"header --profile ", "biscuit auth-api instances :4"},
		{"header --header-mode ", "dual_header assertion_only :4"},
		{"header --auth-file ", "json :8"},
		{"header --base-url ", " :4"},
		{"assert --key-file ", " :0"},
		{"authority --task-response ", "task_id taskId encrypted_task_id encryptedTaskId :4"},
		{"man --out ", " :16"},
		{"help store ", "migrate reseal :4"},
		{"help store nothing ", " :4"},
		{"help conformance ", "runner :4"},
		{"sto", "store :4"},
		{"keygen ", " :4"},
		{"inspect ", " :4"},
	} {
		args := strings.Split(tt.line, " ")
		got := tool(t, "", append([]string{cobra.ShellCompNoDescRequestCmd}, args...)...)
		if joined := strings.Join(strings.Fields(got.stdout), " "); got.code != 0 || joined != strings.TrimSpace(tt.want) {
			t.Errorf("%q: %q, want %q; %s", tt.line, joined, tt.want, got.stderr)
		}
	}
	if got := tool(t, "", cobra.ShellCompNoDescRequestCmd, "help", ""); !strings.Contains(got.stdout, "verify\n") || !strings.Contains(got.stdout, "exit-codes\n") {
		t.Errorf("help is completed as %+v", got)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := tool(t, "", "completion", shell); got.code != 0 || !strings.Contains(got.stdout, "agentassert") {
			t.Errorf("%s: %+v", shell, got)
		}
	}
}
