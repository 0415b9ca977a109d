package authfile

import (
	"os"
	"testing"
	"time"

	"github.com/agentassert/agentassert/core/wire"
)

// AfterEffect has a function called after each effect, until the test ends. Tests
// that do so are not parallel.
func AfterEffect(t testing.TB, f func(wire.FileEffect)) {
	was := afterEffect
	afterEffect = f
	t.Cleanup(func() { afterEffect = was })
}

// SetNow takes the place of the clock, until the test ends.
func SetNow(t testing.TB, f func() time.Time) {
	was, wasUptime := now, uptime
	now, uptime = f, func() time.Duration { return f().Sub(began) }
	t.Cleanup(func() { now, uptime = was, wasUptime })
}

// SetUptime has the clock that nobody sets go by itself, until the test ends.
func SetUptime(t testing.TB, f func() time.Duration) {
	was := uptime
	uptime = f
	t.Cleanup(func() { uptime = was })
}

// DieAt kills this process after so many effects, or in the middle of a write: of
// the nth, once so many thousandths of it are written.
func DieAt(effects, write, thousandths int) {
	die := func() {
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		if err != nil {
			panic(err)
		}
		select {} // until it has come to pass
	}
	afterEffect = func(wire.FileEffect) {
		if effects--; effects == 0 {
			die()
		}
	}
	whole := writeAt
	writeAt = func(f *os.File, content []byte) error {
		if write--; write != 0 {
			return whole(f, content)
		}
		if err := whole(f, content[:len(content)*thousandths/1000]); err != nil {
			return err
		}
		die()
		return nil
	}
}

// FailureOf names an error in the core's words.
var FailureOf = failureOf

// LockFiles are the paths of an auth.json's locks: the client's two, that of a
// registration, and that of a thread's.
func LockFiles(path, thread string) (client, target, registration, threads string) {
	return clientLock(path), path + ".lock", registrationLock(path), threadLock(path, thread)
}

// RecordFile is the path of a thread's record that was used in a month.
func RecordFile(path, month, thread string) string {
	o := operation{target: path, slot: wire.SlotThread + thread}
	file, _ := o.pathOf(wire.FileNameThread + month)
	return file
}

// SlotFile is the path of a slot's file, of a thread's that was used this month.
func SlotFile(path, slot string) string {
	file, _ := (&File{}).recordPath(path, slot)
	return file
}

// Changed is when a file has changed, in nanoseconds, where the system says so.
func Changed(path string) int64 {
	s, ok := stat(path, false)
	if !ok {
		return time.Now().UnixNano()
	}
	return s.changed
}
