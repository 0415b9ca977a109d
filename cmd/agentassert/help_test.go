package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// maxHelpLine is how long a line of a help may be, usage and examples aside, in characters.
const maxHelpLine = 100

// TestHelp: each command has an example, each flag says what it takes, and what is
// said is in lines that are easily read.
func TestHelp(t *testing.T) {
	ofType := regexp.MustCompile(`--[a-z-]+ (string|stringArray|strings|duration|int|NAMEs?$)\b`)
	eachCommand(newRoot(), func(c *cobra.Command) {
		path := c.CommandPath()
		ours := !strings.HasPrefix(path, "agentassert completion") // the library's
		var b bytes.Buffer
		if err := printHelp(c, &b); err != nil {
			t.Fatal(err)
		}
		if found := ofType.FindString(b.String()); found != "" {
			t.Errorf("%s: a flag does not say what it takes: %s", path, found)
		}
		if c.Runnable() && !c.HasSubCommands() && ours && c.Example == "" {
			t.Errorf("%s has no example", path)
		}
		text := strings.NewReplacer(c.Example, "", c.UseLine(), "").Replace(b.String())
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > maxHelpLine && ours {
				t.Errorf("%s: %d characters in %q", path, n, line)
			}
		}
	})
}

// invocation is a command line in a text.
var invocation = regexp.MustCompile(`(?m)(?:^\s*|[|(;&] *|')agentassert ([a-z][^|;&>)\n']*)`)

// TestExamplesCanBe: the commands and flags in examples and helps are there.
func TestExamplesCanBe(t *testing.T) {
	root, count := newRoot(), 0
	root.InitDefaultHelpCmd()
	addCompletion(root)
	check := func(where, text string) {
		for _, found := range invocation.FindAllStringSubmatch(text, -1) {
			words := strings.Fields(found[1])
			c, _, err := root.Find(words)
			if err != nil || c == root {
				t.Errorf("%s: there is no command %q", where, found[1])
				continue
			}
			count++
			c.InitDefaultHelpFlag()
			for _, word := range words {
				name, isFlag := strings.CutPrefix(word, "--")
				name, _, _ = strings.Cut(name, "=")
				if isFlag && c.Flag(name) == nil {
					t.Errorf("%s: %s has no flag --%s", where, c.CommandPath(), name)
				}
			}
		}
	}
	eachCommand(newRoot(), func(c *cobra.Command) {
		if !strings.HasPrefix(c.CommandPath(), "agentassert completion") {
			_, said, _ := strings.Cut(c.Long, "\n") // the first sentence can begin with the tool's name
			check(c.CommandPath(), said+"\n"+c.Example)
		}
	})
	if count < 20 {
		t.Errorf("only %d command lines were found", count)
	}
}
