package authfile

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/agentassert/agentassert/core/wire"
)

// settled is how long ago a file must have changed for its times to tell that it has
// not changed since. File systems count as coarsely as in seconds.
const settled = 3 * time.Second

// stamp tells one state of a file from another.
type stamp struct {
	id       string
	size     int64
	mode     fs.FileMode
	modified time.Time
	// changed is when anything about the file changed, which nobody can set back.
	// It is zero where the system does not say.
	changed time.Time
}

// reading is what was read from one state of auth.json. Each second begins with the
// same two questions, and mostly with the same answers.
type reading struct {
	target      string
	stamp       stamp
	credentials *wire.Credentials
	// identity is empty where there is none; it is known if hasIdentity.
	identity    []byte
	hasIdentity bool
}

// stampOf returns the stamp of a file, unless that could be of two states of it.
func stampOf(path string) (s stamp, ok bool) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return stamp{}, false
	}
	s = stamp{size: info.Size(), mode: info.Mode(), modified: info.ModTime(), changed: changeTime(info)}
	s.id, _ = identify(info)
	past := now().Add(-settled)
	return s, s.modified.Before(past) && s.changed.Before(past)
}

// recall returns what was read from auth.json, if it is still in that state.
func (f *File) recall() *reading {
	r := f.last.Load()
	if r == nil {
		return nil
	}
	if s, ok := stampOf(f.path); !ok || s != r.stamp {
		return nil
	}
	// What a write that did not end has left is to be looked at.
	if _, err := os.Lstat(r.target + journalSuffix); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return r
}

// remember keeps what was read, if the file was in the same state all the while.
func (f *File) remember(target string, before stamp, known bool, event wire.FileEvent, result wire.FileResult) {
	if !known {
		return
	}
	after, ok := stampOf(f.path)
	if !ok || after != before {
		return
	}
	r := reading{target: target, stamp: after}
	if was := f.last.Load(); was != nil && was.stamp == after && was.target == target {
		r = *was
	}
	if event.Operation == wire.FileOperationCredentials {
		r.credentials = result.Credentials
	} else {
		r.identity, r.hasIdentity = slices.Clone(result.Record), true
	}
	f.last.Store(&r)
}
