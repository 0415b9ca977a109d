package main

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// dependents knows what is affected when a constant or a variable of the package is
// another one.
type dependents struct {
	s         *sources
	functions []*function
	specs     map[types.Object]*spec
	// uses are where a package's constant or variable is named.
	uses map[types.Object][]use
}

// function is a declared function. Its index is its number in a run.
type function struct {
	file *source
	decl *ast.FuncDecl
}

// spec is a declaration of constants or variables.
type spec struct {
	file *source
	tok  token.Token
	spec *ast.ValueSpec
	// alone says that a copy in another place would mean something else.
	alone bool
}

type use struct {
	id *ast.Ident
	// function is that in which it is used, or -1; spec is the declaration.
	function int
	spec     *spec
}

func findDependents(s *sources) *dependents {
	d := &dependents{s: s, specs: make(map[types.Object]*spec), uses: make(map[types.Object][]use)}
	for _, f := range s.files {
		for _, decl := range f.tree.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				d.functions = append(d.functions, &function{f, decl})
				d.note(decl, len(d.functions)-1, nil)
			case *ast.GenDecl:
				for _, sp := range decl.Specs {
					v, ok := sp.(*ast.ValueSpec)
					if !ok {
						d.note(sp, -1, nil) // a type, or an import
						continue
					}
					one := &spec{file: f, tok: decl.Tok, spec: v, alone: len(v.Values) == 0}
					for _, name := range v.Names {
						d.specs[s.info.Defs[name]] = one
					}
					d.note(v, -1, one)
				}
			}
		}
	}
	return d
}

// note finds the constants and variables that a declaration names.
func (d *dependents) note(n ast.Node, function int, in *spec) {
	ast.Inspect(n, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok {
			return true
		}
		switch o := d.s.info.Uses[id].(type) {
		case *types.Const, *types.Var:
			if o.Parent() == d.s.types.Scope() {
				d.uses[o] = append(d.uses[o], use{id, function, in})
			}
			if in != nil && o.Name() == "iota" {
				in.alone = true
			}
		case *types.Func:
			// The function would be called before any mutant is chosen.
			if in != nil && o.Pkg() == d.s.types {
				in.alone = true
			}
		}
		return true
	})
}

// affected is what a mutant of a declaration makes copies of.
type affected struct {
	specs []*spec
	// renamed are the identifiers that stand for a copy.
	renamed map[*ast.Ident]bool
	// functions are the indexes of those that name one of them, in order.
	functions []int
	// alone says that copies do not do: a type depends on it.
	alone bool
	// tested says that a test names one of them.
	tested bool
}

// of follows a mutant's declaration to all that depends on it.
func (d *dependents) of(v *ast.ValueSpec) affected {
	a := affected{renamed: make(map[*ast.Ident]bool)}
	queue := []*spec{d.specs[d.s.info.Defs[v.Names[0]]]}
	for len(queue) > 0 {
		one := queue[0]
		queue = queue[1:]
		if slices.Contains(a.specs, one) {
			continue
		}
		a.specs = append(a.specs, one)
		a.alone = a.alone || one.alone
		for _, name := range one.spec.Names {
			a.renamed[name] = true
			a.tested = a.tested || d.s.testNames[name.Name]
			for _, u := range d.uses[d.s.info.Defs[name]] {
				a.renamed[u.id] = true
				switch {
				case u.spec != nil:
					queue = append(queue, u.spec)
				case u.function >= 0:
					a.functions = append(a.functions, u.function)
				default:
					a.alone = true
				}
			}
		}
	}
	slices.Sort(a.functions)
	a.functions = slices.Compact(a.functions)
	return a
}
