package proxy

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// newLogger returns a logger that counts, and what it has written, without the time.
func newLogger(level slog.Level) (*slog.Logger, *logged) {
	l := new(logged)
	return slog.New(CountRepeats(slog.NewTextHandler(l, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))), l
}

func checkLog(t *testing.T, what string, l *logged, want ...string) {
	t.Helper()
	if got := strings.Split(strings.TrimSuffix(l.String(), "\n"), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s: logged\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCountRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, l := newLogger(slog.LevelInfo)
		for i := range 3 {
			log.Warn("failed", "code", "a", "n", i)
		}
		log.Warn("failed", "code", "b")
		log.With("account", "alice").Warn("failed", "code", "a")
		log.Info("registered")
		log.Info("registered")
		want := []string{
			"level=WARN msg=failed code=a n=0", "level=WARN msg=failed code=b", "level=WARN msg=failed account=alice code=a",
			"level=INFO msg=registered", "level=INFO msg=registered",
		}
		checkLog(t, "at once", l, want...)
		time.Sleep(repeatInterval + 1)
		want = append(want, "level=WARN msg=failed code=a n=2 repeated=2")
		checkLog(t, "after an interval", l, want...)
		log.Warn("failed", "code", "a", "n", 3)
		log.Warn("failed", "code", "b") // of which there was none for an interval
		want = append(want, "level=WARN msg=failed code=b")
		checkLog(t, "in the next interval", l, want...)
		log.Handler().(*counting).repeats.flush()
		want = append(want, "level=WARN msg=failed code=a n=3 repeated=1")
		checkLog(t, "at the end", l, want...)
		time.Sleep(10 * repeatInterval)
		checkLog(t, "after the end", l, want...)
	})
}

// TestCountRepeatsLooksInside: another reason is another event, also in a group, and another
// task is not.
func TestCountRepeatsLooksInside(t *testing.T) {
	log, l := newLogger(slog.LevelInfo)
	for _, of := range []struct{ reason, task string }{{"r", "1"}, {"r", "2"}, {"s", "3"}} {
		log.Warn("falls back", slog.Group("authorization", "reason", of.reason, "task_id", of.task))
	}
	log.Handler().(*counting).repeats.flush()
	checkLog(t, "all", l, "level=WARN msg=\"falls back\" authorization.reason=r authorization.task_id=1",
		"level=WARN msg=\"falls back\" authorization.reason=s authorization.task_id=3",
		"level=WARN msg=\"falls back\" authorization.reason=r authorization.task_id=2 repeated=1")
}

// TestCountRepeatsIsBounded: what is told apart without end is counted all together.
func TestCountRepeatsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, l := newLogger(slog.LevelInfo)
		for i := range 3 * maxRepeated {
			log.Warn("failed", "code", i)
		}
		if n := strings.Count(l.String(), "\n"); n != maxRepeated+1 {
			t.Errorf("%d lines at once, want %d", n, maxRepeated+1)
		}
		time.Sleep(3 * repeatInterval)
		if lines := l.lines("repeated="); len(lines) != 1 || !strings.Contains(lines[0], fmt.Sprintf("repeated=%d", 2*maxRepeated-1)) {
			t.Errorf("of the others: %q", lines)
		}
		kept := log.Handler().(*counting).repeats
		kept.mu.Lock()
		defer kept.mu.Unlock()
		if left := len(kept.all); left != 0 {
			t.Errorf("%d events are kept", left)
		}
	})
}

// TestCountRepeatsOfDebug: who asks for everything gets it.
func TestCountRepeatsOfDebug(t *testing.T) {
	log, l := newLogger(slog.LevelDebug)
	for range 3 {
		log.WithGroup("g").Warn("failed", "code", "a")
	}
	if n := len(l.lines("g.code=a")); n != 3 {
		t.Errorf("%d lines: %s", n, l)
	}
}
