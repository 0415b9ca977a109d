//go:build unix

package keyringstore_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/keyringstore"
)

const (
	// daemonVariable and busVariable tell a child the processes of the keyring and of
	// the bus.
	daemonVariable = "AGENTASSERT_TEST_DAEMON"
	busVariable    = "AGENTASSERT_TEST_BUS"
	// unlockedDaemon starts a GNOME Keyring with a collection that is unlocked, waits
	// until the bus knows it, and remembers both processes.
	unlockedDaemon = `printf password | gnome-keyring-daemon --unlock --components=secrets >"$HOME/daemon" || exit
bus() { dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus / "org.freedesktop.DBus.$@"; }
bus StartServiceByName string:org.freedesktop.secrets uint32:0 >"$HOME/daemon" || exit
process() { bus GetConnectionUnixProcessID "string:$1" | sed 's/.*uint32 *//'; }
export ` + daemonVariable + `="$(process org.freedesktop.secrets)" ` + busVariable + `="$(process org.freedesktop.DBus)"
`
	// accessToken is the one in the entry of a client.
	accessToken = "secret-access-token"
)

// TestSecretService runs the tests below, each on a GNOME Keyring of its own: in a
// D-Bus session, a home folder and a process that no other uses.
func TestSecretService(t *testing.T) {
	for program, pkg := range map[string]string{
		"dbus-run-session": "dbus-daemon", "gnome-keyring-daemon": "gnome-keyring", "dbus-send": "dbus-bin", "secret-tool": "libsecret-tools",
	} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed; on Debian it is in the package %s", program, pkg)
		}
	}
	for _, test := range []struct{ name, script string }{
		{"TestInSecretService", unlockedDaemon},
		{"TestClientEntryInSecretService", unlockedDaemon + `
mkdir "$HOME/.codex"
printf '{"tokens":{"access_token":"` + accessToken + `","account_id":"acct-1"},"padding":"%06000d"}' 1 |
	secret-tool store --label=entry service 'Codex Auth' target default application rust-keyring \
		username "cli|$(printf %s "$(realpath "$HOME/.codex")" | sha256sum | cut -c1-16)" || exit
`},
		{"TestStoppedSecretService", unlockedDaemon},
		// The bus starts the keyring anew, and it is locked. It asks to be unlocked
		// through a program that never answers.
		{"TestLockedSecretService", unlockedDaemon + `
kill "$` + daemonVariable + `"
mkdir -p "$HOME/dbus-1/services" && mkfifo "$HOME/asked" || exit
cat >"$HOME/dbus-1/services/org.gnome.keyring.SystemPrompter.service" <<END
[D-BUS Service]
Name=org.gnome.keyring.SystemPrompter
Exec=/bin/sh -c 'echo \$\$ >"$HOME/asked"; exec sleep 60 >"$HOME/prompter" 2>&1'
END
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			session := exec.CommandContext(ctx, "dbus-run-session", "--", "sh", "-c",
				test.script+`exec "$0" -test.run='^`+test.name+`$' -test.v`, os.Args[0])
			session.Env = append(os.Environ(), childVariable+"="+childSecretService,
				"HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "XDG_RUNTIME_DIR="+home)
			session.WaitDelay = time.Second
			out, err := session.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS: "+test.name) {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}

// inSession skips a test that is not a child's part.
func inSession(t *testing.T) {
	t.Helper()
	if os.Getenv(childVariable) != childSecretService {
		t.Skip("TestSecretService runs this")
	}
}

func TestInSecretService(t *testing.T) {
	inSession(t)
	s, err := keyringstore.Open(t.Context(), keyringstore.Config{Account: "account"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context(), wire.SlotIdentity); err != nil {
		t.Fatal(err)
	}
	unlock, err := s.Lock(t.Context(), wire.SlotIdentity)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	checkLoad(t, s, wire.SlotIdentity, nil)
	for _, n := range []int{600, 20_000, 600} {
		save(t, s, wire.SlotIdentity, record(n, 1))
		checkLoad(t, s, wire.SlotIdentity, record(n, 1))
	}
	if err := s.Swap(t.Context(), wire.SlotIdentity, record(600, 1), record(20_000, 2)); err != nil {
		t.Fatal(err)
	}
	checkLoad(t, s, wire.SlotIdentity, record(20_000, 2))
	if err := s.Delete(t.Context(), wire.SlotIdentity); err != nil {
		t.Fatal(err)
	}
	checkLoad(t, s, wire.SlotIdentity, nil)
}

// TestClientEntryInSecretService reads an entry with the attributes that the client's
// was seen to have, written by another program.
func TestClientEntryInSecretService(t *testing.T) {
	inSession(t)
	home := filepath.Join(os.Getenv("HOME"), ".codex")
	c, err := keyringstore.NewClientCredentials(home, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Credentials(t.Context())
	if err != nil || got.Kind != wire.CredentialsChatGPT || got.AccessToken != accessToken || got.AccountID != "acct-1" {
		t.Errorf("got %v, problem %v, %v", got, got.Problem, err)
	}
	// Another client's home has no entry.
	if c, err = keyringstore.NewClientCredentials(t.TempDir(), 0); err != nil {
		t.Fatal(err)
	}
	got, err = c.Credentials(t.Context())
	if err != nil || got.Problem == nil || got.Problem.Code != keyringstore.CodeNotSignedIn {
		t.Errorf("without an entry: %v, problem %v, %v", got, got.Problem, err)
	}
}

// TestStoppedSecretService: a daemon that takes calls and does not answer keeps nobody,
// and serves again when it goes on.
func TestStoppedSecretService(t *testing.T) {
	inSession(t)
	s, err := keyringstore.Open(t.Context(), keyringstore.Config{Account: "account"})
	if err != nil {
		t.Fatal(err)
	}
	save(t, s, wire.SlotIdentity, record(600, 1))
	pid := process(t, os.Getenv(daemonVariable))
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume := func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
	defer resume()
	checkHangs(t, s)
	resume()
	// What hung has ended, the write that nobody waited for included; so has its lock.
	save(t, s, wire.SlotIdentity, record(600, 3))
	checkLoad(t, s, wire.SlotIdentity, record(600, 3))
}

// TestLockedSecretService: a collection that nobody unlocks keeps nobody, and a bus that
// ends meanwhile is an error like others.
func TestLockedSecretService(t *testing.T) {
	inSession(t)
	ctx, cancel := context.WithCancel(t.Context())
	opened := make(chan error)
	go func() {
		_, err := keyringstore.Open(ctx, keyringstore.Config{Account: "account"})
		opened <- err
	}()
	// The prompter says that it has been asked.
	asked, err := os.ReadFile(filepath.Join(os.Getenv("HOME"), "asked"))
	if err != nil {
		t.Fatal(err)
	}
	prompter := process(t, strings.TrimSpace(string(asked)))
	defer func() { _ = syscall.Kill(prompter, syscall.SIGKILL) }()
	cancel()
	checkCode(t, <-opened, keyringstore.CodeCanceled)
	_, err = keyringstore.Open(t.Context(), keyringstore.Config{Account: "account", Timeout: 50 * time.Millisecond})
	checkCode(t, err, keyringstore.CodeUnavailable)

	go func() {
		_, err := keyringstore.Open(t.Context(), keyringstore.Config{Account: "account"})
		opened <- err
	}()
	if err := syscall.Kill(process(t, os.Getenv(busVariable)), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	checkCode(t, <-opened, keyringstore.CodeUnavailable)
}

// process returns the number of a process.
func process(t *testing.T, number string) int {
	t.Helper()
	pid, err := strconv.Atoi(number)
	if err != nil || pid <= 1 {
		t.Fatalf("no process has the number %q", number)
	}
	return pid
}

// checkHangs checks that a store on a keyring that hangs keeps nobody.
func checkHangs(t *testing.T, s *keyringstore.Store) {
	t.Helper()
	expired, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.Load(expired, wire.SlotIdentity)
	checkCode(t, err, keyringstore.CodeCanceled)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the cause is missing in %v", err)
	}
	checkCode(t, s.Probe(expired, wire.SlotIdentity), keyringstore.CodeCanceled)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	checkCode(t, s.Save(ctx, wire.SlotIdentity, record(600, 2)), keyringstore.CodeCanceled)
	_, err = keyringstore.Open(t.Context(), keyringstore.Config{Account: "account", Timeout: 50 * time.Millisecond})
	checkCode(t, err, keyringstore.CodeUnavailable)
	c, err := keyringstore.NewClientCredentials(t.TempDir(), 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Credentials(t.Context())
	checkCode(t, err, keyringstore.CodeUnavailable)
}
