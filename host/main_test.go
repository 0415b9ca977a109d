package host_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childVariable makes the test binary one of the processes of process_test.go.
const childVariable = "AGENTASSERT_TEST_CHILD"

// TestMain gives the tests a cache folder of their own, and fails where they
// leave a goroutine behind.
func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		os.Exit(runChild(name))
	}
	dir, err := os.MkdirTemp("", "agentassert-host-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// What os.UserCacheDir looks at, on Linux, macOS and Windows.
	for _, name := range []string{"XDG_CACHE_HOME", "HOME", "LocalAppData"} {
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
