package main

import (
	"go/ast"
	"go/token"
	"go/types"
)

// people knows which texts of a package are for people only: what becomes the message
// of an error. Nothing pins them, so there is nothing to find out by changing them.
type people struct {
	s *sources
	// only are the expressions that are nothing else.
	only map[ast.Node]bool
	// texts are the variables, parameters and constants that become nothing else, and
	// functions those of whose results that is true. Where it says false, somebody
	// asks whether it is empty.
	texts, functions map[types.Object]bool
	parents          map[ast.Node]ast.Node
	// declared are the functions' declarations.
	declared map[types.Object]*ast.FuncDecl
	uses     map[types.Object][]*ast.Ident
	// literals are the functions that variables are set to.
	literals map[types.Object]*ast.FuncLit
}

// findPeople starts from the fields named Message and from errors.New, and goes on to
// what is only used there, until there is no more.
func findPeople(s *sources) *people {
	p := &people{
		s: s, only: make(map[ast.Node]bool), texts: make(map[types.Object]bool), functions: make(map[types.Object]bool),
		parents: make(map[ast.Node]ast.Node), declared: make(map[types.Object]*ast.FuncDecl), uses: make(map[types.Object][]*ast.Ident),
		literals: make(map[types.Object]*ast.FuncLit),
	}
	for _, f := range s.files {
		var stack []ast.Node
		ast.Inspect(f.tree, func(n ast.Node) bool {
			if n == nil {
				stack = stack[:len(stack)-1]
				return true
			}
			if len(stack) > 0 {
				p.parents[n] = stack[len(stack)-1]
			}
			stack = append(stack, n)
			switch n := n.(type) {
			case *ast.FuncDecl:
				p.declared[s.info.Defs[n.Name]] = n
			case *ast.AssignStmt:
				if lit, ok := n.Rhs[0].(*ast.FuncLit); ok && len(n.Lhs) == 1 {
					p.literals[p.object(n.Lhs[0])] = lit
				}
			case *ast.Ident:
				if o := s.info.Uses[n]; o != nil && o.Pkg() == s.types {
					p.uses[origin(o)] = append(p.uses[origin(o)], n)
				}
			}
			return true
		})
	}
	for o, d := range p.declared {
		if d.Recv != nil && o.Name() == "Error" {
			p.functions[o] = true
		}
	}
	for n := -1; n != len(p.only)+len(p.texts)+len(p.functions); {
		n = len(p.only) + len(p.texts) + len(p.functions)
		p.mark()
		p.grow()
	}
	return p
}

// origin is the generic function that one with types is made from.
func origin(o types.Object) types.Object {
	if f, ok := o.(*types.Func); ok {
		return f.Origin()
	}
	return o
}

// mark finds the expressions in which texts for people are wanted.
func (p *people) mark() {
	for n := range p.parents {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Message" {
				if v, ok := p.s.info.Uses[key].(*types.Var); ok && v.IsField() {
					p.only[n.Value] = true
				}
			}
		case *ast.CallExpr:
			if f := p.callee(n); f != nil && f.FullName() == "errors.New" {
				p.only[n.Args[0]] = true
			}
			for i, parameter := range p.parameters(n) {
				if i < len(n.Args) && p.texts[parameter] {
					p.only[n.Args[i]] = true
				}
			}
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if o := p.object(left); o != nil && len(n.Rhs) == len(n.Lhs) {
					if strict, ok := p.texts[o]; ok && strict {
						p.only[n.Rhs[i]] = true
						if len(n.Lhs) == 1 {
							p.only[n] = true
						}
					}
				}
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if p.texts[p.s.info.Defs[name]] && i < len(n.Values) {
					p.only[n.Values[i]] = true
				}
			}
		case *ast.ReturnStmt:
			// The text is for people, whether there is one is not.
			f := p.enclosing(n)
			if _, ok := p.functions[f]; ok && len(n.Results) == 1 {
				if lit, ok := n.Results[0].(*ast.BasicLit); ok && lit.Value != `""` {
					p.only[lit] = true
				}
			}
		}
	}
	for f, strict := range p.functions {
		if strict {
			p.only[p.declared[f]] = true
		}
	}
}

// grow finds what is only used in such expressions.
func (p *people) grow() {
	for o, uses := range p.uses {
		_, isText := p.texts[o]
		_, isFunction := p.functions[o]
		if isText || isFunction {
			continue
		}
		strict, wanted := true, 0
		for _, use := range uses {
			kind := p.use(use)
			if kind == useOther {
				wanted = 0
				break
			}
			if kind == useEmpty {
				strict = false
			}
			if kind == usePeople || kind == useEmpty {
				wanted++
			}
		}
		if wanted == 0 {
			continue
		}
		switch o := o.(type) {
		case *types.Func:
			if r := o.Signature().Results(); r.Len() == 1 && isString(r.At(0).Type()) && p.declared[o] != nil && !o.Exported() {
				p.functions[o] = strict
			}
		case *types.Var:
			if isString(o.Type()) && !o.IsField() {
				p.texts[o] = strict
			}
		case *types.Const:
			if isString(o.Type()) && !o.Exported() {
				p.texts[o] = strict
			}
		}
	}
}

// What an identifier is used for.
const (
	useOther = iota
	usePeople
	useEmpty // is it empty?
	useSet
)

func (p *people) use(id *ast.Ident) int {
	if p.isOnly(id) {
		return usePeople
	}
	var n ast.Node = id
	parent := p.parents[n]
	if s, ok := parent.(*ast.SelectorExpr); ok && s.Sel == id {
		n, parent = s, p.parents[s]
	}
	if c, ok := parent.(*ast.CallExpr); ok && c.Fun == n {
		n, parent = c, p.parents[c]
	}
	switch parent := parent.(type) {
	case *ast.BinaryExpr:
		other := parent.X
		if other == n {
			other = parent.Y
		}
		if lit, ok := other.(*ast.BasicLit); ok && lit.Value == `""` && (parent.Op == token.EQL || parent.Op == token.NEQ) {
			return useEmpty
		}
	case *ast.AssignStmt:
		for i, left := range parent.Lhs {
			if left == n {
				return useSet
			}
			if len(parent.Rhs) == len(parent.Lhs) && parent.Rhs[i] == n {
				if strict, ok := p.texts[p.object(left)]; ok && strict {
					return usePeople
				} else if ok {
					return useEmpty
				}
			}
		}
	}
	return useOther
}

// isOnly reports whether a node is in something that is for people only.
func (p *people) isOnly(n ast.Node) bool {
	for ; n != nil; n = p.parents[n] {
		if p.only[n] {
			return true
		}
	}
	return false
}

func (p *people) object(e ast.Expr) types.Object {
	id, ok := e.(*ast.Ident)
	if !ok {
		return nil
	}
	if o := p.s.info.Defs[id]; o != nil {
		return o
	}
	return p.s.info.Uses[id]
}

// callee is the function that is called by its name, or nil.
func (p *people) callee(c *ast.CallExpr) *types.Func {
	fun := c.Fun
	if i, ok := fun.(*ast.IndexExpr); ok {
		fun = i.X
	}
	var id *ast.Ident
	switch fun := fun.(type) {
	case *ast.Ident:
		id = fun
	case *ast.SelectorExpr:
		id = fun.Sel
	default:
		return nil
	}
	f, _ := p.s.info.Uses[id].(*types.Func)
	if f == nil {
		return nil
	}
	return f.Origin()
}

// parameters are those of the function that is called by its name, as its body uses
// them.
func (p *people) parameters(c *ast.CallExpr) []types.Object {
	var all []types.Object
	if f := p.callee(c); f != nil {
		for v := range f.Signature().Params().Variables() {
			all = append(all, v)
		}
	} else if lit := p.literals[p.object(c.Fun)]; lit != nil {
		for _, field := range lit.Type.Params.List {
			for _, name := range field.Names {
				all = append(all, p.s.info.Defs[name])
			}
		}
	}
	return all
}

// enclosing is the declared function that a node is in, function literals apart.
func (p *people) enclosing(n ast.Node) types.Object {
	for ; n != nil; n = p.parents[n] {
		switch n := n.(type) {
		case *ast.FuncLit:
			return nil
		case *ast.FuncDecl:
			return p.s.info.Defs[n.Name]
		}
	}
	return nil
}

func isString(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsString != 0
}
