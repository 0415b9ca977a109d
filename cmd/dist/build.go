package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// ours is how the paths of this repository's Go modules begin.
const ours = "github.com/agentassert/agentassert"

// binary is the command, built.
type binary struct {
	platform platform
	file     string
	data     []byte
	info     *debug.BuildInfo
}

// workspace writes a go.work of the modules that are released, into a folder, and returns what has Go use it. They are built
// together, for at a release's tag they require versions of each other that nobody can fetch yet; and without the others,
// which would have the command built with versions that its own go.mod does not ask for.
func (s *source) workspace(folder string) ([]string, error) {
	name := filepath.Join(s.root, "go.work")
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	all, err := modfile.ParseWork(name, text, nil)
	if err != nil {
		return nil, err
	}
	work := &modfile.WorkFile{Syntax: new(modfile.FileSyntax)}
	if err := work.AddGoStmt(all.Go.Version); err != nil {
		return nil, err
	}
	folders := map[string]string{}
	var files []*modfile.File
	for _, use := range all.Use {
		if slices.ContainsFunc(use.Syntax.Suffix, func(c modfile.Comment) bool { return strings.HasPrefix(c.Token, "// not released") }) {
			continue
		}
		dir := filepath.Join(s.root, filepath.FromSlash(use.Path))
		file, err := readModule(dir)
		if err != nil {
			return nil, err
		}
		if err := work.AddUse(dir, ""); err != nil {
			return nil, err
		}
		folders[file.Module.Mod.Path] = dir
		files = append(files, file)
	}
	// Go looks for what modules require of each other even where it has these themselves.
	for _, file := range files {
		for _, r := range file.Require {
			if dir, ok := folders[r.Mod.Path]; ok && r.Mod.Version != "v0.0.0" {
				if err := work.AddReplace(r.Mod.Path, r.Mod.Version, dir, ""); err != nil {
					return nil, err
				}
			}
		}
	}
	sums, err := os.ReadFile(name + ".sum")
	if err != nil {
		return nil, err
	}
	own := filepath.Join(folder, "go.work")
	return []string{"GOWORK=" + own}, errors.Join(os.WriteFile(own, modfile.Format(work.Syntax), 0o600), os.WriteFile(own+".sum", sums, 0o600))
}

// build builds the command for a platform, into a folder. Where it is built, by whom and with which cache is not in the bytes.
func (s *source) build(ctx context.Context, p platform, workspace []string, folder string) (*binary, error) {
	b := &binary{platform: p, file: filepath.Join(folder, p.os+"_"+p.arch+"_"+p.program())}
	flags := strings.Join([]string{"-s", "-w", "-X main.version=" + s.version, "-X main.commit=" + s.commit, "-X main.date=" + s.time.Format("2006-01-02T15:04:05Z")}, " ")
	if _, err := output(ctx, s.root, append(p.env(), workspace...), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", b.file, "./cmd/agentassert"); err != nil {
		return nil, err
	}
	var err error
	if b.data, err = os.ReadFile(b.file); err != nil {
		return nil, err
	}
	if b.info, err = buildinfo.ReadFile(b.file); err != nil {
		return nil, err
	}
	return b, s.asRequired(b.info)
}

// asRequired refuses a build with other versions than cmd/go.mod asks for, which who installs the command with Go
// gets: a workspace has the highest of all its modules.
func (s *source) asRequired(info *debug.BuildInfo) error {
	file, err := readModule(filepath.Join(s.root, "cmd"))
	if err != nil {
		return err
	}
	required := map[string]string{}
	for _, r := range file.Require {
		required[r.Mod.Path] = r.Mod.Version
	}
	for _, dep := range info.Deps {
		if want := required[dep.Path]; !isOurs(dep.Path) && dep.Version != want {
			return fmt.Errorf("the command was built with %s %s, and cmd/go.mod requires %q: have cmd/go.mod require what another module of go.work does", dep.Path, dep.Version, want)
		}
	}
	return nil
}

// readModule reads the go.mod of a folder.
func readModule(folder string) (*modfile.File, error) {
	name := filepath.Join(folder, "go.mod")
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return modfile.Parse(name, text, nil)
}

func isOurs(path string) bool { return path == ours || strings.HasPrefix(path, ours+"/") }
