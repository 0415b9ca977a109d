package authfile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host"
	"github.com/agentassert/agentassert/host/authfile"
)

var (
	_ host.Store            = (*authfile.File)(nil)
	_ host.Prober           = (*authfile.File)(nil)
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

// swap replaces the identity. An empty one stands for none.
func swap(t *testing.T, f *authfile.File, old, new string) {
	t.Helper()
	if err := f.Swap(ctx, wire.SlotIdentity, []byte(old), []byte(new)); err != nil {
		t.Fatalf("Swap %.20q for %.20q: %v", old, new, err)
	}
}

// changes are all ways to write an auth.json, from one without an identity.
var changes = map[string]func(*authfile.File) error{
	"Swap":  func(f *authfile.File) error { return f.Swap(ctx, wire.SlotIdentity, nil, []byte(record)) },
	"Probe": func(f *authfile.File) error { return f.Probe(ctx, wire.SlotIdentity) },
}

func checkChanges(t *testing.T, f *authfile.File, code string) {
	t.Helper()
	for name, change := range changes {
		checkCode(t, name, change(f), code)
	}
}

// clientLocks are what a swap leaves beside the file: the locks of the client's.
var clientLocks = []string{"auth.json", "auth.json.lock", "auth.lock"}

// age makes files as old as those are that nobody waits for to be written whole.
func age(t *testing.T, paths ...string) {
	t.Helper()
	old := time.Now().Add(-2 * time.Hour)
	for _, path := range paths {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.json")
	f := authfile.New(path)
	c, err := f.Credentials(ctx)
	if err != nil || c.Kind != wire.CredentialsNone || c.Problem == nil || c.Problem.Code != core.CodeFileMissing {
		t.Errorf("Credentials: got %v, problem %v, %v; want kind %q and problem %q", c, c.Problem, err, wire.CredentialsNone, core.CodeFileMissing)
	}
	for _, slot := range []string{wire.SlotIdentity, wire.SlotBackoff, wire.SlotThread + "thread-1"} {
		checkLoad(t, f, slot, "")
	}
	for _, slot := range []string{wire.SlotBackoff, wire.SlotThread + "thread-1"} {
		checkCode(t, "Delete "+slot, f.Delete(ctx, slot), "")
	}
	checkFolder(t, path)
	checkCode(t, "Probe", f.Probe(ctx, wire.SlotIdentity), "")
	checkFolder(t, path, clientLocks[1:]...)
	swap(t, f, "", record)
	checkContent(t, path, `{"agent_identity":`+record+"}\n")
	checkLoad(t, f, wire.SlotIdentity, record)
}

// Why there is no file is said where it can be known.
func TestWhyThereIsNoFile(t *testing.T) {
	keyring := t.TempDir()
	write(t, filepath.Join(keyring, "config.toml"), "model = \"m\"\ncli_auth_credentials_store = \"keyring\"\n")
	other := t.TempDir()
	write(t, filepath.Join(other, "config.toml"), "# cli_auth_credentials_store = \"keyring\"\n")
	t.Chdir(t.TempDir())
	for path, want := range map[string]string{
		filepath.Join("~", ".codex", "auth.json"):    authfile.CodeTilde,
		filepath.Join("~user", "auth.json"):          authfile.CodeTilde,
		filepath.Join(keyring, "auth.json"):          authfile.CodeKeyring,
		filepath.Join(other, "auth.json"):            core.CodeFileMissing,
		filepath.Join(t.TempDir(), "a", "auth.json"): core.CodeFileMissing,
	} {
		c, err := authfile.New(path).Credentials(ctx)
		if err != nil || c.Kind != wire.CredentialsNone || c.Problem == nil || c.Problem.Code != want {
			t.Errorf("%s: got %v, problem %v, %v; want %q", path, c, c.Problem, err, want)
		}
	}
}

func TestMissingFolder(t *testing.T) {
	f := authfile.New(filepath.Join(t.TempDir(), "missing", "auth.json"))
	checkLoad(t, f, wire.SlotIdentity, "")
	checkLoad(t, f, wire.SlotThread+"thread-1", "")
	checkChanges(t, f, core.CodeFileWriteFailed)
	checkCode(t, "Save", f.Save(ctx, wire.SlotThread+"thread-1", []byte(record)), core.CodeFileWriteFailed)
	for _, slot := range []string{wire.SlotIdentity, wire.SlotThread + "thread-1"} {
		_, err := f.Lock(ctx, slot)
		checkCode(t, "Lock "+slot, err, core.CodeFileWriteFailed)
	}
}

// The identity is in a file that others write, too: it is never replaced unseen.
func TestIdentityIsOnlySwapped(t *testing.T) {
	f := newFile(t, document)
	checkCode(t, "Save", f.Save(ctx, wire.SlotIdentity, []byte(record)), core.CodeInvalidRequest)
	checkCode(t, "Delete", f.Delete(ctx, wire.SlotIdentity), core.CodeInvalidRequest)
	checkCode(t, "Swap", f.Swap(ctx, wire.SlotIdentity, []byte(record), []byte(`{"a":1}`)), core.CodeRecordChanged)
	checkContent(t, f.Path(), document)
	swap(t, f, "", record)
	swap(t, f, "null", record) // as it is already
	checkCode(t, "Swap of none", f.Swap(ctx, wire.SlotIdentity, nil, []byte(`{"a":1}`)), core.CodeRecordChanged)
	checkCode(t, "Swap of another", f.Swap(ctx, wire.SlotIdentity, []byte(`{"a":1}`), nil), core.CodeRecordChanged)
	checkContent(t, f.Path(), withRecord)
	swap(t, f, strings.ReplaceAll(record, ",", " ,\n\t"), `{"a":1}`) // white space aside
	checkLoad(t, f, wire.SlotIdentity, `{"a":1}`)
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
		{"a byte order mark", "\ufeff" + document, core.CodeAuthJSONByteOrderMark},
		{"UTF-16", "\xff\xfe{\x00}\x00", core.CodeAuthJSONUTF16},
		{"a name twice", `{"tokens":{},"tokens":{}}`, core.CodeInvalidAuthJSON},
		{"two documents", document + document, core.CodeInvalidAuthJSON},
		{"nested deeply", strings.Repeat(`{"a":`, 100_000), core.CodeInvalidAuthJSON},
		{"huge", document + strings.Repeat(" ", 512<<10), core.CodeFileUnreadable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFile(t, tt.content)
			age(t, f.Path())
			_, err := f.Credentials(ctx)
			checkCode(t, "Credentials", err, tt.code)
			if err != nil && strings.Count(err.Error(), f.Path()) != 1 {
				t.Errorf("Credentials: %v does not name the file once", err)
			}
			_, err = f.Load(ctx, wire.SlotIdentity)
			checkCode(t, "Load", err, tt.code)
			checkChanges(t, f, tt.code)
			checkContent(t, f.Path(), tt.content)
			checkFolder(t, f.Path(), clientLocks...)
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
	for _, tt := range []struct{ name, path, code string }{
		{"a folder", folder, core.CodeFileIsFolder},
		{"below a file", filepath.Join(file, "auth.json"), core.CodeFileUnreadable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && tt.code == core.CodeFileUnreadable {
				t.Skip("on Windows a path below a file counts as missing")
			}
			f := authfile.New(tt.path)
			_, err := f.Credentials(ctx)
			checkCode(t, "Credentials", err, tt.code)
			_, err = f.Load(ctx, wire.SlotIdentity)
			checkCode(t, "Load", err, tt.code)
			checkChanges(t, f, tt.code)
		})
	}
	checkContent(t, file, document)
}

// A file that is not meant to be written is not, even by those who could: it is
// found out before anything is registered.
func TestReadOnlyFile(t *testing.T) {
	f := newFile(t, document)
	if err := os.Chmod(f.Path(), 0o444); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(f.Path(), 0o600) }) // Windows removes no read-only files
	checkLoad(t, f, wire.SlotIdentity, "")
	checkChanges(t, f, core.CodeStoreReadOnly)
	checkContent(t, f.Path(), document)
	checkFolder(t, f.Path(), clientLocks...)
}

func TestInvalidRecord(t *testing.T) {
	f := newFile(t, document)
	for _, invalid := range []string{"secret-garbage", `{"a":1`, `{"a":1}{}`, `{"a":1,"a":2}`, "\xff"} {
		checkCode(t, invalid, f.Swap(ctx, wire.SlotIdentity, nil, []byte(invalid)), core.CodeInvalidRecord)
	}
	checkContent(t, f.Path(), document)
	checkFolder(t, f.Path(), clientLocks...)
}

func TestSwapKeepsAllElse(t *testing.T) {
	f := newFile(t, document)
	for range 2 {
		checkCode(t, "Probe", f.Probe(ctx, wire.SlotIdentity), "")
		checkContent(t, f.Path(), document)
	}
	swap(t, f, "", record)
	checkContent(t, f.Path(), withRecord)
	checkLoad(t, f, wire.SlotIdentity, record)
	const longer = `{"agent_runtime_id":"agent-2","more":"members"}`
	swap(t, f, record, longer)
	checkContent(t, f.Path(), strings.Replace(withRecord, record, longer, 1))
	for range 2 {
		swap(t, f, longer, "")
		checkContent(t, f.Path(), document)
		checkLoad(t, f, wire.SlotIdentity, "")
	}
	checkFolder(t, f.Path(), clientLocks...)
}

// A file has the client's locks whatever its name.
func TestFilesWithOtherNames(t *testing.T) {
	for name, folder := range map[string][]string{
		"alice.json":  {"alice.json", "alice.json.lock", "auth.lock"},
		"credentials": {"auth.lock", "credentials", "credentials.lock"},
		"auth":        {"auth", "auth.lock"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			write(t, path, document)
			f := authfile.New(path)
			swap(t, f, "", record)
			checkContent(t, path, withRecord)
			swap(t, f, record, "")
			checkFolder(t, path, folder...)
		})
	}
}

// Beside, the identity has a file of its own, which is whose the other is.
func TestBeside(t *testing.T) {
	f := newFile(t, document)
	f.Beside = true
	checkCode(t, "Probe", f.Probe(ctx, wire.SlotIdentity), "")
	swap(t, f, "", record)
	checkLoad(t, f, wire.SlotIdentity, record)
	checkContent(t, f.Path(), document)
	checkContent(t, f.Path()+".identity", record)
	checkFolder(t, f.Path(), "auth.json", "auth.json.identity", "auth.json.lock")
	checkLoad(t, authfile.New(f.Path()), wire.SlotIdentity, "")
	checkCode(t, "Swap of another", f.Swap(ctx, wire.SlotIdentity, nil, []byte(`{"a":1}`)), core.CodeRecordChanged)
	swap(t, f, record, "")
	checkLoad(t, f, wire.SlotIdentity, "")
	checkFolder(t, f.Path(), "auth.json", "auth.json.lock")
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
		Kind: wire.CredentialsChatGPT, AccountID: "acct-1", UserID: "user-1", Email: "u@example.com", PlanType: "pro",
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
			swap(t, f, record, "")
			checkLoad(t, f, wire.SlotIdentity, "")
			without, err := os.ReadFile(f.Path())
			if err != nil || bytes.Contains(without, []byte("agent")) || !json.Valid(without) {
				t.Errorf("the file without its identity: %s, %v", without, err)
			}
			swap(t, f, "", record)
			checkContent(t, f.Path(), string(captured))
		})
	}
}

// What is beside the file is for those who have the file, and for nobody else.
func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs Unix permissions")
	}
	for _, tt := range []struct{ file, folder fs.FileMode }{
		{0o600, 0o700},
		{0o644, 0o755},
		{0o640, 0o750},
		{0o660, 0o770},
		{0o666, 0o777},
	} {
		t.Run(tt.file.String(), func(t *testing.T) {
			f := newFile(t, document)
			if err := os.Chmod(f.Path(), tt.file); err != nil {
				t.Fatal(err)
			}
			swap(t, f, "", record)
			save(t, f, wire.SlotBackoff, record)
			save(t, f, wire.SlotThread+"thread-1", record)
			for _, slot := range []string{wire.SlotIdentity, wire.SlotThread + "thread-1"} {
				unlock, err := f.Lock(ctx, slot)
				if err != nil {
					t.Fatal(err)
				}
				unlock()
			}
			client, target, registration, thread := authfile.LockFiles(f.Path(), "thread-1")
			record := threadFile(t, f, "thread-1")
			for path, want := range map[string]fs.FileMode{
				f.Path():              tt.file,
				f.Path() + ".backoff": tt.file,
				client:                tt.file,
				target:                tt.file,
				registration:          tt.file,
				filepath.Dir(thread):  fs.ModeDir | tt.folder,
				filepath.Dir(record):  fs.ModeDir | tt.folder,
				f.Path() + ".threads": fs.ModeDir | tt.folder,
				record:                tt.file,
			} {
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if got := info.Mode(); got != want {
					t.Errorf("%s: got mode %v, want %v", path, got, want)
				}
			}
		})
	}
}

// threadFile is the one file that there is of a thread.
func threadFile(t *testing.T, f *authfile.File, thread string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(f.Path()+".threads", "*", filepath.Base(authfile.RecordFile(f.Path(), "2026-11", thread))))
	if err != nil || len(files) != 1 {
		t.Fatalf("the thread has files %q, %v; want one", files, err)
	}
	return files[0]
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

// Whatever leads to a file, it is one: its links stay, and what is beside it is in one
// place.
func TestSymbolicLinks(t *testing.T) {
	target := newFile(t, document).Path()
	links := []string{target}
	for range 6 {
		link := filepath.Join(t.TempDir(), "auth.json")
		symlink(t, links[len(links)-1], link)
		links = append(links, link)
	}
	home := filepath.Join(t.TempDir(), "home")
	symlink(t, filepath.Dir(links[3]), home)
	f := authfile.New(links[6])
	swap(t, f, "", record)
	unlock, err := f.Lock(ctx, wire.SlotIdentity)
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range append(links, filepath.Join(home, "auth.json")) {
		f := authfile.New(link)
		checkLoad(t, f, wire.SlotIdentity, record)
		f.LockTimeout = time.Millisecond
		_, err := f.Lock(ctx, wire.SlotIdentity)
		checkCode(t, "Lock of "+link, err, core.CodeFileLocked)
	}
	unlock()
	for i, link := range links[1:] {
		checkLink(t, link, links[i])
		checkFolder(t, link, "auth.json")
	}
	checkContent(t, target, withRecord)
	checkFolder(t, target, "auth.json", "auth.json.lock", "auth.json.registration.lock", "auth.lock")
}

// A link that leads nowhere yet is one to the file that is made.
func TestDanglingSymbolicLinks(t *testing.T) {
	home := t.TempDir()
	for _, tt := range []struct{ name, leads, made string }{
		{"to a file", filepath.Join(home, "auth.json"), filepath.Join(home, "auth.json")},
		{"relative", "missing.json", ""},
		{"to a folder that is not there", filepath.Join("missing", "auth.json"), ""},
		{"to itself", "auth.json", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			link := filepath.Join(t.TempDir(), "auth.json")
			symlink(t, tt.leads, link)
			f := authfile.New(link)
			err := f.Swap(ctx, wire.SlotIdentity, nil, []byte(record))
			switch tt.name {
			case "to itself":
				checkCode(t, "Swap", err, core.CodeFileNotRegular)
			case "to a folder that is not there":
				checkCode(t, "Swap", err, core.CodeFileWriteFailed)
			default:
				checkCode(t, "Swap", err, "")
				checkLoad(t, f, wire.SlotIdentity, record)
			}
			checkLink(t, link, tt.leads)
			if tt.made != "" {
				checkContent(t, tt.made, `{"agent_identity":`+record+"}\n")
			}
		})
	}
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	f := authfile.New("auth.json")
	if !filepath.IsAbs(f.Path()) {
		t.Errorf("Path: got %q, want an absolute path", f.Path())
	}
	swap(t, f, "", record)
	t.Chdir(t.TempDir())
	checkLoad(t, f, wire.SlotIdentity, record)
}

func TestOtherSlots(t *testing.T) {
	for _, slot := range []string{wire.SlotBackoff, wire.SlotBackend, wire.SlotSetAside} {
		t.Run(slot, func(t *testing.T) {
			f := newFile(t, document)
			checkCode(t, "Probe", f.Probe(ctx, slot), "")
			checkFolder(t, f.Path(), "auth.json")
			save(t, f, slot, `{"failures":1}`)
			checkLoad(t, f, slot, `{"failures":1}`)
			checkLoad(t, authfile.New(f.Path()), slot, `{"failures":1}`)
			checkCode(t, "Swap of another", f.Swap(ctx, slot, []byte("{}"), []byte("[]")), core.CodeRecordChanged)
			checkCode(t, "Swap", f.Swap(ctx, slot, []byte(`{"failures":1}`), []byte("{}")), "")
			checkLoad(t, f, slot, "{}")
			checkContent(t, f.Path(), document)
			for range 2 {
				checkCode(t, "Delete", f.Delete(ctx, slot), "")
			}
			checkLoad(t, f, slot, "")
			checkFolder(t, f.Path(), "auth.json", "auth.json.lock")
		})
	}
}

// What is no slot is refused, and not taken for a name of something.
func TestNoSlots(t *testing.T) {
	for _, slot := range []string{
		"", "auth.json", "..", "../x", "/etc/passwd", "record/identity", "identity/x", "Identity", "identity\x00", "thread", "thread/", "threads/2026-11",
	} {
		f := newFile(t, document)
		for name, err := range map[string]error{
			"Load":   second(f.Load(ctx, slot)),
			"Save":   f.Save(ctx, slot, []byte("{}")),
			"Delete": f.Delete(ctx, slot),
			"Swap":   f.Swap(ctx, slot, nil, []byte("{}")),
			"Probe":  f.Probe(ctx, slot),
			"Lock":   second(f.Lock(ctx, slot)),
		} {
			checkCode(t, name+" "+slot, err, core.CodeInvalidRequest)
		}
		checkFolder(t, f.Path(), "auth.json")
		checkContent(t, f.Path(), document)
	}
	for _, slot := range []string{wire.SlotBackoff, wire.SlotBackend, wire.SlotSetAside} {
		_, err := newFile(t, document).Lock(ctx, slot)
		checkCode(t, "Lock "+slot, err, core.CodeInvalidRequest)
	}
}

// second is the error of a call that returns something else, too.
func second[T any](_ T, err error) error { return err }

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
	entries, err := os.ReadDir(filepath.Dir(threadFile(t, f, "thread-1")))
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

// What another program changes between Load and Swap stays changed.
func TestSwapReadsTheFileAgain(t *testing.T) {
	f := newFile(t, document)
	checkLoad(t, f, wire.SlotIdentity, "")
	write(t, f.Path(), strings.Replace(document, "secret-token", "secret-token-2", 1))
	swap(t, f, "", record)
	checkContent(t, f.Path(), strings.Replace(withRecord, "secret-token", "secret-token-2", 1))
}

// Writers of one process do not undo each other: every one of them leaves the
// file whole, and of those who swap one identity one gets it.
func TestConcurrentSwaps(t *testing.T) {
	f := newFile(t, document)
	var wg sync.WaitGroup
	var swapped atomic.Int64
	for i := range 16 {
		wg.Go(func() {
			err := f.Swap(ctx, wire.SlotIdentity, nil, fmt.Appendf(nil, `{"n":%d}`, i))
			if err == nil {
				swapped.Add(1)
			} else {
				checkCode(t, "Swap", err, core.CodeRecordChanged)
			}
			checkCode(t, "Save backoff", f.Save(ctx, wire.SlotBackoff, []byte(record)), "")
		})
	}
	wg.Wait()
	if got := swapped.Load(); got != 1 {
		t.Errorf("%d callers have swapped the identity, want 1", got)
	}
	identity, err := f.Load(ctx, wire.SlotIdentity)
	if err != nil || len(identity) == 0 {
		t.Fatalf("Load: got %q, %v", identity, err)
	}
	checkContent(t, f.Path(), strings.Replace(withRecord, record, string(identity), 1))
	checkFolder(t, f.Path(), "auth.json", "auth.json.backoff", "auth.json.lock", "auth.lock")
}

// Who reads the file meanwhile gets the old one or the new one, whole.
func TestReplacedAtomically(t *testing.T) {
	f := newFile(t, document)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 50 {
			checkCode(t, "Swap", f.Swap(ctx, wire.SlotIdentity, nil, []byte(record)), "")
			checkCode(t, "Swap back", f.Swap(ctx, wire.SlotIdentity, []byte(record), nil), "")
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

func TestFileHidesSecrets(t *testing.T) {
	f := newFile(t, withRecord)
	c, err := f.Credentials(ctx)
	if err != nil || c.AccessToken != "secret-token" {
		t.Fatalf("Credentials: got %v, %v; want the access token", c, err)
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", c, c, c, c); strings.Contains(shown, "secret-token") {
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
