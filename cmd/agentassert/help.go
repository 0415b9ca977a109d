package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

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

// addCompletion adds the library's command of that name, and has it refuse what is no shell.
// The scripts go to what is the root's standard output now.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Use, c.Short = "completion SHELL", "Print a script that has a shell complete command lines"
		c.Long = "Print a script that has a shell complete commands, flags and their values. The help of each\n" +
			"shell's says where to put it."
		c.Example = "  . <(agentassert completion bash)\n  agentassert completion fish --help"
		c.Args, c.RunE = commandOrNothing, run(func(cmd *cobra.Command, _ []string) error { return cmd.Help() })
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

// printHelp writes the help of a command or a topic.
func printHelp(cmd *cobra.Command, w io.Writer) error {
	long := cmd.Long
	if long == "" {
		long = cmd.Short
	}
	h := helpText{style: styleOf(w), width: widthOf(w)}
	h.WriteString(strings.TrimSpace(long) + "\n")
	if cmd.IsAdditionalHelpTopicCommand() {
		h.examples(cmd)
	} else {
		h.usage(cmd)
	}
	_, err := io.WriteString(w, h.String())
	return err
}

// helpText is a help that is being written.
type helpText struct {
	strings.Builder
	style style
	// width is how many columns there are.
	width int
}

func (h *helpText) section(title string) {
	h.WriteString("\n" + h.style.strong(title) + "\n")
}

// usage writes all of a help but what is peculiar to the command.
func (h *helpText) usage(cmd *cobra.Command) {
	h.section("Usage:")
	h.WriteString("  " + cmd.UseLine() + "\n")
	h.examples(cmd)
	h.commands(cmd)
	h.flags("Flags:", cmd.LocalFlags())
	h.flags("Flags of all commands:", cmd.InheritedFlags())
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(h, "\n'%s COMMAND --help' says more of a command.\n", cmd.CommandPath())
	}
}

func (h *helpText) examples(cmd *cobra.Command) {
	if cmd.Example != "" {
		h.section("Examples:")
		h.WriteString(cmd.Example + "\n")
	}
}

// commands lists those below a command, by their groups, and then the topics.
func (h *helpText) commands(cmd *cobra.Command) {
	list := func(title string, belongs func(*cobra.Command) bool) {
		first := true
		for _, c := range cmd.Commands() {
			if !belongs(c) {
				continue
			}
			if first {
				h.section(title)
				first = false
			}
			fmt.Fprintf(h, "  %-13s  %s\n", c.Name(), c.Short)
		}
	}
	for _, g := range cmd.Groups() {
		list(g.Title, func(c *cobra.Command) bool {
			return c.GroupID == g.ID && (c.IsAvailableCommand() || c.Name() == "help")
		})
	}
	list("Commands:", func(c *cobra.Command) bool { return c.GroupID == "" && c.IsAvailableCommand() })
	list("Topics, for 'agentassert help':", (*cobra.Command).IsAdditionalHelpTopicCommand)
}

// flags lists flags.
func (h *helpText) flags(title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	shown := pflag.NewFlagSet("", pflag.ContinueOnError)
	shown.SortFlags = flags.SortFlags
	flags.VisitAll(func(f *pflag.Flag) {
		named := *f
		if f.Value.Type() != "bool" {
			named.Value = shownValue{f.Value, placeholder(f)}
			if named.DefValue == "[]" {
				named.DefValue = ""
			}
		}
		shown.AddFlag(&named)
	})
	h.section(title)
	h.WriteString(shown.FlagUsagesWrapped(h.width))
}

// shownValue is a flag's value in a help, where its type is what it stands for.
type shownValue struct {
	pflag.Value
	placeholder string
}

func (v shownValue) Type() string { return v.placeholder }

// placeholders say what flags of that name stand for, beside files, folders and durations.
var placeholders = map[string]string{
	"account-header": "FIELD",
	"area":           "AREA",
	"at":             "TIME",
	"auth-api-url":   "URL",
	"base-url":       "URL",
	"exec":           "COMMAND",
	"id":             "PATTERN",
	"public-key":     "KEY",
	"store":          "PLACE",
	"store-table":    "TABLE",
	"trust-host":     "HOST",
	"upstream":       "URL",
}

// placeholder is what stands for a flag's value in a help.
func placeholder(f *pflag.Flag) string {
	name, known := placeholders[f.Name]
	_, file := f.Annotations[cobra.BashCompFilenameExt]
	_, folder := f.Annotations[cobra.BashCompSubdirsInDir]
	switch {
	case known:
		return name
	case file:
		return "FILE"
	case folder:
		return "DIR"
	case f.Value.Type() == "duration":
		return "DURATION"
	case f.Value.Type() == "int":
		return "NUMBER"
	case strings.HasSuffix(f.Name, "listen"):
		return "ADDR"
	case f.Name == "thread" || strings.HasSuffix(f.Name, "-id") || strings.HasSuffix(f.Name, "-instance"):
		return "ID"
	}
	return "NAME"
}

// What a help's columns are: those of the terminal within bounds, or else so many as are
// easily read.
const (
	minWidth, maxWidth = 60, 120
	widthElsewhere     = 100
)

// widthOf is how many columns a help has.
func widthOf(w io.Writer) int {
	if file, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			return min(max(width, minWidth), maxWidth)
		}
	}
	return widthElsewhere
}
