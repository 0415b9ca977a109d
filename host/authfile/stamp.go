package authfile

import (
	"encoding/binary"
	"sync"
	"time"
)

// settled is how long ago a file must have changed for its times to tell that it has
// not changed since. File systems count as coarsely as in seconds.
const settled = 3 * time.Second

// stamp tells one state of a file from another. Times are in nanoseconds of the Unix
// epoch.
type stamp struct {
	device, inode uint64
	size          int64
	mode          uint32
	modified      int64
	// changed is when anything about the file changed, which nobody can set back, except
	// with the clock; setBack is how often that was.
	changed int64
	setBack uint64
}

// The type of a file in its mode.
const (
	typeMask    = 0o170000
	typeRegular = 0o100000
)

// stampOf returns the stamp of a regular file, unless that could be of two states of it,
// as when it has changed a short while ago, or the system does not say when. Then only
// the content tells.
func stampOf(path string, followsLinks bool) (s stamp, ok bool) {
	s, ok = stat(path, followsLinks)
	if !ok || s.mode&typeMask != typeRegular {
		return stamp{}, false
	}
	wall := now()
	s.setBack = clock.watch(wall.UnixNano() - int64(uptime()))
	past := wall.Add(-settled).UnixNano()
	return s, s.modified < past && s.changed < past
}

// version is the stamp as bytes.
func (s stamp) version() string {
	b := make([]byte, 0, 64)
	for _, n := range []uint64{s.device, s.inode, uint64(s.size), uint64(s.mode), s.setBack} {
		b = binary.AppendUvarint(b, n)
	}
	b = binary.AppendVarint(b, s.modified)
	return string(binary.AppendVarint(b, s.changed-s.modified))
}

var (
	began = time.Now()
	// uptime goes by a clock that nobody sets. Tests take its place.
	uptime = func() time.Duration { return time.Since(began) }
)

// clock watches whether the system's is set back: a file could then change at a time at
// which it has changed before.
var clock falls

// falls counts how often a number falls by more than a part of settled.
type falls struct {
	mu      sync.Mutex
	highest int64
	count   uint64
}

// watch takes the number's value, and returns the count.
func (f *falls) watch(value int64) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if isFall := value < f.highest-int64(settled)/2; isFall {
		f.highest = value
		f.count++
	}
	f.highest = max(f.highest, value)
	return f.count
}
