package pgstore_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childVariable makes the test binary a process that takes a lock and keeps it.
const childVariable = "AGENTASSERT_TEST_CHILD"

// TestMain fails where the tests leave a goroutine behind.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(lockForever())
	}
	goleak.VerifyTestMain(m)
}
