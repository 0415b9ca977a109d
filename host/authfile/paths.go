package authfile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
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
			// From the folder that the link is really in.
			folder, err := filepath.EvalSymlinks(filepath.Dir(path))
			if err != nil {
				break
			}
			link = filepath.Join(folder, link)
		}
		path = link
	}
	if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(folder, filepath.Base(path))
	}
	return path
}

// clientLock is the first lock of the client's, which has one name, whatever that of
// the file is.
func clientLock(target string) string { return filepath.Join(filepath.Dir(target), "auth.lock") }

func registrationLock(target string) string { return target + ".registration.lock" }

// threadsFolder is the folder of the threads' records.
func threadsFolder(target string) string { return target + threadsSuffix }

// threadsSuffix follows the target's name in that of that folder.
const threadsSuffix = ".threads"

// threadLocks is the folder of the threads' locks.
func threadLocks(target string) string { return target + ".locks" }

func threadLock(target, thread string) string {
	return filepath.Join(threadLocks(target), threadName(thread)+".lock")
}

// threadName stands for a thread in names of files. An id is whatever a harness
// chose: a path, too long for a name, or different from another only in case.
func threadName(thread string) string {
	sum := sha256.Sum256([]byte(thread))
	return string(hex.AppendEncode(make([]byte, 0, 2*sha256.Size), sum[:]))
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

// temporaryPrefix is how the names of files begin that are to take the place of
// another.
const temporaryPrefix = ".tmp-"

// errUnknown is an effect that is not in ABI.md.
var errUnknown = errors.New("the core asks for what this host does not know")

// path returns where a file of a flow is, if no link leads there: who may write the
// target's folder may have put one in the place of a folder of ours.
func (o *operation) path(name string) (string, error) {
	path, ok := o.pathOf(name)
	if !ok {
		return "", fmt.Errorf("%w: a file %q", errUnknown, name)
	}
	folder := threadsFolder(o.target)
	rest, isBelow := strings.CutPrefix(path, folder+string(os.PathSeparator))
	for isBelow {
		if err := checkFolder(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		var name string
		name, rest, isBelow = strings.Cut(rest, string(os.PathSeparator))
		folder = filepath.Join(folder, name)
	}
	return path, nil
}

// pathOf is the path that a name stands for. A name that is none of a flow's has
// none.
func (o *operation) pathOf(name string) (path string, ok bool) {
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
		return threadsFolder(o.target), true
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
		const slash = string(os.PathSeparator)
		return o.target + threadsSuffix + slash + month + slash + threadName(thread) + ".json", isThread && monthForm.MatchString(month)
	}
	if leftover, ok := strings.CutPrefix(name, wire.FileNameLeftovers+"/"); ok {
		return filepath.Join(filepath.Dir(o.target), leftover), o.isLeftover(leftover)
	}
	if rest, ok := strings.CutPrefix(name, wire.FileNameThreads+"/"); ok {
		month, entry, isEntry := strings.Cut(rest, "/")
		return filepath.Join(threadsFolder(o.target), month, entry), monthForm.MatchString(month) && (!isEntry || entryForm.MatchString(entry))
	}
	return "", false
}

// isLeftover reports whether a name is one of a temporary of the target, its journal
// or a record beside it.
func (o *operation) isLeftover(name string) bool {
	rest, ok := strings.CutPrefix(name, temporaryPrefix+filepath.Base(o.target))
	for _, slot := range []string{journalSuffix, ".backoff", ".backend", ".set-aside", ".identity"} {
		if record, found := strings.CutPrefix(rest, slot); found {
			rest = record
			break
		}
	}
	return ok && leftoverForm.MatchString(rest)
}
