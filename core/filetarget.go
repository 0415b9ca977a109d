package core

import (
	"bytes"
	"encoding/base64"
	"slices"

	"github.com/agentassert/agentassert/core/wire"
)

// nextTarget handles the answer to an effect that concerns auth.json itself.
func (f *file) nextTarget(e wire.FileEvent) (wire.FileEffect, error) {
	failed := e.Failure != ""
	switch f.Step {
	case fileRead:
		return f.targetRead(e)
	case fileLookJournal:
		if failed || e.Stat == nil {
			return f.settle()
		}
		return f.lockClient(), nil
	case fileSettle:
		if failed {
			return f.haveDocument()
		}
		return f.readTarget(), nil

	case fileLockClient:
		return f.locked(e, wire.FileNameClientLock, func() wire.FileEffect { return f.lock(fileLockTarget, wire.FileNameTargetLock) })
	case fileLockTarget:
		f.Recovered = true
		return f.locked(e, wire.FileNameTargetLock, func() wire.FileEffect { return f.on(fileReadJournal, wire.FileEffectRead, wire.FileNameJournal) })
	case fileUnlock, fileReleaseJournal:
		return f.release(), nil

	case fileReadJournal:
		return f.journalRead(e)
	case fileReadTorn:
		return f.tornRead(e)
	case fileRestore, fileRestoreCut, fileRestoreSync:
		return f.restored(e)
	case fileRemoveJournal:
		f.Journal = false
		return f.readTarget(), nil

	case fileTryRoom:
		return f.roomTried(e)
	case fileFreeRoom:
		f.Temporary = false
		if f.Stat == nil {
			return f.end(nil)
		}
		return f.create()
	case fileCreate:
		return f.created(e)
	case fileOwn:
		if failed {
			return f.goInPlace(), nil
		}
		return f.on(fileCompare, wire.FileEffectRead, wire.FileNameTarget), nil
	case fileCompare:
		if !f.isUnchanged(e) {
			return f.overtaken(e)
		}
		return f.on(fileInstall, wire.FileEffectInstall, wire.FileNameTarget), nil
	case fileInstall:
		return f.installed(e)
	case fileDiscard:
		f.Temporary = false
		if f.InPlace {
			return f.writeInPlace()
		}
		return f.readTarget(), nil
	case fileSyncHome:
		// The file is in place already: where a file system cannot do this there is
		// nothing to undo.
		return f.on(fileReadPrevious, wire.FileEffectRead, wire.FileNamePrevious), nil
	case fileReadPrevious:
		return f.previousRead(e)
	case fileSettleOld:
		if failed {
			return f.check(), nil
		}
		return f.on(fileReadPrevious, wire.FileEffectRead, wire.FileNamePrevious), nil
	case fileRereadTarget:
		return f.merge(e)
	case fileCheck:
		return f.checked(e)

	case fileCreateJournal:
		switch {
		case e.Failure == wire.FileFailureNoRoom && f.Base == nil:
			return f.end(writeFailed(e.Failure))
		case failed:
			// The target can perhaps be written where nothing can be put beside it.
			return f.on(fileCompareInPlace, wire.FileEffectRead, wire.FileNameTarget), nil
		}
		return f.on(fileInstallJournal, wire.FileEffectInstall, wire.FileNameJournal), nil
	case fileInstallJournal:
		if failed {
			return f.on(fileSyncJournal, wire.FileEffectDiscard, wire.FileNameJournal), nil
		}
		f.Journal = true
		return f.on(fileSyncJournal, wire.FileEffectSync, wire.FileNameHome), nil
	case fileSyncJournal:
		return f.on(fileCompareInPlace, wire.FileEffectRead, wire.FileNameTarget), nil
	case fileCompareInPlace:
		if !f.isUnchanged(e) {
			return f.overtaken(e)
		}
		return f.write()
	case fileWrite, fileTruncate, fileSync:
		return f.written(e)
	case fileUndo:
		if failed {
			return f.on(fileUndoCheck, wire.FileEffectRead, wire.FileNameTarget), nil
		}
		return f.effect(fileUndoCut, wire.FileEffect{Type: wire.FileEffectTruncate, Name: wire.FileNameTarget, Size: int64(len(f.base()))}), nil
	case fileUndoCut:
		return f.on(fileUndoSync, wire.FileEffectSync, wire.FileNameTarget), nil
	case fileUndoSync:
		return f.release(), nil
	case fileUndoCheck:
		// What could not be undone is left to the next reader, with the journal.
		f.Journal = f.Journal && !failed && bytes.Equal(e.Content, f.base())
		return f.release(), nil
	case fileEndJournal:
		f.Journal = false
		return f.check(), nil

	case fileListLeftovers:
		f.Names = e.Names
		return f.removeLeftovers()
	case fileRemoveLeftover:
		return f.removeLeftovers()
	}
	return wire.FileEffect{}, fail(CodeInvalidState, "the state is not one that a step returned")
}

// isReading reports whether the operation only reads.
func (f *file) isReading() bool {
	return f.Operation == wire.FileOperationCredentials || f.Operation == wire.FileOperationLoad
}

func (f *file) readTarget() wire.FileEffect {
	f.Stat, f.Document, f.Base = nil, nil, nil
	return f.on(fileRead, wire.FileEffectRead, wire.FileNameTarget)
}

func (f *file) targetRead(e wire.FileEvent) (wire.FileEffect, error) {
	if e.Failure != "" {
		return f.end(readFailed(e.Failure))
	}
	f.see(e)
	if !f.Recovered {
		// Only now: a journal that was not there before may be there since.
		return f.on(fileLookJournal, wire.FileEffectLook, wire.FileNameJournal), nil
	}
	return f.settle()
}

// see remembers the target as it was read.
func (f *file) see(e wire.FileEvent) {
	f.Stat, f.Document, f.Base = e.Stat, e.Content, nil
	if e.Stat == nil {
		f.Document = nil
	}
}

// settle waits for a document that is being written. Clients up to 0.168 write it
// in place: for a moment it is empty, or ends too early, and the first moment can come
// before the time of its change.
func (f *file) settle() (wire.FileEffect, error) {
	if f.Stat != nil && (f.Waits == 0 || f.isYoung()) && f.Waits < maxSettle && !isJSON(f.Document) {
		return f.wait(fileSettle), nil
	}
	return f.haveDocument()
}

func (f *file) wait(step string) wire.FileEffect {
	f.Waits++
	return f.effect(step, wire.FileEffect{Type: wire.FileEffectWait, WaitMS: settleMS})
}

// isYoung reports whether the target was written just now.
func (f *file) isYoung() bool {
	age := f.now*1e9 - f.Stat.Modified
	return -settleAge < age && age < settleAge
}

func isJSON(document []byte) bool {
	_, err := parseJSON(document, maxStoredJSON)
	return err == nil
}

// haveDocument goes on once the target is read, whole or as whole as it gets.
func (f *file) haveDocument() (wire.FileEffect, error) {
	if f.Stat == nil && f.Attempts > 0 {
		return f.removed()
	}
	if f.Stat != nil && len(f.Document) == 0 {
		return f.end(fail(CodeInvalidAuthJSON, "auth.json is empty; sign in again"))
	}
	switch f.Operation {
	case wire.FileOperationCredentials:
		c := unusable(wire.CredentialsNone, CodeFileMissing, "there is no auth.json here; check the path, or sign in")
		if f.Stat != nil {
			var err error
			if c, err = ReadCredentials(f.Document); err != nil {
				return f.end(asError(err))
			}
		}
		return f.endWith(&wire.FileResult{Credentials: &c})
	case wire.FileOperationLoad:
		if f.Stat == nil {
			return f.end(nil)
		}
		record, err := GetAuthJSONIdentity(f.Document)
		if err != nil {
			return f.end(asError(err))
		}
		return f.endWith(&wire.FileResult{Record: record})
	}
	return f.replace()
}

// lockClient takes the locks of the reference client, in its order. Where they
// cannot even be made, nobody can have them. Who only reads goes on where others
// have them, and then changes nothing.
func (f *file) lockClient() wire.FileEffect { return f.lock(fileLockClient, wire.FileNameClientLock) }

func (f *file) lock(step, name string) wire.FileEffect {
	return f.effect(step, wire.FileEffect{Type: wire.FileEffectLock, Name: name, TimeoutMS: clientLockTimeoutMS})
}

func (f *file) locked(e wire.FileEvent, name string, next func() wire.FileEffect) (wire.FileEffect, error) {
	switch e.Failure {
	case "":
		f.Locked = append(f.Locked, name)
	case wire.FileFailureMissing, wire.FileFailureDenied, wire.FileFailureReadOnly:
	default:
		if !f.isReading() {
			return f.end(lockFailed(e.Failure))
		}
		f.Unlocked = true
	}
	return next(), nil
}

// The journal is what a write over the target was to come to, and what it began
// with: {"old":…,"new":…}, both in base64.

func journal(old, new []byte) []byte {
	return appendJSONObject(nil,
		"old", base64.StdEncoding.EncodeToString(old),
		"new", base64.StdEncoding.EncodeToString(new))
}

func parseJournal(text []byte) (old, new []byte, ok bool) {
	root, err := parseJSON(text, 4*maxInPlace)
	if err != nil {
		return nil, nil, false
	}
	var parts [2][]byte
	for i, name := range []string{"old", "new"} {
		text, ok := root.stringMember(name)
		if !ok {
			return nil, nil, false
		}
		if parts[i], err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, nil, false
		}
	}
	return parts[0], parts[1], isJSON(parts[1])
}

func (f *file) journalRead(e wire.FileEvent) (wire.FileEffect, error) {
	if e.Failure != "" || e.Stat == nil {
		return f.readTarget(), nil
	}
	old, new, ok := parseJournal(e.Content)
	if !ok {
		return f.removeJournal(), nil
	}
	f.Base, f.Document = old, new
	return f.on(fileReadTorn, wire.FileEffectRead, wire.FileNameTarget), nil
}

// tornRead ends a write that did not end itself. What is neither the old content nor
// on the way to the new is somebody else's, and newer.
func (f *file) tornRead(e wire.FileEvent) (wire.FileEffect, error) {
	if e.Failure != "" {
		return f.end(readFailed(e.Failure))
	}
	if e.Stat == nil || !isTorn(e.Content, f.Base, f.Document) {
		return f.removeJournal(), nil
	}
	f.Stat = e.Stat
	if f.Unlocked {
		f.Base = nil
		return f.haveDocument()
	}
	return f.effect(fileRestore, wire.FileEffect{Type: wire.FileEffectWrite, Name: wire.FileNameTarget, Content: pad(f.Document, len(e.Content))}), nil
}

// removeJournal ends with a journal that says nothing any more. To whoever has the
// locks it may say something.
func (f *file) removeJournal() wire.FileEffect {
	if f.Unlocked {
		return f.readTarget()
	}
	return f.on(fileRemoveJournal, wire.FileEffectRemove, wire.FileNameJournal)
}

// isTorn reports whether content is what a write of new over old can have left: as
// much of the new as was written, and the rest of the old, unless that was cut off;
// or, where the write was being undone, as much of the old again before that.
func isTorn(content, old, new []byte) bool {
	if bytes.Equal(content, old) || bytes.Equal(content, new) {
		return false
	}
	if rest, ok := bytes.CutPrefix(content, new); ok && len(bytes.Trim(rest, " ")) == 0 {
		return true
	}
	undone := commonPrefix(content, old)
	padded := pad(new, len(old))
	written := undone + commonPrefix(content[undone:], padded[min(undone, len(padded)):])
	if written == len(content) && written >= len(new) {
		return true
	}
	return bytes.Equal(content[written:], old[min(written, len(old)):])
}

// commonPrefix returns the length of what both begin with.
func commonPrefix(a, b []byte) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// pad returns a document with spaces after it, which mean nothing in JSON, so that
// it covers as many bytes.
func pad(document []byte, size int) []byte {
	return slices.Concat(document, bytes.Repeat([]byte{' '}, max(0, size-len(document))))
}

// restored goes on after each of the three operations that restore a document: the
// new one or, where the disk is too full for that, the old.
func (f *file) restored(e wire.FileEvent) (wire.FileEffect, error) {
	switch {
	case e.Failure == wire.FileFailureNoRoom && !bytes.Equal(f.Document, f.Base):
		f.Document = f.Base
		return f.effect(fileRestore, wire.FileEffect{Type: wire.FileEffectWrite, Name: wire.FileNameTarget, Content: f.Document}), nil
	case e.Failure != "" && f.isReading():
		// It cannot be mended from here, and can be read all the same.
		f.Base = nil
		return f.haveDocument()
	case e.Failure != "":
		return f.end(writeFailed(e.Failure))
	case f.Step == fileRestore:
		return f.effect(fileRestoreCut, wire.FileEffect{Type: wire.FileEffectTruncate, Name: wire.FileNameTarget, Size: int64(len(f.Document))}), nil
	case f.Step == fileRestoreCut:
		return f.on(fileRestoreSync, wire.FileEffectSync, wire.FileNameTarget), nil
	}
	return f.on(fileRemoveJournal, wire.FileEffectRemove, wire.FileNameJournal), nil
}

// base is the target's content that a replacement depends on.
func (f *file) base() []byte {
	if f.Base != nil {
		return f.Base
	}
	return f.Document
}

// emptyDocument is where an auth.json begins.
const emptyDocument = "{}\n"

// content is what the target is to be.
func (f *file) content() ([]byte, error) {
	document := f.Document
	if f.Stat == nil {
		document = []byte(emptyDocument)
	}
	switch {
	case f.Yielded:
		return document, nil
	case f.Operation == wire.FileOperationProbe:
		_, err := parseAuthJSON(document)
		return document, err
	}
	return SetAuthJSONIdentity(document, f.Record)
}

// replace puts the identity into the document that was read, if that has the one
// which is to be replaced. A probe puts the document itself in its place.
func (f *file) replace() (wire.FileEffect, error) {
	if f.Operation == wire.FileOperationSwap {
		var current []byte
		var err error
		if f.Stat != nil {
			current, err = GetAuthJSONIdentity(f.Document)
		}
		switch fits := err == nil && (isSameJSON(current, f.Expected) || isSameJSON(current, f.Record)); {
		case f.Base == nil && f.Yielded:
			return f.finish()
		case !fits && f.Base != nil:
			// What somebody wrote to the file that was replaced is there nowhere else.
			f.Yielded = true
		case err != nil:
			return f.end(asError(err))
		case !fits:
			return f.end(identityChanged())
		case f.Base == nil && isSameJSON(current, f.Record):
			return f.finish()
		}
	}
	content, err := f.content()
	if err != nil {
		return f.end(asError(err))
	}
	switch {
	case max(f.sizeOf(content), len(f.base())) > maxTarget:
		return f.end(fail(CodeFileWriteFailed, "auth.json is too large to be changed"))
	case f.Stat != nil && f.Stat.Mode&0o200 == 0:
		return f.end(fail(CodeStoreReadOnly, "auth.json is read-only; make it writable for its owner, so that the agent identity can be kept"))
	case f.InPlace || f.Stat != nil && f.Stat.Links > 1:
		// A rename would part it from its other names.
		return f.writeInPlace()
	case f.Operation == wire.FileOperationProbe && !f.Padded:
		f.Padded = true
		return f.effect(fileTryRoom, wire.FileEffect{Type: wire.FileEffectCreate, Name: wire.FileNameTarget, Content: pad(f.Document, len(f.Document)+room)}), nil
	}
	return f.create()
}

// sizeOf is how large the target becomes with that content, or by what a probe is
// for.
func (f *file) sizeOf(content []byte) int {
	if f.Operation == wire.FileOperationProbe {
		return len(content) + room
	}
	return len(content)
}

// isSameJSON reports whether two texts differ in white space at the most. No text
// is like null.
func isSameJSON(a, b []byte) bool { return bytes.Equal(compactJSON(a), compactJSON(b)) }

// compactJSON returns a JSON text without the white space between its tokens.
func compactJSON(text []byte) []byte {
	var b []byte
	inString, escaped := false, false
	for _, c := range text {
		switch {
		case inString:
			inString = escaped || c != '"'
			escaped = c == '\\' && !escaped
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			continue
		case c == '"':
			inString = true
		}
		b = append(b, c)
	}
	if string(b) == "null" {
		return nil
	}
	return b
}

func (f *file) roomTried(e wire.FileEvent) (wire.FileEffect, error) {
	if e.Failure != "" {
		return f.notCreated(e.Failure)
	}
	f.Temporary = true
	return f.on(fileFreeRoom, wire.FileEffectDiscard, wire.FileNameTarget), nil
}

func (f *file) create() (wire.FileEffect, error) {
	content, err := f.content()
	if err != nil {
		return f.end(asError(err))
	}
	return f.effect(fileCreate, wire.FileEffect{Type: wire.FileEffectCreate, Name: wire.FileNameTarget, Content: content}), nil
}

func (f *file) created(e wire.FileEvent) (wire.FileEffect, error) {
	if e.Failure != "" {
		return f.notCreated(e.Failure)
	}
	f.Temporary = true
	if f.Stat == nil {
		return f.on(fileCompare, wire.FileEffectRead, wire.FileNameTarget), nil
	}
	return f.on(fileOwn, wire.FileEffectOwn, wire.FileNameTarget), nil
}

// notCreated goes on where nothing can be put beside the target.
func (f *file) notCreated(failure string) (wire.FileEffect, error) {
	if f.Stat == nil || f.Base == nil && (failure == wire.FileFailureNoRoom || failure == wire.FileFailureCanceled) {
		return f.end(writeFailed(failure))
	}
	f.InPlace = true
	return f.writeInPlace()
}

// goInPlace gives up the temporary for a write over the target.
func (f *file) goInPlace() wire.FileEffect {
	f.InPlace = true
	return f.on(fileDiscard, wire.FileEffectDiscard, wire.FileNameTarget)
}

// removed ends where the target was there, and has gone: somebody has signed out.
func (f *file) removed() (wire.FileEffect, error) {
	return f.end(fail(CodeRecordChanged, "auth.json was removed while it was to be changed"))
}

func identityChanged() *Error {
	return fail(CodeRecordChanged, "another identity has taken the place of the one to be replaced")
}

// isUnchanged reports whether the target is the one that the replacement depends
// on.
func (f *file) isUnchanged(e wire.FileEvent) bool {
	if e.Failure != "" || (e.Stat == nil) != (f.Stat == nil) {
		return false
	}
	return f.Stat == nil || e.Stat.ID == f.Stat.ID && e.Stat.Size == f.Stat.Size && e.Stat.Modified == f.Stat.Modified &&
		bytes.Equal(e.Content, f.base())
}

// overtaken starts anew, because somebody else has changed the target.
func (f *file) overtaken(e wire.FileEvent) (wire.FileEffect, error) {
	f.Attempts++
	switch {
	case e.Failure == "" && e.Stat == nil:
		return f.removed()
	case f.Attempts >= maxAttempts:
		return f.end(fail(CodeFileBusy, "others keep changing auth.json; try again later"))
	case f.Temporary:
		return f.on(fileDiscard, wire.FileEffectDiscard, wire.FileNameTarget), nil
	case f.Journal:
		return f.on(fileRemoveJournal, wire.FileEffectRemove, wire.FileNameJournal), nil
	}
	return f.readTarget(), nil
}

func (f *file) installed(e wire.FileEvent) (wire.FileEffect, error) {
	switch {
	case e.Failure == "":
		f.Temporary = false
		return f.on(fileSyncHome, wire.FileEffectSync, wire.FileNameHome), nil
	case f.Stat == nil || f.Base == nil && e.Failure == wire.FileFailureNoRoom:
		return f.end(writeFailed(e.Failure))
	}
	return f.goInPlace(), nil
}

// previousRead looks whether somebody has written to the file that was replaced: who
// opened it before does not see the new one.
func (f *file) previousRead(e wire.FileEvent) (wire.FileEffect, error) {
	switch {
	case e.Failure != "" || e.Stat == nil || bytes.Equal(e.Content, f.base()):
		return f.check(), nil
	case !isJSON(e.Content) && f.Waits < maxSettle:
		return f.wait(fileSettleOld), nil
	case !isJSON(e.Content):
		return f.check(), nil
	}
	if f.Attempts++; f.Attempts >= maxAttempts {
		return f.end(fail(CodeFileBusy, "others keep changing auth.json; try again later"))
	}
	written, err := f.content()
	if err != nil {
		return f.end(asError(err))
	}
	f.Base, f.Document = written, e.Content
	return f.on(fileRereadTarget, wire.FileEffectRead, wire.FileNameTarget), nil
}

// merge replaces what this flow wrote by what somebody wrote to the file that it
// replaced, and the identity; unless the target is yet another by now.
func (f *file) merge(e wire.FileEvent) (wire.FileEffect, error) {
	if e.Failure != "" {
		return f.end(readFailed(e.Failure))
	}
	if e.Stat == nil || !bytes.Equal(e.Content, f.Base) {
		// Whoever wrote it knew of both, or cannot be helped.
		f.see(e)
		return f.settle()
	}
	f.Stat = e.Stat
	return f.replace()
}

// check looks whether what was written has stayed.
func (f *file) check() wire.FileEffect {
	return f.on(fileCheck, wire.FileEffectRead, wire.FileNameTarget)
}

func (f *file) checked(e wire.FileEvent) (wire.FileEffect, error) {
	content, err := f.content()
	switch {
	case err != nil:
		return f.end(asError(err))
	case e.Failure != "" || bytes.Equal(e.Content, content):
		return f.finish()
	case e.Stat == nil:
		return f.removed()
	}
	if f.Attempts++; f.Attempts >= maxAttempts {
		return f.end(fail(CodeFileBusy, "others keep changing auth.json; try again later"))
	}
	f.see(e)
	return f.settle()
}

// writeInPlace writes over the target, once what is to be written is in the
// journal.
func (f *file) writeInPlace() (wire.FileEffect, error) {
	content, err := f.content()
	if err != nil {
		return f.end(asError(err))
	}
	if max(f.sizeOf(content), len(f.base())) > maxInPlace {
		return f.end(fail(CodeFileWriteFailed, "auth.json can only be written in place, and is too large for that"))
	}
	return f.effect(fileCreateJournal, wire.FileEffect{Type: wire.FileEffectCreate, Name: wire.FileNameJournal, Content: journal(f.base(), content)}), nil
}

// write covers the old content in one go. A reader finds JSON even before the rest
// is cut off.
func (f *file) write() (wire.FileEffect, error) {
	content, err := f.content()
	if err != nil {
		return f.end(asError(err))
	}
	return f.effect(fileWrite, wire.FileEffect{Type: wire.FileEffectWrite, Name: wire.FileNameTarget, Content: pad(content, f.coverSize(content))}), nil
}

// coverSize is how much of the target is written over.
func (f *file) coverSize(content []byte) int { return max(f.sizeOf(content), len(f.base())) }

// written goes on after each of the three operations that write over the target.
func (f *file) written(e wire.FileEvent) (wire.FileEffect, error) {
	if e.Failure != "" {
		failure := writeFailed(e.Failure)
		f.Result = &wire.FileResult{Error: &wire.Error{Code: failure.Code, Message: failure.Message}}
		return f.effect(fileUndo, wire.FileEffect{Type: wire.FileEffectWrite, Name: wire.FileNameTarget, Content: f.base()}), nil
	}
	switch f.Step {
	case fileWrite:
		content, err := f.content()
		if err != nil {
			return f.end(asError(err))
		}
		if f.coverSize(content) == len(content) {
			// There is nothing to cut off, but of what somebody has written since.
			return f.on(fileSync, wire.FileEffectSync, wire.FileNameTarget), nil
		}
		return f.effect(fileTruncate, wire.FileEffect{Type: wire.FileEffectTruncate, Name: wire.FileNameTarget, Size: int64(len(content))}), nil
	case fileTruncate:
		return f.on(fileSync, wire.FileEffectSync, wire.FileNameTarget), nil
	}
	if f.Journal {
		return f.on(fileEndJournal, wire.FileEffectRemove, wire.FileNameJournal), nil
	}
	return f.check(), nil
}

// finish removes what killed processes have left beside the target, which holds
// secrets.
func (f *file) finish() (wire.FileEffect, error) {
	return f.effect(fileListLeftovers, wire.FileEffect{Type: wire.FileEffectList, Name: wire.FileNameLeftovers, Limit: fewFiles, OlderThan: leftoverAge}), nil
}

func (f *file) removeLeftovers() (wire.FileEffect, error) {
	if len(f.Names) == 0 {
		if f.Yielded {
			return f.end(identityChanged())
		}
		return f.end(nil)
	}
	name := f.Names[0]
	f.Names = f.Names[1:]
	return f.on(fileRemoveLeftover, wire.FileEffectRemove, wire.FileNameLeftovers+"/"+name), nil
}
