package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/agentassert/agentassert/cmd/agentassert/internal/settings"
)

// maxSuggestions is how many names are worth reading where one was mistyped.
const maxSuggestions = 3

// nearest are the names that a mistyped one may have meant.
func nearest(word string, names []string) []string { return settings.Nearest(word, names, 2) }

// didYouMean ends an error about a mistyped name, whose kind the prefix says.
func didYouMean(prefix string, names []string) string {
	if len(names) == 0 || len(names) > maxSuggestions {
		return ""
	}
	quoted := make([]string, 0, len(names))
	for _, name := range names {
		quoted = append(quoted, "'"+prefix+name+"'")
	}
	return "; did you mean " + strings.Join(quoted, " or ") + "?"
}

// commandOrNothing is for a command that has others below it: what stands behind it and
// is none of these is mistyped.
func commandOrNothing(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	below := strings.TrimPrefix(cmd.CommandPath()+" ", cmd.Root().Name()+" ")
	return fmt.Errorf("there is no command '%s%s'%s", below, args[0], didYouMean(cmd.CommandPath()+" ", cmd.SuggestionsFor(args[0])))
}

// offerNoArguments keeps shells from offering files where commands below one take none.
func offerNoArguments(parent *cobra.Command) {
	for _, c := range parent.Commands() {
		if c.ValidArgsFunction == nil {
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
		offerNoArguments(c)
	}
}

// noArguments is for a command that takes flags alone.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("'%s' takes flags alone, and %q is none", cmd.CommandPath(), args[0])
	}
	return nil
}

// mistypedFlag says of an error about a flag what was meant, or what is missing. The value
// of a flag is not in it where it may be a secret: those are read from files.
func mistypedFlag(cmd *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if short := e.GetSpecifiedShortnames(); short != "" {
			return fmt.Errorf("there is no flag -%s%s", short, didYouMean("--", nearest(short, flagNames(cmd))))
		}
		name := e.GetSpecifiedName()
		return fmt.Errorf("there is no flag --%s%s", name, didYouMean("--", nearest(name, flagNames(cmd))))
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return fmt.Errorf("--%s needs a value: %s", e.GetFlag().Name, e.GetFlag().Usage)
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return fmt.Errorf("--%s cannot be %q: %w", e.GetFlag().Name, e.GetValue(), e.Unwrap())
	}
	return err
}

// flagNames are the flags that a command takes.
func flagNames(cmd *cobra.Command) (names []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return names
}
