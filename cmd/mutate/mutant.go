package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// mutant is a change of the package that a test should notice.
type mutant struct {
	// id is not zero, and another for each mutant of a run.
	id   int
	file *source
	// function is the function, the method with its type, or what is declared.
	function string
	line     int
	// before and after are the two texts, for people and for the list.
	before, after string
	edits         []edit
	// within is the *ast.FuncDecl that is changed, or the *ast.ValueSpec.
	within ast.Node
	// alone says that it can only be measured in a build of its own, and testedAlone
	// that only the tests need one.
	alone, testedAlone bool
	// touched are the functions that have another body for it.
	touched []int

	verdict verdict
	killer  string
}

// verdict is what has become of a mutant.
type verdict int

const (
	survived verdict = iota
	killedByVectors
	killedByTests
	notCompiled
)

// name names a mutant. It does not depend on lines, nor, as functions have different
// names in all of a package, on the file.
func (m *mutant) name() string {
	return fmt.Sprintf("%s: %s → %s", m.function, m.before, m.after)
}

// key is what the list says: the name, and the file for people.
func (m *mutant) key() string { return m.file.name + ":" + m.name() }

// edit replaces a part of a file's text.
type edit struct {
	from, to int
	text     string
}

// apply returns the part of a text from one offset to another, with edits inside it,
// which do not overlap.
func apply(text []byte, from, to int, edits []edit) string {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	var b strings.Builder
	for _, e := range edits {
		b.Write(text[from:e.from])
		b.WriteString(e.text)
		from = e.to
	}
	b.Write(text[from:to])
	return b.String()
}

// maxShown is how much of a statement the list quotes, in characters.
const maxShown = 100

// oneLine is source text as the list shows it.
func oneLine(text string) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > maxShown {
		return string(runes[:maxShown-1]) + "…"
	}
	return string(runes)
}

// number gives the mutants their ids, and makes names unique that are the same.
func number(mutants []*mutant) {
	seen := make(map[string]int)
	for i, m := range mutants {
		m.id = i + 1
		name := m.name()
		if seen[name]++; seen[name] > 1 {
			m.after += fmt.Sprintf(" (%d)", seen[name])
		}
	}
}
