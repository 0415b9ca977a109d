package proxy

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// repeatInterval is how often the log has an event again that repeats.
const repeatInterval = time.Minute

// maxRepeated bounds the events that are told apart.
const maxRepeated = 1000

// CountRepeats returns a handler that keeps a failure which repeats from flooding the log:
// of records of level warn and above that are alike, the first one goes to the next handler
// at once, and those of the minute after that are counted. When it is over the last one of
// them goes there, too, with the attribute repeated, which says how many it stands for.
// Records are alike in their message and in the attributes code, reason, surface and
// account, in groups, too. Where the next handler takes level debug, all records go there.
//
// A proxy's Config.Logger gets such a handler by itself. For the managers' loggers to count
// with it, and to be told of what was counted when the proxy ends, give both the same one.
func CountRepeats(next slog.Handler) slog.Handler {
	if h, ok := next.(*counting); ok {
		return h
	}
	return &counting{next: next, repeats: &repeats{all: make(map[string]*repetition)}}
}

// counting is what CountRepeats returns.
type counting struct {
	next slog.Handler
	// key is what the handler's own attributes add to those of its records.
	key     string
	repeats *repeats
}

// repeats are the events of the last interval, by what they are alike in.
type repeats struct {
	mu  sync.Mutex
	all map[string]*repetition
}

// repetition is an event that the log has.
type repetition struct {
	end *time.Timer
	// count is how many there were since, and last writes the last one.
	count int
	last  func(count int)
}

// Enabled implements slog.Handler.
func (h *counting) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h *counting) WithAttrs(attrs []slog.Attr) slog.Handler {
	key := h.key
	for _, a := range attrs {
		key += keyOf(a)
	}
	return &counting{h.next.WithAttrs(attrs), key, h.repeats}
}

// WithGroup implements slog.Handler.
func (h *counting) WithGroup(name string) slog.Handler {
	return &counting{h.next.WithGroup(name), h.key, h.repeats}
}

// Handle implements slog.Handler.
func (h *counting) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn || h.next.Enabled(ctx, slog.LevelDebug) {
		return h.next.Handle(ctx, r)
	}
	key := r.Message + h.key
	r.Attrs(func(a slog.Attr) bool {
		key += keyOf(a)
		return true
	})
	last := func(count int) {
		again := r.Clone()
		again.AddAttrs(slog.Int("repeated", count))
		_ = h.next.Handle(context.WithoutCancel(ctx), again) // as slog.Logger does
	}
	if !h.repeats.isFirst(key, last) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// keyOf is what events with different attributes are told apart by.
func keyOf(a slog.Attr) (key string) {
	switch value := a.Value.Resolve(); {
	case value.Kind() == slog.KindGroup:
		for _, inner := range value.Group() {
			key += keyOf(inner)
		}
	case slices.Contains([]string{"code", "reason", "surface", "account"}, a.Key):
		key = "\x00" + a.Key + "=" + value.String()
	}
	return key
}

// isFirst counts an event, unless it is the first one in an interval.
func (rs *repeats) isFirst(key string, last func(count int)) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.all[key] == nil && len(rs.all) >= maxRepeated {
		key = "" // so many at once are all alike
	}
	if r := rs.all[key]; r != nil {
		r.count, r.last = r.count+1, last
		return false
	}
	r := new(repetition)
	r.end = time.AfterFunc(repeatInterval, func() { rs.again(key, r) })
	rs.all[key] = r
	return true
}

// again writes the last event of an interval that is over, and begins another one if there
// was any.
func (rs *repeats) again(key string, r *repetition) {
	rs.mu.Lock()
	if rs.all[key] != r { // flushed
		rs.mu.Unlock()
		return
	}
	count, last := r.count, r.last
	if r.count, r.last = 0, nil; count > 0 {
		r.end.Reset(repeatInterval)
	} else {
		delete(rs.all, key)
	}
	rs.mu.Unlock()
	if count > 0 {
		last(count)
	}
}

// flush writes what was counted only.
func (rs *repeats) flush() {
	rs.mu.Lock()
	all := rs.all
	rs.all = make(map[string]*repetition)
	rs.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		r := all[key]
		r.end.Stop()
		if r.count > 0 {
			r.last(r.count)
		}
	}
}

// serverLog is where net/http's server says what it has nobody to tell.
type serverLog struct{ logger *slog.Logger }

// Write implements io.Writer. What comes after the second colon is particular to the event.
func (l serverLog) Write(p []byte) (int, error) {
	text := strings.TrimSpace(string(p))
	parts := strings.SplitN(text, ": ", 3)
	l.logger.Warn(strings.Join(parts[:min(2, len(parts))], ": "), "error", text)
	return len(p), nil
}
