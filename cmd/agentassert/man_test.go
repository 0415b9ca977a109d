package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// TestMan: there is a page of each command, they say what the help says, and are the same
// each time.
func TestMan(t *testing.T) {
	t.Setenv(dateVariable, "1795533368")
	first, second := filepath.Join(t.TempDir(), "new", "man1"), t.TempDir()
	for _, folder := range []string{first, second} {
		if got := tool(t, "", "man", "--out", folder); got != (result{}) {
			t.Fatalf("got %+v", got)
		}
	}
	pages := 0
	eachCommand(newRoot(), func(c *cobra.Command) {
		if c.IsAdditionalHelpTopicCommand() {
			return
		}
		pages++
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		page := string(readFile(t, filepath.Join(first, name)))
		if page != string(readFile(t, filepath.Join(second, name))) {
			t.Errorf("%s: other bytes the second time", name)
		}
		for _, want := range []string{`"2026-11-24"`, ".SH NAME", c.Short, ".SH SYNOPSIS"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: without %q", name, want)
			}
		}
		for _, wrong := range []string{"[=false]", "spf13", "```", "**", `\\\`} {
			if strings.Contains(page, wrong) {
				t.Errorf("%s: with %q", name, wrong)
			}
		}
	})
	files, err := os.ReadDir(first)
	if err != nil || len(files) != pages {
		t.Errorf("%d files for %d commands, %v", len(files), pages, err)
	}
	root := string(readFile(t, filepath.Join(first, "agentassert.1")))
	for _, want := range []string{".SH ENVIRONMENT", ".SH EXIT CODES", "NO_COLOR", "AGENTASSERT_STORE_KEY"} {
		if !strings.Contains(root, want) {
			t.Errorf("the first page has no %q", want)
		}
	}
	lint, err := exec.LookPath("mandoc")
	if err != nil {
		t.Log("mandoc is not installed; it does not check the pages")
		return
	}
	if out, err := exec.Command(lint, append([]string{"-Tlint", "-Wwarning"}, paths(t, first)...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("mandoc: %v\n%.4000s", err, out)
	}
}

func paths(t *testing.T, folder string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder, "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// eachCommand visits the commands and topics, but help, which is the library's to describe.
func eachCommand(root *cobra.Command, visit func(*cobra.Command)) {
	root.InitDefaultHelpCmd()
	addCompletion(root)
	var below func(*cobra.Command)
	below = func(c *cobra.Command) {
		c.InitDefaultHelpFlag()
		visit(c)
		for _, sub := range c.Commands() {
			if hasHelp(sub) && sub.Name() != "help" {
				below(sub)
			}
		}
	}
	below(root)
}

func TestPageDate(t *testing.T) {
	now := func() time.Time { return time.Unix(0, 0) }
	for _, tt := range []struct{ variable, build, want string }{
		{"1795533368", "2025-01-02T03:04:05Z", "2026-11-24"},
		{"", "2025-01-02T03:04:05+01:00", "2025-01-02"},
		{"", "", "1970-01-01"},
		{"yesterday", "", ""},
	} {
		at, err := pageDate(tt.variable, tt.build, now)
		if got := at.Format(time.DateOnly); (err != nil) != (tt.want == "") || err == nil && got != tt.want {
			t.Errorf("%+v: %s, %v", tt, got, err)
		}
	}
	if got := tool(t, "", "man"); got.code != exitUsage {
		t.Errorf("without a folder: %+v", got)
	}
}

// TestPlainToMarkdown: nothing of a plain text is taken for a mark.
func TestPlainToMarkdown(t *testing.T) {
	got := plainToMarkdown("a *b* _c_ <d>\n\n  {\"x\":…}\n\n  y\nrest [e]\n")
	want := "a \\*b\\* \\_c\\_ \\<d\\>\n\n\n```\n  {\"x\":…}\n\n  y\n```\n\nrest \\[e\\]\n\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
