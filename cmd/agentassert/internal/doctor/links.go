package doctor

import (
	"os"
	"path/filepath"
	"strings"
)

const checkNameLinks = "links"

// checkLinks is about a file with several names.
func (e *examination) checkLinks() {
	path, err := filepath.Abs(e.AuthFile)
	if err != nil {
		return
	}
	switch links := e.linksOnTheWay(path); {
	case e.isProjected(path):
		e.note(checkNameLinks, "have the provisioning keep the identity in what it provides", "the file is a link to %s, as Kubernetes has files of secrets: it is replaced as a whole when the secret changes, and what was written into it is gone then", e.target)
	case links > 0:
		e.note(checkNameLinks, "", "%s leads by symbolic links to %s: everyone who comes there by a link shares one sign-in and one identity, and what is kept is beside that file", path, e.target)
	}
	if n := linksOf(e.info); n > 1 {
		e.note(checkNameLinks, "", "the file has %d names (hard links): it is written over in its place, so that all of them stay the same file; what is kept beside it is beside this name alone, so let all programs use this one", n)
	}
}

// linksOnTheWay counts the names on a path that are symbolic links.
func (e *examination) linksOnTheWay(path string) (n int) {
	for ; path != filepath.Dir(path); path = filepath.Dir(path) {
		if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSymlink != 0 {
			n++
		}
	}
	return n
}

// isProjected reports whether a file is where Kubernetes puts those of secrets and the
// like: behind a link ..data, which leads to a folder that is replaced as a whole.
func (e *examination) isProjected(path string) bool {
	link, err := os.Readlink(path)
	return err == nil && strings.HasPrefix(filepath.ToSlash(link), "..data/")
}
