package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

const (
	checkNameWriters = "writes"
	// writtenJustNow is how long ago a write can still be going on.
	writtenJustNow = 10 * time.Second
	// leftoverAge is how old a temporary file is that nobody will go on with.
	leftoverAge = time.Hour
)

// checkWriters is about writes of the file that are under way, as when the client renews
// its tokens.
func (e *examination) checkWriters() {
	before := len(e.findings)
	if who := writers(e.info); who != "" {
		e.note(checkNameWriters, "", "%s has the file open for writing, such as a client that renews its tokens: what it writes is not lost, and what is saved meanwhile goes around it", who)
	}
	if is, err := os.Stat(e.target); err == nil && e.isRead && !(os.SameFile(is, e.info) && is.ModTime().Equal(e.info.ModTime())) {
		e.note(checkNameWriters, "run this once more", "the file has changed while it was looked at")
	}
	e.checkTemporaries()
	age := e.Now().Sub(e.info.ModTime())
	switch {
	case age >= 0 && age < writtenJustNow:
		e.note(checkNameWriters, "", "the file was written %s ago: a client may just be renewing its tokens", short(age))
	case len(e.findings) == before:
		e.ok(checkNameWriters, "nobody is seen to write the file; the last one did %s ago", short(age))
	}
}

// temporaryForm is what follows the prefix and the name of a file in that of what is to
// take its place.
var temporaryForm = regexp.MustCompile(`^(\.journal|\.backoff|\.backend|\.set-aside|\.identity)?[0-9]+$`)

// checkTemporaries is about files that were to take the place of auth.json, or of one
// beside it.
func (e *examination) checkTemporaries() {
	prefix := ".tmp-" + filepath.Base(e.target)
	young, old := 0, 0
	for _, entry := range entriesOf(filepath.Dir(e.target)) {
		name := entry.Name()
		if len(name) <= len(prefix) || name[:len(prefix)] != prefix || !temporaryForm.MatchString(name[len(prefix):]) {
			continue
		}
		if info, err := entry.Info(); err == nil && e.Now().Sub(info.ModTime()) < leftoverAge {
			young++
		} else if err == nil {
			old++
		}
	}
	if young > 0 {
		e.note(checkNameWriters, "if nothing runs, the next save that finds it an hour old removes it", "beside it are temporary files (%d, %s…): a save is under way, or was ended in the middle, which costs nothing", young, prefix)
	}
	if old > 0 {
		e.note(checkNameWriters, "the next save removes them", "beside it are temporary files (%d, %s…) that a process which was ended has left", old, prefix)
	}
}

// maxEntries bounds how many entries of a folder are looked at.
const maxEntries = 1 << 14

func entriesOf(folder string) []os.DirEntry {
	d, err := os.Open(folder)
	if err != nil {
		return nil
	}
	defer d.Close()
	entries, _ := d.ReadDir(maxEntries) // the end is an error, too
	return entries
}

// short is a time in its largest unit, rounded down.
func short(d time.Duration) string {
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", max(d, 0)/time.Second)
}
