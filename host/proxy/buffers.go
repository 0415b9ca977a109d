package proxy

import "sync"

// bufferSize is what a response is copied by, and what a body is kept in pieces of.
const bufferSize = 32 << 10

// buffers are used again: each response needs one for as long as it takes. The zero value
// is ready. It implements httputil.BufferPool.
type buffers struct{ free sync.Pool }

// Get returns bufferSize bytes, whatever is in them.
func (b *buffers) Get() []byte {
	if free, ok := b.free.Get().(*[bufferSize]byte); ok {
		return free[:]
	}
	return make([]byte, bufferSize)
}

// Put takes back what Get has returned, and nobody uses any more.
func (b *buffers) Put(buffer []byte) { b.free.Put((*[bufferSize]byte)(buffer)) }
