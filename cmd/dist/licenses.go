package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	classifier "github.com/google/licenseclassifier/v2"
	"github.com/google/licenseclassifier/v2/assets"
)

// licensed is somebody else's module whose code is in what is released, and under which conditions it may be.
type licensed struct {
	path, version string
	ids           []string // as SPDX names the licenses
	texts         []string
}

// licenseFile matches what has to be passed on.
var licenseFile = regexp.MustCompile(`^(?i:licen[cs]e|copying|notice|patents|copyright)([-.].*)?$`)

// licenses finds them in the modules' sources, of those packages that are linked.
type licenses struct {
	classifier *classifier.Classifier
	ids        map[string][]string // by text
}

func newLicenses() (*licenses, error) {
	c, err := assets.DefaultClassifier()
	return &licenses{c, map[string][]string{}}, err
}

// linked says what a program is made of, for a platform.
func (l *licenses) linked(ctx context.Context, dir string, env []string, program string) ([]licensed, error) {
	out, err := output(ctx, dir, env, "go", "list", "-deps", "-json=ImportPath,Dir,Standard,Module", program)
	if err != nil {
		return nil, err
	}
	byPath := map[string]*licensed{}
	found := map[string][]string{} // the files of a module that are known already
	for packages := json.NewDecoder(strings.NewReader(out)); ; {
		var p struct {
			Dir      string
			Standard bool
			Module   *struct{ Path, Version, Dir string }
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if p.Standard || p.Module == nil || isOurs(p.Module.Path) {
			continue
		}
		m := byPath[p.Module.Path]
		if m == nil {
			m = &licensed{path: p.Module.Path, version: p.Module.Version}
			byPath[m.path] = m
		}
		// A package can have a license of its own, or be in a folder that has one.
		for folder := p.Dir; strings.HasPrefix(folder, p.Module.Dir); folder = filepath.Dir(folder) {
			if slices.Contains(found[m.path], folder) {
				continue
			}
			found[m.path] = append(found[m.path], folder)
			if err := l.read(m, folder); err != nil {
				return nil, err
			}
		}
	}
	goRoot, err := output(ctx, dir, nil, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	goVersion, err := output(ctx, dir, nil, "go", "env", "GOVERSION")
	if err != nil {
		return nil, err
	}
	std := &licensed{path: "std", version: strings.TrimPrefix(goVersion, "go")}
	if err := l.read(std, goRoot); err != nil {
		return nil, err
	}
	byPath[std.path] = std
	var all []licensed
	for _, m := range byPath {
		if len(m.texts) == 0 {
			return nil, fmt.Errorf("%s %s has no license file, without which it may not be passed on; do without it", m.path, m.version)
		}
		slices.Sort(m.texts)
		m.texts = slices.Compact(m.texts)
		slices.Sort(m.ids)
		m.ids = slices.Compact(m.ids)
		all = append(all, *m)
	}
	slices.SortFunc(all, func(a, b licensed) int { return cmp.Compare(a.path, b.path) })
	return all, nil
}

// read adds what a folder has.
func (l *licenses) read(m *licensed, folder string) error {
	files, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, file := range files {
		if !file.Type().IsRegular() || !licenseFile.MatchString(file.Name()) || strings.HasSuffix(file.Name(), ".go") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(folder, file.Name()))
		if err != nil {
			return err
		}
		text := strings.TrimSpace(strings.ReplaceAll(string(data), "\r\n", "\n"))
		m.texts = append(m.texts, text)
		m.ids = append(m.ids, l.identify(text)...)
	}
	return nil
}

func (l *licenses) identify(text string) []string {
	ids, known := l.ids[text]
	if !known {
		for _, match := range l.classifier.Match([]byte(text)).Matches {
			if match.MatchType == "License" && match.Confidence > 0.9 {
				ids = append(ids, match.Name)
			}
		}
		l.ids[text] = ids
	}
	return ids
}

// notices is the file that has all of them, each text once.
func notices(all []licensed) []byte {
	var texts []string
	modules := map[string][]string{}
	for _, m := range all {
		for _, text := range m.texts {
			if modules[text] == nil {
				texts = append(texts, text)
			}
			modules[text] = append(modules[text], m.path+" "+m.version)
		}
	}
	var b strings.Builder
	b.WriteString("agentassert is under the Apache License, Version 2.0, in LICENSE. It contains the work of others, under the\nconditions below. What is called std is Go's own library.\n")
	for _, text := range texts {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 78), strings.Join(slices.Compact(modules[text]), "\n"), text)
	}
	return []byte(b.String())
}
