package proxy

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// repeatInterval is how often the same event is told of again.
const repeatInterval = time.Minute

// maxRepeated bounds the events that are told apart.
const maxRepeated = 1000

// events is the log of what happens. An event that is like one before is counted, and told
// of once in each interval.
type events struct {
	logger *slog.Logger

	mu sync.Mutex
	// repeated are the events of the last interval, by what they are alike in.
	repeated map[string]*repetition
}

// repetition is an event that has been told of.
type repetition struct {
	end *time.Timer
	// count is how many there were since, and last what to say of the last one.
	count int
	last  func(more ...slog.Attr)
}

func newEvents(l *slog.Logger) *events {
	if l == nil {
		l = slog.Default()
	}
	return &events{logger: l, repeated: make(map[string]*repetition)}
}

func (e *events) info(message string, attrs ...slog.Attr) {
	e.logger.LogAttrs(context.Background(), slog.LevelInfo, message, attrs...)
}

// warn tells of an event at once, or counts it, where there was one with the key in the
// last interval. With level debug all are told of.
func (e *events) warn(key, message string, attrs ...slog.Attr) {
	say := func(more ...slog.Attr) {
		e.logger.LogAttrs(context.Background(), slog.LevelWarn, message, append(attrs[:len(attrs):len(attrs)], more...)...)
	}
	if e.logger.Enabled(context.Background(), slog.LevelDebug) || e.isFirst(key, say) {
		say()
	}
}

// isFirst counts an event, unless it is the first one in the interval.
func (e *events) isFirst(key string, say func(more ...slog.Attr)) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.repeated[key]
	switch {
	case r != nil:
		r.count, r.last = r.count+1, say
		return false
	case len(e.repeated) >= maxRepeated:
		// So many at once are all alike.
		key = ""
		if r = e.repeated[key]; r != nil {
			r.count, r.last = r.count+1, say
			return false
		}
	}
	r = new(repetition)
	r.end = time.AfterFunc(repeatInterval, func() { e.again(key, r) })
	e.repeated[key] = r
	return true
}

// again tells of the events of an interval that is over, and begins another one if there
// were any.
func (e *events) again(key string, r *repetition) {
	e.mu.Lock()
	if e.repeated[key] != r { // flushed
		e.mu.Unlock()
		return
	}
	count, say := r.count, r.last
	if r.count, r.last = 0, nil; count > 0 {
		r.end.Reset(repeatInterval)
	} else {
		delete(e.repeated, key)
	}
	e.mu.Unlock()
	if count > 0 {
		say(slog.Int("repeated", count))
	}
}

// flush tells of what was counted only.
func (e *events) flush() {
	e.mu.Lock()
	all := e.repeated
	e.repeated = make(map[string]*repetition)
	e.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		r := all[key]
		r.end.Stop()
		if r.count > 0 {
			r.last(slog.Int("repeated", r.count))
		}
	}
}
