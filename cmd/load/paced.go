package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// paced reads as many streams at once as there are connections, whose events come at a
// pace, and says how long events are under way.
func paced(ctx context.Context, t *target, connections int) (result, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var mu sync.Mutex
	var delays []time.Duration
	var failures []error
	c := call{http.MethodGet, pacedPath, nil, func(r io.Reader) error {
		return readEvents(r, pacedEach, func(d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			delays = append(delays, d)
		})
	}}
	begin := time.Now()
	var streams sync.WaitGroup
	for range connections {
		streams.Go(func() {
			if err := c.make(ctx, client, t); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, err)
			}
		})
	}
	streams.Wait()
	if len(delays) == 0 {
		return result{}, errors.Join(failures...)
	}
	slices.Sort(delays)
	r := result{
		calls:  int64(len(delays)),
		rate:   float64(len(delays)) / time.Since(begin).Seconds(),
		p50:    delays[len(delays)/2],
		p99:    delays[len(delays)*99/100],
		errors: int64(len(failures)),
	}
	if len(failures) > 0 {
		r.why = failures[0].Error()
	}
	return r, nil
}
