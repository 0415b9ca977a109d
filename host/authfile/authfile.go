// Package authfile keeps an agent identity where the reference client does: in
// auth.json, under agent_identity, beside the user's tokens.
//
// A file of this package and the reference client can share one auth.json.
// Whatever this package does not own stays as it is, byte for byte.
package authfile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/moby/sys/atomicwriter"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// The codes of this package's errors, beside core.CodeInvalidAuthJSON.
const (
	// CodeUnreadable is a file that cannot be read.
	CodeUnreadable = "auth_file_unreadable"
	// CodeReadOnly is a file, or its folder, that may not be written.
	CodeReadOnly = "auth_file_read_only"
	// CodeLocked is a lock that others have held for too long.
	CodeLocked = "auth_file_locked"
	// CodeWriteFailed is a write that failed, on a full disk for example. The
	// file is as it was.
	CodeWriteFailed = "auth_file_write_failed"
)

const (
	// maxSize is the largest file that is read, in bytes.
	maxSize = 512 << 10
	// lockTimeout is longer than the four requests of a registration, 15 s each.
	lockTimeout = 90 * time.Second
	// lockPoll is how often a lock that is held is tried again.
	lockPoll = 20 * time.Millisecond
	// settleTimeout is how long a file may take from its opening to its last byte.
	settleTimeout = time.Second
	// settlePoll is how often it is looked at meanwhile.
	settlePoll = 5 * time.Millisecond
	// mode is for files with secrets.
	mode fs.FileMode = 0o600
	// folderMode is for folders of them.
	folderMode fs.FileMode = 0o700
)

// File is an auth.json. It is a host.Store and a host.CredentialSource, and safe
// for concurrent use by goroutines and processes.
//
// Beside the file it makes more, and all their names begin with its own: the
// one with ".lock" is locked during a registration and stays, empty; the one with
// ".backoff" remembers failed registrations; the folder with ".threads" has a file
// for each thread's task, named after the SHA-256 of the thread's id.
type File struct {
	path string
	// write guards against two read-modify-writes at once in this process.
	write sync.Mutex
	// LockTimeout bounds the wait for the lock. The default is 90 s. Set it
	// before the first use.
	LockTimeout time.Duration
}

// New returns the auth.json at path, which need not exist. A symbolic link is
// followed: its target is replaced, not the link.
func New(path string) *File {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return &File{path: path, LockTimeout: lockTimeout}
}

// Path returns the absolute path.
func (f *File) Path() string { return f.path }

func fail(code, message string, err error) error {
	return &core.Error{Code: code, Message: message, Err: err}
}

// target is the file itself, behind symbolic links.
func (f *File) target() string {
	if t, err := filepath.EvalSymlinks(f.path); err == nil {
		return t
	}
	return f.path
}

// read returns the content of a file, or nil where there is no file.
func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fail(CodeUnreadable, "the file cannot be opened; check who may read it", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return nil, fail(CodeUnreadable, "the file cannot be read", err)
	}
	if len(data) > maxSize {
		return nil, fail(CodeUnreadable, path+" is larger than 512 KiB, and surely not what it should be", nil)
	}
	if data == nil {
		data = []byte{}
	}
	return data, nil
}

// replace puts data in place of a file: whole or not at all, and on the disk
// when it returns.
func replace(path string, data []byte) error {
	if err := atomicwriter.WriteFile(path, data, mode); err != nil {
		return writeFailed(err)
	}
	syncFolder(filepath.Dir(path))
	removeLeftovers(path)
	return nil
}

// makeFolder makes a folder for files with secrets, unless there is one.
func makeFolder(path string) error {
	switch err := os.Mkdir(path, folderMode); {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return writeFailed(err)
	}
	syncFolder(filepath.Dir(path))
	return nil
}

func writeFailed(err error) error {
	if errors.Is(err, fs.ErrPermission) || isReadOnly(err) {
		return fail(CodeReadOnly, "the file cannot be written; check who may write its folder", err)
	}
	return fail(CodeWriteFailed, "the file was not written, and is as it was", err)
}

// syncFolder makes a rename last through a power cut. The file is in place
// already: where a file system cannot do this there is nothing to undo.
func syncFolder(path string) {
	if runtime.GOOS == "windows" {
		return // folders cannot be opened for that
	}
	if folder, err := os.Open(path); err == nil {
		_ = folder.Sync()
		_ = folder.Close()
	}
}

// document returns the content of auth.json, or nil where there is no file.
//
// The reference client writes the file in place: for a moment it is empty, or
// ends too early. What was written just now is read again until it is whole.
func (f *File) document(ctx context.Context) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	poll := time.NewTicker(settlePoll)
	defer poll.Stop()
	for {
		document, err := read(f.path)
		if err != nil || document == nil || json.Valid(document) {
			return document, err
		}
		if info, err := os.Stat(f.path); err == nil && time.Since(info.ModTime()) < settleTimeout {
			select {
			case <-poll.C:
				continue
			case <-limited.Done():
			}
		}
		if len(document) == 0 {
			return nil, fail(core.CodeInvalidAuthJSON, f.path+" is empty; sign in again", nil)
		}
		return document, nil // what is wrong with it, the core says
	}
}

// Credentials returns the credentials in the file: kind none where there is no
// file.
//
// Errors: CodeUnreadable, core.CodeInvalidAuthJSON.
func (f *File) Credentials(ctx context.Context) (wire.Credentials, error) {
	document, err := f.document(ctx)
	if err != nil {
		return wire.Credentials{}, err
	}
	if document == nil {
		return wire.Credentials{Kind: wire.CredentialsNone}, nil
	}
	return core.ReadCredentials(document)
}

// Load returns the record in a slot.
//
// Errors: CodeUnreadable, core.CodeInvalidAuthJSON.
func (f *File) Load(ctx context.Context, slot string) ([]byte, error) {
	if slot != wire.SlotIdentity {
		return read(f.sibling(slot))
	}
	document, err := f.document(ctx)
	if err != nil || document == nil {
		return nil, err
	}
	return core.GetAuthJSONIdentity(document)
}

// IdentityJWT returns the identity JWT that later clients may leave in place of
// an agent identity, or nothing where there is none. Package identityjwt says
// what it is worth. It is a secret.
//
// Errors: CodeUnreadable, core.CodeInvalidAuthJSON.
func (f *File) IdentityJWT(ctx context.Context) (string, error) {
	record, err := f.Load(ctx, wire.SlotIdentity)
	var token string
	if err != nil || json.Unmarshal(record, &token) != nil {
		return "", err // an identity, or none
	}
	return token, nil
}

// Save replaces the record in a slot. The file is read again first: what others
// have changed in it since stays changed.
//
// Errors: CodeUnreadable, CodeReadOnly, CodeWriteFailed,
// core.CodeInvalidAuthJSON, core.CodeInvalidRecord. The file is then as it was.
func (f *File) Save(ctx context.Context, slot string, record []byte) error {
	f.write.Lock()
	defer f.write.Unlock()
	if slot == wire.SlotIdentity {
		return f.setIdentity(ctx, record)
	}
	if strings.HasPrefix(slot, wire.SlotThread) {
		if err := makeFolder(f.threads()); err != nil {
			return err
		}
	}
	return replace(f.sibling(slot), record)
}

// Delete empties a slot. Its errors are those of Save.
func (f *File) Delete(ctx context.Context, slot string) error {
	f.write.Lock()
	defer f.write.Unlock()
	if slot != wire.SlotIdentity {
		if err := os.Remove(f.sibling(slot)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fail(CodeReadOnly, "the file cannot be removed", err)
		}
		return nil
	}
	return f.setIdentity(ctx, nil)
}

func (f *File) setIdentity(ctx context.Context, record []byte) error {
	if err := f.checkWritable(); err != nil {
		return err
	}
	document, err := f.document(ctx)
	if err != nil {
		return err
	}
	if document == nil {
		if record == nil {
			return nil
		}
		document = []byte("{}\n")
	}
	changed, err := core.SetAuthJSONIdentity(document, record)
	if err != nil {
		return err
	}
	return replace(f.target(), changed)
}

// checkWritable respects a read-only file: replacing it would need no more than
// a folder that can be written.
func (f *File) checkWritable() error {
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fail(CodeUnreadable, "the file cannot be looked at", err)
	}
	if info.Mode().Perm()&0o200 == 0 {
		return fail(CodeReadOnly, f.path+" is read-only; make it writable for its owner, so that the agent identity can be kept", nil)
	}
	return nil
}

// sibling is the file that keeps a slot which auth.json has no place for.
func (f *File) sibling(slot string) string {
	if id, ok := strings.CutPrefix(slot, wire.SlotThread); ok {
		// An id is whatever a harness chose: a path, too long for a name, or
		// different from another only in case.
		name := sha256.Sum256([]byte(id))
		return filepath.Join(f.threads(), hex.EncodeToString(name[:])+".json")
	}
	return f.path + "." + slot
}

func (f *File) threads() string { return f.path + ".threads" }

// Lock waits for the file's lock, LockTimeout at most. A lock ends with the
// process that holds it, however that ends. It fails early where nothing could
// be saved in the end.
//
// Errors: CodeReadOnly, CodeLocked, CodeWriteFailed.
func (f *File) Lock(ctx context.Context) (unlock func(), err error) {
	if err := f.checkWritable(); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, f.LockTimeout)
	defer cancel()
	lock := flock.New(f.path+".lock", flock.SetPermissions(mode))
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		if ctx.Err() != nil {
			return nil, fail(CodeLocked, "the wait for "+f.path+".lock was canceled", ctx.Err())
		}
		locked, err := lock.TryLock()
		if locked {
			break
		}
		if err != nil && !isOpenElsewhere(err) {
			return nil, fail(CodeReadOnly, "the lock file cannot be made; check who may write its folder", err)
		}
		select {
		case <-poll.C:
		case <-limited.Done():
			if ctx.Err() == nil {
				return nil, fail(CodeLocked, f.path+".lock is held by another process; end that, or wait", limited.Err())
			}
		}
	}
	unlock = func() { _ = lock.Unlock() }
	if err := f.checkRoom(); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}
