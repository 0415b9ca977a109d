package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The annotations in which the library keeps which flags belong together.
const (
	togetherAnnotation  = "cobra_annotation_required_if_others_set"
	oneOfAnnotation     = "cobra_annotation_one_required"
	exclusiveAnnotation = "cobra_annotation_mutually_exclusive"
)

// checkFlags says which flags are missing, and which cannot be together, with what they
// are for. The library's own check comes after it, and says less.
func checkFlags(cmd *cobra.Command) error {
	var missing []string
	groups := map[string][]string{} // of flags, by their kind; each flag has all of its own
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if slices.Contains(f.Annotations[cobra.BashCompOneRequiredFlag], "true") && !f.Changed {
			missing = append(missing, fmt.Sprintf("--%s %s (%s)", f.Name, placeholder(f), f.Usage))
		}
		for _, kind := range []string{togetherAnnotation, oneOfAnnotation, exclusiveAnnotation} {
			for _, group := range f.Annotations[kind] {
				if !slices.Contains(groups[kind], group) {
					groups[kind] = append(groups[kind], group)
				}
			}
		}
	})
	if len(missing) > 0 {
		return fmt.Errorf("%s missing: %s", isOrAre(len(missing)), strings.Join(missing, ", "))
	}
	for _, group := range groups[togetherAnnotation] {
		if given, others := given(cmd, group); len(given) > 0 && len(others) > 0 {
			return fmt.Errorf("%s needs %s beside it", given[0], strings.Join(others, " and "))
		}
	}
	for _, group := range groups[oneOfAnnotation] {
		if given, others := given(cmd, group); len(given) == 0 {
			return fmt.Errorf("one of %s is missing", strings.Join(others, ", "))
		}
	}
	for _, group := range groups[exclusiveAnnotation] {
		if given, _ := given(cmd, group); len(given) > 1 {
			return fmt.Errorf("%s exclude each other; leave one out", strings.Join(given, " and "))
		}
	}
	return nil
}

// given are the flags of a group that have a value, and the others.
func given(cmd *cobra.Command, group string) (given, others []string) {
	for name := range strings.FieldsSeq(group) {
		if f := cmd.Flag(name); f != nil && f.Changed {
			given = append(given, "--"+name)
		} else {
			others = append(others, "--"+name)
		}
	}
	return given, others
}

func isOrAre(n int) string {
	if n == 1 {
		return "a flag is"
	}
	return "flags are"
}
