package authfile

import (
	"context"
	"slices"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// reading is what was read from one state of auth.json. Each second begins with the
// same two questions, and mostly with the same answers.
type reading struct {
	target, journal string
	stamp           stamp
	credentials     *wire.Credentials
	// identity is empty where there is none; it is known if hasIdentity.
	identity    []byte
	hasIdentity bool
}

// recall returns what was read from auth.json, if it is still in that state, and there is
// no journal: what a write that did not end has left is to be looked at.
func (f *File) recall() *reading {
	if r := f.unchanged(); r != nil && isMissing(r.journal) {
		return r
	}
	return nil
}

// unchanged returns what was read last, if the path leads to the same file in the same
// state.
func (f *File) unchanged() *reading {
	r := f.last.Load()
	if r == nil {
		return nil
	}
	if s, ok := stampOf(f.path, true); !ok || s != r.stamp {
		return nil
	}
	return r
}

// remember keeps what was read, if the file was in the same state all the while.
func (f *File) remember(target string, before stamp, known bool, event wire.FileEvent, result wire.FileResult) {
	if !known {
		return
	}
	after, ok := stampOf(f.path, true)
	if !ok || after != before {
		return
	}
	r := reading{target: target, journal: target + journalSuffix, stamp: after}
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

// Version implements host.Versioned. It asks the system when the slot's file has last
// changed, and reads nothing. It is empty where that does not tell: on Windows, for
// three seconds after a change of the file or of auth.json, where its time is yet to come,
// for the identity while there is a journal, before auth.json has been read, and for a
// thread that has not been used this month. It returns no error.
func (f *File) Version(_ context.Context, slot string) (string, error) {
	if slot == wire.SlotIdentity && !f.Beside {
		if r := f.recall(); r != nil {
			return r.stamp.version(), nil
		}
		return "", nil
	}
	// The record is beside what the path leads to.
	r := f.unchanged()
	if r == nil {
		return "", nil
	}
	path, ok := f.recordPath(r.target, slot)
	if !ok {
		return "", nil
	}
	s, ok := stampOf(path, false)
	if !ok {
		return "", nil
	}
	return s.version(), nil
}

// recordPath is where a slot's record is that has a file of its own.
func (f *File) recordPath(target, slot string) (path string, ok bool) {
	o := operation{file: f, slot: slot, target: target}
	if strings.HasPrefix(slot, wire.SlotThread) {
		return o.pathOf(wire.FileNameThread + now().UTC().Format("2006-01"))
	}
	return o.pathOf(wire.FileNameRecord + slot)
}
