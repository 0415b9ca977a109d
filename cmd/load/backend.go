package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/agentassert/agentassert/authority"
	"github.com/agentassert/agentassert/core"
)

// The paths of calls, below which is the base URL's.
const (
	basePath   = "/backend-api"
	smallPath  = "/load/small"
	bodyPath   = "/load/body"
	eventsPath = "/load/events"
	pacedPath  = "/load/paced"
	countsPath = "/load/counts"
)

const (
	// bodySize is that of the large bodies, both ways.
	bodySize = 1 << 20
	// eventsEach is how many events a stream has that goes as fast as it can.
	eventsEach = 64
	// pacedEach is how many a stream has that waits pace before each.
	pacedEach = 20
	pace      = 25 * time.Millisecond
)

var (
	smallAnswer = []byte(`{"data":[{"id":"model-1","object":"model"},{"id":"model-2","object":"model"}],"object":"list"}` + "\n")
	largeAnswer = bytes.Repeat([]byte("0123456789abcde\n"), bodySize/16)
	eventText   = `{"type":"response.output_text.delta","delta":"` + strings.Repeat("x", 120) + `"}`
)

// backend is an authority, so that a proxy can register, with calls of its own that cost
// next to nothing. It does not verify assertions, which would be most of what is measured
// then: it counts the calls that ought to carry one, and those of them that do not.
type backend struct {
	authority *authority.Authority
	asserted  atomic.Int64
	others    atomic.Int64
	underway  atomic.Int64
}

// assertedQuery is that of calls that ought to carry an assertion.
const assertedQuery = "asserted"

// counts are how many of these came with an assertion, how many with anything else, and how
// many calls are under way.
type counts struct {
	Asserted int64 `json:"asserted"`
	Others   int64 `json:"others"`
	Underway int64 `json:"underway"`
}

// ServeHTTP implements http.Handler.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, basePath)
	switch path {
	case smallPath, bodyPath, eventsPath, pacedPath:
	case countsPath:
		_ = json.NewEncoder(w).Encode(counts{b.asserted.Load(), b.others.Load(), b.underway.Load()}) // to a caller that is gone, there is nobody to tell
		return
	default:
		b.authority.ServeHTTP(w, r)
		return
	}
	b.underway.Add(1)
	defer b.underway.Add(-1)
	if r.URL.RawQuery == assertedQuery {
		if strings.HasPrefix(r.Header.Get("Authorization"), core.Scheme+" ") {
			b.asserted.Add(1)
		} else {
			b.others.Add(1)
		}
	}
	switch path {
	case smallPath:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(smallAnswer)))
		_, _ = w.Write(smallAnswer)
	case bodyPath:
		b.body(w, r)
	case eventsPath:
		events(w, r, eventsEach, 0)
	case pacedPath:
		events(w, r, pacedEach, pace)
	}
}

// body reads a large body, and answers with another.
func (b *backend) body(w http.ResponseWriter, r *http.Request) {
	if n, err := io.Copy(io.Discard, r.Body); err != nil || n != bodySize {
		http.Error(w, "the body is not the one that is sent here", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(bodySize))
	_, _ = w.Write(largeAnswer)
}

// events answers with a stream of events, each of which says when it was sent.
func events(w http.ResponseWriter, r *http.Request, n int, pace time.Duration) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	var event []byte
	for i := range n {
		if pace > 0 {
			select {
			case <-time.After(pace):
			case <-r.Context().Done():
				return
			}
		}
		event = fmt.Appendf(event[:0], "id: %d-%d\ndata: %s\n\n", i, time.Now().UnixNano(), eventText)
		_, err := w.Write(event)
		if err := errors.Join(err, control.Flush()); err != nil {
			return // the caller is gone
		}
	}
}
