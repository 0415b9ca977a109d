package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	system "github.com/zalando/go-keyring"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/internal/postgres/postgrestest"
)

// storeKey is a key in the form in which it is in a file, of 32 equal bytes.
func storeKey(b byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) + "\n"
}

// privateFile writes a file that only its owner can read.
func privateFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "private")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// headerOf runs the command for one user of a backend, and returns what it says.
func headerOf(t *testing.T, url, authFile string, args ...string) headerReport {
	t.Helper()
	args = append([]string{"header", "--json", "--base-url", url, "--auth-file", authFile, "--trust-host", "127.0.0.1"}, args...)
	got := tool(t, "", args...)
	var x headerReport
	if err := json.Unmarshal([]byte(got.stdout), &x); err != nil || got.code != 0 {
		t.Fatalf("%v, %+v", err, got)
	}
	return x
}

// postgresStore are the flags of a store with a table of its own in the server for tests,
// and what makes the table. The connection string, which has a password, is in a variable.
func postgresStore(t *testing.T, name, keyFile string) (flags []string, migrate func()) {
	t.Helper()
	t.Setenv("STORE_OF_THE_TEST", postgrestest.DSN(t))
	table := postgrestest.Unique("tool")
	postgrestest.Remove(t, "DROP TABLE IF EXISTS "+pgx.Identifier{table}.Sanitize())
	flags = []string{"--store", "env:STORE_OF_THE_TEST", "--store-name", name, "--store-key-file", keyFile, "--store-table", table}
	return flags, func() {
		t.Helper()
		if got := tool(t, "", append([]string{"store", "migrate"}, flags...)...); got != (result{stdout: "The table " + table + " is there.\n"}) {
			t.Fatalf("migrate: %+v", got)
		}
	}
}

// named are the same flags, of another name.
func named(store []string, name string) []string {
	store = slices.Clone(store)
	store[slices.Index(store, "--store-name")+1] = name
	return store
}

// Commands on several machines, that name the same store, have one identity, and leave
// the sign-in's file alone.
func TestStorePostgres(t *testing.T) {
	u := startUpstream(t, none)
	keys := privateFile(t, storeKey(1))
	store, migrate := postgresStore(t, "fleet-1", keys)
	before := readFile(t, u.authFile)

	got := tool(t, "", append([]string{"header", "--base-url", u.url, "--auth-file", u.authFile}, store...)...)
	checkSaid(t, got, exitFailed, []string{"no table", "agentassert store migrate"})
	migrate()
	migrate()

	first := headerOf(t, u.url, u.authFile, store...)
	if first.Mode != core.ModeAgentAssertion {
		t.Fatalf("got %+v", first)
	}
	other := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(other, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if again := headerOf(t, u.url, other, store...); again.AgentRuntimeID != first.AgentRuntimeID || again.TaskID != first.TaskID {
		t.Errorf("another machine has the agent %s and the task %s, want %s and %s", again.AgentRuntimeID, again.TaskID, first.AgentRuntimeID, first.TaskID)
	}
	row := statusJSON(t, append([]string{"--auth-file", other, "--base-url", u.url}, store...)...)[core.SurfaceModels]
	if row.AgentRuntimeID != first.AgentRuntimeID || row.Registers {
		t.Errorf("status: %+v", row)
	}
	p := startProxy(t, u, store...)
	if task := p.assertion(t, http.MethodGet, "/codex/models"); task != first.TaskID {
		t.Errorf("the proxy has the task %s, want %s", task, first.TaskID)
	}
	p.stop()
	if got := u.Accepted(); got != (authority.Counts{Identities: 1, Tasks: 1}) {
		t.Errorf("registered %+v, want one of each", got)
	}
	if !bytes.Equal(readFile(t, u.authFile), before) {
		t.Error("the sign-in's file was written")
	}

	if another := headerOf(t, u.url, u.authFile, named(store, "fleet-2")...); another.Mode != core.ModeAgentAssertion || another.AgentRuntimeID == first.AgentRuntimeID {
		t.Errorf("under another name: %+v", another)
	}
}

// The key can be changed while the identity is used.
func TestStoreReseal(t *testing.T) {
	_, base, authFile := signedIn(t)
	keys := privateFile(t, storeKey(1))
	store, migrate := postgresStore(t, "fleet-1", keys)
	migrate()
	first := headerOf(t, base, authFile, store...)

	use := func(content string) {
		t.Helper()
		if err := os.WriteFile(keys, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	resealed := func(store []string, want string) {
		t.Helper()
		if got := tool(t, "", append([]string{"store", "reseal"}, store...)...); got != (result{stdout: want}) {
			t.Errorf("reseal: got %+v, want %q", got, want)
		}
	}
	reseal := func(want string) {
		t.Helper()
		resealed(store, want)
	}
	use("# the new one\n" + storeKey(2) + "# the old one\n" + storeKey(1))
	reseal("1 record was sealed with the first key.\n") // the identity, in which its background task is
	reseal("0 records were sealed with the first key.\n")
	use(storeKey(2))
	if again := headerOf(t, base, authFile, store...); again.AgentRuntimeID != first.AgentRuntimeID {
		t.Errorf("with the new key there is the agent %s, want %s", again.AgentRuntimeID, first.AgentRuntimeID)
	}
	if got := tool(t, "", append([]string{"store", "reseal", "--json"}, store...)...); got != (result{stdout: "{\n  \"resealed\": 0\n}\n"}) {
		t.Errorf("as JSON: %+v", got)
	}
	if got := tool(t, "", append([]string{"store", "migrate", "--json"}, store...)...); !strings.HasPrefix(got.stdout, "{\n  \"table\": \"tool_") || got.code != 0 {
		t.Errorf("migrate as JSON: %+v", got)
	}
	// All names at once, and back again.
	headerOf(t, base, authFile, named(store, "fleet-2")...)
	use(storeKey(1) + storeKey(2))
	resealed(append(slices.Delete(slices.Clone(store), 2, 4), "--all-names"), "2 records were sealed with the first key.\n")
	use(storeKey(2) + storeKey(1))
	reseal("1 record was sealed with the first key.\n")
	use(storeKey(1))
	if x := headerOf(t, base, authFile, store...); x.Mode != core.ModeBearer || x.Cause == nil || !strings.Contains(x.Cause.Message, "key") {
		t.Errorf("with the old key: %+v because of %+v", x, x.Cause)
	}
}

// TestStoreKeyring keeps the identity in a keyring, under another service than ours.
func TestStoreKeyring(t *testing.T) {
	system.MockInit()
	home := t.TempDir()
	for _, name := range []string{"XDG_CONFIG_HOME", "HOME", "AppData"} {
		t.Setenv(name, home)
	}
	_, base, authFile := signedIn(t)
	before := readFile(t, authFile)
	store := []string{"--store", "keyring:service-1", "--store-name", "account-1"}
	first := headerOf(t, base, authFile, store...)
	if again := headerOf(t, base, authFile, store...); first.Mode != core.ModeAgentAssertion || again.TaskID != first.TaskID {
		t.Errorf("got %+v, and then %+v", first, again)
	}
	if other := headerOf(t, base, authFile, "--store", "keyring:", "--store-name", "account-1"); other.AgentRuntimeID == first.AgentRuntimeID {
		t.Error("another service has the same identity")
	}
	if !bytes.Equal(readFile(t, authFile), before) {
		t.Error("the sign-in's file was written")
	}
}

// In files of its own, the identity is found again by the next run, and the sign-in's folder is
// left as it was.
func TestStoreFile(t *testing.T) {
	u := startUpstream(t, none)
	before := readFile(t, u.authFile)
	folder := t.TempDir()
	store := []string{"--store", "file:" + filepath.Join(folder, "identity")}

	first := headerOf(t, u.url, u.authFile, store...)
	if first.Mode != core.ModeAgentAssertion {
		t.Fatalf("got %+v", first)
	}
	if again := headerOf(t, u.url, u.authFile, store...); again.AgentRuntimeID != first.AgentRuntimeID || again.TaskID != first.TaskID {
		t.Errorf("the next run has the agent %s and the task %s, want %s and %s", again.AgentRuntimeID, again.TaskID, first.AgentRuntimeID, first.TaskID)
	}
	for range 2 {
		p := startProxy(t, u, store...)
		if task := p.assertion(t, http.MethodGet, "/codex/models"); task != first.TaskID {
			t.Errorf("the proxy has the task %s, want %s", task, first.TaskID)
		}
		p.stop()
	}
	if got := u.Accepted(); got != (authority.Counts{Identities: 1, Tasks: 1}) {
		t.Errorf("registered %+v, want one of each", got)
	}
	if !bytes.Equal(readFile(t, u.authFile), before) {
		t.Error("the sign-in's file was written")
	}
	beside, err := filepath.Glob(u.authFile + "*")
	if err != nil || len(beside) != 1 {
		t.Errorf("beside the sign-in there are %q, %v", beside, err)
	}
	kept, err := filepath.Glob(filepath.Join(folder, "identity*"))
	if err != nil || len(kept) == 0 {
		t.Fatalf("nothing is kept: %v", err)
	}
	for _, path := range kept {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others have rights to %s: %v", path, info.Mode())
		}
	}
}

// What is missing, too much or misspelt is said, and nothing of what is secret.
func TestStoreFlags(t *testing.T) {
	authFile := filepath.Join(t.TempDir(), "auth.json")
	keys := privateFile(t, storeKey(1))
	shared := privateFile(t, storeKey(1))
	if err := os.Chmod(shared, 0o644); err != nil {
		t.Fatal(err)
	}
	const secret = "hunter2"
	bad := privateFile(t, secret+"\n")
	t.Setenv("EMPTY", "")
	t.Setenv("WRONG", "mysql://user:"+secret+"@db/agents")
	t.Setenv("REMOTE", "postgres://user:"+secret+"@db.example.com/agents")
	const postgres = "postgres://127.0.0.1/agents"
	for _, tt := range []struct {
		name string
		args []string
		key  string // in the variable
		code int
		want string
	}{
		{"no store", []string{"--store-name", "n"}, "", exitUsage, "--store-name is for --store"},
		{"no store for the key", []string{"--store-key-file", keys}, "", exitUsage, "--store-key-file is for --store"},
		{"no name", []string{"--store", postgres}, storeKey(1), exitUsage, "--store-name"},
		{"no name in the keyring", []string{"--store", "keyring:s"}, "", exitUsage, "--store-name"},
		{"another kind", []string{"--store", "mysql://user:" + secret + "@db/agents", "--store-name", "n"}, "", exitUsage, "postgres://, keyring:, file: or env:"},
		{"a path", []string{"--store", "./auth.json", "--store-name", "n"}, "", exitUsage, "postgres://, keyring:, file: or env:"},
		{"another kind in a variable", []string{"--store", "env:WRONG", "--store-name", "n"}, "", exitUsage, "postgres://, keyring:, file: or env:"},
		{"an empty variable", []string{"--store", "env:EMPTY", "--store-name", "n"}, "", exitUsage, "env:EMPTY"},
		{"a password", []string{"--store", "postgres://user:" + secret + "@127.0.0.1/agents", "--store-name", "n"}, storeKey(1), exitUsage, "PGPASSWORD"},
		{"a password in the query", []string{"--store", postgres + "?password=" + secret, "--store-name", "n"}, storeKey(1), exitUsage, "PGPASSWORD"},
		{"a password that is not escaped", []string{"--store", "postgres://user:" + secret + "%zz@127.0.0.1/agents", "--store-name", "n"}, storeKey(1), exitUsage, "PGPASSWORD"},
		{"no key", []string{"--store", postgres, "--store-name", "n"}, "", exitUsage, "openssl rand"},
		{"two places for keys", []string{"--store", postgres, "--store-name", "n", "--store-key-file", keys}, storeKey(1), exitUsage, "unset one"},
		{"a key that is none", []string{"--store", postgres, "--store-name", "n", "--store-key-file", bad}, "", exitUsage, "base64 of 32 bytes"},
		{"a key that is none in the variable", []string{"--store", postgres, "--store-name", "n"}, secret, exitUsage, "base64 of 32 bytes"},
		{"a file that others can read", []string{"--store", postgres, "--store-name", "n", "--store-key-file", shared}, "", exitFailed, "chmod 600"},
		{"no such file", []string{"--store", postgres, "--store-name", "n", "--store-key-file", keys + "-none"}, "", exitFailed, "openssl rand"},
		{"a file without keys", []string{"--store", postgres, "--store-name", "n", "--store-key-file", privateFile(t, "# none\n")}, "", exitUsage, "openssl rand"},
		{"no path", []string{"--store", "file:"}, "", exitUsage, "names no file"},
		{"a name for a file", []string{"--store", "file:x", "--store-name", "n"}, "", exitUsage, "a file has its path"},
		{"keys for the keyring", []string{"--store", "keyring:s", "--store-name", "n", "--store-key-file", keys}, "", exitUsage, "for PostgreSQL"},
		{"a keyring's service that is none", []string{"--store", "keyring:a b", "--store-name", "n"}, "", exitUsage, "the keyring's service"},
		{"a connection that is not encrypted", []string{"--store", "env:REMOTE", "--store-name", "n"}, storeKey(1), exitUsage, "sslmode=verify-full"},
		{"a table that is none", []string{"--store", postgres, "--store-name", "n", "--store-table", "a.b.c"}, storeKey(1), exitUsage, "the table"},
		{"an identity that is a JWT", []string{"--store", postgres, "--store-name", "n", "--jwt-file", keys}, storeKey(1), exitUsage, "jwt-file"},
		{"beside", []string{"--store", postgres, "--store-name", "n", "--identity-beside"}, storeKey(1), exitUsage, "identity-beside"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want == "chmod 600" && runtime.GOOS == "windows" {
				t.Skip("needs Unix permissions")
			}
			t.Setenv(storeKeyVariable, tt.key)
			args := append([]string{"header", "--base-url", "http://127.0.0.1/backend-api"}, tt.args...)
			if !strings.Contains(strings.Join(args, " "), "--jwt-file") {
				args = append(args, "--auth-file", authFile)
			}
			got := tool(t, "", args...)
			checkSaid(t, got, tt.code, []string{tt.want})
			if strings.Contains(got.stderr, secret) {
				t.Errorf("it shows a secret: %s", got.stderr)
			}
		})
	}
	t.Run("no table in a keyring", func(t *testing.T) {
		checkSaid(t, tool(t, "", "store", "migrate", "--store", "keyring:s", "--store-name", "n"), exitUsage, []string{"postgres://"})
	})
	t.Run("no table in a file", func(t *testing.T) {
		checkSaid(t, tool(t, "", "store", "migrate", "--store", "file:x"), exitUsage, []string{"postgres://"})
	})
	t.Run("completed", func(t *testing.T) {
		if got := tool(t, "", "__complete", "header", "--store", ""); !strings.HasPrefix(got.stdout, "postgres://\nkeyring:\nfile:\nenv:\n") {
			t.Errorf("completed to %q", got.stdout)
		}
	})
}

// An identity of a client's that is a JWT is kept nowhere.
func TestStoreBesideAJWT(t *testing.T) {
	backend, base, authFile := signedIn(t)
	jwt, err := backend.IssueIdentityJWT(authority.User{AccountID: "account-1", UserID: "user-1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(authFile, []byte(`{"agent_identity":"`+jwt+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	got := tool(t, "", "header", "--base-url", base, "--auth-file", authFile, "--profile", "auth-api", "--store", "keyring:s", "--store-name", "n")
	checkSaid(t, got, exitUsage, []string{"do without --store"})
}

// FuzzHasPassword: no password that net/url finds gets by, and nothing panics.
func FuzzHasPassword(f *testing.F) {
	for _, text := range []string{"postgres://u:p@h/d", "postgres://u@h/d", "postgres://h/d?password=p", "postgres://u:p%zz@h", "postgres:///d", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil && !hasPassword(text) {
			t.Errorf("%q cannot be read, and passes", text)
		}
		if err != nil {
			return
		}
		if _, given := u.User.Password(); given && !hasPassword(text) {
			t.Errorf("%q has a password", text)
		}
	})
}
