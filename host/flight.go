package host

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// flights let calls that one flow can serve wait for the same one. A flow belongs to
// the manager, and to all who wait for it: when the last of them has left, it stops
// asking the store, and registers nothing that it has not begun to.
type flights struct {
	mu      sync.Mutex
	running map[string]*flight
}

// flight is one such flow.
type flight struct {
	// ctx has the values of the context of the call that came first. It ends with the
	// manager. patience is made from it, and ends when nobody waits any more, too.
	ctx, patience context.Context
	lose          context.CancelFunc
	// waiters is how many wait, and abandoned that there were some and all have left.
	waiters   int
	abandoned bool

	// registration is the context of the registration that the flow has begun, if it has
	// and there is an observer. It is for those who have waited.
	registration context.Context

	// done is closed when there is an answer, or err.
	done   chan struct{}
	answer *answer
	err    error
}

// errAbandoned ends a flow whose callers have all left. Whoever has come since asks
// again.
var errAbandoned = errors.New("nobody waits for the authorization any more")

// board returns the flight for a key. The first to board it has to see to it that it
// is flown.
func (fs *flights) board(ctx context.Context, key string) (f *flight, first bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f = fs.running[key]; f != nil {
		f.waiters++
		return f, false
	}
	f = &flight{ctx: context.WithoutCancel(ctx), waiters: 1, done: make(chan struct{})}
	if fs.running == nil {
		fs.running = make(map[string]*flight)
	}
	fs.running[key] = f
	return f, true
}

// leave is called by each who has boarded. Nobody who boards a flight after all others
// have left it brings them back: what has been broken off stays so.
func (fs *flights) leave(f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		f.abandoned = true
		if f.lose != nil {
			f.lose()
		}
	}
}

// begin gives the flight its contexts, which end with the manager's.
func (fs *flights) begin(f *flight, manager context.Context) (end func()) {
	ctx, cancel := context.WithCancel(f.ctx)
	stop := context.AfterFunc(manager, cancel)
	patience, lose := context.WithCancel(ctx)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.ctx, f.patience, f.lose = ctx, patience, lose
	if f.abandoned {
		lose()
	}
	return func() {
		stop()
		lose()
		cancel()
	}
}

// land ends the flight, whatever became of it.
func (fs *flights) land(key string, f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.answer == nil && f.err == nil {
		f.err = fail(core.CodeInternal, "the flow ended without an answer", nil)
	}
	if delete(fs.running, key); len(fs.running) == 0 {
		fs.running = nil // there are many managers, and few that have something to do
	}
	close(f.done)
}

// ask runs a flow, or waits for the one that is under way for the same key.
func (m *Manager) ask(ctx context.Context, c call) (Authorization, error) {
	tried := false
	if _, tells := m.config.Store.(Versioned); tells && ctx.Err() == nil {
		// It takes less than a flight does, and the store says so.
		a, done, err := m.renew(ctx, c, false)
		if err != nil {
			return Authorization{}, err
		}
		if a != nil {
			return a.Authorization, a.lacks
		}
		tried = done
	}
	key := c.key()
	for {
		if err := ctx.Err(); err != nil {
			return Authorization{}, notAwaited(err)
		}
		if m.ctx.Err() != nil {
			return Authorization{}, errManagerClosed()
		}
		f, first := m.flights.board(ctx, key)
		if first {
			go m.fly(f, key, c, tried)
		}
		select {
		case <-f.done:
			m.flights.leave(f)
		case <-ctx.Done():
			m.flights.leave(f)
			return Authorization{}, notAwaited(ctx.Err())
		}
		if !first && f.registration != nil && !errors.Is(f.err, errAbandoned) {
			m.config.Observer.Waited(ctx, f.registration)
		}
		switch {
		case errors.Is(f.err, errAbandoned):
			continue // all had left it before this call came
		case f.err != nil:
			return Authorization{}, f.err
		case f.answer.lacks != nil:
			return Authorization{}, f.answer.lacks
		case f.answer.signed != nil:
			// Others have waited for the same flow, and each needs one of its own.
			a, _, err := m.again(ctx, f.answer.signed, f.answer.call, "")
			return a, err
		}
		return f.answer.Authorization, nil
	}
}

func notAwaited(err error) error {
	return fail(CodeCanceled, "the caller stopped waiting for its authorization", err)
}

func panicked(p any) error {
	return fail(core.CodeInternal, fmt.Sprintf("a panic ended the flow (%T)", p), nil)
}

// fly runs the flow of a flight.
func (m *Manager) fly(f *flight, key string, c call, tried bool) {
	defer m.flights.land(key, f)
	a, err := m.begin("an authorization for calls to " + c.surface)
	if err != nil {
		f.err = err
		return
	}
	defer a.end()
	defer m.flights.begin(f, m.ctx)()
	defer func() {
		// A store or a transport of the caller's can panic.
		if p := recover(); p != nil {
			f.err = panicked(p)
		}
	}()
	if !tried {
		a.waitsFor(wire.EffectLoad)
		if f.answer, _, f.err = m.renew(f.patience, c, true); f.answer != nil || f.err != nil {
			return
		}
	}
	f.answer, f.err = m.flow(f, c, a)
	// That one assertion was rejected is no answer for other calls.
	if f.err == nil && m.ctx.Err() == nil && f.answer.Reason != core.ReasonAssertionRejected {
		if c.rejected != nil {
			m.answers.drop(c.rejected)
		}
		m.answers.keep(c, f.answer)
	}
}
