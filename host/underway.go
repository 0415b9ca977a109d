package host

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/agentassert/agentassert/core/wire"
)

// CodeNotClosed is a manager that is closed, but that has not ended all that was under
// way: what it is stands in the message.
const CodeNotClosed = "not_closed"

// underway is what a manager has begun, so that Close can wait for it, and say what it
// waits for.
type underway struct {
	mu         sync.Mutex
	closed     bool
	activities map[*activity]struct{}
	// brief is how many things are under way beside that take next to no time.
	brief int
	// idle is closed when a manager that is closed has nothing under way any more. It
	// is there only where somebody waits for that.
	idle chan struct{}
}

// activity is one thing that is under way.
type activity struct {
	of   *underway
	what string
	// effect is what it is waiting for, if it is one of a flow's.
	effect string
}

// add takes note of one more, unless the manager is closed.
func (u *underway) add(what string) (*activity, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return nil, errManagerClosed()
	}
	if u.activities == nil {
		u.activities = make(map[*activity]struct{})
	}
	a := &activity{of: u, what: what}
	u.activities[a] = struct{}{}
	return a, nil
}

func errManagerClosed() error { return fail(CodeClosed, "the manager is closed", nil) }

func (a *activity) end() {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	if delete(a.of.activities, a); len(a.of.activities) > 0 {
		return
	}
	a.of.activities = nil // there are many managers, and few that have something to do
	a.of.tell()
}

// waitsFor takes note of the effect that the activity carries out.
func (a *activity) waitsFor(effect string) {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	a.effect = effect
}

// enter takes note of something that takes next to no time, unless the manager is
// closed.
func (u *underway) enter() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return false
	}
	u.brief++
	return true
}

// leave takes note of its end.
func (u *underway) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.brief--
	u.tell()
}

// tell tells who waits for it that nothing is under way.
func (u *underway) tell() {
	if u.idle != nil && len(u.activities) == 0 && u.brief == 0 {
		close(u.idle)
		u.idle = nil
	}
}

// any reports whether something is under way.
func (u *underway) any() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.activities) > 0 || u.brief > 0
}

// close lets nothing more begin.
func (u *underway) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
}

// wait returns when nothing is under way, or when the context ends: with an error that
// says what still is.
func (u *underway) wait(ctx context.Context) error {
	u.mu.Lock()
	if len(u.activities) == 0 && u.brief == 0 {
		u.mu.Unlock()
		return nil
	}
	if u.idle == nil {
		u.idle = make(chan struct{})
	}
	idle := u.idle
	u.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	left := u.list()
	if left == "" {
		return nil
	}
	return fail(CodeNotClosed, "the manager has not come to its end: "+left, context.Cause(ctx))
}

// list names what is under way, each kind once.
func (u *underway) list() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	counts := make(map[string]int)
	for a := range u.activities {
		counts[a.String()]++
	}
	if u.brief > 0 {
		counts["a look whether anything has changed"] = u.brief
	}
	var names []string
	for name, n := range counts {
		if n > 1 {
			name = fmt.Sprintf("%s (%d times)", name, n)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, "; ")
}

// String says what the activity is, and what it waits for.
func (a *activity) String() string {
	for waits, effects := range map[string][]string{
		"for the store":              {wire.EffectLoad, wire.EffectProbe, wire.EffectSave, wire.EffectSwap, wire.EffectDelete},
		"for a lock of the store":    {wire.EffectLock},
		"for the backend":            {wire.EffectHTTP},
		"for who is signed in":       {effectCredentials},
		"before it asks the backend": {wire.EffectWait},
		"for the source of entropy":  {wire.EffectEntropy},
	} {
		if slices.Contains(effects, a.effect) {
			return a.what + ", which waits " + waits
		}
	}
	return a.what
}

// effectCredentials stands, among the effects, for what a flow begins with.
const effectCredentials = "credentials"
