package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/agentassert/agentassert/core"
	"github.com/agentassert/agentassert/internal/requests"
)

// engine runs one instance of the module.
type engine interface {
	name() string
	// call makes one call, and returns the answer and the size of the instance's memory after it. An answer
	// is good until the next call. An error is a [*moduleError] if the module is at fault.
	call(request []byte) (answer []byte, pages uint32, err error)
	close() error
}

// starter instantiates a module. What the engine has to say goes to stderr.
type starter func(ctx context.Context, module []byte, stderr io.Writer) (engine, error)

// moduleError is a fault of the module.
type moduleError struct {
	engine  string
	call    int // counted from 1; 0: no call in particular
	problem string
	request []byte
}

func (e *moduleError) Error() string {
	s := e.engine + ": "
	if e.call > 0 {
		s += fmt.Sprintf("call %d: ", e.call)
	}
	s += e.problem
	if e.request != nil {
		s += fmt.Sprintf("; the request: %x", e.request)
	}
	return s
}

const (
	// maxPages is 16 MiB: hosts replace an instance that has grown beyond that.
	maxPages = 16 << 20 / pageSize
	// slackPages is by how much memory may grow in the second half of the calls. It does not shrink, and a
	// request of a kind that is rare can be the first of its size.
	slackPages = 16
	pageSize   = 64 << 10

	reportEvery = 100_000
)

// soak makes the calls, and says how it went.
func soak(ctx context.Context, e engine, source *requests.Source, calls int, stdout, stderr io.Writer) error {
	guest := core.NewGuest()
	var first, half, pages uint32
	begin := time.Now()
	for n := 1; n <= calls; n++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: after %d calls: %w", e.name(), n-1, err)
		}
		request := source.Next()
		want := guest.Call(request)
		var answer []byte
		var err error
		answer, pages, err = e.call(request)
		if fault, ok := err.(*moduleError); ok {
			fault.call, fault.request = n, request
		}
		if err != nil {
			return err
		}
		if !bytes.Equal(answer, want) {
			return &moduleError{e.name(), n, fmt.Sprintf("the answer is %x, and the core's is %x", answer, want), request}
		}
		if n == 1 {
			first = pages
		}
		if n == (calls+1)/2 {
			half = pages
		}
		if n%reportEvery == 0 && n < calls {
			fmt.Fprintf(stderr, "%s: %d calls, %d pages, %.0f calls a second\n", e.name(), n, pages, float64(n)/time.Since(begin).Seconds())
		}
	}
	fmt.Fprintf(stdout, "%s: %d calls in %s, every answer the core's; memory in pages of 64 KiB: %d at first, %d after half of them, %d at the end\n",
		e.name(), calls, time.Since(begin).Round(time.Second), first, half, pages)
	switch {
	case pages > maxPages:
		return &moduleError{e.name(), 0, fmt.Sprintf("memory has %d pages, more than the %d at which hosts replace an instance", pages, maxPages), nil}
	case pages > half+slackPages:
		return &moduleError{e.name(), 0, fmt.Sprintf("memory grew from %d to %d pages in the second half", half, pages), nil}
	}
	return nil
}
