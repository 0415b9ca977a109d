package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// keptBody is a request's body of a known size, which is kept as it comes, to be sent as
// often as need be. What fits into the first piece has come before any of it is sent. The
// rest comes when it is asked for: who announces a long body, and sends nothing, takes up
// one piece.
type keptBody struct {
	source      io.Reader
	first, rest *buffers

	// mu is held while the source is read, for who comes next needs what it gives. It is
	// also for a transport that still sends when the request is over: it gets no more of
	// the pieces, which others have then.
	mu sync.Mutex
	// pieces have what has come. All but the last are full.
	pieces   [][]byte
	missing  int64
	err      error // why the rest does not come
	released bool
}

// keepBody begins to read a body of that size, more than none. The first piece is one of
// first, and others are of rest, until the body is released. The error is one of the
// source.
func keepBody(source io.Reader, size int64, first, rest *buffers) (*keptBody, error) {
	k := &keptBody{source: source, first: first, rest: rest, missing: size}
	for k.err == nil && k.missing > 0 && (len(k.pieces) == 0 || !isFull(k.pieces[0])) {
		k.more()
	}
	if k.err != nil {
		k.release()
		return nil, k.err
	}
	return k, nil
}

func isFull(piece []byte) bool { return len(piece) == cap(piece) }

// errTooLong is of a source that gives more than was announced.
var errTooLong = errors.New("the body is longer than it was said to be")

// more reads more of the source. The caller has mu, or is the only one.
func (k *keptBody) more() {
	last := len(k.pieces) - 1
	switch {
	case last < 0:
		k.pieces = append(k.pieces, k.first.Get()[:0])
		last++
	case isFull(k.pieces[last]):
		k.pieces = append(k.pieces, k.rest.Get()[:0])
		last++
	}
	piece := k.pieces[last]
	n, err := k.source.Read(piece[len(piece):min(int64(cap(piece)), int64(len(piece))+k.missing)])
	k.pieces[last] = piece[:len(piece)+n]
	if k.missing -= int64(n); k.missing == 0 && err == nil {
		// net/http notices a caller that hangs up once it was asked for the end.
		if _, err = io.ReadFull(k.source, make([]byte, 1)); err == nil {
			err = errTooLong
		}
	}
	switch {
	case err != io.EOF:
		k.err = err
	case k.missing > 0:
		k.err = io.ErrUnexpectedEOF
	}
}

// isWhole reports whether there is a body of which all has come.
func (k *keptBody) isWhole() bool {
	if k == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.missing == 0 && k.err == nil
}

// failed reports whether there is a body whose rest has not come. While it is awaited it has not failed.
func (k *keptBody) failed() bool {
	if k == nil || !k.mu.TryLock() {
		return false
	}
	defer k.mu.Unlock()
	return k.err != nil
}

// release gives the pieces back, and nothing can be read of the body any more. While the
// source is being read, which can be for long, they are left to the garbage collector.
func (k *keptBody) release() {
	if k == nil || !k.mu.TryLock() {
		return
	}
	defer k.mu.Unlock()
	from := k.first
	for _, piece := range k.pieces {
		from.Put(piece[:cap(piece)])
		from = k.rest
	}
	k.pieces, k.released = nil, true
}

// reader returns the body from its beginning.
func (k *keptBody) reader() io.ReadCloser { return &keptReader{kept: k} }

// keptReader reads a kept body, for one user.
type keptReader struct {
	kept *keptBody
	// offset is into the piece that comes next.
	piece, offset int
}

// Read implements io.Reader.
func (r *keptReader) Read(p []byte) (int, error) {
	k := r.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.released {
		return 0, http.ErrBodyReadAfterClose
	}
	if len(r.rest()) == 0 && k.missing > 0 && k.err == nil {
		k.more()
	}
	n := copy(p, r.rest())
	r.offset += n
	switch {
	case n > 0 || len(p) == 0:
		return n, nil
	case k.err != nil:
		return 0, k.err
	case k.missing == 0:
		return 0, io.EOF
	}
	return 0, nil // nor has the source given anything
}

// rest returns what there is of the piece that comes next.
func (r *keptReader) rest() []byte {
	pieces := r.kept.pieces
	if r.piece < len(pieces) && r.offset == cap(pieces[r.piece]) {
		r.piece, r.offset = r.piece+1, 0
	}
	if r.piece == len(pieces) {
		return nil
	}
	return pieces[r.piece][r.offset:]
}

// Close implements io.Closer. The pieces are given back by whoever keeps them.
func (r *keptReader) Close() error { return nil }
