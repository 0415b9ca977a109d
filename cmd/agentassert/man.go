package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// dateVariable is what reproducible builds give the time of a build in.
const dateVariable = "SOURCE_DATE_EPOCH"

func newMan() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "man --out DIR",
		Short: "Write the manual pages",
		Long: `Write a manual page for each command, agentassert.1, agentassert-header.1 and so on, to
a folder, which is made if need be. What was there under these names is replaced.

The pages have the date in ` + dateVariable + `, in seconds of Unix time, or else that
of the build: with it they have the same bytes each time.`,
		Example: "  agentassert man --out share/man/man1\n  man -l share/man/man1/agentassert.1",
		Args:    noArguments,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			at, err := pageDate(os.Getenv(dateVariable), date, time.Now)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(out, 0o755); err != nil {
				return fmt.Errorf("the folder for the pages cannot be made: %w", err)
			}
			root := newRoot()
			root.InitDefaultHelpCmd()
			addCompletion(root)
			escapeFlags(root, map[*pflag.Flag]bool{})
			return writePages(root, out, at)
		}),
	}
	cmd.Flags().StringVar(&out, "out", "", "the folder to write the pages to")
	must(cmd.MarkFlagRequired("out"))
	must(cmd.MarkFlagDirname("out"))
	return cmd
}

// pageDate is the date on the pages: what the variable says, or the build's, or now.
func pageDate(variable, build string, now func() time.Time) (time.Time, error) {
	if variable != "" {
		seconds, err := strconv.ParseInt(variable, 10, 64)
		if err != nil {
			return time.Time{}, usage(fmt.Errorf("%s is seconds of Unix time, not %q", dateVariable, variable))
		}
		return time.Unix(seconds, 0).UTC(), nil
	}
	if at, err := time.Parse(time.RFC3339, build); err == nil {
		return at.UTC(), nil
	}
	return now().UTC(), nil
}

// writePages writes the pages of a command and of those below it. It changes their texts,
// so the tree is of no use afterwards.
func writePages(cmd *cobra.Command, folder string, at time.Time) error {
	for _, c := range cmd.Commands() {
		if !c.IsAvailableCommand() || c.IsAdditionalHelpTopicCommand() {
			continue
		}
		if err := writePages(c, folder, at); err != nil {
			return err
		}
	}
	var page bytes.Buffer
	toMarkdown(cmd)
	header := &doc.GenManHeader{Section: "1", Date: &at, Source: "agentassert " + toolVersion(), Manual: "agentassert"}
	if err := doc.GenMan(cmd, header, &page); err != nil {
		return err
	}
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
	if err := os.WriteFile(filepath.Join(folder, name), finishPage(page.Bytes(), cmd, at), 0o644); err != nil {
		return fmt.Errorf("a page cannot be written: %w", err)
	}
	return nil
}

// The library sets an option and its text in one paragraph. It says of a switch that it is
// off by default, and of a text that it is empty.
var (
	optionParagraph = regexp.MustCompile(`(?m)(?:^\.PP\n)?^(\\fB-.*)\n\t`)
	offByDefault    = regexp.MustCompile(`(?m)^(\\fB-.*\\fP)\[=false\]$`)
	emptyByDefault  = regexp.MustCompile(`(?m)^(\\fB--([a-z-]+)\\fP)=(?:""|\[\])?$`)
)

// finishPage has each option of a page stand above its text, and the date be one.
func finishPage(page []byte, cmd *cobra.Command, at time.Time) []byte {
	quoted := func(layout string) []byte { return []byte(`"` + at.Format(layout) + `"`) }
	page = bytes.Replace(page, quoted("Jan 2006"), quoted(time.DateOnly), 1)
	page = offByDefault.ReplaceAll(page, []byte("$1"))
	page = emptyByDefault.ReplaceAllFunc(page, func(option []byte) []byte {
		parts := emptyByDefault.FindSubmatch(option)
		return fmt.Appendf(nil, `%s=\fI%s\fP`, parts[1], placeholder(cmd.Flag(string(parts[2]))))
	})
	return optionParagraph.ReplaceAll(page, []byte(".TP\n$1\n"))
}

// toMarkdown makes the texts of a command, which are plain, what the library takes them
// for. The topics become sections of the first page.
func toMarkdown(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true // it would say the day
	description := plainToMarkdown(cmd.Long)
	if !cmd.HasParent() {
		for _, c := range cmd.Commands() {
			if c.IsAdditionalHelpTopicCommand() {
				description += "\n# " + strings.ToUpper(strings.ReplaceAll(c.Name(), "-", " ")) + "\n" + plainToMarkdown(c.Long+"\n\n"+c.Example)
			}
		}
	}
	cmd.Long, cmd.Short = description, escapeMarkdown(cmd.Short)
	name, rest, _ := strings.Cut(cmd.Use, " ")
	cmd.Use = strings.TrimSpace(name + " " + escapeMarkdown(rest))
}

// escapeFlags does it for the flags of a command and of those below it, of which some are
// the same.
func escapeFlags(cmd *cobra.Command, done map[*pflag.Flag]bool) {
	cmd.InitDefaultHelpFlag()
	for _, set := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
		set.VisitAll(func(f *pflag.Flag) {
			if !done[f] {
				done[f], f.Usage = true, escapeMarkdown(f.Usage)
			}
		})
	}
	for _, c := range cmd.Commands() {
		escapeFlags(c, done)
	}
}

// plainToMarkdown keeps lines that are indented as they are, and has the others mean what
// they say.
func plainToMarkdown(text string) string {
	var b strings.Builder
	inBlock := false
	for line := range strings.Lines(text) {
		indented := strings.HasPrefix(line, "  ")
		if indented != inBlock && strings.TrimSpace(line) != "" {
			if inBlock = indented; inBlock {
				b.WriteString("\n```\n")
			} else {
				b.WriteString("```\n\n")
			}
		}
		if !indented {
			line = escapeMarkdown(line)
		}
		b.WriteString(line)
	}
	if b.WriteByte('\n'); inBlock {
		b.WriteString("```\n")
	}
	return b.String()
}

// escapeMarkdown has no character of a text mean anything but itself.
func escapeMarkdown(text string) string {
	return markdownEscapes.Replace(text)
}

var markdownEscapes = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", `\<`, ">", `\>`, "|", `\|`)
