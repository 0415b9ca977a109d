package authfile_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/authfile"
)

func init() {
	children["lock identity"] = func(f *authfile.File) error {
		unlock, err := f.Lock(ctx, wire.SlotIdentity)
		if err == nil {
			unlock()
		}
		return err
	}
}

// In a container's user namespace a file can belong to somebody who is not in it. Nobody there
// can make a file for that owner: the store can be read, and says that it cannot be written.
func TestOwnerOutsideOfTheNamespace(t *testing.T) {
	path := filepath.Join(sharedFolder(t, alice, team, 0o777), "auth.json")
	writeAs(t, path, "{}", alice, team, 0o600)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self)
	c.Env = append(os.Environ(), childVariable+"=lock identity", pathVariable+"="+path)
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	var exit *exec.ExitError
	out, err := c.Output()
	if err != nil && !errors.As(err, &exit) {
		t.Skipf("no user namespace can be made here: %v", err)
	}
	if got := string(out); got != core.CodeStoreReadOnly+"\n" {
		t.Errorf("%v: %q %s", err, got, stderr(exit))
	}
}

func stderr(exit *exec.ExitError) []byte {
	if exit == nil {
		return nil
	}
	return exit.Stderr
}
