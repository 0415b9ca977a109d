package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// cutFile lists functions that are cut although code leads to them, because what they are for cannot happen
// in a module that imports nothing and runs in one thread; and variables that nobody else reads. It lies
// beside the sources of the guest's main package; a guest need not have one.
//
// A function that is cut traps when it is entered. It never makes an answer wrong.
const cutFile = "cut.txt"

// cut is a line of the list.
type cut struct {
	name     string // of a function or a variable, as the linker has it
	prefix   bool   // all functions whose names begin like that
	variable bool
	line     int // in the list
}

func (c cut) errorf(format string, args ...any) error {
	return fmt.Errorf("%s, line %d: %s", cutFile, c.line, fmt.Sprintf(format, args...))
}

func (c cut) matches(function string) bool {
	return !c.variable && (function == c.name || c.prefix && strings.HasPrefix(function, c.name))
}

// parseCuts reads a list. A line is the name of a function, or the beginning of names and "*", or "var" and
// the name of a variable. What follows a "#" is a comment.
func parseCuts(list string) ([]cut, error) {
	var all []cut
	n := 0
	for line := range strings.Lines(list) {
		n++
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		c := cut{line: n}
		switch {
		case len(fields) == 0:
			continue
		case len(fields) == 2 && fields[0] == "var":
			c.variable, c.name = true, fields[1]
		case len(fields) == 1:
			c.name, c.prefix = strings.CutSuffix(fields[0], "*")
		default:
			return nil, c.errorf("this is neither a function, nor \"var\" and a variable")
		}
		if c.name == "" {
			return nil, c.errorf("this is everything; write \"path/of/package.f\", \"path/of/package.(*T).m\" or \"path/of/package*\"")
		}
		if i := slices.IndexFunc(all, func(o cut) bool {
			return o.variable == c.variable && o.name == c.name && o.prefix == c.prefix || !c.variable && o.matches(c.name)
		}); i >= 0 {
			return nil, c.errorf("line %d says the same; remove one", all[i].line)
		}
		all = append(all, c)
	}
	return all, nil
}

// cuts is a list, and what the variables on it hold when the program starts.
type cuts struct {
	list      []cut
	variables map[string][]byte
}

// readCuts reads the list beside a guest that is built from these packages, its own last.
func readCuts(packages []listedPackage) (*cuts, error) {
	text, err := os.ReadFile(filepath.Join(packages[len(packages)-1].Dir, cutFile))
	if errors.Is(err, fs.ErrNotExist) {
		return new(cuts), nil
	} else if err != nil {
		return nil, err
	}
	list, err := parseCuts(string(text))
	if err != nil {
		return nil, err
	}
	c := &cuts{list: list, variables: make(map[string][]byte)}
	for _, line := range list {
		if !line.variable {
			continue
		}
		if c.variables[line.name], err = findVariable(packages, line); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// findVariable returns what memory holds where a variable is that is initialized with an array of integers, or
// of structs of them.
func findVariable(packages []listedPackage, c cut) ([]byte, error) {
	pkg, name := splitName(c.name)
	i := slices.IndexFunc(packages, func(p listedPackage) bool { return p.ImportPath == pkg })
	if i < 0 {
		return nil, c.errorf("the guest does not use the package %s; remove the line, or find out what took its place", pkg)
	}
	d := declarations{make(map[string]*ast.ValueSpec), make(map[string]*ast.TypeSpec)}
	for _, file := range packages[i].GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(packages[i].Dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		d.add(f)
	}
	spec := d.variables[name]
	if spec == nil {
		return nil, c.errorf("there is no variable %s; remove the line, or find out what took its place", c.name)
	}
	if len(spec.Values) == 1 {
		if literal, ok := spec.Values[0].(*ast.CompositeLit); ok {
			if array, ok := literal.Type.(*ast.ArrayType); ok && array.Len != nil {
				if b, ok := appendLiteral(nil, literal, d.integerSize(array.Elt)); ok && len(b) > 0 {
					return b, nil
				}
			}
		}
	}
	return nil, c.errorf("%s is not written as an array of integers", c.name)
}

// declarations are those of a package.
type declarations struct {
	variables map[string]*ast.ValueSpec // those that are declared alone
	types     map[string]*ast.TypeSpec
}

func (d declarations) add(f *ast.File) {
	for _, decl := range f.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				if g.Tok == token.VAR && len(spec.Names) == 1 {
					d.variables[spec.Names[0].Name] = spec
				}
			case *ast.TypeSpec:
				d.types[spec.Name.Name] = spec
			}
		}
	}
}

// integerSize returns the size of the integers that a type consists of, all of one size, or 0.
func (d declarations) integerSize(typ ast.Expr) int {
	id, ok := typ.(*ast.Ident)
	if !ok {
		return 0
	}
	if size := map[string]int{"byte": 1, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8}[id.Name]; size > 0 {
		return size
	}
	spec := d.types[id.Name]
	if spec == nil {
		return 0
	}
	fields, ok := spec.Type.(*ast.StructType)
	if !ok {
		return 0
	}
	size := 0
	for _, f := range fields.Fields.List {
		s := d.integerSize(f.Type)
		if s == 0 || size != 0 && s != size {
			return 0
		}
		size = s
	}
	return size
}

// appendLiteral appends the integers, of that size, of which a literal consists.
func appendLiteral(b []byte, literal *ast.CompositeLit, size int) (all []byte, ok bool) {
	for _, element := range literal.Elts {
		switch e := element.(type) {
		case *ast.CompositeLit:
			if b, ok = appendLiteral(b, e, size); !ok {
				return nil, false
			}
		case *ast.BasicLit:
			v, exact := constant.Uint64Val(constant.MakeFromLiteral(e.Value, e.Kind, 0))
			if !exact {
				return nil, false
			}
			b = append(b, binary.LittleEndian.AppendUint64(nil, v)[:size]...)
		default:
			return nil, false
		}
	}
	return b, size > 0
}

// apply cuts the listed functions. Imports must have been replaced. A line that matches nothing is an error.
func (c *cuts) apply(m *module, f *functions) error {
	m.code = slices.Clone(m.code)
	matched := make([]bool, len(c.list))
	for i := range f.descriptions {
		name := f.name(i)
		for j, line := range c.list {
			if line.matches(name) {
				matched[j] = true
				m.code[m.stubs+i] = trap
			}
		}
	}
	for j, line := range c.list {
		if !line.variable && !matched[j] {
			return line.errorf("there is no function %s; remove the line, or find out what took its place", line.name)
		}
	}
	return nil
}

// clearVariables clears the listed variables. It is an error if code that is left still has the address of one,
// or of a pointer to one.
func (c *cuts) clearVariables(m *module, f *functions) error {
	for _, line := range c.list {
		if !line.variable {
			continue
		}
		content := c.variables[line.name]
		start := bytes.Index(f.memory, content)
		if start < 0 || bytes.Contains(f.memory[start+1:], content) {
			return line.errorf("memory does not have the content of %s once", line.name)
		}
		inside := func(v uint64) bool { return v >= uint64(start) && v < uint64(start+len(content)) }
		pointers := make(map[uint64]bool)
		for at := 0; at+8 <= len(f.memory); at += 8 {
			if inside(word(f.memory, at)) && !inside(uint64(at)) {
				pointers[uint64(at)] = true
			}
		}
		for i, body := range m.code {
			used := false
			err := eachInstruction(body, func(op byte, argument int64) {
				v := uint64(argument)
				used = used || (op == opI32Const || op == opI64Const) && (inside(v) || pointers[v])
			})
			if err != nil {
				return fmt.Errorf("the code of function %d: %w", i, err)
			}
			if used {
				return line.errorf("%s still reads %s; cut that function, too, or remove this line", f.name(i-m.stubs), line.name)
			}
		}
		clear(f.memory[start : start+len(content)])
	}
	return nil
}
