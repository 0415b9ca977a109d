// Package turns lets callers in one process through one at a time, for each name,
// so that they need not ask the file system again and again for a lock that one of
// them has.
package turns

import (
	"context"
	"sync"
)

// Turns are the turns of any number of names. The zero value is ready for use, by
// any number of goroutines.
type Turns struct {
	mu    sync.Mutex
	names map[string]*turn
}

type turn struct {
	free    chan struct{} // holds a value while the turn is nobody's
	callers int           // those who have it or wait for it
}

// Take waits for the turn of that name, and returns what gives it back. Its error
// is the context's.
func (t *Turns) Take(ctx context.Context, name string) (end func(), err error) {
	w := t.join(name)
	select {
	case <-w.free:
		return sync.OnceFunc(func() {
			w.free <- struct{}{}
			t.leave(name, w)
		}), nil
	case <-ctx.Done():
		t.leave(name, w)
		return nil, ctx.Err()
	}
}

func (t *Turns) join(name string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.names[name]
	if w == nil {
		if t.names == nil {
			t.names = make(map[string]*turn)
		}
		w = &turn{free: make(chan struct{}, 1)}
		w.free <- struct{}{}
		t.names[name] = w
	}
	w.callers++
	return w
}

func (t *Turns) leave(name string, w *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.callers--; w.callers == 0 {
		delete(t.names, name)
	}
}
