package authority

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/agentassert/agentassert/core"
)

const (
	// DefaultMaxRemembered is how many verified headers a [Verifier] remembers, unless
	// something else is asked for.
	DefaultMaxRemembered = 8192
	// maxRememberedHeader is the longest header that is remembered, in bytes. A client's
	// has some 400.
	maxRememberedHeader = 1 << 10
	// generation is how long headers are remembered, at least. Clients sign anew in each
	// second, and a request takes a while to arrive.
	generation = 2 * time.Second
	// verifiedShards have a lock each.
	verifiedShards = 16
)

// verifiedHeader is a header whose signature has been checked.
type verifiedHeader struct {
	claims core.AssertionClaims
	// by is the key that it was checked with; nil where there is none.
	by *core.PublicKey
}

// verifiedHeaders are those that were verified last, so that the calls of one second,
// which carry the same, cost one check of a signature. It says nothing but that a key
// has signed a header: all that can change, such as time, agent and task, is for the
// caller to look at each time.
//
// What a header is known by is its hash alone: the time of a look-up tells nothing of a
// header that is a byte off, and none can be taken from memory. There are no more than the limit, and in two
// generations, of which the older is dropped as a whole. Safe for concurrent use; nil
// remembers nothing.
type verifiedHeaders struct {
	perGeneration int // in one shard
	shards        [verifiedShards]verifiedShard
}

type verifiedShard struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]verifiedHeader
	since      time.Time // from when young is
}

// newVerifiedHeaders returns one for at most limit headers, or about: 32 are the least.
func newVerifiedHeaders(limit int) *verifiedHeaders {
	return &verifiedHeaders{perGeneration: max(1, limit/2/verifiedShards)}
}

// shardOf returns where a header is kept, and by what; nil where it is not.
func (h *verifiedHeaders) shardOf(header string) (*verifiedShard, [sha256.Size]byte) {
	if h == nil || len(header) > maxRememberedHeader {
		return nil, [sha256.Size]byte{}
	}
	var text [maxRememberedHeader]byte // on the stack
	digest := sha256.Sum256(text[:copy(text[:], header)])
	return &h.shards[digest[0]%verifiedShards], digest
}

func (h *verifiedHeaders) find(header string) verifiedHeader {
	s, digest := h.shardOf(header)
	if s == nil {
		return verifiedHeader{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.young[digest]; ok {
		return known
	}
	return s.old[digest]
}

func (h *verifiedHeaders) add(now time.Time, header string, v verifiedHeader) {
	s, digest := h.shardOf(header)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// A clock that was set back ends a generation, too.
	if age := now.Sub(s.since); s.young == nil || len(s.young) >= h.perGeneration || age >= generation || age < 0 {
		s.old, s.young, s.since = s.young, make(map[[sha256.Size]byte]verifiedHeader), now
	}
	s.young[digest] = v
}
