package check_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestArrows holds the project's layout: which package may import which, and
// what the pure core may not touch.
func TestArrows(t *testing.T) {
	// What a package may import of the project, itself and its own parts aside.
	allowed := map[string][]string{
		"core/hidden":                    {},
		"core/wire":                      {},
		"core":                           {"core/wire"},
		"wasm":                           {},
		"wasm/guest":                     {"core", "core/wire"},
		"host":                           {"core", "core/wire", "wasm", "internal/egress", "core/hidden", "internal/policy", "internal/turns", "internal/wasmlimits"},
		"host/telemetry":                 {"core", "host", "host/proxy"},
		"internal/egress":                {"core"},
		"internal/policy":                {"core", "core/wire", "core/hidden"},
		"internal/postgres":              {"core"},
		"internal/postgres/postgrestest": {},
		"internal/privatefile":           {},
		"internal/requests":              {"core", "core/wire", "testvectors"},
		"internal/turns":                 {},
		"internal/wasmlimits":            {},
		"authority":                      {"core", "core/wire", "core/hidden"},
		"authority/pgreplays":            {"core", "authority", "core/hidden", "internal/postgres"},
		"testvectors":                    {},
		"testvectors/conformance":        {"testvectors"},
		"interop":                        {"core", "core/wire", "host", "authority"},
		"examples/manyaccounts":          {"core", "core/wire", "host"},
		"cmd/":                           {"core", "core/wire", "wasm", "host", "authority", "testvectors", "testvectors/conformance", "internal/egress", "internal/policy", "internal/privatefile", "internal/requests", "cmd/internal/page"},
		"host/":                          {"core", "core/wire", "host", "internal/egress", "core/hidden", "internal/postgres", "internal/privatefile", "internal/turns"},
	}
	impure := []string{"os", "net", "crypto/rand", "math/rand", "time", "io/fs", "log", "fmt", "reflect", "sync", "context", "unsafe", "syscall", "runtime"}
	packages := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "build" || d.Name() == "bindings" || d.Name() == ".git" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(strings.TrimPrefix(filepath.ToSlash(path), "../")))
		rule, known := allowed[dir]
		for _, parent := range []string{"cmd/", "host/"} {
			if !known && strings.HasPrefix(dir, parent) {
				rule, known = allowed[parent], true
			}
		}
		if !known {
			t.Errorf("%s: the package has no place in this test; give it one", dir)
			return nil
		}
		packages++
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		switch {
		case dir == "core/hidden":
			if len(file.Imports) == 0 {
				t.Errorf("%s has no imports: is it the package?", path)
			}
			return nil
		case strings.HasPrefix(dir, "core") && d.Name() == "hidden.go":
			checkHidden(t, path, file)
			return nil
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
				if !slices.Contains(rule, ours) && (dir == "core" || !strings.HasPrefix(ours, dir+"/")) && !(strings.HasPrefix(dir, "cmd/") && strings.HasPrefix(ours, "host/")) {
					t.Errorf("%s imports %s", path, ours)
				}
			}
			if strings.HasPrefix(dir, "core") {
				for _, p := range impure {
					if imported == p || strings.HasPrefix(imported, p+"/") {
						t.Errorf("%s imports %s: the core is pure", path, imported)
					}
				}
			}
		}
		if strings.HasPrefix(dir, "core") {
			ast.Inspect(file, func(n ast.Node) bool {
				switch n.(type) {
				case *ast.GoStmt, *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
					t.Errorf("%s: a goroutine or a channel: the core is a function", path)
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if packages == 0 {
		t.Fatal("no package was looked at")
	}
}

// checkHidden is for the files of the core that say how secrets are printed. The module
// does without them, so that nothing of what they import is in it.
func checkHidden(t *testing.T, path string, file *ast.File) {
	t.Helper()
	if len(file.Comments) == 0 || file.Comments[0].List[0].Text != "//go:build !wasip1" {
		t.Errorf("%s would be part of the module", path)
	}
	for _, spec := range file.Imports {
		if spec.Path.Value != `"fmt"` && spec.Path.Value != `"`+module+`/core/hidden"` {
			t.Errorf("%s imports %s", path, spec.Path.Value)
		}
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
			t.Errorf("%s has more than methods", path)
		}
	}
}
