package main

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"strconv"
)

// comparisons are what takes the place of a comparison: its neighbour and its negation.
var comparisons = map[token.Token][]string{
	token.LSS: {"<=", ">="},
	token.LEQ: {"<", ">"},
	token.GTR: {">=", "<="},
	token.GEQ: {">", "<"},
	token.EQL: {"!="},
	token.NEQ: {"=="},
}

// swapped are operators with an opposite.
var swapped = map[token.Token]string{
	token.LAND:       "||",
	token.LOR:        "&&",
	token.ADD:        "-",
	token.SUB:        "+",
	token.ADD_ASSIGN: "-=",
	token.SUB_ASSIGN: "+=",
	token.INC:        "--",
	token.DEC:        "++",
}

// operators makes the mutants of one declaration.
type operators struct {
	s        *sources
	people   *people
	file     *source
	function string
	within   ast.Node
	found    []*mutant
	stack    []ast.Node
}

// findMutants makes all mutants of the package, in the order of its text. Some do not
// compile.
func findMutants(s *sources) []*mutant {
	p := findPeople(s)
	var found []*mutant
	for _, f := range s.files {
		if !f.mutable {
			continue
		}
		for _, d := range f.tree.Decls {
			o := operators{s: s, people: p, file: f}
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Body != nil {
					o.function, o.within = functionName(d), d
					ast.Inspect(d.Body, o.visit)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok {
						o.function, o.within = v.Names[0].Name, v
						for _, value := range v.Values {
							o.stack = []ast.Node{v}
							ast.Inspect(value, o.visit)
						}
					}
				}
			}
			found = append(found, o.found...)
		}
	}
	return found
}

// functionName is a function's name, with its receiver's type before it.
func functionName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + d.Name.Name
	}
	return d.Name.Name
}

// add notes a mutant. Shown is what the list quotes, and has the edits in it.
func (o *operators) add(shown ast.Node, edits ...edit) {
	from, to := o.file.offset(shown.Pos()), o.file.offset(shown.End())
	o.addText(shown.Pos(), oneLine(o.file.cut(shown)), oneLine(apply(o.file.text, from, to, edits)), edits)
}

// remove notes a mutant without a part of the text.
func (o *operators) remove(what string, from, to token.Pos) {
	e := edit{o.file.offset(from), o.file.offset(to), ""}
	text := oneLine(string(o.file.text[e.from:e.to]))
	o.addText(from, what+text, "removed", []edit{e})
}

func (o *operators) addText(pos token.Pos, before, after string, edits []edit) {
	o.found = append(o.found, &mutant{
		file: o.file, function: o.function, line: o.s.fset.Position(pos).Line, before: before, after: after, edits: edits, within: o.within,
	})
}

// replace is an edit that puts a text in a node's place.
func (o *operators) replace(n ast.Node, text string) edit {
	return edit{o.file.offset(n.Pos()), o.file.offset(n.End()), text}
}

// visit is called for each node, and with nil after what is in it.
func (o *operators) visit(n ast.Node) bool {
	if n == nil {
		o.stack = o.stack[:len(o.stack)-1]
		return true
	}
	if o.people.isOnly(n) || o.isPreallocation(n) || o.isBesideError(n) {
		return false
	}
	o.stack = append(o.stack, n)
	switch n := n.(type) {
	case *ast.BinaryExpr:
		o.binary(n)
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			o.add(n, edit{o.file.offset(n.OpPos), o.file.offset(n.X.Pos()), ""})
		}
	case *ast.BasicLit:
		o.literal(n)
	case *ast.Ident:
		if b, ok := o.s.info.Uses[n].(*types.Const); ok && b.Parent() == types.Universe && (n.Name == "true" || n.Name == "false") {
			o.add(o.around(n), o.replace(n, strconv.FormatBool(n.Name == "false")))
		}
	case *ast.AssignStmt:
		if op, ok := swapped[n.Tok]; ok && !isString(o.s.info.TypeOf(n.Lhs[0])) {
			o.add(n, edit{o.file.offset(n.TokPos), o.file.offset(n.TokPos) + len(n.Tok.String()), op})
		}
	case *ast.IncDecStmt:
		o.add(n, edit{o.file.offset(n.TokPos), o.file.offset(n.TokPos) + len(n.Tok.String()), swapped[n.Tok]})
	case *ast.ReturnStmt:
		o.returned(n)
	case *ast.CallExpr:
		o.code(n)
	case *ast.BlockStmt:
		o.statements(n.List)
	case *ast.CaseClause:
		o.caseClause(n)
	case *ast.IfStmt:
		o.condition(n.Cond, true)
		o.empty("the body of if ", n.Cond, n.Body)
		if b, ok := n.Else.(*ast.BlockStmt); ok {
			o.empty("the else of if ", n.Cond, b)
		}
	case *ast.ForStmt:
		if n.Cond != nil {
			o.condition(n.Cond, true)
		}
	case *ast.CompositeLit:
		o.composite(n)
	}
	return true
}

// isPreallocation reports whether a node is a capacity, which changes no result.
func (o *operators) isPreallocation(n ast.Node) bool {
	if len(o.stack) == 0 {
		return false
	}
	c, ok := o.stack[len(o.stack)-1].(*ast.CallExpr)
	if !ok || len(c.Args) < 2 {
		return false
	}
	if id, ok := c.Fun.(*ast.Ident); !ok || o.s.info.Uses[id] != types.Universe.Lookup("make") {
		return false
	}
	last := c.Args[len(c.Args)-1]
	_, isMap := o.s.info.TypeOf(c).Underlying().(*types.Map)
	return n == last && (len(c.Args) == 3 || isMap)
}

// isBesideError reports whether a node is the zero value that is returned with an error,
// which nobody looks at.
func (o *operators) isBesideError(n ast.Node) bool {
	if len(o.stack) == 0 {
		return false
	}
	r, ok := o.stack[len(o.stack)-1].(*ast.ReturnStmt)
	if !ok || len(r.Results) < 2 || n == r.Results[len(r.Results)-1] {
		return false
	}
	last := o.s.info.Types[r.Results[len(r.Results)-1]]
	if last.IsNil() || !types.Implements(last.Type, errorType) {
		return false
	}
	switch o.file.cut(n) {
	case `""`, "0", "false":
		return true
	}
	return false
}

func (o *operators) binary(n *ast.BinaryExpr) {
	at := edit{o.file.offset(n.OpPos), o.file.offset(n.OpPos) + len(n.Op.String()), ""}
	for _, op := range comparisons[n.Op] {
		at.text = op
		o.add(n, at)
	}
	op, ok := swapped[n.Op]
	if !ok || isString(o.s.info.TypeOf(n)) {
		return
	}
	at.text = op
	o.add(n, at)
	if n.Op == token.LAND || n.Op == token.LOR {
		o.condition(n.X, false)
		o.condition(n.Y, false)
	}
}

// condition negates one, unless that is a comparison's mutant. A condition that has
// others in it is negated as a whole where it decides about a statement.
func (o *operators) condition(e ast.Expr, whole bool) {
	if o.people.isOnly(e) {
		return
	}
	inner := e
	for {
		p, ok := inner.(*ast.ParenExpr)
		if !ok {
			break
		}
		inner = p.X
	}
	switch x := inner.(type) {
	case *ast.BinaryExpr:
		if !whole || comparisons[x.Op] != nil {
			return
		}
	case *ast.UnaryExpr:
		if x.Op == token.NOT {
			return
		}
	}
	from, to := o.file.offset(e.Pos()), o.file.offset(e.End())
	o.add(e, edit{from, to, "!(" + string(o.file.text[from:to]) + ")"})
}

func (o *operators) literal(n *ast.BasicLit) {
	switch n.Kind {
	case token.INT:
		v := constant.MakeFromLiteral(n.Value, token.INT, 0)
		for _, by := range []int64{1, -1} {
			o.add(o.around(n), o.replace(n, constant.BinaryOp(v, token.ADD, constant.MakeInt64(by)).ExactString()))
		}
	case token.CHAR:
		v, _ := constant.Int64Val(constant.MakeFromLiteral(n.Value, token.CHAR, 0))
		o.add(o.around(n), o.replace(n, strconv.QuoteRune(rune(v+1))))
	case token.STRING:
		o.add(o.around(n), o.replace(n, strconv.Quote(constant.StringVal(constant.MakeFromLiteral(n.Value, token.STRING, 0))+"~")))
	}
}

// around is the expression or the statement that a small one is a part of, if that
// is not too long to be shown.
func (o *operators) around(n ast.Node) ast.Node {
	best := n
	for i := len(o.stack) - 2; i >= 0; i-- {
		parent := o.stack[i]
		switch parent.(type) {
		case *ast.BlockStmt, *ast.CaseClause, *ast.FuncDecl, *ast.FuncLit, *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.CompositeLit:
			return best
		}
		if o.file.offset(parent.End())-o.file.offset(parent.Pos()) > maxShown/2 {
			return best
		}
		best = parent
		switch parent.(type) {
		case *ast.BinaryExpr, *ast.CallExpr, *ast.AssignStmt, *ast.ReturnStmt:
			return best
		}
	}
	return best
}

var errorType = types.Universe.Lookup("error").Type().Underlying().(*types.Interface)

// returned replaces the error that is returned.
func (o *operators) returned(n *ast.ReturnStmt) {
	if len(n.Results) == 0 {
		return
	}
	last := n.Results[len(n.Results)-1]
	t := o.s.info.TypeOf(last)
	if _, isTuple := t.(*types.Tuple); isTuple || o.s.info.Types[last].IsNil() || !types.Implements(t, errorType) {
		return
	}
	o.add(n, o.replace(last, "nil"))
}

// code changes the code of an error: a constant beside a text for people.
func (o *operators) code(n *ast.CallExpr) {
	if len(n.Args) < 2 || !o.people.only[n.Args[len(n.Args)-1]] {
		return
	}
	for _, arg := range n.Args[:len(n.Args)-1] {
		if o.s.info.Types[arg].Value != nil && isString(o.s.info.TypeOf(arg)) {
			if _, isLiteral := arg.(*ast.BasicLit); !isLiteral {
				o.add(n, o.replace(arg, `"~"`))
			}
		}
	}
}

// statements removes each that can be missed. The body of an if that is only one
// statement is removed as a body.
func (o *operators) statements(list []ast.Stmt) {
	if len(list) == 1 && len(o.stack) > 1 {
		if _, ok := o.stack[len(o.stack)-2].(*ast.IfStmt); ok {
			return
		}
	}
	for _, s := range list {
		switch s.(type) {
		case *ast.ExprStmt, *ast.AssignStmt, *ast.IncDecStmt, *ast.DeferStmt, *ast.BranchStmt, *ast.ReturnStmt:
			if !o.people.isOnly(s) {
				o.remove("", s.Pos(), s.End())
			}
		}
	}
}

// empty removes what is in a block.
func (o *operators) empty(what string, cond ast.Expr, b *ast.BlockStmt) {
	if len(b.List) == 0 {
		return
	}
	for _, s := range b.List {
		if !o.people.isOnly(s) {
			o.addText(b.Pos(), oneLine(what+o.file.cut(cond)+": "+string(o.file.text[o.file.offset(b.Lbrace)+1:o.file.offset(b.Rbrace)])), "removed",
				[]edit{{o.file.offset(b.Lbrace) + 1, o.file.offset(b.Rbrace), ""}})
			return
		}
	}
}

// caseClause removes one, or one of the values in it, and negates conditions. A body
// that is only one statement goes with its case.
func (o *operators) caseClause(n *ast.CaseClause) {
	o.remove("", n.Pos(), n.End())
	if len(n.List) > 1 {
		o.elements("in "+oneLine(string(o.file.text[o.file.offset(n.Pos()):o.file.offset(n.Colon)]))+": ", n.List)
	}
	for _, e := range n.List {
		if b, ok := o.s.info.TypeOf(e).Underlying().(*types.Basic); ok && b.Info()&types.IsBoolean != 0 {
			o.condition(e, true)
		}
	}
	if len(n.Body) > 1 {
		o.statements(n.Body)
	}
}

// elements removes each of a list.
func (o *operators) elements(what string, list []ast.Expr) {
	for i, e := range list {
		from, to := e.Pos(), e.End()
		if i+1 < len(list) {
			to = list[i+1].Pos()
		} else if i > 0 {
			from = list[i-1].End()
		}
		o.addText(e.Pos(), what+oneLine(o.file.cut(e)), "removed", []edit{{o.file.offset(from), o.file.offset(to), ""}})
	}
}

// composite exchanges neighbours in a list of strings, and removes elements of lists
// and maps. Bytes are numbers enough as they are.
func (o *operators) composite(n *ast.CompositeLit) {
	switch t := o.s.info.TypeOf(n).Underlying().(type) {
	case *types.Slice:
		if b, ok := t.Elem().Underlying().(*types.Basic); ok && b.Info()&types.IsInteger != 0 {
			return
		}
		if isString(t.Elem()) {
			for i := range len(n.Elts) - 1 {
				a, b := n.Elts[i], n.Elts[i+1]
				o.addText(a.Pos(), oneLine(o.file.cut(a)+", "+o.file.cut(b)), "exchanged", []edit{o.replace(a, o.file.cut(b)), o.replace(b, o.file.cut(a))})
			}
		}
		o.elements("", n.Elts)
	case *types.Map:
		o.elements("", n.Elts)
	}
}
