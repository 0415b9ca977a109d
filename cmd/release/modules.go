package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// notReleased begins the comment of a line of go.work whose module has no tag.
const notReleased = "// not released"

// goModule is a module of the repository.
type goModule struct {
	folder   string // below the root, with slashes; "" for the root
	path     string
	file     *modfile.File
	released bool
}

// tag returns the name of a version's tag, as the Go command looks for it.
func (m *goModule) tag(version string) string { return path.Join(m.folder, version) }

// checkVersion says what is wrong with a version, if anything is.
func checkVersion(version string) error {
	switch {
	case !semver.IsValid(version) || semver.Canonical(version) != version:
		return fmt.Errorf("%q is no version, such as v0.3.0 or v0.3.0-rc.1", version)
	case module.CheckPathMajor(version, "") != nil:
		return fmt.Errorf("the paths of the modules would have to end in /%s; only v0 and v1 need no such ending", semver.Major(version))
	}
	return nil
}

// readModules returns the modules that go.work lists.
func readModules(root string) ([]*goModule, error) {
	text, err := os.ReadFile(filepath.Join(root, "go.work"))
	if err != nil {
		return nil, fmt.Errorf("%w; run release in a clone of the repository", err)
	}
	work, err := modfile.ParseWork("go.work", text, nil)
	if err != nil {
		return nil, err
	}
	var modules []*goModule
	for _, use := range work.Use {
		m := &goModule{folder: strings.TrimPrefix(path.Clean("/"+use.Path), "/")}
		name := path.Join(m.folder, "go.mod")
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return nil, fmt.Errorf("go.work lists %s: %w", use.Path, err)
		}
		if m.file, err = modfile.Parse(name, text, nil); err != nil {
			return nil, err
		}
		m.path = m.file.Module.Mod.Path
		m.released = !slices.ContainsFunc(use.Syntax.Suffix, func(c modfile.Comment) bool { return strings.HasPrefix(c.Token, notReleased) })
		modules = append(modules, m)
	}
	return modules, nil
}

// release returns the module's file as it is in a release: it requires modules of the
// repository at that version, and replaces nothing.
func (m *goModule) release(modules []*goModule, version string) ([]byte, error) {
	for _, replaced := range slices.Clone(m.file.Replace) {
		i := slices.IndexFunc(modules, func(o *goModule) bool { return o.path == replaced.Old.Path })
		if i < 0 {
			return nil, fmt.Errorf("%s/go.mod replaces %s, which is none of the repository's modules; nobody who requires the module would get that", m.folder, replaced.Old.Path)
		}
		if err := m.file.DropReplace(replaced.Old.Path, replaced.Old.Version); err != nil {
			return nil, err
		}
	}
	for _, required := range slices.Clone(m.file.Require) {
		i := slices.IndexFunc(modules, func(o *goModule) bool { return o.path == required.Mod.Path })
		if i < 0 {
			continue
		}
		if !modules[i].released {
			return nil, fmt.Errorf("%s/go.mod requires %s, which is not released", m.folder, required.Mod.Path)
		}
		if err := m.file.AddRequire(required.Mod.Path, version); err != nil {
			return nil, err
		}
	}
	m.file.Cleanup()
	return m.file.Format()
}
