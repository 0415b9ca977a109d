package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// languagePackages are what the Makefile makes for other languages, by pattern: each has a version of its own.
var languagePackages = []string{
	"build/agentassert-*.tgz",               // JavaScript
	"build/packages/agentassert-c-*.tar.gz", // C
	"build/packages/agentassert-[0-9]*.gz",  // Python's sources
	"build/packages/agentassert-[0-9]*.whl", // Python, with and without the native engine
}

// makeLanguages has the Makefile make them, and puts them into the release.
func (r *release) makeLanguages(ctx context.Context) error {
	for _, pattern := range languagePackages {
		if err := r.forEach(pattern, os.Remove); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	env := []string{"SOURCE_DATE_EPOCH=" + strconv.FormatInt(r.time.Unix(), 10), "MAKEFLAGS=", "MFLAGS=", "MAKELEVEL="}
	r.say("the package for JavaScript")
	said, err := output(ctx, r.root, env, "make", "js-package")
	if err != nil {
		return err
	}
	r.say("the packages for C and Python: compiling the module to C, and trying each where there is nothing else, takes some minutes")
	more, err := output(ctx, r.root, env, "make", "packages")
	if err != nil {
		return err
	}
	said += "\n" + more
	for _, pattern := range languagePackages {
		err := r.forEach(pattern, func(name string) error {
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			if data, err = r.normal(name, data); err != nil {
				return fmt.Errorf("%s: %w", filepath.Base(name), err)
			}
			return r.out.write(filepath.Base(name), data)
		})
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make js-package packages has not made %s; -languages=false does without them. It said:\n%s", pattern, tail(said, 10))
		} else if err != nil {
			return err
		}
	}
	return nil
}

// forEach calls f with the file that a pattern is for. It is an error that there is none.
func (s *source) forEach(pattern string, f func(name string) error) error {
	names, err := filepath.Glob(filepath.Join(s.root, filepath.FromSlash(pattern)))
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return fmt.Errorf("%s: %w", pattern, fs.ErrNotExist)
	}
	for _, name := range names {
		if err := f(name); err != nil {
			return err
		}
	}
	return nil
}

// tail returns the last lines of a text.
func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
