package keyringstore_test

import (
	"fmt"
	"os"
	"testing"

	system "github.com/zalando/go-keyring"
	"go.uber.org/goleak"
)

// childVariable makes the test binary one of the processes that tests start.
const childVariable = "AGENTASSERT_TEST_CHILD"

// The children.
const (
	childLocks         = "locks"
	childSecretService = "secret-service"
)

// TestMain sees to it that no test touches the keyring and the folders of whoever
// runs it, and fails where a goroutine is left behind.
func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case childSecretService: // in a session of its own, with a keyring of its own
		os.Exit(m.Run())
	case childLocks:
		system.MockInit()
		os.Exit(lockForever())
	}
	system.MockInit()
	dir, err := os.MkdirTemp("", "agentassert-keyring-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// What os.UserConfigDir looks at, on Linux, macOS and Windows.
	for _, name := range []string{"XDG_CONFIG_HOME", "HOME", "AppData"} {
		if err := os.Setenv(name, dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(exitCode int) {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			exitCode = 1
		}
		os.Exit(exitCode)
	}))
}
