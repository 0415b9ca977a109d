package core

import (
	"strconv"
	"strings"

	"github.com/agentassert/agentassert/core/wire"
)

// The steps of a file flow, named after the effect whose answer is awaited.
const (
	// An auth.json that is read, and waited for where somebody is writing it.
	fileRead        = "read"
	fileLookJournal = "look-journal"
	fileSettle      = "settle"

	// The client's locks.
	fileLockClient = "lock-client"
	fileLockTarget = "lock-target"
	fileUnlock     = "unlock"

	// What a write that did not end has left.
	fileReadJournal    = "read-journal"
	fileReadTorn       = "read-torn"
	fileRestore        = "restore"
	fileRestoreCut     = "restore-cut"
	fileRestoreSync    = "restore-sync"
	fileRemoveJournal  = "remove-journal"
	fileReleaseJournal = "release-journal"

	// A replacement.
	fileTryRoom      = "try-room"
	fileFreeRoom     = "free-room"
	fileCreate       = "create"
	fileOwn          = "own"
	fileCompare      = "compare"
	fileInstall      = "install"
	fileDiscard      = "discard"
	fileSyncHome     = "sync-home"
	fileReadPrevious = "read-previous"
	fileSettleOld    = "settle-previous"
	fileRereadTarget = "reread-target"
	fileCheck        = "check"

	// A write over the target.
	fileCreateJournal  = "create-journal"
	fileInstallJournal = "install-journal"
	fileSyncJournal    = "sync-journal"
	fileCompareInPlace = "compare-in-place"
	fileWrite          = "write"
	fileTruncate       = "truncate"
	fileSync           = "sync"
	fileUndo           = "undo"
	fileUndoCut        = "undo-cut"
	fileUndoSync       = "undo-sync"
	fileUndoCheck      = "undo-check"
	fileEndJournal     = "end-journal"

	// Leftovers of killed processes.
	fileListLeftovers  = "list-leftovers"
	fileRemoveLeftover = "remove-leftover"

	// Records with a file of their own.
	recordRead    = "record-read"
	recordLock    = "record-lock"
	recordCompare = "record-compare"
	recordFolder  = "record-folder"
	recordMonth   = "record-month"
	recordCreate  = "record-create"
	recordInstall = "record-install"
	recordSync    = "record-sync"
	recordDiscard = "record-discard"
	recordRemove  = "record-remove"

	// Those of threads.
	threadRead        = "thread-read"
	threadMonth       = "thread-month"
	threadMove        = "thread-move"
	threadListMonths  = "thread-list-months"
	threadListOld     = "thread-list-old"
	threadRemoveOld   = "thread-remove-old"
	threadRemoveMonth = "thread-remove-month"
	threadRemove      = "thread-remove"
)

const (
	// clientLockTimeoutMS is how long the reference client waits for its lock, and so
	// are we.
	clientLockTimeoutMS = 5000
	// settleMS is how often a file is read again that is being written, and
	// maxSettle how often at the most; what was last written longer ago than
	// settleAge, in nanoseconds, is as it stays.
	settleMS        = 5
	maxSettle       = 200
	settleAge int64 = 2e9
	// maxAttempts is how often a replacement is tried while others write the file.
	maxAttempts = 8
	// room is more than an identity adds to a file, in bytes.
	room = 16 << 10
	// maxTarget is the largest document that is replaced, in bytes: there can be two
	// in the state, and a third in the same message. maxInPlace is the largest that is
	// written over: the journal has it twice as well, in base64.
	maxTarget  = 192 << 10
	maxInPlace = 128 << 10
	// leftoverAge is how old a temporary must be to be nobody's, in seconds: far
	// older than any write takes.
	leftoverAge = 3600
	// fewFiles is how many files one operation removes at the most.
	fewFiles = 16
)

// FileStep takes an operation on the files of a store a step further, as [Step]
// does the flow of a call: credentials, load, save, delete, swap or probe, on a
// slot. The first event is FileEventStart, without a state; every later one answers
// the effect before it. The operation ends with wire.FileEffectDone.
//
// The identity is in auth.json, a file of another program's, which must be no worse
// off for it. So it is only ever swapped; under the locks of that program, for as
// long as that takes and no longer; put in place by a rename where everything else
// that the file has can be kept, and otherwise written over, with a journal beside
// it, from which whoever reads next restores it if the write did not end. What
// somebody else writes meanwhile, who takes no lock, is not lost: it is compared
// before the write and looked for after it, and the swap then starts anew. Only where
// the file is written over is there an instant, between the comparison and the write,
// that nobody can look into.
//
// The other slots have files of their own beside it; who swaps one holds the
// target's lock. The threads' are in a folder for each month, so that what was not
// used for long is found without a search: a record moves to the current month when
// it is read, and months go that are more than 90 days past.
//
// What fails is in the result: CodeFileMissing, CodeFileUnreadable, CodeFileIsFolder,
// CodeFileNotRegular, CodeFileLocked, CodeFileLockUnavailable, CodeFileWriteFailed,
// CodeFileBusy, CodeStoreReadOnly, CodeRecordChanged, CodeInvalidAuthJSON,
// CodeAuthJSONByteOrderMark, CodeAuthJSONUTF16, CodeInvalidRecord. The errors of
// FileStep itself are the caller's mistakes: CodeInvalidState, CodeUnexpectedEvent,
// CodeInvalidRequest, CodeInvalidTime.
func FileStep(p wire.FileStepParams) (wire.FileStep, error) {
	f := file{now: p.Event.Now}
	if len(p.State) > 0 {
		if err := wire.Decode(p.State, &f.FileState); err != nil || f.Step == stepStart {
			return wire.FileStep{}, fail(CodeInvalidState, "the state is not one that a step returned")
		}
	}
	if f.now < minTime || f.now > maxTime {
		return wire.FileStep{}, fail(CodeInvalidTime, "the time is not between the years 0 and 9999")
	}
	effect, err := f.next(p.Event)
	if err != nil {
		return wire.FileStep{}, err
	}
	if effect.Type == wire.FileEffectDone {
		return wire.FileStep{Effect: effect}, nil
	}
	return wire.FileStep{State: wire.Encode(&f.FileState), Effect: effect}, nil
}

type file struct {
	wire.FileState
	now int64
}

// next handles an event.
func (f *file) next(e wire.FileEvent) (wire.FileEffect, error) {
	if (f.Step == stepStart) != (e.Type == wire.FileEventStart) {
		return wire.FileEffect{}, fail(CodeUnexpectedEvent, "a file flow begins with one start, and goes on without")
	}
	switch e.Type {
	case wire.FileEventStart:
		return f.start(e)
	case wire.FileEventDone:
		e.Failure = ""
	case wire.FileEventFailed:
		if e.Failure == "" {
			e.Failure = wire.FileFailureFailed
		}
	default:
		return wire.FileEffect{}, fail(CodeUnexpectedEvent, "the event is not start, done or failed")
	}
	if strings.HasPrefix(f.Step, "record-") || strings.HasPrefix(f.Step, "thread-") {
		return f.nextRecord(e)
	}
	return f.nextTarget(e)
}

func (f *file) start(e wire.FileEvent) (wire.FileEffect, error) {
	f.Operation, f.Slot, f.Record, f.Expected, f.Beside = e.Operation, e.Slot, e.Record, e.Expected, e.Beside
	if e.Operation == wire.FileOperationCredentials {
		return f.readTarget(), nil
	}
	thread, isThread := strings.CutPrefix(e.Slot, wire.SlotThread)
	switch {
	case isThread && thread != "":
	case e.Slot == wire.SlotIdentity, e.Slot == wire.SlotBackoff, e.Slot == wire.SlotBackend, e.Slot == wire.SlotSetAside:
	default:
		return wire.FileEffect{}, fail(CodeInvalidRequest, "there is no such slot")
	}
	inTarget := e.Slot == wire.SlotIdentity && !e.Beside
	switch e.Operation {
	case wire.FileOperationLoad:
	case wire.FileOperationSave:
		if len(e.Record) == 0 || inTarget {
			return wire.FileEffect{}, fail(CodeInvalidRequest, "there is nothing to save, or it is the identity, which is swapped")
		}
	case wire.FileOperationSwap:
		if isThread {
			return wire.FileEffect{}, fail(CodeInvalidRequest, "a thread's record is not swapped")
		}
	case wire.FileOperationDelete, wire.FileOperationProbe:
		if inTarget && e.Operation == wire.FileOperationDelete {
			return wire.FileEffect{}, fail(CodeInvalidRequest, "the identity is swapped, and not deleted")
		}
	default:
		return wire.FileEffect{}, fail(CodeInvalidRequest, "there is no such operation")
	}
	switch {
	case inTarget && e.Operation == wire.FileOperationLoad:
		return f.readTarget(), nil
	case inTarget:
		return f.lockClient(), nil
	case isThread:
		return f.startThread()
	}
	return f.startRecord()
}

// effect asks for something, whose answer the step handles.
func (f *file) effect(step string, e wire.FileEffect) wire.FileEffect {
	f.Step = step
	return e
}

func (f *file) on(step, effect, name string) wire.FileEffect {
	return f.effect(step, wire.FileEffect{Type: effect, Name: name})
}

// end stops with an error, or without, once everything is given back.
func (f *file) end(err *Error) (wire.FileEffect, error) {
	result := &wire.FileResult{}
	if err != nil {
		result.Error = &wire.Error{Code: err.Code, Message: err.Message}
	}
	return f.endWith(result)
}

func (f *file) endWith(result *wire.FileResult) (wire.FileEffect, error) {
	f.Result = result
	return f.release(), nil
}

// release gives back what the operation holds, the last first, and stops.
func (f *file) release() wire.FileEffect {
	switch held := len(f.Locked); {
	case f.Temporary:
		f.Temporary = false
		return f.on(fileUnlock, wire.FileEffectDiscard, wire.FileNameTarget)
	case f.Journal:
		f.Journal = false
		return f.on(fileReleaseJournal, wire.FileEffectRemove, wire.FileNameJournal)
	case held > 0:
		name := f.Locked[held-1]
		f.Locked = f.Locked[:held-1]
		return f.on(fileUnlock, wire.FileEffectUnlock, name)
	}
	return wire.FileEffect{Type: wire.FileEffectDone, Result: f.Result}
}

// readFailed is the error of a file that could not be read.
func readFailed(failure string) *Error {
	switch failure {
	case wire.FileFailureFolder:
		return fail(CodeFileIsFolder, "this is a folder; name the auth.json in it")
	case wire.FileFailureNotRegular:
		return fail(CodeFileNotRegular, "this is a pipe, a socket, a device or a link, and no file")
	case wire.FileFailureTooLarge:
		return fail(CodeFileUnreadable, "the file is larger than 512 KiB, and surely not what it should be")
	case wire.FileFailureDenied:
		return fail(CodeFileUnreadable, "the file cannot be opened; check who may read it")
	}
	return fail(CodeFileUnreadable, "the file cannot be read ("+failure+")")
}

// writeFailed is the error of a file that could not be written.
func writeFailed(failure string) *Error {
	switch failure {
	case wire.FileFailureReadOnly:
		return fail(CodeStoreReadOnly, "the file is on a file system that is mounted read-only; mount it for writing, so that the agent identity can be kept")
	case wire.FileFailureDenied:
		return fail(CodeStoreReadOnly, "the file cannot be written; check who may write it and its folder")
	case wire.FileFailureNoRoom:
		return fail(CodeFileWriteFailed, "the disk is full; the file is as it was")
	case wire.FileFailureMissing:
		return fail(CodeFileWriteFailed, "the folder of the file does not exist; check the path")
	case wire.FileFailureNotRegular, wire.FileFailureFolder:
		return readFailed(failure)
	}
	return fail(CodeFileWriteFailed, "the file was not written, and is as it was ("+failure+")")
}

// lockFailed is the error of a lock that could not be had.
func lockFailed(failure string) *Error {
	switch failure {
	case wire.FileFailureLocked:
		return fail(CodeFileLocked, "another process holds the lock of auth.json; end that, or wait")
	case wire.FileFailureUnsupported:
		return fail(CodeFileLockUnavailable, "the file system of auth.json has no locks; where no other process uses the file, say that none are needed")
	}
	return fail(CodeFileLocked, "the lock of auth.json cannot be had ("+failure+")")
}

// month is the one that a thread's record was last used in, the given number of
// months before now.
func (f *file) month(before int) (string, error) {
	now, err := formatTimestamp(f.now)
	if err != nil {
		return "", err
	}
	year, _ := strconv.Atoi(now[:4])
	month, _ := strconv.Atoi(now[5:7])
	n := max(year*12+month-1-before, 0)
	return strconv.Itoa(10000 + n/12)[1:] + "-" + strconv.Itoa(101 + n%12)[1:], nil
}

// isMonth reports whether a name has the form of a month's.
func isMonth(name string) bool {
	_, err := parseTimestamp(name + "-01T00:00:00Z")
	return err == nil && len(name) == len("2026-11")
}
