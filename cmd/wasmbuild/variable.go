package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
)

// Where a variable is, the linker tells nobody. So one that is to be cleared is found by its content, which its
// source says; and it is cleared only if no code that is left has its address.

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
		for i, body := range m.code[m.stubs:] {
			used := false
			err := eachInstruction(body, func(op byte, argument int64) {
				v := uint64(argument)
				used = used || (op == opI32Const || op == opI64Const) && (inside(v) || pointers[v])
			})
			if err != nil {
				return fmt.Errorf("the code of %s: %w", f.name(i), err)
			}
			if used {
				return line.errorf("%s still reads %s; cut that function, too, or remove this line", f.name(i), line.name)
			}
		}
		clear(f.memory[start : start+len(content)])
	}
	return nil
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
