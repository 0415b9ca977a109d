//go:build linux || darwin

package authfile_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
	"github.com/agentassert/agentassert/host/authfile"
)

// pathVariable makes the test binary a process that must not write files larger
// than document.
const pathVariable = "AGENTASSERT_TEST_AUTH_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(pathVariable); path != "" {
		os.Exit(saveBeyondLimit(path))
	}
	os.Exit(m.Run())
}

// saveBeyondLimit prints the code of the error that a save ends with.
func saveBeyondLimit(path string) (exitCode int) {
	signal.Ignore(syscall.SIGXFSZ) // so that the write fails instead
	limit := syscall.Rlimit{Cur: uint64(len(document)), Max: uint64(len(document))}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(core.Code(authfile.New(path).Save(ctx, wire.SlotIdentity, []byte(record))))
	return 0
}

// A write that fails half-way, as on a full disk, leaves no trace.
func TestWriteFails(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := newFile(t, document)
	child := exec.Command(self)
	child.Env = append(os.Environ(), pathVariable+"="+f.Path())
	child.Stderr = os.Stderr
	output, err := child.Output()
	if got := strings.TrimSpace(string(output)); err != nil || got != core.CodeFileWriteFailed {
		t.Errorf("got %q, %v; want %q", got, err, core.CodeFileWriteFailed)
	}
	checkContent(t, f.Path(), document)
	checkFolder(t, f.Path(), "auth.json")
}
