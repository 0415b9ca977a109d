// Package authfile keeps an agent identity where the reference client does: in
// auth.json, under agent_identity, beside the user's tokens.
//
// The file is the client's, in any of its versions, and it is no worse off for
// being shared. Whatever this package does not own stays as it is, byte for byte:
// content, owner, mode, access control list and other names. What others write at
// the same time is not lost. The client's own locks are held for milliseconds,
// never during a request. All of that is decided by core.FileStep; this package
// carries it out.
package authfile

import (
	"context"
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// The codes of this package's problems, beside those of core.FileStep.
const (
	// CodeTilde is a path that begins with a tilde which no shell has replaced.
	CodeTilde = "auth_file_tilde"
	// CodeKeyring is a client that keeps its sign-in in the system's keyring.
	CodeKeyring = "auth_file_keyring"
)

// File is an auth.json. It is a host.Store, a host.Prober, a host.Versioned and a
// host.CredentialSource, and safe for concurrent use by goroutines and processes.
//
// Beside the file it makes more, and all their names begin with its own; where it
// is a symbolic link, or several are, they are beside what that leads to:
//
//   - .lock, and auth.lock, whose name is always that, are the client's locks;
//   - .registration.lock is held while an identity or a background task is
//     registered, a file in .locks while a thread's task is;
//   - .backoff remembers failed registrations, .backend which backend an identity
//     belongs to, .set-aside identities that others have taken the place of;
//   - .threads has a folder for each month with the tasks of the threads that were
//     last used in it, in files named after the SHA-256 of the thread's id; what was
//     not used for 90 days goes;
//   - .journal is there while the file is written over, where it cannot be replaced;
//   - .identity is there instead of all writing to the file, with Beside.
//
// They belong to whom the file belongs to, and only who can read and write the file
// can read and write them. Who can give them neither to its owner nor to those whom
// the file is for does not make them.
type File struct {
	// path is absolute where there is a working directory, given is as New got it.
	path, given string

	// LockTimeout bounds the wait for a registration that is under way. The default
	// is longer than one can take: host.MaxLockTime and 20 s.
	LockTimeout time.Duration
	// Beside keeps the identity in a file of its own, and leaves auth.json unwritten:
	// for those who share it with clients from 0.132 to 0.140, which accept no
	// identity in it, and for anyone who wants that.
	Beside bool
	// WithoutLocks does without locks across processes, for file systems that have
	// none: right where no other process uses the file.
	WithoutLocks bool

	// last is what was read last.
	last atomic.Pointer[reading]
}

// lockTimeout is longer than anybody holds a lock of a registration.
const lockTimeout = (wire.MaxLockSeconds + 20) * time.Second

// New returns the auth.json at path, which need not exist; a relative one begins at
// the current working directory. Set its fields before the first use.
func New(path string) *File {
	f := &File{path: path, given: path, LockTimeout: lockTimeout}
	if abs, err := filepath.Abs(path); err == nil {
		f.path = abs
	}
	return f
}

// Path returns the absolute path, links not followed.
func (f *File) Path() string { return f.path }

// Credentials returns the credentials in the file. Where they are none that can be
// used, because there is no file for example, their Problem says why, with a code of
// core.ReadCredentials, core.CodeFileMissing, CodeTilde or CodeKeyring.
//
// Errors: core.CodeFileUnreadable, core.CodeFileIsFolder, core.CodeFileNotRegular,
// core.CodeInvalidAuthJSON, core.CodeAuthJSONByteOrderMark, core.CodeAuthJSONUTF16.
func (f *File) Credentials(ctx context.Context) (wire.Credentials, error) {
	if r := f.recall(); r != nil && r.credentials != nil {
		return *r.credentials, nil
	}
	result, err := f.run(ctx, wire.FileEvent{Operation: wire.FileOperationCredentials})
	if err != nil || result.Credentials == nil {
		return wire.Credentials{}, err
	}
	c := *result.Credentials
	if c.Problem != nil && c.Problem.Code == core.CodeFileMissing {
		c.Problem = f.missing()
	}
	return c, nil
}

// keyringSetting is how the client's config.toml says that there is no auth.json, or
// only where there is no keyring (seen with 0.123 and 0.171).
var keyringSetting = regexp.MustCompile(`(?m)^[ \t]*cli_auth_credentials_store[ \t]*=[ \t]*["'](keyring|auto)["']`)

// maxConfig is how much of the client's configuration is looked at, in bytes.
const maxConfig = 1 << 20

// missing says why there may be no file.
func (f *File) missing() *wire.Error {
	if first, _, _ := strings.Cut(filepath.ToSlash(f.given), "/"); strings.HasPrefix(first, "~") {
		return &wire.Error{Code: CodeTilde, Message: "there is no " + f.given + ": a shell replaces the tilde only where it is not quoted and begins a word; write the folder out, or $HOME"}
	}
	config, err := readFile(resolve(filepath.Join(filepath.Dir(f.path), "config.toml")), maxConfig)
	if err == nil && keyringSetting.Match(config) {
		return &wire.Error{Code: CodeKeyring, Message: "there is no " + f.path + ": the client's config.toml has it keep the sign-in in the system's keyring; read it from there (agentassert --keyring-home, package keyringstore)"}
	}
	return &wire.Error{Code: core.CodeFileMissing, Message: "there is no " + f.path + "; check the path, or sign in"}
}

// Load returns the record in a slot.
//
// Errors: those of Credentials.
func (f *File) Load(ctx context.Context, slot string) ([]byte, error) {
	if slot == wire.SlotIdentity && !f.Beside {
		return f.loadIdentity(ctx)
	}
	result, err := f.run(ctx, wire.FileEvent{Operation: wire.FileOperationLoad, Slot: slot, Beside: f.Beside})
	return result.Record, err
}

// loadIdentity returns the identity in auth.json.
func (f *File) loadIdentity(ctx context.Context) ([]byte, error) {
	if r := f.recall(); r != nil && r.hasIdentity {
		return slices.Clone(r.identity), nil
	}
	result, err := f.run(ctx, wire.FileEvent{Operation: wire.FileOperationLoad, Slot: wire.SlotIdentity})
	return result.Record, err
}

// IdentityJWT returns the identity JWT that later clients may leave in place of
// an agent identity, or nothing where there is none. Package identityjwt says
// what it is worth. It is a secret.
//
// Errors: those of Credentials.
func (f *File) IdentityJWT(ctx context.Context) (string, error) {
	record, err := f.loadIdentity(ctx)
	var token string
	if err != nil || json.Unmarshal(record, &token) != nil {
		return "", err // an identity, or none
	}
	return token, nil
}

// Save replaces the record in a slot, except the identity's, which is swapped.
//
// Errors: core.CodeStoreReadOnly, core.CodeFileWriteFailed, core.CodeFileNotRegular.
// The record is then as it was.
func (f *File) Save(ctx context.Context, slot string, record []byte) error {
	_, err := f.run(ctx, wire.FileEvent{Operation: wire.FileOperationSave, Slot: slot, Beside: f.Beside, Record: record})
	return err
}

// Delete empties a slot, except the identity's. Its errors are those of Save.
func (f *File) Delete(ctx context.Context, slot string) error {
	_, err := f.run(ctx, wire.FileEvent{Operation: wire.FileOperationDelete, Slot: slot, Beside: f.Beside})
	return err
}

// Swap replaces the identity, or removes it where new is empty, if it is still old,
// white space aside.
//
// Errors: core.CodeRecordChanged, core.CodeFileLocked, core.CodeFileLockUnavailable,
// core.CodeFileBusy, core.CodeInvalidRecord, and those of Save and Credentials. The
// file is then as it was.
func (f *File) Swap(ctx context.Context, slot string, old, new []byte) error {
	_, err := f.run(ctx, wire.FileEvent{Operation: wire.FileOperationSwap, Slot: slot, Beside: f.Beside, Expected: old, Record: new})
	return err
}

// Probe finds out whether a record could be saved, by writing: for the identity, by
// putting auth.json in its own place. Its errors are those of Swap.
func (f *File) Probe(ctx context.Context, slot string) error {
	_, err := f.run(ctx, wire.FileEvent{Operation: wire.FileOperationProbe, Slot: slot, Beside: f.Beside})
	return err
}

// run carries out a file flow.
func (f *File) run(ctx context.Context, event wire.FileEvent) (wire.FileResult, error) {
	o := operation{file: f, ctx: ctx, slot: event.Slot, target: resolve(f.path)}
	defer o.close()
	event.Type = wire.FileEventStart
	start := event
	before, known := stamp{}, false
	if start.Operation == wire.FileOperationCredentials || isIdentityLoad(start) {
		before, known = stampOf(f.path, true)
	}
	var state []byte
	for {
		event.Now = now().Unix()
		step, err := core.FileStep(wire.FileStepParams{State: state, Event: event})
		if err != nil {
			return wire.FileResult{}, err
		}
		if step.Effect.Type != wire.FileEffectDone {
			state, event = step.State, o.carryOut(step.Effect)
			continue
		}
		result := *step.Effect.Result
		if result.Error == nil {
			f.remember(o.target, before, known, start, result)
			return result, nil
		}
		return wire.FileResult{}, o.explain(result.Error)
	}
}

// isIdentityLoad reports whether an operation reads the identity in auth.json.
func isIdentityLoad(e wire.FileEvent) bool {
	return e.Operation == wire.FileOperationLoad && e.Slot == wire.SlotIdentity && !e.Beside
}

// explain adds to an error of the flow's which file it is about: in the system's
// words, where it comes of what the system said.
func (o *operation) explain(e *wire.Error) error {
	switch e.Code {
	case core.CodeFileUnreadable, core.CodeFileIsFolder, core.CodeFileNotRegular, core.CodeFileWriteFailed,
		core.CodeStoreReadOnly, core.CodeFileLocked, core.CodeFileLockUnavailable:
		if o.err != nil {
			return &core.Error{Code: e.Code, Message: e.Message, Err: o.err}
		}
	}
	return &core.Error{Code: e.Code, Message: e.Message + " (" + o.file.path + ")"}
}
