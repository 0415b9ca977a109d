package wire

// The messages of file.step, by which a host keeps a store's records in files
// beside an auth.json that it shares with other programs. The core decides, and
// knows no path: it names files by the part that they play, and the host derives
// the paths from the resolved one of auth.json.

// FileStepParams takes an operation on a store's files one step further.
type FileStepParams struct {
	// State is what the last step returned; absent at the start.
	State []byte    `cbor:"state,omitempty" json:"state,omitempty"`
	Event FileEvent `cbor:"event" json:"event"`
}

func (m *FileStepParams) fields() []field {
	return []field{{"event", &m.Event, false}, {"state", &m.State, true}}
}

// FileStep is what a step came to.
type FileStep struct {
	// State is for the next step, opaque, and secret. It is absent when the effect
	// is FileEffectDone.
	State  []byte     `cbor:"state,omitempty" json:"state,omitempty"`
	Effect FileEffect `cbor:"effect" json:"effect"`
}

func (m *FileStep) fields() []field {
	return []field{{"state", &m.State, true}, {"effect", &m.Effect, false}}
}

// The operations.
const (
	FileOperationCredentials = "credentials" // who is signed in
	FileOperationLoad        = "load"        // Slot
	FileOperationSave        = "save"        // Slot, Record
	FileOperationDelete      = "delete"      // Slot
	FileOperationSwap        = "swap"        // Slot, Expected, Record
	FileOperationProbe       = "probe"       // Slot; would a record be saved?
)

// The types of a file flow's events.
const (
	FileEventStart  = "start"  // Operation and what it takes
	FileEventDone   = "done"   // Stat, Content, Names, as the effect says
	FileEventFailed = "failed" // Failure
)

// What a FileEventFailed says went wrong.
const (
	// FileFailureMissing is a file, or its folder, that is not there, where the effect
	// needs one.
	FileFailureMissing = "missing"
	// FileFailureDenied is a lack of rights: EACCES, EPERM.
	FileFailureDenied = "denied"
	// FileFailureReadOnly is a file system that is mounted read-only: EROFS.
	FileFailureReadOnly = "read-only"
	// FileFailureBusy is a file that cannot be replaced where it is: EBUSY, EXDEV.
	FileFailureBusy = "busy"
	// FileFailureNoRoom is a full disk or a quota: ENOSPC, EDQUOT, EFBIG.
	FileFailureNoRoom = "no-room"
	// FileFailureLocked is a lock that others have held for too long.
	FileFailureLocked = "locked"
	// FileFailureUnsupported is what the file system cannot do: ENOLCK, ENOSYS, EOPNOTSUPP,
	// EBADF; and what the host cannot.
	FileFailureUnsupported = "unsupported"
	// FileFailureFolder is a folder, FileFailureNotRegular a link, pipe, socket or device, where a
	// regular file belongs.
	FileFailureFolder     = "folder"
	FileFailureNotRegular = "not-regular"
	// FileFailureTooLarge is a file of more than 512 KiB.
	FileFailureTooLarge = "too-large"
	// FileFailureCanceled is a caller that stopped waiting.
	FileFailureCanceled = "canceled"
	// FileFailureFailed is anything else.
	FileFailureFailed = "failed"
)

// FileEvent is what a host tells a file flow.
type FileEvent struct {
	Type string `cbor:"type" json:"type"`
	// Now is in Unix seconds.
	Now int64 `cbor:"now" json:"now"`

	Operation string `cbor:"operation,omitempty" json:"operation,omitempty"`
	Slot      string `cbor:"slot,omitempty" json:"slot,omitempty"`
	Record    []byte `cbor:"record,omitempty" json:"record,omitempty"`
	Expected  []byte `cbor:"expected,omitempty" json:"expected,omitempty"`
	// Beside keeps the identity in a file of its own, and leaves auth.json unwritten.
	Beside bool `cbor:"beside,omitempty" json:"beside,omitempty"`

	// Stat is of the file that the effect named, absent where there is none.
	Stat    *FileStat `cbor:"stat,omitempty" json:"stat,omitempty"`
	Content []byte    `cbor:"content,omitempty" json:"content,omitempty"`
	Names   []string  `cbor:"names,omitempty" json:"names,omitempty"`
	Failure string    `cbor:"failure,omitempty" json:"failure,omitempty"`
}

func (m *FileEvent) fields() []field {
	return []field{
		{"now", &m.Now, false},
		{"slot", &m.Slot, true},
		{"stat", opt(&m.Stat), true},
		{"type", &m.Type, false},
		{"names", &m.Names, true},
		{"beside", &m.Beside, true},
		{"record", &m.Record, true},
		{"content", &m.Content, true},
		{"failure", &m.Failure, true},
		{"expected", &m.Expected, true},
		{"operation", &m.Operation, true},
	}
}

// FileStat is what is known of a file beside its content.
type FileStat struct {
	// ID tells files apart: device and inode, in any form.
	ID string `cbor:"id" json:"id"`
	// Size is in bytes.
	Size int64 `cbor:"size" json:"size"`
	// Modified is in nanoseconds since the Unix epoch, or as exact as the host
	// knows.
	Modified int64 `cbor:"modified" json:"modified"`
	// Mode has the nine permission bits.
	Mode int64 `cbor:"mode" json:"mode"`
	// Links counts the names of the file.
	Links int64 `cbor:"links" json:"links"`
}

func (m *FileStat) fields() []field {
	return []field{
		{"id", &m.ID, false},
		{"mode", &m.Mode, false},
		{"size", &m.Size, false},
		{"links", &m.Links, false},
		{"modified", &m.Modified, false},
	}
}

// The types of a file flow's effects. Nothing follows a link but the way to the
// target, which is resolved once, and nothing waits for a pipe's other end.
const (
	// FileEffectRead reads a file: Stat and Content.
	FileEffectRead = "read"
	// FileEffectLook looks whether a file is there: Stat.
	FileEffectLook = "look"
	// FileEffectLock locks a file, which is made where it is missing, for TimeoutMS at
	// most; FileEffectUnlock gives it back.
	FileEffectLock   = "lock"
	FileEffectUnlock = "unlock"
	// FileEffectCreate writes Content, and to the disk, into a new file that is to take the
	// place of the one named: its temporary.
	FileEffectCreate = "create"
	// FileEffectOwn gives the target's temporary what the target has: owner, group, mode,
	// access control list. It fails where one cannot be kept.
	FileEffectOwn = "own"
	// FileEffectInstall renames the temporary, to the name of the file that it was made
	// for; FileEffectDiscard removes it.
	FileEffectInstall = "install"
	FileEffectDiscard = "discard"
	// FileEffectWrite writes Content over the beginning of the target; FileEffectTruncate cuts it
	// off after Size bytes; FileEffectSync brings it to the disk, or, of a folder, its
	// names.
	FileEffectWrite    = "write"
	FileEffectTruncate = "truncate"
	FileEffectSync     = "sync"
	// FileEffectMakeFolder makes a folder, unless it is there.
	FileEffectMakeFolder = "make-folder"
	// FileEffectMove gives a file the name To, unless there is one of that name: somebody
	// else has saved a newer record meanwhile.
	FileEffectMove = "move"
	// FileEffectRemove removes a file, or a folder that is empty.
	FileEffectRemove = "remove"
	// FileEffectList returns Limit Names at most, of entries that have not been modified
	// for OlderThan seconds.
	FileEffectList = "list"
	// FileEffectWait waits for WaitMS.
	FileEffectWait = "wait"
	// FileEffectDone stops, with Result.
	FileEffectDone = "done"
)

// The names of files, after the part that they play.
const (
	// FileNameTarget is auth.json itself, behind all links.
	FileNameTarget = "target"
	// FileNamePrevious is the file that was the target before FileEffectInstall, as long as
	// the operation lasts: who had it open still writes to it. A host that cannot
	// keep it says that it is missing.
	FileNamePrevious = "previous"
	// FileNameJournal holds what is being written over the target.
	FileNameJournal = "journal"
	// FileNameClientLock and FileNameTargetLock are those that the reference client takes,
	// in this order.
	FileNameClientLock = "client-lock"
	FileNameTargetLock = "target-lock"
	// FileNameHome is the target's folder.
	FileNameHome = "home"
	// FileNameLeftovers stands for the temporaries that nobody owns any more; followed
	// by a slash and a name for one of them.
	FileNameLeftovers = "leftovers"
	// FileNameRecord and a slot is the file of a slot that has one beside the target.
	FileNameRecord = "record/"
	// FileNameThreads is the folder of the threads' records; with a slash and a month,
	// such as 2026-11, the folder of those that were last used then; with another
	// slash and a name, one record of whichever thread.
	FileNameThreads = "threads"
	// FileNameThread and a month is this thread's record in the folder of that month.
	FileNameThread = "thread/"
)

// FileEffect is what a file flow asks its host to do.
type FileEffect struct {
	Type string `cbor:"type" json:"type"`
	Name string `cbor:"name,omitempty" json:"name,omitempty"`
	// To is the second name of FileEffectMove.
	To      string `cbor:"to,omitempty" json:"to,omitempty"`
	Content []byte `cbor:"content,omitempty" json:"content,omitempty"`
	// Size is of FileEffectTruncate, in bytes.
	Size int64 `cbor:"size,omitempty" json:"size,omitempty"`
	// TimeoutMS is of FileEffectLock, WaitMS of FileEffectWait, in milliseconds.
	TimeoutMS int64 `cbor:"timeout_ms,omitempty" json:"timeout_ms,omitempty"`
	WaitMS    int64 `cbor:"wait_ms,omitempty" json:"wait_ms,omitempty"`
	// Limit and OlderThan, in seconds, are of FileEffectList.
	Limit     int64       `cbor:"limit,omitempty" json:"limit,omitempty"`
	OlderThan int64       `cbor:"older_than,omitempty" json:"older_than,omitempty"`
	Result    *FileResult `cbor:"result,omitempty" json:"result,omitempty"`
}

func (m *FileEffect) fields() []field {
	return []field{
		{"to", &m.To, true},
		{"name", &m.Name, true},
		{"size", &m.Size, true},
		{"type", &m.Type, false},
		{"limit", &m.Limit, true},
		{"result", opt(&m.Result), true},
		{"content", &m.Content, true},
		{"wait_ms", &m.WaitMS, true},
		{"older_than", &m.OlderThan, true},
		{"timeout_ms", &m.TimeoutMS, true},
	}
}

// FileResult is what an operation came to.
type FileResult struct {
	// Record is of load, absent where there is none.
	Record []byte `cbor:"record,omitempty" json:"record,omitempty"`
	// Credentials are of credentials.
	Credentials *Credentials `cbor:"credentials,omitempty" json:"credentials,omitempty"`
	// Error says what failed, and that nothing has changed.
	Error *Error `cbor:"error,omitempty" json:"error,omitempty"`
}

func (m *FileResult) fields() []field {
	return []field{
		{"error", opt(&m.Error), true},
		{"record", &m.Record, true},
		{"credentials", opt(&m.Credentials), true},
	}
}

// FileState is what [FileStep.State] encodes. Hosts keep it as opaque bytes: its
// members may change without notice.
type FileState struct {
	Step      string `cbor:"step" json:"step"`
	Operation string `cbor:"operation" json:"operation"`
	Slot      string `cbor:"slot,omitempty" json:"slot,omitempty"`
	Record    []byte `cbor:"record,omitempty" json:"record,omitempty"`
	Expected  []byte `cbor:"expected,omitempty" json:"expected,omitempty"`
	Beside    bool   `cbor:"beside,omitempty" json:"beside,omitempty"`
	// Stat and Document are the target as it was last read. Base is its content where
	// that is another: what this flow wrote, while somebody wrote Document to the
	// file that it had replaced.
	Stat     *FileStat `cbor:"stat,omitempty" json:"stat,omitempty"`
	Document []byte    `cbor:"document,omitempty" json:"document,omitempty"`
	Base     []byte    `cbor:"base,omitempty" json:"base,omitempty"`
	// InPlace says that the target is written over, and not replaced; Padded that
	// the room for an identity has been tried; Temporary and Journal that there are
	// such files; Recovered that a journal was looked at.
	InPlace   bool `cbor:"in_place,omitempty" json:"in_place,omitempty"`
	Padded    bool `cbor:"padded,omitempty" json:"padded,omitempty"`
	Temporary bool `cbor:"temporary,omitempty" json:"temporary,omitempty"`
	Journal   bool `cbor:"journal,omitempty" json:"journal,omitempty"`
	Recovered bool `cbor:"recovered,omitempty" json:"recovered,omitempty"`
	// Yielded says that Document has another identity than was expected, and takes the
	// place of what this flow wrote.
	Yielded bool `cbor:"yielded,omitempty" json:"yielded,omitempty"`
	// Locked names the locks that are held. Unlocked says that others may hold one.
	Locked   []string `cbor:"locked,omitempty" json:"locked,omitempty"`
	Unlocked bool     `cbor:"unlocked,omitempty" json:"unlocked,omitempty"`
	// Attempts counts replacements that somebody got in the way of, Waits those for
	// a file to be whole.
	Attempts int64 `cbor:"attempts,omitempty" json:"attempts,omitempty"`
	Waits    int64 `cbor:"waits,omitempty" json:"waits,omitempty"`
	// Month is the one that is looked at, Names what is still to be removed.
	Month  string      `cbor:"month,omitempty" json:"month,omitempty"`
	Names  []string    `cbor:"names,omitempty" json:"names,omitempty"`
	Result *FileResult `cbor:"result,omitempty" json:"result,omitempty"`
}

func (m *FileState) fields() []field {
	return []field{
		{"base", &m.Base, true},
		{"slot", &m.Slot, true},
		{"stat", opt(&m.Stat), true},
		{"step", &m.Step, false},
		{"month", &m.Month, true},
		{"names", &m.Names, true},
		{"waits", &m.Waits, true},
		{"beside", &m.Beside, true},
		{"locked", &m.Locked, true},
		{"padded", &m.Padded, true},
		{"record", &m.Record, true},
		{"result", opt(&m.Result), true},
		{"journal", &m.Journal, true},
		{"yielded", &m.Yielded, true},
		{"attempts", &m.Attempts, true},
		{"document", &m.Document, true},
		{"expected", &m.Expected, true},
		{"in_place", &m.InPlace, true},
		{"unlocked", &m.Unlocked, true},
		{"operation", &m.Operation, false},
		{"recovered", &m.Recovered, true},
		{"temporary", &m.Temporary, true},
	}
}
