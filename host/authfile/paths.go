package authfile

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// maxLinks is how many links lead to a file at the most.
const maxLinks = 40

// resolve follows symbolic links, also where the last leads to a file that does not
// exist yet.
func resolve(path string) string {
	for range maxLinks {
		if target, err := filepath.EvalSymlinks(path); err == nil {
			return target
		}
		link, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(path), link)
		}
		path = link
	}
	if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(folder, filepath.Base(path))
	}
	return path
}

// clientLock is the first lock of the client's: auth.lock, for an auth.json.
func clientLock(target string) string { return strings.TrimSuffix(target, ".json") + ".lock" }

func registrationLock(target string) string { return target + ".registration.lock" }

// threadLocks is the folder of the threads' locks.
func threadLocks(target string) string { return target + ".locks" }

func threadLock(target, thread string) string {
	return filepath.Join(threadLocks(target), threadName(thread)+".lock")
}

// threadName stands for a thread in names of files. An id is whatever a harness
// chose: a path, too long for a name, or different from another only in case.
func threadName(thread string) string {
	sum := sha256.Sum256([]byte(thread))
	return hex.EncodeToString(sum[:])
}

var (
	monthForm = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}$`)
	// leftoverForm is what follows a file's name in that of a temporary.
	leftoverForm = regexp.MustCompile(`^[0-9]+$`)
	// entryForm is a name that this package has given to a thread's record, or to
	// its temporary.
	entryForm = regexp.MustCompile(`^(\.tmp-)?[0-9a-f]{64}\.json[0-9]*$`)
)

// journalSuffix follows the target's name in that of its journal.
const journalSuffix = ".journal"

// temporary is how the names of files begin that are to take the place of another.
const temporary = ".tmp-"

// path returns where a file of a flow is. A name that is none of a flow's has no
// path.
func (o *operation) path(name string) (path string, ok bool) {
	threads := o.target + ".threads"
	switch name {
	case wire.FileNameTarget:
		return o.target, true
	case wire.FileNameHome:
		return filepath.Dir(o.target), true
	case wire.FileNameJournal:
		return o.target + journalSuffix, true
	case wire.FileNameClientLock:
		return clientLock(o.target), true
	case wire.FileNameTargetLock:
		return o.target + ".lock", true
	case wire.FileNameThreads:
		return threads, true
	}
	if slot, ok := strings.CutPrefix(name, wire.FileNameRecord); ok {
		switch slot {
		case wire.SlotIdentity, wire.SlotBackoff, wire.SlotBackend, wire.SlotSetAside:
			return o.target + "." + slot, true
		}
		return "", false
	}
	if month, ok := strings.CutPrefix(name, wire.FileNameThread); ok {
		thread, isThread := strings.CutPrefix(o.slot, wire.SlotThread)
		return filepath.Join(threads, month, threadName(thread)+".json"), isThread && monthForm.MatchString(month)
	}
	if leftover, ok := strings.CutPrefix(name, wire.FileNameLeftovers+"/"); ok {
		return filepath.Join(filepath.Dir(o.target), leftover), o.isLeftover(leftover)
	}
	if rest, ok := strings.CutPrefix(name, wire.FileNameThreads+"/"); ok {
		month, entry, isEntry := strings.Cut(rest, "/")
		return filepath.Join(threads, month, entry), monthForm.MatchString(month) && (!isEntry || entryForm.MatchString(entry))
	}
	return "", false
}

// isLeftover reports whether a name is one of a temporary of the target, its journal
// or a record beside it.
func (o *operation) isLeftover(name string) bool {
	rest, ok := strings.CutPrefix(name, temporary+filepath.Base(o.target))
	for _, slot := range []string{journalSuffix, ".backoff", ".backend", ".set-aside", ".identity"} {
		if record, found := strings.CutPrefix(rest, slot); found {
			rest = record
			break
		}
	}
	return ok && leftoverForm.MatchString(rest)
}
