package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// inlineFile lists calls that the compiler shall inline although the called function is over its budget.
// It lies beside the sources of the guest's main package; a guest need not have one.
//
// What inlines such calls is profile-guided optimization. So wasmbuild looks up where the listed calls
// are, and hands the compiler a profile in which nothing else ever happened.
const inlineFile = "inline.txt"

// maxCallSites is how many calls of equal weight the compiler takes for hot. It passes over those at the
// cold end of a profile that make up less than 1 % of it.
const maxCallSites = 100

// inlining is a line of the list. The functions have the names that the linker gives them.
type inlining struct {
	caller, callee string
	line           int // in the list
}

// errorf returns an error about a line of the list.
func (in inlining) errorf(format string, args ...any) error {
	return fmt.Errorf("%s, line %d: %s", inlineFile, in.line, fmt.Sprintf(format, args...))
}

// parseInlinings reads a list. A line is "caller -> callee", and means each call of one in the other. What
// follows a "#" is a comment.
func parseInlinings(list string) ([]inlining, error) {
	var all []inlining
	for n, fields := range listLines(list) {
		in := inlining{line: n}
		if len(fields) != 3 || fields[1] != "->" {
			return nil, in.errorf("this is not \"caller -> callee\"")
		}
		in.caller, in.callee = fields[0], fields[2]
		for _, name := range []string{in.caller, in.callee} {
			if pkg, function := splitName(name); pkg == "" || function == "" {
				return nil, in.errorf("%q names no function; write \"path/of/package.f\" or \"path/of/package.(*T).m\"", name)
			}
		}
		if i := slices.IndexFunc(all, func(o inlining) bool { return o.caller == in.caller && o.callee == in.callee }); i >= 0 {
			return nil, in.errorf("line %d says the same; remove one", all[i].line)
		}
		all = append(all, in)
	}
	return all, nil
}

// splitName splits the name of a function into its package's path and the rest.
func splitName(name string) (pkg, function string) {
	dir, last := path.Split(name)
	base, function, _ := strings.Cut(last, ".")
	return dir + base, function
}

// inline returns the flag for the Go command that makes it inline what is listed beside the guest. The
// profile goes to a file in dir. Calls that are not there, or that the compiler does not inline even so,
// are errors: the module would be slower, and nobody would notice.
func inline(ctx context.Context, guest string, packages []listedPackage, dir string, stderr io.Writer) (string, error) {
	text, err := os.ReadFile(filepath.Join(packages[len(packages)-1].Dir, inlineFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "-pgo=off", nil
	} else if err != nil {
		return "", err
	}
	list, err := parseInlinings(string(text))
	if err != nil || len(list) == 0 {
		return "-pgo=off", err
	}
	var sites []callSite
	for _, in := range list {
		found, err := findCallSites(packages, in)
		if err != nil {
			return "", err
		}
		sites = append(sites, found...)
	}
	if len(sites) > maxCallSites {
		return "", fmt.Errorf("%s lists %d calls, and the compiler would pass over some if there are more than %d; remove those that matter least",
			inlineFile, len(sites), maxCallSites)
	}
	// The name becomes part of the module, the folder does not.
	file := filepath.Join(dir, "inline.pprof")
	if err := writeProfile(file, sites); err != nil {
		return "", err
	}
	flag := "-pgo=" + file
	return flag, checkInlined(ctx, guest, flag, sites, stderr)
}

// callSite is a call that shall be inlined.
type callSite struct {
	inlining
	file  string         // without its folder
	start int            // the line where the caller begins
	pos   token.Position // of the parenthesis, which the compiler takes for the place of a call
}

// findCallSites looks in the sources for the calls that a line of the list means. It goes by names, and
// so may find calls of another type's method, too; checkInlined tells.
func findCallSites(packages []listedPackage, in inlining) ([]callSite, error) {
	pkg, caller := splitName(in.caller)
	calleePkg, callee := splitName(in.callee)
	i := slices.IndexFunc(packages, func(p listedPackage) bool { return p.ImportPath == pkg })
	if i < 0 {
		return nil, in.errorf("the guest does not use the package %s; remove the line, or find out what took its place", pkg)
	}
	called := callee[strings.LastIndex(callee, ".")+1:]
	qualified := called != callee || calleePkg != pkg // the call is x.f(), not f()
	var sites []callSite
	found := false
	for _, name := range packages[i].GoFiles {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, filepath.Join(packages[i].Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || funcName(fn) != caller {
				continue
			}
			found = true
			ast.Inspect(fn, func(n ast.Node) bool {
				if _, ok := n.(*ast.FuncLit); ok {
					return false // to the compiler that is another function
				}
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				var id *ast.Ident
				if s, ok := call.Fun.(*ast.SelectorExpr); ok && qualified {
					id = s.Sel
				} else if !qualified {
					id, _ = call.Fun.(*ast.Ident)
				}
				if id != nil && id.Name == called {
					sites = append(sites, callSite{in, name, fset.Position(fn.Pos()).Line, fset.Position(call.Lparen)})
				}
				return true
			})
		}
	}
	switch {
	case !found:
		return nil, in.errorf("there is no function %s; remove the line, or find out what took its place", in.caller)
	case len(sites) == 0:
		return nil, in.errorf("%s does not call %s; remove the line, or find out what it calls in its place", in.caller, in.callee)
	}
	return sites, nil
}

// funcName returns the name of a function without its package, as the linker has it, or "" for a method
// of a generic type.
func funcName(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	switch t := fn.Recv.List[0].Type.(type) {
	case *ast.Ident:
		return t.Name + "." + fn.Name.Name
	case *ast.StarExpr:
		if id, ok := t.X.(*ast.Ident); ok {
			return "(*" + id.Name + ")." + fn.Name.Name
		}
	}
	return ""
}

// writeProfile writes a profile that has seen each of the calls once. The compiler tells calls in a
// function by the line, counted from where the function begins.
func writeProfile(file string, sites []callSite) error {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}}}
	location := func(function string, start, line int) *profile.Location {
		f := &profile.Function{ID: uint64(len(p.Function) + 1), Name: function, SystemName: function, StartLine: int64(start)}
		l := &profile.Location{ID: f.ID, Line: []profile.Line{{Function: f, Line: int64(line)}}}
		p.Function = append(p.Function, f)
		p.Location = append(p.Location, l)
		return l
	}
	for _, s := range sites {
		stack := []*profile.Location{location(s.callee, 1, 1), location(s.caller, s.start, s.pos.Line)}
		p.Sample = append(p.Sample, &profile.Sample{Location: stack, Value: []int64{1}})
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o600)
}

// remark is what the compiler says of a call that it inlines.
var remark = regexp.MustCompile(`^(?:.*[/\\])?([^/\\]+\.go):(\d+):(\d+): inlining call to (.+)$`)

// checkInlined asks the compiler whether it inlines the calls, given the flag.
func checkInlined(ctx context.Context, guest, flag string, sites []callSite, stderr io.Writer) error {
	args := []string{"build", "-trimpath", flag, "-gcflags=-m"}
	for _, s := range sites {
		if pkg, _ := splitName(s.caller); !slices.Contains(args, pkg) {
			args = append(args, pkg)
		}
	}
	var out bytes.Buffer
	if err := runGo(ctx, guest, stderr, &out, args...); err != nil {
		stderr.Write(out.Bytes())
		return err
	}
	type place struct{ pkg, file, line, column, callee string }
	inlined := make(map[place]bool)
	var pkg string
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSpace(line)
		if header, ok := strings.CutPrefix(line, "# "); ok {
			pkg = header
		} else if m := remark.FindStringSubmatch(line); m != nil {
			inlined[place{pkg, m[1], m[2], m[3], m[4]}] = true
		}
	}
	for _, s := range sites {
		pkg, _ := splitName(s.caller)
		calleePkg, callee := splitName(s.callee)
		if calleePkg != pkg {
			callee = path.Base(calleePkg) + "." + callee
		}
		if !inlined[place{pkg, s.file, fmt.Sprint(s.pos.Line), fmt.Sprint(s.pos.Column), callee}] {
			return s.errorf("the compiler does not inline the call at %s:%d; remove the line, or \"go build -gcflags=-m=2 %s\" says why",
				s.file, s.pos.Line, pkg)
		}
	}
	return nil
}
