package main

import (
	"io"
	"strings"
	"unicode/utf8"
)

// table is text in columns, which package text/tabwriter cannot set if there are colours
// in it: it counts their sequences.
type table struct {
	rows [][]cell
}

// cell is a text, and how it is set off. Without a look it is as it is.
type cell struct {
	text string
	look func(string) string
}

// row adds a row. The last column can be left out, and the last cell of a row is not
// filled up.
func (t *table) row(cells ...cell) { t.rows = append(t.rows, cells) }

// heading adds a row of headings.
func (t *table) heading(s style, texts ...string) {
	var cells []cell
	for _, text := range texts {
		cells = append(cells, cell{text, s.strong})
	}
	t.row(cells...)
}

// plain are cells that are not set off.
func plain(texts ...string) []cell {
	var cells []cell
	for _, text := range texts {
		cells = append(cells, cell{text: text})
	}
	return cells
}

// columnGap is between columns.
const columnGap = 2

// print writes the table.
func (t *table) print(w io.Writer) error {
	var widths []int
	for _, cells := range t.rows {
		for i, c := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	var b strings.Builder
	for _, cells := range t.rows {
		for len(cells) > 0 && cells[len(cells)-1].text == "" {
			cells = cells[:len(cells)-1]
		}
		for i, c := range cells {
			shown := c.text
			if c.look != nil {
				shown = c.look(shown)
			}
			b.WriteString(shown)
			if i+1 < len(cells) {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+columnGap))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}
