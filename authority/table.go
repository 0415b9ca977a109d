package authority

import (
	"cmp"
	"container/heap"
	"net/http"
	"time"
)

// Limit bounds how much of a kind is held at once. Where it is reached, what is
// new is refused: nothing that is held makes room for it, so that no account can
// push out what is another's.
type Limit struct {
	// Total is for all accounts together; beyond it, there is
	// CodeCapacityExceeded.
	Total int
	// PerAccount is for each account, the empty one included; beyond it, there is
	// CodeQuotaExceeded.
	PerAccount int
}

// or fills in what is zero. It reports whether the limit makes sense.
func (l Limit) or(total, perAccount int) (Limit, bool) {
	return Limit{cmp.Or(l.Total, total), cmp.Or(l.PerAccount, perAccount)}, l.Total >= 0 && l.PerAccount >= 0
}

// table holds values of accounts, each until it expires. It is not safe for
// concurrent use.
type table[K comparable, V any] struct {
	limit Limit
	rows  map[K]*row[K, V]
	held  map[string]int // how many rows there are, by account
	queue queue[K, V]    // of the rows that expire
}

type row[K comparable, V any] struct {
	key     K
	account string
	value   V
	expires time.Time // zero is never
	place   int       // in the queue, if expires is not zero
}

func newTable[K comparable, V any](l Limit) *table[K, V] {
	return &table[K, V]{limit: l, rows: make(map[K]*row[K, V]), held: make(map[string]int)}
}

// add holds a value under a new key, from now until expires, or for good where that
// is zero. Keys are random, or were looked for, so one that is in use is refused with
// CodeInternal: it is not to replace what another client registered.
func (t *table[K, V]) add(now time.Time, key K, account string, expires time.Time, value V) error {
	t.forget(now)
	if _, ok := t.rows[key]; ok {
		return fail(http.StatusInternalServerError, CodeInternal, "the authority's randomness repeats itself")
	}
	switch {
	case t.held[account] >= t.limit.PerAccount:
		return fail(http.StatusTooManyRequests, CodeQuotaExceeded, "the account holds as much as one account may; try again later")
	case len(t.rows) >= t.limit.Total:
		return fail(http.StatusServiceUnavailable, CodeCapacityExceeded, "the authority holds as much as it may; try again later")
	}
	r := &row[K, V]{key: key, account: account, value: value, expires: expires}
	t.rows[key] = r
	t.held[account]++
	if !expires.IsZero() {
		heap.Push(&t.queue, r)
	}
	return nil
}

// get returns what is held under a key.
func (t *table[K, V]) get(now time.Time, key K) (value V, ok bool) {
	t.forget(now)
	r, ok := t.rows[key]
	if ok {
		value = r.value
	}
	return value, ok
}

// replace changes what is held under a key, and until when, if anything is.
func (t *table[K, V]) replace(key K, expires time.Time, value V) {
	r, ok := t.rows[key]
	if !ok {
		return
	}
	r.value = value
	if !r.expires.IsZero() {
		heap.Remove(&t.queue, r.place)
	}
	if r.expires = expires; !expires.IsZero() {
		heap.Push(&t.queue, r)
	}
}

// remove lets go of what is held under a key, if anything is.
func (t *table[K, V]) remove(key K) {
	r, ok := t.rows[key]
	if !ok {
		return
	}
	delete(t.rows, key)
	if t.held[r.account]--; t.held[r.account] == 0 {
		delete(t.held, r.account)
	}
	if !r.expires.IsZero() {
		heap.Remove(&t.queue, r.place)
	}
}

// removeFunc lets go of all that del says.
func (t *table[K, V]) removeFunc(del func(K, V) bool) {
	for key, r := range t.rows {
		if del(key, r.value) {
			t.remove(key)
		}
	}
}

// len is how much is held.
func (t *table[K, V]) len(now time.Time) int {
	t.forget(now)
	return len(t.rows)
}

// forget lets go of what has expired.
func (t *table[K, V]) forget(now time.Time) {
	for len(t.queue) > 0 && !now.Before(t.queue[0].expires) {
		t.remove(t.queue[0].key)
	}
}

// queue is a heap of rows, the first to expire at its top.
type queue[K comparable, V any] []*row[K, V]

func (q queue[K, V]) Len() int           { return len(q) }
func (q queue[K, V]) Less(i, j int) bool { return q[i].expires.Before(q[j].expires) }

func (q queue[K, V]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (q *queue[K, V]) Push(x any) {
	r := x.(*row[K, V])
	r.place = len(*q)
	*q = append(*q, r)
}

func (q *queue[K, V]) Pop() any {
	last := len(*q) - 1
	r := (*q)[last]
	(*q)[last] = nil // so that it is freed
	*q = (*q)[:last]
	return r
}
