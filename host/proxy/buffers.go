package proxy

import "sync"

// The sizes of buffers, in bytes. Each response needs one for as long as it takes, which
// for a stream is long, and so does each body that is kept. A longer body is read in
// larger pieces, which takes the system fewer calls.
const (
	bufferSize = 32 << 10
	pieceSize  = 128 << 10
)

// buffers of one size are used again. It implements httputil.BufferPool.
type buffers struct {
	size int
	free sync.Pool
}

// Get returns a buffer, with whatever is in it.
func (b *buffers) Get() []byte {
	if free, ok := b.free.Get().(*[]byte); ok {
		return *free
	}
	return make([]byte, b.size)
}

// Put takes back what Get has returned, and nobody uses any more.
func (b *buffers) Put(buffer []byte) { b.free.Put(&buffer) }
