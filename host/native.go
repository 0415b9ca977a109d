package host

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/core/wire"
)

// Native is an engine without WebAssembly: the same core, in the process
// itself. It starts at once and signs ten times as fast, and it gives up what
// the sandbox is for: the key is in memory that all of the program can read.
type Native struct {
	guests atomic.Pointer[sync.Pool]
}

// NewNative returns a native engine.
func NewNative() *Native {
	n := new(Native)
	n.forget()
	return n
}

// Call implements [Engine].
func (n *Native) Call(ctx context.Context, request []byte) ([]byte, error) {
	if err := checkSize(request); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fail(CodeCanceled, "the call was canceled", err)
	}
	guests := n.guests.Load()
	g := guests.Get().(*core.Guest)
	defer guests.Put(g)
	return g.Call(request), nil
}

// step is core.Step, whose panics are errors as those of Call are.
func (n *Native) step(p wire.FlowStepParams) (s wire.FlowStep, err error) {
	defer func() {
		if recover() != nil {
			s, err = wire.FlowStep{}, fail(core.CodeInternal, "the core failed unexpectedly; this is a bug in agentassert", nil)
		}
	}()
	return core.Step(p)
}

// Forget lets go of the keys that the engine keeps, which are the last that each
// of its guests parsed; a call that is under way lets go of its own when it ends.
// The memory is the Go program's: it is not overwritten, and is used again when the
// collector has come across it. It returns no error.
func (n *Native) Forget(context.Context) error {
	n.forget()
	return nil
}

func (n *Native) forget() {
	n.guests.Store(&sync.Pool{New: func() any { return core.NewGuest() }})
}

// Close implements [Engine]. It forgets as [Native.Forget] does, and there is
// nothing else to close.
func (n *Native) Close(ctx context.Context) error { return n.Forget(ctx) }
