package authfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

const (
	// maxSize is the largest file that is read, in bytes.
	maxSize = 512 << 10
	// secretMode is for files with secrets, secretFolderMode for folders of them,
	// where there is no auth.json whose mode says more.
	secretMode       fs.FileMode = 0o600
	secretFolderMode fs.FileMode = 0o700
	// manyEntries is how many entries of a folder are looked at, at the most, for
	// some that are old.
	manyEntries = 1024
)

// operation carries out the effects of one file flow.
type operation struct {
	file *File
	ctx  context.Context
	slot string
	// target is auth.json's path, behind all links.
	target string
	// temporaries are those that were made, by the names of the files that they are
	// for.
	temporaries map[string]temporary
	// previous is the file that was the target, open since before it was replaced.
	previous *os.File
	unlock   map[string]func()
	// err is the last failure, in the system's words.
	err error
}

// temporary is a file that is to take the place of another.
type temporary struct {
	path string
	// info is of the file that was made: by the time that it is looked at again,
	// somebody may have put another under its name.
	info fs.FileInfo
}

// What tests take the place of.
var (
	// afterEffect is called after each effect: tests end there as a killed process
	// does, or write the file as another program does.
	afterEffect = func(wire.FileEffect) {}
	// writeAt writes content at the beginning of a file: tests end in the middle.
	writeAt = func(f *os.File, content []byte) error {
		_, err := f.WriteAt(content, 0)
		return err
	}
	now = time.Now
)

// close gives back what a flow that did not end has left.
func (o *operation) close() {
	for _, unlock := range o.unlock {
		unlock()
	}
	if o.previous != nil {
		_ = o.previous.Close()
	}
}

// carryOut does what an effect asks for.
func (o *operation) carryOut(e wire.FileEffect) wire.FileEvent {
	event, err := o.try(e)
	afterEffect(e)
	if err != nil {
		o.err = err
		return wire.FileEvent{Type: wire.FileEventFailed, Failure: failureOf(err)}
	}
	event.Type = wire.FileEventDone
	return event
}

func (o *operation) try(e wire.FileEffect) (event wire.FileEvent, err error) {
	if e.Type == wire.FileEffectWait {
		return event, wait(o.ctx, time.Duration(e.WaitMS)*time.Millisecond)
	}
	if e.Name == wire.FileNamePrevious && e.Type == wire.FileEffectRead {
		return o.readPrevious()
	}
	if e.Name == wire.FileNameLeftovers && e.Type == wire.FileEffectList {
		event.Names, err = list(filepath.Dir(o.target), e, o.isLeftover)
		return event, err
	}
	path, err := o.path(e.Name)
	if err != nil {
		return event, err
	}
	switch e.Type {
	case wire.FileEffectRead:
		return read(path)
	case wire.FileEffectLook:
		event.Stat, err = look(path)
	case wire.FileEffectLock:
		err = o.lock(e, path)
	case wire.FileEffectUnlock:
		o.give(e.Name)
	case wire.FileEffectCreate:
		err = o.create(e.Name, path, e.Content)
	case wire.FileEffectOwn:
		err = o.own(e.Name)
	case wire.FileEffectInstall:
		err = o.install(e.Name, path)
	case wire.FileEffectDiscard:
		err = os.Remove(o.temporaries[e.Name].path)
	case wire.FileEffectWrite:
		err = change(path, func(f *os.File) error { return writeAt(f, e.Content) })
	case wire.FileEffectTruncate:
		err = change(path, func(f *os.File) error { return f.Truncate(e.Size) })
	case wire.FileEffectSync:
		err = syncPath(path, e.Name == wire.FileNameTarget)
	case wire.FileEffectMakeFolder:
		err = o.makeFolder(path)
	case wire.FileEffectMove:
		var to string
		if to, err = o.path(e.To); err == nil {
			err = move(path, to)
		}
	case wire.FileEffectRemove:
		err = os.Remove(path)
	case wire.FileEffectList:
		event.Names, err = list(path, e, func(string) bool { return true })
	default:
		err = fmt.Errorf("%w: an effect %q", errUnknown, e.Type)
	}
	return event, err
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var (
	errNotRegular = errors.New("no regular file")
	errTooLarge   = errors.New("larger than 512 KiB")
)

// open opens a regular file, and nothing else: it follows no link, and waits for
// nobody at a pipe's other end.
func open(path string, flag int) (*os.File, fs.FileInfo, error) {
	// A device can do something when it is opened.
	if info, err := os.Lstat(path); err != nil {
		return nil, nil, err
	} else if err := checkRegular(path, info); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, flag|openFlags, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = checkRegular(path, info)
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// errFolder is a folder where a file belongs.
var errFolder = errors.New("a folder")

func checkRegular(path string, info fs.FileInfo) error {
	switch {
	case info.Mode().IsRegular():
		return nil
	case info.IsDir():
		return &fs.PathError{Op: "open", Path: path, Err: errFolder}
	}
	return &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
}

// read returns a file's content, and what else is known of it; of a file that is not
// there, nothing.
func read(path string) (wire.FileEvent, error) {
	f, _, err := open(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return wire.FileEvent{}, nil
	}
	if err != nil {
		return wire.FileEvent{}, err
	}
	defer f.Close()
	return readOpen(f)
}

func readOpen(f *os.File) (wire.FileEvent, error) {
	content, err := io.ReadAll(io.LimitReader(io.NewSectionReader(f, 0, maxSize+1), maxSize+1))
	if err != nil {
		return wire.FileEvent{}, err
	}
	if len(content) > maxSize {
		return wire.FileEvent{}, &fs.PathError{Op: "read", Path: f.Name(), Err: errTooLarge}
	}
	// Of the content, and not of what came before it.
	info, err := f.Stat()
	if err != nil {
		return wire.FileEvent{}, err
	}
	stat := newStat(info)
	return wire.FileEvent{Stat: &stat, Content: content}, nil
}

// readFile returns the content of a file of another kind.
func readFile(path string, limit int64) ([]byte, error) {
	f, _, err := open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

func (o *operation) readPrevious() (wire.FileEvent, error) {
	if o.previous == nil {
		return wire.FileEvent{}, nil
	}
	return readOpen(o.previous)
}

func look(path string) (*wire.FileStat, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	stat := newStat(info)
	return &stat, nil
}

func newStat(info fs.FileInfo) wire.FileStat {
	id, links := identify(info)
	return wire.FileStat{
		ID: id, Size: info.Size(), Modified: info.ModTime().UnixNano(), Mode: int64(info.Mode().Perm()), Links: links,
	}
}

// lock takes one of the client's locks. For a file named auth they are the same.
func (o *operation) lock(e wire.FileEffect, path string) error {
	if e.Name == wire.FileNameTargetLock && path == clientLock(o.target) {
		return nil
	}
	limited, cancel := context.WithTimeout(o.ctx, time.Duration(e.TimeoutMS)*time.Millisecond)
	defer cancel()
	unlock, err := o.file.take(limited, lockFile{target: o.target, path: path, poll: lockPoll})
	if err != nil {
		return lockError(o.ctx, err)
	}
	if o.unlock == nil {
		o.unlock = make(map[string]func())
	}
	o.unlock[e.Name] = unlock
	return nil
}

// give gives a lock back.
func (o *operation) give(name string) {
	if unlock := o.unlock[name]; unlock != nil {
		delete(o.unlock, name)
		unlock()
	}
}

// create writes a file's temporary.
func (o *operation) create(name, path string, content []byte) (err error) {
	made := filepath.Join(filepath.Dir(path), temporaryPrefix+filepath.Base(path)+strconv.FormatUint(rand.Uint64(), 10))
	f, err := os.OpenFile(made, os.O_WRONLY|os.O_CREATE|os.O_EXCL|openFlags, secretMode)
	if err != nil {
		return err
	}
	// The target gets what it had, and the journal is for us where nobody else can
	// have it; any other record that only we could read would be in the way of
	// those whose file this is.
	err = o.share(f, secretMode)
	if name == wire.FileNameTarget || name == wire.FileNameJournal {
		err = nil
	}
	if err == nil {
		err = writeAt(f, content)
	}
	if err == nil {
		err = f.Sync()
	}
	info, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Close()); err != nil {
		return errors.Join(err, os.Remove(made))
	}
	if o.temporaries == nil {
		o.temporaries = make(map[string]temporary)
	}
	o.temporaries[name] = temporary{made, info}
	return nil
}

// own gives a temporary of the target what the target has.
func (o *operation) own(name string) error {
	made := o.temporaries[name]
	f, info, err := open(made.path, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	if !os.SameFile(info, made.info) {
		return &fs.PathError{Op: "open", Path: made.path, Err: errNotRegular}
	}
	return keepAttributes(o.target, f)
}

// install renames a temporary. Of the target it keeps the file that was there.
func (o *operation) install(name, path string) error {
	if name == wire.FileNameTarget && keepsPrevious {
		if o.previous != nil {
			_ = o.previous.Close()
			o.previous = nil
		}
		if f, _, err := open(path, os.O_RDONLY); err == nil {
			o.previous = f
		}
	}
	return os.Rename(o.temporaries[name].path, path)
}

// share gives a file that was just made to those who have the target: whom it
// belongs to, and who may read and write it. It fails where the target's owner
// would not get at it, and it is then for whoever made it alone. Where there is no
// target, it is for whom the folder belongs to.
func (o *operation) share(f *os.File, mode fs.FileMode) error {
	info, err := os.Lstat(o.target)
	if err != nil {
		if info, err = os.Lstat(filepath.Dir(o.target)); err == nil {
			_ = giveTo(f, info)
		}
		return nil
	}
	rights := info.Mode().Perm() & 0o666
	if err := giveTo(f, info); err != nil {
		// The owner is then one of the group, or of all others.
		if giveToGroup(f, info) != nil {
			rights &^= 0o060
		}
		switch {
		case isOwnedAlike(f, info):
			// It is the owner who makes it, in another group than the target's.
			if hasAccessList(o.target) {
				return nil
			}
		case rights&0o060 != 0o060 && rights&0o006 != 0o006, hasAccessList(o.target):
			return err
		}
	} else if err := copyAccessList(o.target, f, mode&0o100 != 0); err != nil {
		return nil // it stays the owner's alone
	}
	if mode&0o100 != 0 { // a folder, where who may read may look, too
		rights |= rights & 0o444 >> 2
	}
	return f.Chmod(mode | rights)
}

// makeFolder makes a folder, unless it is there.
func (o *operation) makeFolder(path string) error {
	err := os.Mkdir(path, secretFolderMode)
	switch {
	case errors.Is(err, fs.ErrExist):
		return checkFolder(path)
	case err != nil || !syncsFolders:
		return err
	}
	f, err := openFolder(path)
	if err != nil {
		return err
	}
	if err = errors.Join(o.share(f, secretFolderMode), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// checkFolder fails where something else is in a folder's place: a link above all,
// which would lead somewhere else.
func checkFolder(path string) error {
	info, err := os.Lstat(path)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	return err
}

// openFolder opens a folder, and nothing else.
func openFolder(path string) (*os.File, error) {
	if err := checkFolder(path); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDONLY|folderFlags, 0)
}

// move gives a file another name, unless there is a file of that name.
func move(from, to string) error {
	err := os.Link(from, to)
	switch {
	case err == nil:
		return os.Remove(from)
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist):
		return err
	}
	// There are file systems without links.
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return &os.LinkError{Op: "move", Old: from, New: to, Err: fs.ErrExist}
	}
	return os.Rename(from, to)
}

// change changes an open file in its place.
func change(path string, work func(*os.File) error) error {
	f, _, err := open(path, os.O_WRONLY)
	if err != nil {
		return err
	}
	return errors.Join(work(f), f.Close())
}

// syncPath brings a file to the disk, or the names in a folder.
func syncPath(path string, isFile bool) error {
	if isFile {
		return change(path, (*os.File).Sync)
	}
	if !syncsFolders {
		return nil
	}
	folder, err := openFolder(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// list returns the names of some entries that are old enough.
func list(path string, e wire.FileEffect, wanted func(string) bool) (names []string, err error) {
	folder, err := openFolder(path)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	for range manyEntries {
		if int64(len(names)) >= e.Limit {
			break
		}
		entries, err := folder.ReadDir(1)
		if err != nil {
			break // the end, mostly
		}
		if wanted(entries[0].Name()) && isOlder(entries[0], time.Duration(e.OlderThan)*time.Second) {
			names = append(names, entries[0].Name())
		}
	}
	return names, nil
}

// isOlder reports whether a file has not been modified for so long. Of no time at
// all everything is older.
func isOlder(entry fs.DirEntry, age time.Duration) bool {
	if age == 0 {
		return true
	}
	info, err := entry.Info()
	return err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > age
}

// failureOf names what went wrong in the flow's words.
func failureOf(err error) string {
	switch {
	case core.Code(err) == core.CodeFileLocked: // before the deadline that it is due to
		return wire.FileFailureLocked
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return wire.FileFailureCanceled
	case errors.Is(err, errFolder):
		return wire.FileFailureFolder
	case errors.Is(err, errNotRegular):
		return wire.FileFailureNotRegular
	case errors.Is(err, errTooLarge):
		return wire.FileFailureTooLarge
	}
	return systemFailure(err)
}
