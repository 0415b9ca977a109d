package authority

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// The limits of a [Log] that stand unless others are asked for.
const (
	DefaultMaxLines           = 1000
	DefaultMaxLinesPerAccount = 100
)

// Log writes what [Options.Observe] is told, one JSON object a line, and no more
// than so many lines a second, so that nobody who can send requests can fill a
// disk in a moment, or keep what others do out of the log. A line has less than
// 16 KiB. The requests of a second that are left out are counted, and the next
// line that is written is then {"time":…,"left_out":…}, about that second.
//
// It is safe for concurrent use.
type Log struct {
	limit Limit

	mu      sync.Mutex
	w       io.Writer
	second  time.Time
	lines   int            // written of this second
	written map[string]int // by account
	leftOut int
	err     error // the first
}

// LogOptions are a log's. The zero value is ready for use.
type LogOptions struct {
	// MaxLines bounds how many requests of one second are written; what is zero in
	// it is DefaultMaxLines and DefaultMaxLinesPerAccount. All requests that proved
	// no account share what one account has.
	MaxLines Limit
}

// NewLog returns a log that writes to w, one line at a time. The error is an
// [*Error] with CodeInvalidOptions: a limit is negative.
func NewLog(w io.Writer, o LogOptions) (*Log, error) {
	limit, ok := o.MaxLines.or(DefaultMaxLines, DefaultMaxLinesPerAccount)
	if !ok {
		return nil, invalidOptions("LogOptions.MaxLines is negative; use zero for the default")
	}
	return &Log{limit: limit, w: w, written: make(map[string]int)}, nil
}

// Observe is an [Options.Observe]. Seconds are those of Request.Time.
func (l *Log) Observe(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Requests are observed when they are answered, so one that began before others
	// can be late. It counts as one of this second, unless the clock was set back.
	if second := r.Time.Truncate(time.Second); second.After(l.second) || l.second.Sub(second) > time.Minute {
		l.endSecond()
		l.second = second
	}
	if l.lines >= l.limit.Total || l.written[r.AccountID] >= l.limit.PerAccount {
		l.leftOut++
		return
	}
	l.lines++
	l.written[r.AccountID]++
	l.write(r)
}

// Close writes how many requests were left out last, if any, and returns the
// first error of all writes. It does not close the writer.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endSecond()
	return l.err
}

func (l *Log) endSecond() {
	if l.leftOut > 0 {
		l.write(struct {
			Time    time.Time `json:"time"`
			LeftOut int       `json:"left_out"`
		}{l.second, l.leftOut})
	}
	l.lines, l.leftOut = 0, 0
	clear(l.written)
}

func (l *Log) write(line any) {
	text, err := json.Marshal(line)
	if err == nil {
		_, err = l.w.Write(append(text, '\n'))
	}
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("the log is not complete: %w", err)
	}
}
