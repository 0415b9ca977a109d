package keyringstore_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/keyringstore"
)

// TestSecretService runs TestInSecretService on a GNOME Keyring of its own: in a
// D-Bus session, a home folder and a process that no other uses.
func TestSecretService(t *testing.T) {
	for _, program := range []string{"dbus-run-session", "gnome-keyring-daemon"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed; on Debian it is in the package dbus-daemon or gnome-keyring", program)
		}
	}
	home := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	session := exec.CommandContext(ctx, "dbus-run-session", "--", "sh", "-c",
		`printf password | gnome-keyring-daemon --unlock --components=secrets >"$HOME/daemon" && exec "$0" -test.run='^TestInSecretService$' -test.v`, os.Args[0])
	session.Env = append(os.Environ(), childVariable+"="+childSecretService,
		"HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "XDG_RUNTIME_DIR="+home)
	session.WaitDelay = time.Second
	out, err := session.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// TestInSecretService is the child's part.
func TestInSecretService(t *testing.T) {
	if os.Getenv(childVariable) != childSecretService {
		t.Skip("TestSecretService runs this")
	}
	s, err := keyringstore.Open(t.Context(), keyringstore.Config{Account: "account"})
	if err != nil {
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
	if err := s.Delete(t.Context(), wire.SlotIdentity); err != nil {
		t.Fatal(err)
	}
	checkLoad(t, s, wire.SlotIdentity, nil)
}
