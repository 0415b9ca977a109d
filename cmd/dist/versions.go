package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/semver"
)

// languageVersions is where the packages for other languages have their version.
var languageVersions = map[string]*regexp.Regexp{
	"bindings/js/package.json":                    regexp.MustCompile(`(?m)^  "version": "([^"]*)"`),
	"bindings/c/CMakeLists.txt":                   regexp.MustCompile(`(?m)^project\(agentassert VERSION (\S+)`),
	"bindings/c/include/agentassert.h":            regexp.MustCompile(`(?m)^#define AGENTASSERT_VERSION "([^"]*)"`),
	"bindings/python/src/agentassert/__init__.py": regexp.MustCompile(`(?m)^__version__ = "([^"]*)"`),
}

// checkLanguages refuses packages of another version than the release's: all that is released from one commit has the same. Each
// language writes what comes before a release in its own way, and C not at all, so that is not looked at.
func (s *source) checkLanguages() error {
	want := strings.TrimSuffix(strings.TrimPrefix(s.version, "v"), semver.Prerelease(s.version))
	var wrong []error
	for name, pattern := range languageVersions {
		text, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		found := pattern.FindSubmatch(text)
		if found == nil {
			return fmt.Errorf("%s has no line like %s", name, pattern)
		}
		rest, ok := strings.CutPrefix(string(found[1]), want)
		if !ok || rest != "" && strings.ContainsAny(rest[:1], "0123456789") {
			wrong = append(wrong, fmt.Errorf("%s has the version %s, and the release is %s: change it, and commit", name, found[1], s.version))
		}
	}
	return errors.Join(wrong...)
}
