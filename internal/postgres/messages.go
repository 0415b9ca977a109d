package postgres

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/jackc/pgx/v5/pgproto3"
)

// boundedMessages reads what a server sends, and fails at a message whose body is longer
// than limit, before there is memory for it. Newer versions of pgx have a setting for
// that; who uses an older one is not to need a newer one for this package's sake.
//
// Each message is a byte, the length in four bytes, which count themselves, and the body:
// https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-MESSAGE-CONCEPTS.
type boundedMessages struct {
	r      io.Reader
	limit  int
	header [5]byte
	have   int   // bytes of the header
	body   int64 // bytes of the body that are still to come
	err    error
}

func (b *boundedMessages) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	for i := 0; i < n; {
		if skip := min(b.body, int64(n-i)); skip > 0 {
			b.body -= skip
			i += int(skip)
			continue
		}
		b.header[b.have] = p[i]
		b.have++
		i++
		if b.have < len(b.header) {
			continue
		}
		b.have = 0
		// One that is too short is pgx's to refuse.
		b.body = max(0, int64(binary.BigEndian.Uint32(b.header[1:]))-4)
		if b.body > int64(b.limit) {
			b.err = &pgproto3.ExceededMaxBodyLenErr{MaxExpectedBodyLen: b.limit, ActualBodyLen: int(min(b.body, math.MaxInt32))}
			return max(0, i-len(b.header)), b.err
		}
	}
	return n, err
}
