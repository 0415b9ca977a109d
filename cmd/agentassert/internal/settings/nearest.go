package settings

import "github.com/spf13/cobra"

// Nearest returns the names that a mistyped one may have meant: those that begin with it,
// or that are at most so many characters away from it.
func Nearest(typed string, names []string, most int) []string {
	// The library measures the distance, and only of commands.
	known := &cobra.Command{SuggestionsMinimumDistance: most}
	for _, name := range names {
		known.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	return known.SuggestionsFor(typed)
}
