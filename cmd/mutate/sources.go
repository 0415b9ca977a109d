package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// sources are a package's, parsed and checked.
type sources struct {
	path, dir string
	fset      *token.FileSet
	files     []*source
	// testNames are the identifiers in the package's tests.
	testNames map[string]bool
	types     *types.Package
	info      *types.Info
	importer  types.Importer
}

// source is a file of the package that is not a test.
type source struct {
	name    string // without the folder
	text    []byte
	tree    *ast.File
	base    token.Pos
	mutable bool
}

// offset is where pos is in the text.
func (s *source) offset(pos token.Pos) int { return int(pos - s.base) }

// cut is the text of a node.
func (s *source) cut(n ast.Node) string {
	return string(s.text[s.offset(n.Pos()):s.offset(n.End())])
}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir, Export            string
	GoFiles, TestGoFiles, XTestGoFiles []string
	DepOnly                            bool
}

// load reads the package in a folder. Which files are mutated is a matter of the
// module: what is not compiled into it is no part of the protocol.
func load(ctx context.Context, folder string) (*sources, error) {
	out, err := goOutput(ctx, "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,TestGoFiles,XTestGoFiles,DepOnly", folder)
	if err != nil {
		return nil, err
	}
	exports := make(map[string]string)
	var p listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := d.Decode(&l); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("reading what go list says: %w", err)
		}
		exports[l.ImportPath] = l.Export
		if !l.DepOnly {
			p = l
		}
	}
	s := &sources{path: p.ImportPath, dir: p.Dir, fset: token.NewFileSet(), testNames: make(map[string]bool)}
	s.importer = importer.ForCompiler(s.fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, errors.New("no export data for " + path)
		}
		return os.Open(exports[path])
	})
	module := build.Default
	module.GOOS, module.GOARCH, module.CgoEnabled = "wasip1", "wasm", false
	for _, name := range p.GoFiles {
		text, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return nil, err
		}
		tree, err := parser.ParseFile(s.fset, filepath.Join(p.Dir, name), text, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return nil, err
		}
		inModule, err := module.MatchFile(p.Dir, name)
		if err != nil {
			return nil, err
		}
		s.files = append(s.files, &source{name: name, text: text, tree: tree, base: tree.FileStart, mutable: inModule})
	}
	for _, name := range append(p.TestGoFiles, p.XTestGoFiles...) {
		tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				s.testNames[id.Name] = true
			}
			return true
		})
	}
	s.info = &types.Info{Types: make(map[ast.Expr]types.TypeAndValue), Uses: make(map[*ast.Ident]types.Object), Defs: make(map[*ast.Ident]types.Object)}
	var trees []*ast.File
	for _, f := range s.files {
		trees = append(trees, f.tree)
	}
	if s.types, err = (&types.Config{Importer: s.importer}).Check(s.path, s.fset, trees, s.info); err != nil {
		return nil, err
	}
	return s, nil
}

// problems are the positions, in files of the given texts, in which the package does
// not compile.
func (s *sources) problems(texts map[string][]byte) ([]types.Error, *token.FileSet, error) {
	fset := token.NewFileSet()
	var trees []*ast.File
	for name, text := range texts {
		tree, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, nil, fmt.Errorf("the mutants of %s: %w", name, err)
		}
		trees = append(trees, tree)
	}
	var found []types.Error
	c := types.Config{Importer: s.importer, Error: func(err error) {
		if e, ok := errors.AsType[types.Error](err); ok {
			found = append(found, e)
		}
	}}
	_, _ = c.Check(s.path, fset, trees, nil) // each error has been seen by then
	return found, fset, nil
}

// goOutput runs the Go tool and returns what it writes.
func goOutput(ctx context.Context, args ...string) ([]byte, error) {
	var stderr bytes.Buffer
	c := exec.CommandContext(ctx, "go", args...)
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}
