package postgres

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhileAnswered waits beside a server that answers for a while.
func TestWhileAnswered(t *testing.T) {
	const timeout = 10 * time.Second
	for name, test := range map[string]struct {
		answers int           // one each timeout/2
		want    time.Duration // until the wait ends
	}{
		"a server that is silent":      {0, timeout},
		"one that falls silent":        {5, 3 * timeout}, // the last answer is at 2.5
		"one that answers once":        {1, 2 * timeout},
		"one that answers a long time": {2000, 1001 * timeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &Pool{shared: new(shared), timeout: timeout}
				begin := time.Now()
				waiting, end := p.whileAnswered(t.Context())
				defer end()
				go func() {
					for range test.answers {
						time.Sleep(timeout / 2)
						p.answers.Add(1)
					}
				}()
				<-waiting.Done()
				if got := time.Since(begin); got < test.want || got > test.want+timeout {
					t.Errorf("the wait has ended after %v, want %v", got, test.want)
				}
				if err := context.Cause(waiting); !errors.Is(err, errNoTurn) {
					t.Errorf("it has ended with %v", err)
				}
			})
		})
	}
}

// TestWhileAnsweredIsEnded: nothing is left of a wait that has ended, for whatever reason.
func TestWhileAnsweredIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Pool{shared: new(shared), timeout: time.Second}
		_, end := p.whileAnswered(t.Context())
		end()

		ctx, cancel := context.WithCancelCause(t.Context())
		waiting, end := p.whileAnswered(ctx)
		reason := errors.New("reason")
		cancel(reason)
		<-waiting.Done()
		time.Sleep(2 * time.Second)
		if err := context.Cause(waiting); !errors.Is(err, reason) {
			t.Errorf("it has ended with %v", err)
		}
		end()
	})
}
