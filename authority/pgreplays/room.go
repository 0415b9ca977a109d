package pgreplays

import (
	"sync"
	"time"
)

const (
	// countParts is how many counts the limit is divided into: so on average, a use costs
	// as much as reading that many rows, however large the limit is.
	countParts = 200
	// recount is how often there is a count where the limit is reached.
	recount = time.Second
)

// room is what one server makes of how many assertions all of them remember: what it
// counted last, what it has added since, and what it is about to add. Nothing that it adds
// itself is missing in that; some can be in it twice. It is safe for concurrent use.
type room struct {
	total int
	every int // uses from one count to the next

	mu       sync.Mutex
	counted  int       // by the last count
	at       time.Time // when that was, by the verifier's clock
	added    int       // since then
	pending  int       // taken, and neither added nor given back
	left     int       // uses until the next count
	counting bool      // by one caller, while others go by what is known
	begun    int       // what added was when the count began
}

func newRoom(total int) *room {
	return &room{total: total, every: max(total/countParts, 1)}
}

// full is for callers that hold mu.
func (r *room) full() bool { return r.counted+r.added+r.pending >= r.total }

// due reports whether the caller is to count, and then to say so to set.
func (r *room) due(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	again := r.full() && now.Sub(r.at).Abs() >= recount // also where the clock was set back
	if r.counting || r.left > 0 && !again {
		return false
	}
	r.counting, r.begun, r.at, r.left = true, r.added, now, r.every
	return true
}

// set takes note of a count, or that there was none: then the next caller is to count.
func (r *room) set(counted int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counting = false
	if !ok {
		r.left = 0
		return
	}
	r.counted = counted
	r.added -= r.begun
}

// take takes room for one more, and reports whether there is some. Then done has to be
// called.
func (r *room) take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left--
	if r.full() {
		return false
	}
	r.pending++
	return true
}

// done says whether there is one more where room was taken for it.
func (r *room) done(added bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending--
	if added {
		r.added++
	}
}
