package main

import (
	"fmt"
	"go/ast"
	"path/filepath"
	"strconv"
	"strings"
)

// schema is the package with all mutants in it. Each mutant has a copy of the function
// that it changes, and the function itself begins with a switch that calls the copy
// where that mutant is the active one:
//
//	func (f *flow) sign() (wire.Effect, error) {
//		mutateReached[7] = true
//		switch mutateActive {
//		case 42:
//			return f.sign__42()
//		}
//		…
//
// So one build serves thousands of mutants, and each copy is exactly the text that a
// build of its own would have. A mutant of a constant or a variable has a copy of
// that and of all that names it. The mutant control is an unchanged copy of every
// function: what fails with it fails because of the switches.
type schema struct {
	s *sources
	d *dependents
	// texts are the files, by their paths.
	texts map[string][]byte
	// copies are the parts of them that belong to one mutant.
	copies map[string][]part
}

// part is the part of a file that belongs to the mutant with the id.
type part struct{ from, to, id int }

// control is the id of the mutant without a change.
const control = -1

// supportFile is what the switches need.
const supportFile = "zz_mutate.go"

// newSchema writes the package with the mutants, and with the edits of one more, if
// there is one, in place.
func newSchema(s *sources, d *dependents, mutants []*mutant, inPlace *mutant) *schema {
	c := &schema{s: s, d: d, texts: make(map[string][]byte), copies: make(map[string][]part)}
	// What is put into a file's own text, and after it, and which parts that is made of.
	edits := make(map[*source][]edit)
	after := make(map[*source]*strings.Builder)
	parts := make(map[*source][]part)
	for _, f := range s.files {
		after[f] = new(strings.Builder)
	}
	cases := make([][]int, len(d.functions))
	appendCopy := func(f *source, id int, text string) {
		from := after[f].Len()
		after[f].WriteString("\n" + text + "\n")
		parts[f] = append(parts[f], part{from, after[f].Len(), id})
	}
	for _, m := range mutants {
		switch within := m.within.(type) {
		case *ast.FuncDecl:
			for i, f := range d.functions {
				if f.decl == within {
					cases[i] = append(cases[i], m.id)
					m.touched = []int{i}
					appendCopy(f.file, m.id, c.copyOf(f, m.id, m.edits))
				}
			}
		case *ast.ValueSpec:
			a := d.of(within)
			m.alone, m.testedAlone, m.touched = a.alone, a.tested, a.functions
			if m.alone {
				continue
			}
			for _, one := range a.specs {
				own := c.renames(one.spec, a.renamed, m.id, one.file)
				if one.spec == within {
					own = append(own, m.edits...)
				}
				from, to := one.file.offset(one.spec.Pos()), one.file.offset(one.spec.End())
				appendCopy(one.file, m.id, one.tok.String()+" "+apply(one.file.text, from, to, own))
			}
			for _, i := range a.functions {
				f := d.functions[i]
				cases[i] = append(cases[i], m.id)
				appendCopy(f.file, m.id, c.copyOf(f, m.id, c.renames(f.decl, a.renamed, m.id, f.file)))
			}
		}
	}
	for i, f := range d.functions {
		if f.decl.Body == nil {
			continue
		}
		if inPlace == nil {
			cases[i] = append(cases[i], control)
			appendCopy(f.file, control, c.copyOf(f, control, nil))
		}
		edits[f.file] = append(edits[f.file], c.head(f)...)
		at := f.file.offset(f.decl.Body.Lbrace) + 1
		edits[f.file] = append(edits[f.file], edit{at, at, c.dispatch(f, i, cases[i])})
	}
	if inPlace != nil {
		edits[inPlace.file] = append(edits[inPlace.file], inPlace.edits...)
	}
	for _, f := range s.files {
		name := filepath.Join(s.dir, f.name)
		body := apply(f.text, 0, len(f.text), edits[f])
		for _, p := range parts[f] {
			c.copies[name] = append(c.copies[name], part{p.from + len(body), p.to + len(body), p.id})
		}
		c.texts[name] = []byte(body + after[f].String())
	}
	c.texts[filepath.Join(s.dir, supportFile)] = fmt.Appendf(nil,
		"package %s\n\nvar (\n\tmutateActive int\n\tmutateReached [%d]bool\n)\n", s.types.Name(), len(d.functions)+1)
	return c
}

// suffix is that of the names of a mutant's copies.
func suffix(id int) string {
	if id == control {
		return "__control"
	}
	return "__" + strconv.Itoa(id)
}

// renames gives copies their names, in a declaration.
func (c *schema) renames(n ast.Node, renamed map[*ast.Ident]bool, id int, f *source) []edit {
	var edits []edit
	ast.Inspect(n, func(n ast.Node) bool {
		if name, ok := n.(*ast.Ident); ok && renamed[name] {
			at := f.offset(name.End())
			edits = append(edits, edit{at, at, suffix(id)})
		}
		return true
	})
	return edits
}

// copyOf is a function under another name, and with edits.
func (c *schema) copyOf(f *function, id int, edits []edit) string {
	from, to := f.file.offset(f.decl.Pos()), f.file.offset(f.decl.End())
	at := f.file.offset(f.decl.Name.End())
	if f.decl.Doc != nil {
		from = f.file.offset(f.decl.Type.Func)
	}
	return apply(f.file.text, from, to, append([]edit{{at, at, suffix(id)}}, edits...))
}

// head gives names to a function's receiver and parameters, where it does not.
func (c *schema) head(f *function) []edit {
	var edits []edit
	for i, field := range fields(f.decl) {
		if len(field.Names) == 0 {
			at := f.file.offset(field.Pos())
			edits = append(edits, edit{at, at, unnamed(i, 0) + " "})
		}
		for j, name := range field.Names {
			if name.Name == "_" {
				edits = append(edits, edit{f.file.offset(name.Pos()), f.file.offset(name.End()), unnamed(i, j)})
			}
		}
	}
	return edits
}

func unnamed(i, j int) string { return fmt.Sprintf("mutate%d_%d", i, j) }

// fields are a function's receiver and its parameters.
func fields(d *ast.FuncDecl) []*ast.Field {
	var all []*ast.Field
	if d.Recv != nil {
		all = append(all, d.Recv.List...)
	}
	return append(all, d.Type.Params.List...)
}

// dispatch is what a function begins with.
func (c *schema) dispatch(f *function, index int, ids []int) string {
	var arguments []string
	for i, field := range fields(f.decl) {
		dots := ""
		if _, ok := field.Type.(*ast.Ellipsis); ok {
			dots = "..."
		}
		if len(field.Names) == 0 {
			arguments = append(arguments, unnamed(i, 0)+dots)
		}
		for j, name := range field.Names {
			if name.Name == "_" {
				arguments = append(arguments, unnamed(i, j)+dots)
			} else {
				arguments = append(arguments, name.Name+dots)
			}
		}
	}
	receiver := ""
	if f.decl.Recv != nil {
		receiver, arguments = arguments[0]+".", arguments[1:]
	}
	var parameters []string
	if t := f.decl.Type.TypeParams; t != nil {
		for _, field := range t.List {
			for _, name := range field.Names {
				parameters = append(parameters, name.Name)
			}
		}
	}
	types := ""
	if len(parameters) > 0 {
		types = "[" + strings.Join(parameters, ", ") + "]"
	}
	var b strings.Builder
	fmt.Fprintf(&b, " mutateReached[%d] = true; switch mutateActive {", index)
	for _, id := range ids {
		call := receiver + f.decl.Name.Name + suffix(id) + types + "(" + strings.Join(arguments, ", ") + ")"
		if f.decl.Type.Results.NumFields() > 0 {
			call = "return " + call
		} else {
			call += "; return"
		}
		fmt.Fprintf(&b, "\ncase %d: %s", id, call)
	}
	b.WriteString("\n};")
	return b.String()
}

// uncompilable are the mutants that do not compile.
func (c *schema) uncompilable() (map[int]bool, error) {
	found, fset, err := c.s.problems(c.texts)
	if err != nil {
		return nil, err
	}
	ids := make(map[int]bool)
	for _, e := range found {
		p := fset.Position(e.Pos)
		id := c.at(p.Filename, p.Offset)
		if id <= 0 {
			return nil, fmt.Errorf("the package with the mutants does not compile: %w", e)
		}
		ids[id] = true
	}
	return ids, nil
}

// at is the mutant that a place in a text belongs to, or 0.
func (c *schema) at(name string, offset int) int {
	for _, p := range c.copies[name] {
		if p.from <= offset && offset < p.to {
			return p.id
		}
	}
	return 0
}
