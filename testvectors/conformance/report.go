package conformance

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/agentassert/agentassert/testvectors"
)

// Report is what became of the vectors.
type Report struct {
	// Vectors is the version of the set.
	Vectors string `json:"vectors"`
	// Command is what started the runner.
	Command  string    `json:"command"`
	Areas    []Area    `json:"areas"`
	Failures []Failure `json:"failures"`
	// Skipped are the ids that the caller left out.
	Skipped []string `json:"skipped"`
	// Notes are sentences about the runner itself.
	Notes []string `json:"notes"`
}

// Area counts the vectors of one area.
type Area struct {
	Area        string `json:"area"`
	Passed      int    `json:"passed"`
	Failed      int    `json:"failed"`
	Unsupported int    `json:"unsupported"`
	Skipped     int    `json:"skipped"`
}

// Failure is a vector that failed.
type Failure struct {
	ID      string `json:"id"`
	Area    string `json:"area"`
	Comment string `json:"comment"`
	Source  string `json:"source"`
	// Path is that of the first difference, or the step that was not answered;
	// empty for a call that was not.
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	// Excerpt is nil where what differs is neither two strings nor two byte strings.
	*Excerpt
}

// Excerpt shows two strings, or byte strings, where they begin to differ.
type Excerpt struct {
	// Offset is that of the first byte that differs, and From that of the first byte
	// shown.
	Offset int `json:"offset"`
	From   int `json:"from"`
	// GotSize and WantSize are the sizes of the whole, in bytes.
	GotSize  int `json:"got_size"`
	WantSize int `json:"want_size"`

	GotHex   string `json:"got_hex"`
	WantHex  string `json:"want_hex"`
	GotText  string `json:"got_text"`
	WantText string `json:"want_text"`
}

// What an excerpt shows: so many bytes before the one that differs, and in all.
const (
	excerptBefore = 8
	excerptSize   = 24
)

func newExcerpt(d *testvectors.Difference) *Excerpt {
	if d.WantBytes == nil {
		return nil
	}
	e := &Excerpt{Offset: d.Offset, From: max(0, d.Offset-excerptBefore), GotSize: len(d.GotBytes), WantSize: len(d.WantBytes)}
	cut := func(b []byte) []byte { return b[e.From:min(len(b), e.From+excerptSize)] }
	got, want := cut(d.GotBytes), cut(d.WantBytes)
	e.GotHex, e.WantHex = hex.EncodeToString(got), hex.EncodeToString(want)
	e.GotText, e.WantText = strings.ToValidUTF8(string(got), "\ufffd"), strings.ToValidUTF8(string(want), "\ufffd")
	return e
}

// report puts the results together.
func (k *kit) report() *Report {
	r := &Report{Vectors: k.Set.Version, Command: k.Command, Areas: []Area{}, Failures: []Failure{}, Skipped: []string{}, Notes: []string{}}
	for _, v := range k.vectors {
		if n := len(r.Areas); n == 0 || r.Areas[n-1].Area != v.area {
			r.Areas = append(r.Areas, Area{Area: v.area})
		}
		a := &r.Areas[len(r.Areas)-1]
		switch v.status {
		case passed:
			a.Passed++
		case failed:
			a.Failed++
			r.Failures = append(r.Failures, v.failure)
		case unsupported:
			a.Unsupported++
		case skipped:
			a.Skipped++
			r.Skipped = append(r.Skipped, v.vector.ID)
		}
	}
	if k.starts > 1 {
		r.Notes = append(r.Notes, fmt.Sprintf("The runner had to be started %d times.", k.starts))
	}
	r.Notes = append(r.Notes, k.notes...)
	return r
}

// Total is the sum of all areas.
func (r *Report) Total() Area {
	total := Area{Area: "all"}
	for _, a := range r.Areas {
		total.Passed += a.Passed
		total.Failed += a.Failed
		total.Unsupported += a.Unsupported
		total.Skipped += a.Skipped
	}
	return total
}

// Total is the number of the area's vectors.
func (a Area) Total() int { return a.Passed + a.Failed + a.Unsupported + a.Skipped }

// Print writes the report for a person. Of each area's failures it shows as many as
// limit; a negative limit is none.
func (r *Report) Print(w io.Writer, limit int) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Test vectors %s against %s\n\n", r.Vectors, r.Command)
	r.printTable(&b)
	shown, area := 0, ""
	for i, f := range r.Failures {
		if f.Area != area {
			fmt.Fprintf(&b, "\nFailed in %s:\n", f.Area)
			shown, area = 0, f.Area
		}
		if shown++; limit < 0 || shown <= limit {
			f.print(&b)
		} else if i+1 == len(r.Failures) || r.Failures[i+1].Area != area {
			fmt.Fprintf(&b, "\n  and %d more\n", shown-limit)
		}
	}
	if len(r.Skipped) > 0 {
		fmt.Fprintf(&b, "\nSkipped: %s\n", strings.Join(r.Skipped, " "))
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "\n%s\n", note)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Report) printTable(b *bytes.Buffer) {
	rows := r.Areas
	if len(rows) != 1 {
		rows = append(rows[:len(rows):len(rows)], r.Total())
	}
	width := len("AREA")
	for _, a := range rows {
		width = max(width, len(a.Area))
	}
	fmt.Fprintf(b, "%-*s  PASSED  FAILED  UNSUPPORTED  SKIPPED  TOTAL\n", width, "AREA")
	for _, a := range rows {
		fmt.Fprintf(b, "%-*s  %6d  %6d  %11d  %7d  %5d\n", width, a.Area, a.Passed, a.Failed, a.Unsupported, a.Skipped, a.Total())
	}
}

func (f *Failure) print(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n  %s\n    %s (%s)\n    ", f.ID, f.Comment, f.Source)
	if f.Path != "" {
		fmt.Fprintf(b, "%s: ", f.Path)
	}
	if f.Excerpt == nil {
		fmt.Fprintf(b, "%s\n", f.Message)
		return
	}
	f.Excerpt.print(b)
}

// print shows both sides byte by byte, in columns: as hexadecimal, and below that
// as text. Carets mark the first byte that differs.
func (e *Excerpt) print(b *bytes.Buffer) {
	fmt.Fprintf(b, "they differ from byte %d on; got %d bytes, want %d; from byte %d:\n", e.Offset, e.GotSize, e.WantSize, e.From)
	for _, side := range []struct{ name, hex string }{{"got ", e.GotHex}, {"want", e.WantHex}} {
		data, err := hex.DecodeString(side.hex)
		if err != nil {
			panic(err) // newExcerpt has encoded it
		}
		printCells(b, side.name, fmt.Sprintf("% x", data))
		printCells(b, "", strings.Join(textCells(data), " "))
	}
	printCells(b, "", strings.Repeat("   ", e.Offset-e.From)+"^^")
}

func printCells(b *bytes.Buffer, name, cells string) {
	fmt.Fprintln(b, strings.TrimRight(fmt.Sprintf("      %-4s  %s", name, cells), " "))
}

// textCells returns what to show of each byte, in two columns. A character of
// several bytes is in the first one's and those after it, as its number: how
// wide a terminal makes the character itself, nobody knows.
func textCells(data []byte) []string {
	cells := make([]string, 0, len(data))
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		text := string(r)
		switch {
		case r == utf8.RuneError && size == 1:
			text = "" // no text, or the rest of a character
		case size > 1:
			text = fmt.Sprintf("U+%X", r)
		case r == '\n':
			text = `\n`
		case r == '\r':
			text = `\r`
		case r == '\t':
			text = `\t`
		case r < ' ' || r == 0x7f:
			text = "^" + string(r^0x40)
		}
		// The cells of a character, and the spaces between them.
		text = fmt.Sprintf("%-*s", 3*size-1, text)
		cells = append(cells, text)
		data = data[size:]
	}
	return cells
}
