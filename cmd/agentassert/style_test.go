package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestColoured(t *testing.T) {
	for _, tt := range []struct {
		name     string
		env      map[string]string
		terminal bool
		want     bool
	}{
		{"a terminal", nil, true, true},
		{"none", nil, false, false},
		{"a terminal, and NO_COLOR", map[string]string{"NO_COLOR": "1"}, true, false},
		{"an empty NO_COLOR is none", map[string]string{"NO_COLOR": ""}, true, true},
		{"a dumb terminal", map[string]string{"TERM": "dumb"}, true, false},
		{"forced", map[string]string{"CLICOLOR_FORCE": "1"}, false, true},
		{"forced on a dumb terminal", map[string]string{"CLICOLOR_FORCE": "1", "TERM": "dumb"}, true, true},
		{"not forced", map[string]string{"CLICOLOR_FORCE": "0"}, false, false},
		{"NO_COLOR before CLICOLOR_FORCE", map[string]string{"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, true, false},
	} {
		if got := coloured(func(name string) string { return tt.env[name] }, tt.terminal); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// plainOutput has the test's environment decide nothing.
func plainOutput(t *testing.T) {
	t.Helper()
	for _, name := range []string{"NO_COLOR", "CLICOLOR_FORCE", "TERM"} {
		t.Setenv(name, "")
	}
}

func TestStyleOf(t *testing.T) {
	plainOutput(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if styleOf(file).colours || styleOf(new(bytes.Buffer)).colours {
		t.Error("colours in a file, or in memory")
	}
	if got := (style{}).no("text") + (style{true}).no("") + (style{true}).no("text"); got != "text\x1b[31mtext\x1b[0m" {
		t.Errorf("got %q", got)
	}
}

func TestTable(t *testing.T) {
	s := style{true}
	var table table
	table.heading(s, "NAME", "ÄÖ", "")
	table.row(cell{text: "a"}, cell{"b", s.ok}, cell{"last", nil})
	table.row(plain("longer", "c", "")...)
	var b bytes.Buffer
	if err := table.print(&b); err != nil {
		t.Fatal(err)
	}
	want := "\x1b[1mNAME\x1b[0m    \x1b[1mÄÖ\x1b[0m\n" +
		"a       \x1b[32mb\x1b[0m   last\n" +
		"longer  c\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
