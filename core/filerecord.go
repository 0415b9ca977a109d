package core

import (
	"bytes"

	"github.com/agentassert/agentassert/core/wire"
)

// threadMonths is in how many months a thread's record is looked for: this one and
// those before, of which the oldest is over when its last day is 90 days past.
const threadMonths = 4

// manyMonths is how many folders are looked at for one that is too old.
const manyMonths = 64

// nextRecord handles the answer to an effect that concerns a record with a file of
// its own.
func (f *file) nextRecord(e wire.FileEvent) (wire.FileEffect, error) {
	failed := e.Failure != ""
	switch f.Step {
	case recordRead:
		if failed {
			return f.end(readFailed(e.Failure))
		}
		return f.endWith(&wire.FileResult{Record: e.Content})
	case recordLock:
		return f.locked(e, wire.FileNameTargetLock, func() wire.FileEffect { return f.on(recordCompare, wire.FileEffectRead, f.recordName()) })
	case recordCompare:
		switch {
		case failed:
			return f.end(readFailed(e.Failure))
		case bytes.Equal(e.Content, f.Record):
			return f.end(nil)
		case !bytes.Equal(e.Content, f.Expected):
			return f.end(fail(CodeRecordChanged, "another record has taken the place of the one to be replaced"))
		case len(f.Record) == 0:
			return f.removeRecord()
		}
		return f.createRecord()
	case recordFolder:
		if failed {
			return f.end(writeFailed(e.Failure))
		}
		return f.on(recordMonth, wire.FileEffectMakeFolder, wire.FileNameThreads+"/"+f.Month), nil
	case recordMonth:
		if failed {
			return f.end(writeFailed(e.Failure))
		}
		return f.createRecord()
	case recordCreate:
		switch {
		case failed:
			return f.end(writeFailed(e.Failure))
		case f.Operation == wire.FileOperationProbe:
			return f.on(recordDiscard, wire.FileEffectDiscard, f.recordName()), nil
		}
		return f.on(recordInstall, wire.FileEffectInstall, f.recordName()), nil
	case recordInstall:
		if failed {
			failure := writeFailed(e.Failure)
			f.Result = &wire.FileResult{Error: &wire.Error{Code: failure.Code, Message: failure.Message}}
			return f.on(recordDiscard, wire.FileEffectDiscard, f.recordName()), nil
		}
		folder := wire.FileNameHome
		if f.Month != "" {
			folder = wire.FileNameThreads + "/" + f.Month
		}
		return f.on(recordSync, wire.FileEffectSync, folder), nil
	case recordSync:
		if f.Month != "" {
			return f.listMonths(), nil
		}
		return f.end(nil)
	case recordDiscard:
		if f.Result == nil {
			return f.end(nil)
		}
		return f.release(), nil
	case recordRemove:
		if failed && e.Failure != wire.FileFailureMissing {
			return f.end(writeFailed(e.Failure))
		}
		return f.end(nil)
	}
	return f.nextThread(e)
}

// startRecord begins an operation on a slot other than a thread's.
func (f *file) startRecord() (wire.FileEffect, error) {
	switch f.Operation {
	case wire.FileOperationLoad:
		return f.on(recordRead, wire.FileEffectRead, f.recordName()), nil
	case wire.FileOperationSwap:
		return f.lock(recordLock, wire.FileNameTargetLock), nil
	case wire.FileOperationDelete:
		return f.removeRecord()
	}
	return f.createRecord()
}

// recordName is the file of the operation's slot.
func (f *file) recordName() string {
	if f.Month != "" {
		return wire.FileNameThread + f.Month
	}
	return wire.FileNameRecord + f.Slot
}

func (f *file) createRecord() (wire.FileEffect, error) {
	content := f.Record
	if f.Operation == wire.FileOperationProbe {
		content = pad(nil, room)
	}
	return f.effect(recordCreate, wire.FileEffect{Type: wire.FileEffectCreate, Name: f.recordName(), Content: content}), nil
}

func (f *file) removeRecord() (wire.FileEffect, error) {
	return f.on(recordRemove, wire.FileEffectRemove, f.recordName()), nil
}

// startThread begins an operation on a thread's slot.
func (f *file) startThread() (wire.FileEffect, error) {
	month, err := f.month(0)
	if err != nil {
		return wire.FileEffect{}, err
	}
	f.Month = month
	switch f.Operation {
	case wire.FileOperationLoad:
		return f.on(threadRead, wire.FileEffectRead, f.recordName()), nil
	case wire.FileOperationDelete:
		return f.on(threadRemove, wire.FileEffectRemove, f.recordName()), nil
	}
	return f.on(recordFolder, wire.FileEffectMakeFolder, wire.FileNameThreads), nil
}

// earlier goes on to the month before, unless that was the last. Attempts counts
// them.
func (f *file) earlier() (ok bool, err error) {
	if f.Attempts++; f.Attempts >= threadMonths {
		return false, nil
	}
	f.Month, err = f.month(int(f.Attempts))
	return err == nil, err
}

// nextThread handles the answer to an effect that concerns the threads' folders.
// What fails among them while a record moves or an old one is removed is left for
// the next time.
func (f *file) nextThread(e wire.FileEvent) (wire.FileEffect, error) {
	failed := e.Failure != ""
	switch f.Step {
	case threadRead:
		switch {
		case failed:
			return f.end(readFailed(e.Failure))
		case e.Stat == nil:
			more, err := f.earlier()
			if err != nil {
				return wire.FileEffect{}, err
			}
			if more {
				return f.on(threadRead, wire.FileEffectRead, f.recordName()), nil
			}
			return f.end(nil)
		}
		f.Result = &wire.FileResult{Record: e.Content}
		if f.Attempts == 0 {
			return f.release(), nil
		}
		now, err := f.month(0)
		if err != nil {
			return wire.FileEffect{}, err
		}
		return f.on(threadMonth, wire.FileEffectMakeFolder, wire.FileNameThreads+"/"+now), nil
	case threadMonth:
		now, err := f.month(0)
		if err != nil {
			return wire.FileEffect{}, err
		}
		if failed {
			return f.release(), nil
		}
		return f.effect(threadMove, wire.FileEffect{Type: wire.FileEffectMove, Name: f.recordName(), To: wire.FileNameThread + now}), nil
	case threadMove:
		return f.release(), nil
	case threadRemove:
		if failed && e.Failure != wire.FileFailureMissing {
			return f.end(writeFailed(e.Failure))
		}
		more, err := f.earlier()
		if err != nil {
			return wire.FileEffect{}, err
		}
		if more {
			return f.on(threadRemove, wire.FileEffectRemove, f.recordName()), nil
		}
		return f.end(nil)

	case threadListMonths:
		oldest, err := f.month(threadMonths - 1)
		if err != nil {
			return wire.FileEffect{}, err
		}
		for _, name := range e.Names {
			if isMonth(name) && name < oldest {
				f.Month = name
				return f.effect(threadListOld, wire.FileEffect{Type: wire.FileEffectList, Name: wire.FileNameThreads + "/" + name, Limit: fewFiles}), nil
			}
		}
		return f.end(nil)
	case threadListOld:
		f.Names = e.Names
		if !failed && len(f.Names) == 0 {
			return f.on(threadRemoveMonth, wire.FileEffectRemove, wire.FileNameThreads+"/"+f.Month), nil
		}
		return f.removeOld()
	case threadRemoveOld:
		return f.removeOld()
	case threadRemoveMonth:
		return f.end(nil)
	}
	return wire.FileEffect{}, fail(CodeInvalidState, "the state is not one that a step returned")
}

// listMonths begins to look for records that were not used for long.
func (f *file) listMonths() wire.FileEffect {
	return f.effect(threadListMonths, wire.FileEffect{Type: wire.FileEffectList, Name: wire.FileNameThreads, Limit: manyMonths})
}

func (f *file) removeOld() (wire.FileEffect, error) {
	if len(f.Names) == 0 {
		return f.end(nil)
	}
	name := f.Names[0]
	f.Names = f.Names[1:]
	return f.on(threadRemoveOld, wire.FileEffectRemove, wire.FileNameThreads+"/"+f.Month+"/"+name), nil
}
