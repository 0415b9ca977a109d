package host

import (
	"context"
	"errors"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// besideMemory is what an instance of a caller's module may have beside the
// memory limit, so that one that takes all of its memory can still be called.
const besideMemory = 256 << 10

// memoryBudget is how many bytes an instance may have in all.
func memoryBudget(pages uint32) int64 { return int64(pages)*wasmPageSize + besideMemory }

// budget is what is left for an instance of a caller's module to take, in bytes:
// for its memory and its stack. It is used by one call at a time. A nil budget has
// no end.
type budget struct{ left int64 }

// take reports whether so much was left.
func (b *budget) take(n int64) bool {
	if b == nil {
		return true
	}
	if n > b.left {
		return false
	}
	b.left -= n
	return true
}

type budgetKey struct{}

// in returns the context for a call that is counted.
func (b *budget) in(ctx context.Context) context.Context {
	if b == nil {
		return ctx
	}
	return context.WithValue(ctx, budgetKey{}, b)
}

// frame counts the calls of a function, each of which takes so many bytes of stack.
type frame int64

var errStackTooLarge = errors.New("the module's calls are nested too deep for its memory limit")

// withFrames has a module that is compiled count its stack.
func withFrames(ctx context.Context, frames []int64) context.Context {
	return experimental.WithFunctionListenerFactory(ctx, experimental.FunctionListenerFactoryFunc(
		func(f api.FunctionDefinition) experimental.FunctionListener { return frame(frames[f.Index()]) }))
}

// Before ends the call where the stack has no room. wazero makes the call's error
// of it.
func (f frame) Before(ctx context.Context, _ api.Module, _ api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
	if b := ctx.Value(budgetKey{}).(*budget); !b.take(int64(f)) {
		panic(errStackTooLarge)
	}
}

func (f frame) After(ctx context.Context, _ api.Module, _ api.FunctionDefinition, _ []uint64) {
	ctx.Value(budgetKey{}).(*budget).left += int64(f)
}

// Abort has nothing to do: the instance is thrown away.
func (f frame) Abort(context.Context, api.Module, api.FunctionDefinition, error) {}

// guestMemory is an instance's memory, and knows where it is when it is to be
// overwritten. wazero's own leaves copies behind when it grows.
type guestMemory struct {
	bytes  []byte
	most   uint64
	budget *budget
}

// Allocate implements experimental.MemoryAllocator. There is one memory.
func (g *guestMemory) Allocate(_, most uint64) experimental.LinearMemory {
	g.most = most
	return g
}

// Reallocate implements experimental.LinearMemory.
func (g *guestMemory) Reallocate(size uint64) []byte {
	if !g.budget.take(int64(size) - int64(len(g.bytes))) {
		return nil
	}
	if size <= uint64(cap(g.bytes)) {
		g.bytes = g.bytes[:size]
		return g.bytes
	}
	// Somewhat more, so that growing page by page does not copy all of it each time.
	capacity := uint64(cap(g.bytes))
	larger := make([]byte, size, max(size, min(capacity+capacity/4, g.most)))
	copy(larger, g.bytes)
	g.erase()
	g.bytes = larger
	return g.bytes
}

// Free implements experimental.LinearMemory. The memory has been overwritten by
// who used it last: wazero may say so while it is in use.
func (g *guestMemory) Free() {}

// erase overwrites the memory with zeroes.
func (g *guestMemory) erase() { clear(g.bytes[:cap(g.bytes)]) }
