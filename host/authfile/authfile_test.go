package authfile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

var (
	_ host.Store            = (*authfile.File)(nil)
	_ host.CredentialSource = (*authfile.File)(nil)
)

// document has members that this package does not own, in a form of its own.
const document = "{ \"later\":{\"b\":1,\"a\":[ ]},\r\n\t\"tokens\":{\"access_token\":\"secret-token\",\"account_id\":\"acct-1\"} , \"last\":1.50e1}\n\n"

// record is an identity; the secret in it must not be shown.
const record = `{"agent_runtime_id":"agent-1","agent_private_key":"secret-key"}`

// withRecord is document with the record.
const withRecord = "{ \"later\":{\"b\":1,\"a\":[ ]},\r\n\t\"tokens\":{\"access_token\":\"secret-token\",\"account_id\":\"acct-1\"} , \"last\":1.50e1, \"agent_identity\":" + record + "}\n\n"

var ctx = context.Background()

// newFile returns an auth.json with the given content, alone in its folder.
func newFile(t *testing.T, content string) *authfile.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.json")
	write(t, path, content)
	return authfile.New(path)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func checkContent(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("the file holds %.500q, want %.500q", got, want)
	}
}

// checkFolder checks which files are beside the file, itself included.
func checkFolder(t *testing.T, path string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the folder holds %q, want %q", got, want)
	}
}

// checkCode checks an error's code, and that it shows none of the secrets in
// this file.
func checkCode(t *testing.T, what string, err error, want string) {
	t.Helper()
	if got := core.Code(err); got != want {
		t.Errorf("%s: got code %q (%v), want %q", what, got, err, want)
	}
	if err != nil && strings.Contains(err.Error(), "secret-") {
		t.Errorf("%s: the error shows a secret: %v", what, err)
	}
}

func checkLoad(t *testing.T, f *authfile.File, slot, want string) {
	t.Helper()
	got, err := f.Load(ctx, slot)
	if err != nil {
		t.Fatalf("Load %s: %v", slot, err)
	}
	if string(got) != want {
		t.Errorf("Load %s: got %q, want %q", slot, got, want)
	}
}

func save(t *testing.T, f *authfile.File, slot, record string) {
	t.Helper()
	if err := f.Save(ctx, slot, []byte(record)); err != nil {
		t.Fatalf("Save %s: %v", slot, err)
	}
}

func skipAsRoot(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs Unix permissions")
	}
	if os.Geteuid() == 0 {
		t.Skip("needs a user other than root, whom permissions do not bind")
	}
}

func TestMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.json")
	f := authfile.New(path)
	if c, err := f.Credentials(ctx); err != nil || c.Kind != wire.CredentialsNone {
		t.Errorf("Credentials: got %v, %v; want kind %q", c, err, wire.CredentialsNone)
	}
	for _, slot := range []string{wire.SlotIdentity, wire.SlotBackoff} {
		checkLoad(t, f, slot, "")
		checkCode(t, "Delete "+slot, f.Delete(ctx, slot), "")
	}
	checkFolder(t, path)
	save(t, f, wire.SlotIdentity, record)
	checkContent(t, path, `{"agent_identity":`+record+"}\n")
	checkLoad(t, f, wire.SlotIdentity, record)
}

func TestMissingFolder(t *testing.T) {
	f := authfile.New(filepath.Join(t.TempDir(), "missing", "auth.json"))
	checkLoad(t, f, wire.SlotIdentity, "")
	checkCode(t, "Save", f.Save(ctx, wire.SlotIdentity, []byte(record)), core.CodeFileWriteFailed)
	_, err := f.Lock(ctx, wire.SlotIdentity)
	checkCode(t, "Lock", err, core.CodeStoreReadOnly)
}

func TestUnusableFiles(t *testing.T) {
	for _, tt := range []struct {
		name, content, code string
	}{
		{"empty", "", core.CodeInvalidAuthJSON},
		{"blank", " \n", core.CodeInvalidAuthJSON},
		{"cut off", document[:60], core.CodeInvalidAuthJSON},
		{"garbage", "secret-garbage", core.CodeInvalidAuthJSON},
		{"zeroes", strings.Repeat("\x00", 4096), core.CodeInvalidAuthJSON},
		{"an array", "[]", core.CodeInvalidAuthJSON},
		{"a byte order mark", "\ufeff" + document, core.CodeInvalidAuthJSON},
		{"a name twice", `{"tokens":{},"tokens":{}}`, core.CodeInvalidAuthJSON},
		{"two documents", document + document, core.CodeInvalidAuthJSON},
		{"nested deeply", strings.Repeat(`{"a":`, 100_000), core.CodeInvalidAuthJSON},
		{"huge", document + strings.Repeat(" ", 512<<10), core.CodeFileUnreadable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFile(t, tt.content)
			_, err := f.Credentials(ctx)
			checkCode(t, "Credentials", err, tt.code)
			_, err = f.Load(ctx, wire.SlotIdentity)
			checkCode(t, "Load", err, tt.code)
			checkCode(t, "Save", f.Save(ctx, wire.SlotIdentity, []byte(record)), tt.code)
			checkCode(t, "Delete", f.Delete(ctx, wire.SlotIdentity), tt.code)
			checkContent(t, f.Path(), tt.content)
			checkFolder(t, f.Path(), "auth.json")
		})
	}
}

// The largest file that is read can still be written.
func TestLargestFile(t *testing.T) {
	large := document + strings.Repeat(" ", 512<<10-len(document))
	f := newFile(t, large)
	checkLoad(t, f, wire.SlotIdentity, "")
	if c, err := f.Credentials(ctx); err != nil || c.AccessToken != "secret-token" {
		t.Errorf("Credentials: got %v, %v; want the access token", c, err)
	}
}

func TestUnreadablePaths(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	write(t, file, document)
	for name, path := range map[string]string{
		"a folder":     folder,
		"below a file": filepath.Join(file, "auth.json"),
	} {
		t.Run(name, func(t *testing.T) {
			f := authfile.New(path)
			_, err := f.Credentials(ctx)
			checkUnreadable(t, "Credentials", err)
			_, err = f.Load(ctx, wire.SlotIdentity)
			checkUnreadable(t, "Load", err)
			checkUnreadable(t, "Save", f.Save(ctx, wire.SlotIdentity, []byte(record)))
			checkUnreadable(t, "Delete", f.Delete(ctx, wire.SlotIdentity))
		})
	}
	checkContent(t, file, document)
}

// checkUnreadable expects CodeUnreadable. On Windows a path below a file counts
// as missing, and only writing fails.
func checkUnreadable(t *testing.T, what string, err error) {
	t.Helper()
	if runtime.GOOS == "windows" && core.Code(err) != core.CodeFileUnreadable {
		return
	}
	checkCode(t, what, err, core.CodeFileUnreadable)
}

func TestUnreadableFile(t *testing.T) {
	skipAsRoot(t)
	f := newFile(t, document)
	if err := os.Chmod(f.Path(), 0o200); err != nil {
		t.Fatal(err)
	}
	_, err := f.Credentials(ctx)
	checkCode(t, "Credentials", err, core.CodeFileUnreadable)
	_, err = f.Load(ctx, wire.SlotIdentity)
	checkCode(t, "Load", err, core.CodeFileUnreadable)
	checkCode(t, "Save", f.Save(ctx, wire.SlotIdentity, []byte(record)), core.CodeFileUnreadable)
}

func TestReadOnlyFile(t *testing.T) {
	f := newFile(t, document)
	if err := os.Chmod(f.Path(), 0o444); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(f.Path(), 0o600) }) // Windows removes no read-only files
	checkLoad(t, f, wire.SlotIdentity, "")
	checkCode(t, "Save", f.Save(ctx, wire.SlotIdentity, []byte(record)), core.CodeStoreReadOnly)
	checkCode(t, "Delete", f.Delete(ctx, wire.SlotIdentity), core.CodeStoreReadOnly)
	_, err := f.Lock(ctx, wire.SlotIdentity)
	checkCode(t, "Lock", err, core.CodeStoreReadOnly)
	checkContent(t, f.Path(), document)
	checkFolder(t, f.Path(), "auth.json")
}

func TestReadOnlyFolder(t *testing.T) {
	skipAsRoot(t)
	f := newFile(t, document)
	folder := filepath.Dir(f.Path())
	if err := os.Chmod(folder, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(folder, 0o700) })
	checkLoad(t, f, wire.SlotIdentity, "")
	checkCode(t, "Save", f.Save(ctx, wire.SlotIdentity, []byte(record)), core.CodeStoreReadOnly)
	checkCode(t, "Save backoff", f.Save(ctx, wire.SlotBackoff, []byte(record)), core.CodeStoreReadOnly)
	_, err := f.Lock(ctx, wire.SlotIdentity)
	checkCode(t, "Lock", err, core.CodeStoreReadOnly)
	checkContent(t, f.Path(), document)
	checkFolder(t, f.Path(), "auth.json")
}

func TestInvalidRecord(t *testing.T) {
	f := newFile(t, document)
	for _, invalid := range []string{"secret-garbage", `{"a":1`, `{"a":1}{}`, `{"a":1,"a":2}`, "\xff"} {
		checkCode(t, invalid, f.Save(ctx, wire.SlotIdentity, []byte(invalid)), core.CodeInvalidRecord)
	}
	checkContent(t, f.Path(), document)
	checkFolder(t, f.Path(), "auth.json")
}

func TestSaveKeepsAllElse(t *testing.T) {
	f := newFile(t, document)
	save(t, f, wire.SlotIdentity, record)
	checkContent(t, f.Path(), withRecord)
	checkLoad(t, f, wire.SlotIdentity, record)
	const longer = `{"agent_runtime_id":"agent-2","more":"members"}`
	save(t, f, wire.SlotIdentity, longer)
	checkContent(t, f.Path(), strings.Replace(withRecord, record, longer, 1))
	for range 2 {
		checkCode(t, "Delete", f.Delete(ctx, wire.SlotIdentity), "")
		checkContent(t, f.Path(), document)
		checkLoad(t, f, wire.SlotIdentity, "")
	}
	checkFolder(t, f.Path(), "auth.json")
}

// The reference client's own file: what it has written can be taken out and put
// in again, whether its form was kept on the way or not.
func TestReferenceClientsFile(t *testing.T) {
	captured, err := os.ReadFile(filepath.Join("..", "..", "testvectors", "captures", "enabled.auth.json"))
	if err != nil {
		t.Fatal(err)
	}
	f := newFile(t, string(captured))
	c, err := f.Credentials(ctx)
	if want := (wire.Credentials{
		Kind: wire.CredentialsChatGPT, AccountID: "acct-1", UserID: "user-1",
		AccessToken: "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJleHAiOjQwMDAwMDAwMDB9.c2ln",
	}); err != nil || c != want {
		t.Errorf("Credentials: got %v of %s, %s, %v; want those of the capture", c, c.AccountID, c.UserID, err)
	}
	identity, err := f.Load(ctx, wire.SlotIdentity)
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, identity); err != nil {
		t.Fatal(err)
	}
	for name, record := range map[string]string{"as it was": string(identity), "compact": compact.String()} {
		t.Run(name, func(t *testing.T) {
			checkCode(t, "Delete", f.Delete(ctx, wire.SlotIdentity), "")
			checkLoad(t, f, wire.SlotIdentity, "")
			without, err := os.ReadFile(f.Path())
			if err != nil || bytes.Contains(without, []byte("agent")) || !json.Valid(without) {
				t.Errorf("the file without its identity: %s, %v", without, err)
			}
			save(t, f, wire.SlotIdentity, record)
			checkContent(t, f.Path(), string(captured))
		})
	}
}

func TestModeAfterSave(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs Unix permissions")
	}
	f := newFile(t, document)
	if err := os.Chmod(f.Path(), 0o644); err != nil {
		t.Fatal(err)
	}
	save(t, f, wire.SlotIdentity, record)
	save(t, f, wire.SlotBackoff, record)
	save(t, f, wire.SlotThread+"thread-1", record)
	unlock, err := f.Lock(ctx, wire.SlotIdentity)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	threads, err := filepath.Glob(f.Path() + ".threads/*")
	if err != nil || len(threads) != 1 {
		t.Fatalf("got threads %q, %v; want one", threads, err)
	}
	for path, want := range map[string]fs.FileMode{
		f.Path():              0o600,
		f.Path() + ".backoff": 0o600,
		f.Path() + ".lock":    0o600,
		f.Path() + ".threads": fs.ModeDir | 0o700,
		threads[0]:            0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode(); got != want {
			t.Errorf("%s: got mode %v, want %v", path, got, want)
		}
	}
}

func symlink(t *testing.T, target, link string) {
	t.Helper()
	if err := os.Symlink(target, link); err != nil {
		t.Skipf("needs symbolic links: %v", err)
	}
}

func checkLink(t *testing.T, link, want string) {
	t.Helper()
	if got, err := os.Readlink(link); err != nil || got != want {
		t.Errorf("the link: got %q, %v; want %q", got, err, want)
	}
}

func TestSymbolicLink(t *testing.T) {
	target := newFile(t, document).Path()
	folder := t.TempDir()
	inner, link := filepath.Join(folder, "inner"), filepath.Join(folder, "auth.json")
	symlink(t, target, inner)
	symlink(t, "inner", link)
	f := authfile.New(link)
	save(t, f, wire.SlotIdentity, record)
	checkLink(t, link, "inner")
	checkLink(t, inner, target)
	checkContent(t, target, withRecord)
	checkLoad(t, f, wire.SlotIdentity, record)
	checkFolder(t, target, "auth.json")
}

// A link that leads nowhere stays what it is.
func TestDanglingSymbolicLink(t *testing.T) {
	link := filepath.Join(t.TempDir(), "auth.json")
	symlink(t, "missing", link)
	f := authfile.New(link)
	checkLoad(t, f, wire.SlotIdentity, "")
	checkCode(t, "Save", f.Save(ctx, wire.SlotIdentity, []byte(record)), core.CodeFileWriteFailed)
	checkLink(t, link, "missing")
	checkFolder(t, link, "auth.json")
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	f := authfile.New("auth.json")
	if !filepath.IsAbs(f.Path()) {
		t.Errorf("Path: got %q, want an absolute path", f.Path())
	}
	save(t, f, wire.SlotIdentity, record)
	t.Chdir(t.TempDir())
	checkLoad(t, f, wire.SlotIdentity, record)
}

func TestBackoffSlot(t *testing.T) {
	f := newFile(t, document)
	save(t, f, wire.SlotBackoff, `{"failures":1}`)
	checkLoad(t, f, wire.SlotBackoff, `{"failures":1}`)
	checkLoad(t, authfile.New(f.Path()), wire.SlotBackoff, `{"failures":1}`)
	checkContent(t, f.Path(), document)
	checkFolder(t, f.Path(), "auth.json", "auth.json.backoff")
	checkCode(t, "Delete", f.Delete(ctx, wire.SlotBackoff), "")
	checkLoad(t, f, wire.SlotBackoff, "")
	checkFolder(t, f.Path(), "auth.json")
}

// A thread's id is whatever a harness chose: no two share a file, and none leads
// out of the folder.
func TestThreadSlots(t *testing.T) {
	f := newFile(t, document)
	ids := []string{
		"thread-1", "Thread-1", "a/b", "a", "../auth.json", "..", ".", "C:\\x", "con", "a:b", "ä ", " ä",
		strings.Repeat("x", 4096), strings.Repeat("x", 4095),
	}
	for _, id := range ids {
		checkLoad(t, f, wire.SlotThread+id, "")
		save(t, f, wire.SlotThread+id, `{"task_id":"of `+id+`"}`)
	}
	for _, id := range ids {
		checkLoad(t, authfile.New(f.Path()), wire.SlotThread+id, `{"task_id":"of `+id+`"}`)
	}
	checkContent(t, f.Path(), document)
	checkFolder(t, f.Path(), "auth.json", "auth.json.threads")
	entries, err := os.ReadDir(f.Path() + ".threads")
	if err != nil || len(entries) != len(ids) {
		t.Errorf("got %d files, %v; want %d", len(entries), err, len(ids))
	}
	for _, id := range ids {
		for range 2 {
			checkCode(t, "Delete "+id, f.Delete(ctx, wire.SlotThread+id), "")
		}
		checkLoad(t, f, wire.SlotThread+id, "")
	}
}

func TestThreadFolderCannotBeMade(t *testing.T) {
	f := newFile(t, document)
	write(t, f.Path()+".threads", "not a folder")
	err := f.Save(ctx, wire.SlotThread+"thread-1", []byte(record))
	checkCode(t, "Save", err, core.CodeFileWriteFailed)
	checkContent(t, f.Path()+".threads", "not a folder")

	missing := authfile.New(filepath.Join(t.TempDir(), "missing", "auth.json"))
	checkCode(t, "Save", missing.Save(ctx, wire.SlotThread+"thread-1", []byte(record)), core.CodeFileWriteFailed)
}

// What another program changes between Load and Save stays changed.
func TestSaveReadsTheFileAgain(t *testing.T) {
	f := newFile(t, document)
	checkLoad(t, f, wire.SlotIdentity, "")
	write(t, f.Path(), strings.Replace(document, "secret-token", "secret-token-2", 1))
	save(t, f, wire.SlotIdentity, record)
	checkContent(t, f.Path(), strings.Replace(withRecord, "secret-token", "secret-token-2", 1))
}

// Writers of one process do not undo each other: every one of them leaves the
// file whole, and what it holds is what one of them saved.
func TestConcurrentSaves(t *testing.T) {
	f := newFile(t, document)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				checkCode(t, "Save", f.Save(ctx, wire.SlotIdentity, []byte(record)), "")
				checkCode(t, "Save backoff", f.Save(ctx, wire.SlotBackoff, []byte(record)), "")
			}
		})
	}
	wg.Wait()
	checkContent(t, f.Path(), withRecord)
	checkFolder(t, f.Path(), "auth.json", "auth.json.backoff")
}

// Who reads the file meanwhile gets the old one or the new one, whole.
func TestReplacedAtomically(t *testing.T) {
	f := newFile(t, document)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 50 {
			checkCode(t, "Save", f.Save(ctx, wire.SlotIdentity, []byte(record)), "")
			checkCode(t, "Delete", f.Delete(ctx, wire.SlotIdentity), "")
		}
	}()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		got, err := os.ReadFile(f.Path())
		if runtime.GOOS == "windows" && errors.Is(err, fs.ErrPermission) {
			continue // it is being replaced
		}
		if err != nil || string(got) != document && string(got) != withRecord {
			t.Errorf("a reader got %q, %v", got, err)
			break
		}
	}
	<-done
	checkContent(t, f.Path(), document)
}

func TestLock(t *testing.T) {
	f := newFile(t, document)
	unlock, err := f.Lock(ctx, wire.SlotIdentity)
	if err != nil {
		t.Fatal(err)
	}
	// Neither another caller nor another File can have it.
	for name, other := range map[string]*authfile.File{"same": f, "another": authfile.New(f.Path())} {
		other.LockTimeout = 30 * time.Millisecond
		_, err := other.Lock(ctx, wire.SlotIdentity)
		checkCode(t, name+" File", err, core.CodeFileLocked)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s File: got %v, want the deadline in its chain", name, err)
		}
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = authfile.New(f.Path()).Lock(canceled, wire.SlotIdentity)
	checkCode(t, "canceled", err, core.CodeFileLocked)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("canceled: got %v, want it to say so", err)
	}
	// Loading and saving need no lock.
	save(t, f, wire.SlotIdentity, record)
	checkLoad(t, f, wire.SlotIdentity, record)

	waiting := make(chan error, 1)
	other := authfile.New(f.Path())
	go func() {
		unlock, err := other.Lock(ctx, wire.SlotIdentity)
		if err == nil {
			unlock()
		}
		waiting <- err
	}()
	unlock()
	checkCode(t, "after unlock", <-waiting, "")
	checkFolder(t, f.Path(), "auth.json", "auth.json.lock")
}

func TestLockFileThatIsAFolder(t *testing.T) {
	f := newFile(t, document)
	if err := os.Mkdir(f.Path()+".lock", 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := f.Lock(ctx, wire.SlotIdentity)
	checkCode(t, "Lock", err, core.CodeStoreReadOnly)
}

func TestFileHidesSecrets(t *testing.T) {
	f := newFile(t, withRecord)
	c, err := f.Credentials(ctx)
	if err != nil || c.AccessToken != "secret-token" {
		t.Fatalf("Credentials: got %v, %v; want the access token", c, err)
	}
	if shown := c.String() + c.GoString(); strings.Contains(shown, "secret-token") {
		t.Errorf("the credentials show the token: %s", shown)
	}
}

// The reference client writes the file in place: it is empty for a moment.
func TestFileThatIsBeingWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	type result struct {
		credentials wire.Credentials
		err         error
	}
	read := make(chan result, 1)
	go func() {
		c, err := authfile.New(path).Credentials(t.Context())
		read <- result{c, err}
	}()
	if err := os.WriteFile(path, []byte(`{"tokens":{"access_token":"t"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := <-read; r.err != nil || r.credentials.Kind != wire.CredentialsChatGPT {
		t.Errorf("got %v, %v", r.credentials, r.err)
	}
}

func TestIdentityJWT(t *testing.T) {
	for document, want := range map[string]string{
		`{"agent_identity":"a.b.c"}`:                  "a.b.c",
		`{"agent_identity":{"agent_runtime_id":"r"}}`: "",
		`{"agent_identity":null}`:                     "",
		`{}`:                                          "",
	} {
		path := filepath.Join(t.TempDir(), "auth.json")
		if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := authfile.New(path).IdentityJWT(t.Context()); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", document, got, err, want)
		}
	}
}
