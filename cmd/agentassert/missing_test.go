package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestCheckFlags: whatever the library refuses, this refuses before it, in our words.
func TestCheckFlags(t *testing.T) {
	for _, tt := range []struct {
		args string
		want string // empty: nothing is wrong
	}{
		{"--a 1 --b 1", ""},
		{"--a 1", "--a needs --b beside it"},
		{"--a 1 --b 1 --c 1", "--a and --c exclude each other; leave one out"},
		{"", "one of --b, --c is missing"},
		{"--c 1", ""},
	} {
		ran := false
		cmd := &cobra.Command{Use: "x", SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error {
			ran = true
			return nil
		}}
		for _, name := range []string{"a", "b", "c", "d"} {
			cmd.Flags().String(name, "", "what it is for")
		}
		cmd.MarkFlagsRequiredTogether("a", "b")
		cmd.MarkFlagsMutuallyExclusive("a", "c")
		cmd.MarkFlagsOneRequired("b", "c")
		cmd.SetArgs(strings.Fields(tt.args))
		var said string
		cmd.PreRun = func(cmd *cobra.Command, _ []string) {
			if err := checkFlags(cmd); err != nil {
				said = err.Error()
			}
		}
		err := cmd.Execute()
		if said != tt.want || (err == nil) != (tt.want == "") || ran != (tt.want == "") {
			t.Errorf("%q: %q, want %q; the library says %v", tt.args, said, tt.want, err)
		}
	}
}
